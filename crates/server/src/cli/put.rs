//! `focus put`: hands a recording over to a server, again and again until it is there or refused.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use focus_common::client::Client;
use focus_common::config::{Settings, Source};
use focus_common::ingest::{Data, HandOver, HandOverError, Taken, hand_over};
use focus_common::state_dir::ServerFile;
use focus_core::sidecar::SIDECAR_BYTES_MAX;
use focus_drill::scenario::duration::time_ms;
use focus_drill::server::Server;

use super::output::Output;
use super::{Ending, Stop, running_server, runtime};

/// Pauses between two tries grow up to this.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The arguments of `focus put`.
#[derive(Debug, clap::Args)]
pub(super) struct PutArgs {
    /// The data file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its sidecar [default: FILE with the extension json]
    #[arg(long, value_name = "FILE")]
    sidecar: Option<PathBuf>,
    /// Where it goes: relative to the root, without extension [default: the name of FILE without its own]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The server that takes it [default: the one running on the state folder]
    #[arg(long, value_name = "URL", requires = "token_file")]
    server: Option<String>,
    /// The file with a token that has the right `ingest` [default: the token in the state folder]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long to try again where the server is away or busy
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time_ms)]
    retry_for: u64,
}

pub(super) fn put(settings: &Settings, args: &PutArgs, out: &Output) -> anyhow::Result<Ending> {
    let recording = recording(settings, args)?;
    let begun = Instant::now();
    let patience = Duration::from_millis(args.retry_for);
    let taken = runtime()?.block_on(async {
        let mut pause = Duration::from_millis(500);
        // Without a server at the beginning there is none to wait for.
        let mut server = Some(server(settings, args)?);
        loop {
            let failed = match &server {
                Some(server) => match hand_over(server, &recording).await {
                    Ok(taken) => return Ok(taken),
                    Err(error) if !error.is_passing() => return Err(stop(error)),
                    Err(error) => stop(error),
                },
                None => no_server(settings),
            };
            if begun.elapsed() + pause > patience {
                return Err(failed);
            }
            out.remark(&format!("{failed:#}: trying again in {} s", pause.as_secs_f64()));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            // It may have been started anew, with another address and token.
            server = self::server(settings, args).ok();
        }
    })?;
    told(&recording, &taken, out)
}

/// Tells how it was taken. What the server shows has to be what was sent.
fn told(recording: &HandOver, taken: &Taken, out: &Output) -> anyhow::Result<Ending> {
    let Taken { is_new, size, recording: shown } = taken;
    let mut value = shown.clone();
    value["created"] = (*is_new).into();
    out.value(&value);
    if shown["size"].as_u64() != Some(*size) {
        return Err(Stop::error(
            Ending::NotInOrder,
            format!(
                "{}: {size} bytes were sent, and the server shows {}: somebody changes the file, see `focus query --text {}`",
                recording.path, shown["size"], recording.path
            ),
        ));
    }
    let what = if *is_new { "taken" } else { "was there already" };
    let text = |field: &str| shown[field].as_str().unwrap_or("?").to_owned();
    let (path, uuid, state) = (text("path"), text("uuid"), text("state"));
    out.line(&format!("{path}: {what}, {size} bytes, {state}, uuid {uuid}"));
    Ok(Ending::InOrder)
}

/// What is handed over.
fn recording(settings: &Settings, args: &PutArgs) -> anyhow::Result<HandOver> {
    let refused = |words: String| Stop::error(Ending::Refused, words);
    let file = &args.file;
    let meta = std::fs::metadata(file)
        .map_err(|error| refused(format!("{} cannot be read: {error}", file.display())))?;
    if !meta.is_file() {
        return Err(refused(format!("{} is not a file: give the data file", file.display())));
    }
    let sidecar = args.sidecar.clone().unwrap_or_else(|| file.with_extension("json"));
    let sidecar = read_sidecar(&sidecar).map_err(|error| {
        let words = format!(
            "the sidecar {} cannot be read: {error}. Give it with --sidecar FILE",
            sidecar.display()
        );
        refused(words)
    })?;
    let stem = || file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    let path = args.path.clone().or_else(stem).ok_or_else(|| {
        refused(format!("the name of {} is not UTF-8: give --path PATH", file.display()))
    })?;
    let root = match (settings.source("roots"), settings.roots.as_slice()) {
        (Source::Flag(_), [root]) => Some(root.path.display().to_string()),
        (Source::Flag(_), [_, _, ..]) => {
            return Err(refused("which root? Give --root DIR once".to_owned()));
        }
        _ => None,
    };
    Ok(HandOver { path, root, sidecar, data: Data::File(file.clone()) })
}

/// Reads a sidecar, and no more of a larger file than tells that it is none.
fn read_sidecar(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(SIDECAR_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > SIDECAR_BYTES_MAX {
        let words = format!("it has more than {SIDECAR_BYTES_MAX} bytes");
        return Err(std::io::Error::other(words));
    }
    Ok(bytes)
}

/// The server that is meant, with the token that is given, or the one of the state folder.
fn server(settings: &Settings, args: &PutArgs) -> anyhow::Result<Client> {
    let token = args.token_file.as_ref().map(|path| {
        let read = std::fs::read_to_string(path);
        read.map(|text| text.trim().to_owned()).map_err(|error| {
            let words = format!("the token {} cannot be read: {error}", path.display());
            Stop::error(Ending::Refused, words)
        })
    });
    let token = token.transpose()?;
    if let (Some(url), Some(token)) = (&args.server, &token) {
        let server = Server::parse(url).map_err(|words| Stop::error(Ending::Refused, words))?;
        let address = server.address().to_owned();
        return Ok(Client::new(ServerFile { address, token: token.clone(), pid: 0 }));
    }
    let running = running_server(&settings.state_dir)?.ok_or_else(|| no_server(settings))?;
    Ok(match token {
        Some(token) => {
            let address = running.address().to_owned();
            Client::new(ServerFile { address, token, pid: 0 })
        }
        None => running,
    })
}

fn no_server(settings: &Settings) -> anyhow::Error {
    Stop::error(
        Ending::CouldNotTell,
        format!(
            "no server runs on the state folder {}, and a server is what takes recordings: start it with `focus serve`, name its folder with --state-dir, or give --server URL and --token-file FILE",
            settings.state_dir.display()
        ),
    )
}

fn stop(error: HandOverError) -> anyhow::Error {
    match error {
        HandOverError::Server(error) => Stop::of(error),
        error => Stop::error(Ending::Refused, format!("{:#}", anyhow::Error::from(error))),
    }
}
