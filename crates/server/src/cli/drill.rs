//! `focus drill`: the crate `focus-drill` does it; here are the words for people, the JSON and the exit codes.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::output::Output;
use super::{Ending, Stop, drill_reports, runtime};
use focus_common::config::Settings;
use focus_drill::recover::{self, Recovered};
use focus_drill::render::files;
use focus_drill::report::{Report, Verdict, archive};
use focus_drill::run::{self, Outcome};
use focus_drill::scenario::flags::Flags;
use focus_drill::state::folder::Folder;
use focus_drill::{guard, posting, proxy as tcp_proxy};

#[derive(Debug, clap::Subcommand)]
pub(super) enum DrillCommand {
    /// Take the database away, plant recordings, bring it back, and tell how each of them ended
    Run(Box<Flags>),
    /// Put right what a drill that died has left
    Recover,
    /// List the drills of this state folder, the newest first
    List,
    /// Show the report of an earlier drill, or write it as a file
    Report(drill_reports::ReportArgs),
    /// A proxy between server and database, for `--outage proxy`
    Proxy(ProxyArgs),
    /// Brings the database back when the drill has died; started by `focus drill run`
    #[command(hide = true)]
    Guard,
}

/// `focus drill proxy`.
#[derive(Debug, clap::Args)]
pub(super) struct ProxyArgs {
    /// Where the server finds the database instead: the host and port of its --mongodb-uri
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:27018")]
    listen_on: String,
    /// The database
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:27017")]
    upstream: String,
    /// The socket over which a drill tells it what to do [default: drill/proxy.sock in the state folder]
    #[arg(long, value_name = "FILE")]
    control: Option<PathBuf>,
}

pub(super) fn drill(
    command: DrillCommand,
    settings: &Settings,
    out: &Output,
) -> anyhow::Result<Ending> {
    match command {
        DrillCommand::Run(flags) => run(settings, &flags, out),
        DrillCommand::Recover => recovered(settings, out),
        DrillCommand::List => drill_reports::list(settings, out),
        DrillCommand::Report(args) => drill_reports::report(settings, &args, out),
        DrillCommand::Proxy(args) => proxy(settings, &args, out),
        DrillCommand::Guard => {
            let folder = Folder::of(&settings.state_dir);
            runtime()?.block_on(guard::run(&folder)).map(|()| Ending::InOrder)
        }
    }
}

fn run(settings: &Settings, flags: &Flags, out: &Output) -> anyhow::Result<Ending> {
    // Told before anything is broken.
    files::may_write([&flags.junit, &flags.html])
        .map_err(|error| Stop::error(Ending::Refused, format!("{error:#}")))?;
    let printer = out.clone();
    let say = move |words: &str| printer.line(words);
    let runtime = runtime()?;
    let report = match runtime.block_on(run::run(settings, flags, &say)) {
        Outcome::DryRun(report) => {
            runtime.shutdown_background();
            out.line("\nNothing was done: --dry-run stops here.");
            out.value(&json!({ "dry_run": true, "verdict": null, "outage": report.outage }));
            return Ok(Ending::InOrder);
        }
        Outcome::Report(report) => report,
    };
    conclude(&report, out);
    if flags.dry_run {
        // It was refused before it could tell what it would take away, and leaves no trace.
        runtime.shutdown_background();
        out.value(&serde_json::to_value(&*report)?);
        return Ok(ending(report.verdict));
    }
    put_down(settings, flags, &report, out);
    if report.verdict != Verdict::Refused
        && let Err(error) = runtime.block_on(posting::post(settings, &report))
    {
        out.complain(&format!(
            "the verdict stands; the server has not taken the report: {error:#}"
        ));
    }
    // A call to a database that hangs must not keep the process from ending.
    runtime.shutdown_background();
    out.value(&serde_json::to_value(&*report)?);
    Ok(ending(report.verdict))
}

/// Keeps the report for `focus drill list` and `report`, and writes it as the files asked for. What
/// cannot be written is told: the verdict stands.
fn put_down(settings: &Settings, flags: &Flags, report: &Report, out: &Output) {
    let kept = match report.verdict {
        Verdict::Refused => Ok(()),
        _ => archive::keep(&Folder::of(&settings.state_dir), report),
    };
    let written = files::write(report, flags.junit.as_deref(), flags.html.as_deref());
    for error in [kept, written].into_iter().filter_map(Result::err) {
        out.complain(&format!("{error:#}"));
    }
}

fn conclude(report: &Report, out: &Output) {
    let reason = report.reason.as_deref().unwrap_or_default();
    match report.verdict {
        Verdict::Passed => {
            let time = |ms: Option<u64>| ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms} ms"));
            out.line(&format!(
                "\nPASSED: {} of {} recordings that landed during the outage are in the catalog, once and right. The outage lasted {}, was noticed after {}, and caught up with in {}.",
                report.catalogued,
                report.planted,
                time(report.outage_ms),
                time(report.time_to_detect_ms),
                time(report.time_to_converge_ms),
            ));
        }
        Verdict::Failed => out.line(&format!("\nFAILED: {reason}")),
        Verdict::Inconclusive => out.line(&format!("\nINCONCLUSIVE: {reason}")),
        Verdict::Refused => out.complain(reason),
    }
}

fn ending(verdict: Verdict) -> Ending {
    match verdict {
        Verdict::Passed => Ending::InOrder,
        Verdict::Failed => Ending::NotInOrder,
        Verdict::Inconclusive => Ending::CouldNotTell,
        Verdict::Refused => Ending::Refused,
    }
}

fn recovered(settings: &Settings, out: &Output) -> anyhow::Result<Ending> {
    let printer = out.clone();
    let say = move |words: &str| printer.line(words);
    let runtime = runtime()?;
    let recovered = runtime.block_on(recover::recover(&settings.state_dir, &say));
    runtime.shutdown_background();
    let recovered = recovered
        .map_err(|error| Stop::error(Ending::CouldNotTell, format!("{error:#}. Run it again")))?;
    let value = match recovered {
        Recovered::Nothing => {
            out.line("Nothing is to be done: no drill has left anything on this state folder.");
            json!({ "recovered": Value::Null })
        }
        Recovered::Drill { id, removed, left } => {
            out.line(&format!("Drill {id} is put right: the database takes writes."));
            out.line(&match left {
                0 => "Nothing of the drill is left.".to_owned(),
                _ => format!(
                    "{left} documents of planted recordings do not name the drill in metadata.focus_drill, so they were left: remove them by hand."
                ),
            });
            json!({ "recovered": id, "documents_removed": removed, "documents_left": left })
        }
    };
    out.value(&value);
    let left = value["documents_left"].as_u64().unwrap_or(0);
    Ok(if left == 0 { Ending::InOrder } else { Ending::NotInOrder })
}

fn proxy(settings: &Settings, args: &ProxyArgs, out: &Output) -> anyhow::Result<Ending> {
    crate::telemetry::log(&settings.log);
    let folder = Folder::of(&settings.state_dir);
    let control = args.control.clone().unwrap_or_else(|| folder.file("proxy.sock"));
    if args.control.is_none() {
        folder.make()?;
    }
    let ready = |address: &str| {
        out.line(&format!(
            "The proxy leads from {address} to {}, and is told what to do over {}",
            args.upstream,
            control.display()
        ));
        out.value(&json!({ "listen": address, "upstream": args.upstream, "control": control }));
    };
    let runtime = runtime()?;
    let ended =
        runtime.block_on(tcp_proxy::server::run(&args.listen_on, &args.upstream, &control, ready));
    runtime.shutdown_background();
    ended.map(|()| Ending::InOrder)
}
