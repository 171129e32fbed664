//! `focus scan`, and the pass that other commands make.

use std::time::Duration;

use focus_common::config::Settings;
use focus_common::state_dir;
use focus_engine::{Engine, PassReport};
use serde_json::json;

use super::output::Output;
use super::{Ending, Stop, jobs, refuse_roots_that_are_one, running_server, runtime};

pub(super) fn scan(settings: Settings, out: &Output) -> anyhow::Result<Ending> {
    if settings.roots.is_empty() {
        return Err(Stop::error(
            Ending::Refused,
            "which roots? Give --root DIR, or a settings file",
        ));
    }
    let report: PassReport = runtime()?.block_on(async {
        if let Some(server) = running_server(&settings.state_dir)? {
            let answer = jobs::done(&server, "/api/v1/jobs", &json!({ "kind": "scan" })).await?;
            return Ok::<_, anyhow::Error>(serde_json::from_value(answer)?);
        }
        refuse_roots_that_are_one(&settings)?;
        let _lock = state_dir::lock(&settings.state_dir)?;
        pass(settings).await
    })?;
    out.value(&json!(report));
    describe(&report, out);
    Ok(ending(&report))
}

/// One pass by an engine in this process.
pub(super) async fn pass(settings: Settings) -> anyhow::Result<PassReport> {
    let bar = progress();
    let mut engine = Engine::start(settings.clone()).await?;
    loop {
        let told = async {
            loop {
                let status = engine.status();
                let left = status
                    .fill
                    .and_then(|fill| fill.left_ms)
                    .map_or_else(String::new, |ms| format!(", {} s left", ms.div_ceil(1_000)));
                bar.set_message(format!(
                    "{} recordings, {} unsettled, {} pending{left}",
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

/// A progress bar; nothing where stderr is no terminal.
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

/// The result of a pass, for people.
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
