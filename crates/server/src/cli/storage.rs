//! `focus init` and `focus scan`.

use std::time::Duration;

use focus_storage::{RootProblem, marker};
use hyper::Method;
use serde_json::json;

use super::output::Output;
use super::{Ending, Stop, client, runtime};
use crate::config::Settings;
use crate::engine::{Engine, PassReport};
use crate::state_dir;

/// A pass over a very large storage takes long; one that takes longer than this hangs.
const PASS_LIMIT: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn init(settings: &Settings, out: &Output) -> anyhow::Result<Ending> {
    if settings.roots.is_empty() {
        return Err(Stop::error(Ending::Refused, "which folder? Give --root DIR"));
    }
    let mut marked = Vec::new();
    for root in &settings.roots {
        let path = root.path.display().to_string();
        let marker = marker::init(&root.path).map_err(|problem| {
            let ending = match problem {
                RootProblem::Absent { .. } | RootProblem::Unreadable { .. } => Ending::CouldNotTell,
                _ => Ending::Refused,
            };
            Stop::error(ending, problem.to_string())
        })?;
        let done = if marker.created { "is marked as root" } else { "was marked before, as root" };
        out.line(&format!("{path} {done} {}", marker.id));
        marked.push(json!({ "path": path, "id": marker.id, "created": marker.created }));
    }
    out.value(&json!({ "roots": marked }));
    Ok(Ending::InOrder)
}

pub(super) fn scan(settings: Settings, out: &Output) -> anyhow::Result<Ending> {
    if settings.roots.is_empty() {
        return Err(Stop::error(
            Ending::Refused,
            "which roots? Give --root DIR, or a settings file",
        ));
    }
    let report: PassReport = runtime()?.block_on(async {
        if let Some(server) = client::server(&settings.state_dir)? {
            let answer =
                client::call(&server, Method::POST, "/api/v1/scan", String::new(), PASS_LIMIT)
                    .await?;
            return Ok::<_, anyhow::Error>(serde_json::from_value(answer)?);
        }
        let _lock = state_dir::lock(&settings.state_dir)?;
        pass(settings).await
    })?;
    out.value(&json!(report));
    describe(&report, out);
    Ok(ending(&report))
}

/// One pass of an engine of this process's own.
pub(super) async fn pass(settings: Settings) -> anyhow::Result<PassReport> {
    let bar = progress();
    let mut engine = Engine::start(settings.clone()).await?;
    loop {
        let told = async {
            loop {
                let status = engine.status();
                bar.set_message(format!(
                    "{} recordings, {} unsettled, {} pending",
                    status.recordings, status.unsettled, status.pending
                ));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let ended = tokio::select! {
            report = engine.pass() => Ok(report),
            why = engine.damaged() => Err(why),
            () = told => Ok(PassReport::default()),
        };
        engine.stop().await;
        match ended {
            Ok(report) => {
                bar.finish_and_clear();
                return Ok(report);
            }
            Err(why) => engine = Engine::start_anew(settings.clone(), why).await?,
        }
    }
}

/// Nothing is drawn where stderr is no terminal.
pub(super) fn progress() -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

pub(super) fn ending(report: &PassReport) -> Ending {
    if !report.problems.is_empty() || !report.catalog_reached {
        Ending::CouldNotTell
    } else if report.pending > 0 || report.unsettled > 0 {
        Ending::NotInOrder
    } else {
        Ending::InOrder
    }
}

/// What a pass came to, for people.
pub(super) fn describe(report: &PassReport, out: &Output) {
    out.line(&format!("catalog: {}", report.catalog));
    out.line(&format!(
        "{} recordings, {} pending, {} unsettled, {} unrecognised, {} vanished ({} held), {} deleted",
        report.recordings,
        report.pending,
        report.unsettled,
        report.unrecognised.values().sum::<u64>(),
        report.vanished,
        report.held,
        report.deleted,
    ));
    for (state, count) in &report.unrecognised {
        out.line(&format!("  {state}: {count} (see `focus unrecognised`)"));
    }
    for problem in &report.problems {
        out.line(problem);
    }
    if !report.catalog_reached {
        let why = report.catalog_reason.as_deref().unwrap_or("no reason given");
        out.line(&format!("the catalog was not reached: {why}. What is pending is written by the next pass or by `focus serve`"));
    }
}
