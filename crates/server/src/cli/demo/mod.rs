//! `focus demo`: an outage on this machine, shown step by step.

mod database;
mod recordings;

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use focus_catalog::{Catalog, Reach, RootPlace, Stored};
use focus_storage::marker;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::output::Output;
use super::{Ending, runtime};
use database::Database;
use focus_common::client::Client;
use focus_common::config::Overrides;
use focus_common::state_dir::{self};
use recordings::Made;

/// Recordings before the outage.
const BEFORE: usize = 20;

/// How long a single step of the demo may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The arguments of `focus demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// How many recordings land during the outage
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    count: u16,
    /// Keep the server up afterwards, until Ctrl-C
    #[arg(long)]
    keep_running: bool,
}

pub(super) fn run(args: &DemoArgs, overrides: &Overrides, out: &Output) -> anyhow::Result<Ending> {
    let dir = tempfile::Builder::new().prefix("focus-demo-").tempdir()?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ended = play(args, overrides.mongodb_uri(), dir.path(), out) => ended,
            _ = tokio::signal::ctrl_c() => Ok(Ending::CouldNotTell),
            _ = terminate.recv() => Ok(Ending::CouldNotTell),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// The server of the demo: this program in a process of its own.
struct Server {
    child: Child,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    async fn start(root: &Path, state: &Path, database: &Database) -> anyhow::Result<Server> {
        std::fs::create_dir_all(state)?;
        let log = std::fs::File::create(state.join("serve.log"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--settle-ms", "500", "--listen", "127.0.0.1:0", "--root"])
            .arg(root)
            .arg("--state-dir")
            .arg(state)
            .envs(database.environment())
            .current_dir(state)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            if let Some(file) = state_dir::running(state).ok().flatten() {
                return Ok(Server { child, client: Client::new(file) });
            }
            if child.try_wait()?.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let _ = child.kill();
        let _ = child.wait();
        let log = std::fs::read_to_string(state.join("serve.log")).unwrap_or_default();
        anyhow::bail!("the server did not start:\n{log}")
    }

    async fn status(&self) -> anyhow::Result<Value> {
        Ok(self.client.get("/api/v1/status", LIMIT).await?)
    }

    /// The number of recordings in the answer to a query over all time, and how long the answer took.
    async fn query(&self) -> anyhow::Result<(usize, Duration)> {
        let began = Instant::now();
        let body = json!({ "start_time": 0, "end_time": 4_000_000_000_u64 });
        let path = "/recordings_in_time_range";
        let answer = self.client.post(path, Some(&body), LIMIT).await?;
        Ok((answer.as_array().map_or(0, Vec::len), began.elapsed()))
    }

    /// Waits until the status is as wanted. The status, and how long that took.
    async fn until(
        &self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<(Value, Duration)> {
        let began = Instant::now();
        loop {
            let status = self.status().await?;
            if wanted(&status) {
                return Ok((status, began.elapsed()));
            }
            if began.elapsed() > LIMIT {
                anyhow::bail!("{what} did not happen within {} s: {status:#}", LIMIT.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Plays the reference scenario once, and tells each of its moments.
async fn play(
    args: &DemoArgs,
    uri: Option<&str>,
    dir: &Path,
    out: &Output,
) -> anyhow::Result<Ending> {
    let (root, state) = (dir.join("root"), dir.join("state"));
    std::fs::create_dir_all(&root)?;
    let place = RootPlace { id: marker::init(&root, None)?.id, path: root.display().to_string() };
    let mut database = Database::choose(uri, dir, &state).await?;
    out.line("Focus Server demo: recordings land while the catalog's database is away.\n");
    out.line(&format!("   catalog     {}", database.describe()));
    let mut made = recordings::land(&root, 0, BEFORE)?;
    let server = Server::start(&root, &state, &database).await?;

    let (status, _) = server.until("the first catalog", all_catalogued(BEFORE)).await?;
    let catalog_name = status["catalog"].as_str().unwrap_or_default().to_owned();
    let before = documents(&database, &place).await?.len();
    out.line(&format!(
        "1  before      {before} documents in the catalog, {BEFORE} recordings on storage"
    ));

    let gone = Instant::now();
    database.take_away()?;
    let down = |status: &Value| status["catalog_state"] == "down";
    let (_, noticed) = server.until("the outage", down).await?;
    out.line(&format!(
        "2  outage      {}; noticed after {} ms",
        database.way(),
        noticed.as_millis()
    ));
    let count = usize::from(args.count);
    made.extend(land_during_the_outage(&server, &root, count, out).await?);

    let outage_ms = millis(gone);
    database.bring_back().await?;
    let back = Instant::now();
    server.until("recovery", all_catalogued(BEFORE + count)).await?;
    let converge_ms = millis(back);
    out.line(&format!(
        "5  back        after {outage_ms} ms; all catalogued {converge_ms} ms later, by itself"
    ));

    let documents = documents(&database, &place).await?;
    let outcome = compare(&made, &documents);
    let good =
        outcome == DemoOutcome::default() && before == BEFORE && documents.len() == made.len();
    tell_after(&outcome, documents.len(), good, out);
    if args.keep_running {
        out.line(&format!(
            "The server stays up on http://{} until Ctrl-C.",
            server.client.address()
        ));
        tokio::signal::ctrl_c().await?;
    }
    drop(server);
    database.end().await;
    out.value(&json!({
        "before": before,
        "landed": count,
        "after": documents.len(),
        "missing": outcome.missing,
        "duplicated": outcome.duplicated,
        "wrong": outcome.wrong,
        "outage_ms": outage_ms,
        "converge_ms": converge_ms,
        "catalog": catalog_name,
    }));
    Ok(if good { Ending::InOrder } else { Ending::NotInOrder })
}

/// The catalog is in step with so many recordings.
fn all_catalogued(count: usize) -> impl Fn(&Value) -> bool {
    move |status: &Value| {
        status["recordings"] == count
            && status["catalog_state"] == "in_step"
            && status["pending"] == 0
            && status["unsettled"] == 0
    }
}

/// Lands recordings over about 2 s, asks the server about them meanwhile, and waits until it has seen all.
async fn land_during_the_outage(
    server: &Server,
    root: &Path,
    count: usize,
    out: &Output,
) -> anyhow::Result<Vec<Made>> {
    let mut landed = Vec::new();
    let mut slowest = Duration::ZERO;
    let mut answered = 0;
    for at in 0..count {
        landed.extend(recordings::land(root, BEFORE + at, 1)?);
        if at % 10 == 0 {
            let (_, took) = server.query().await?;
            slowest = slowest.max(took);
            answered += 1;
        }
        tokio::time::sleep(Duration::from_millis(2_000 / count.max(50) as u64)).await;
    }
    out.line(&format!("3  landed      {count} recordings, while the catalog was away"));
    let seen = |status: &Value| status["pending"] == count;
    server.until("all are seen", seen).await?;
    let (found, took) = server.query().await?;
    slowest = slowest.max(took);
    out.line(&format!(
        "4  pending     {count}; a query finds {found} of {}, {} queries answered, the slowest in {:.1} ms",
        BEFORE + landed.len(),
        answered + 1,
        slowest.as_secs_f64() * 1_000.0
    ));
    Ok(landed)
}

/// Tells what the catalog has in the end.
fn tell_after(outcome: &DemoOutcome, documents: usize, good: bool, out: &Output) {
    out.line(&format!(
        "6  after       {documents} documents; compared with their files: {} missing, {} duplicated, {} wrong",
        outcome.missing, outcome.duplicated, outcome.wrong,
    ));
    out.line(if good {
        "\nNothing lost, nothing twice, nothing wrong."
    } else {
        "\nNOT in order: see the figures above."
    });
}

/// Every document of the root, as the demo itself reads it.
async fn documents(database: &Database, place: &RootPlace) -> anyhow::Result<Vec<Stored>> {
    let catalog: Arc<dyn Catalog> = database.catalog()?;
    let mut reach = catalog.reach();
    let up = reach.wait_for(|reach| matches!(reach, Reach::Up { .. }));
    tokio::time::timeout(LIMIT, up).await.context("the catalog cannot be read")??;
    let mut all: Vec<Stored> = Vec::new();
    loop {
        let after = all.last().map(|stored| stored.uuid.clone());
        let page = catalog.page(place, after.as_deref(), None, 1_000).await?;
        all.extend(page.items);
        if !page.more {
            return Ok(all);
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct DemoOutcome {
    missing: usize,
    duplicated: usize,
    wrong: usize,
}

fn compare(made: &[Made], documents: &[Stored]) -> DemoOutcome {
    let mut verdict = DemoOutcome::default();
    let mut by_uuid: HashMap<&str, &Stored> = HashMap::new();
    for stored in documents {
        if by_uuid.insert(&stored.uuid, stored).is_some() {
            verdict.duplicated += 1;
        }
    }
    for made in made {
        match by_uuid.get(made.uuid.as_str()).and_then(|stored| stored.recording.as_ref()) {
            None if by_uuid.contains_key(made.uuid.as_str()) => verdict.wrong += 1,
            None => verdict.missing += 1,
            Some(recording) => verdict.wrong += usize::from(!made.is(recording)),
        }
    }
    verdict
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
