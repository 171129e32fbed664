//! `focus drill list` and `focus drill report`.

use std::path::PathBuf;

use serde_json::json;

use super::output::Output;
use super::{Ending, Stop};
use focus_common::config::Settings;
use focus_drill::plan::Folder;
use focus_drill::{kept, render};

/// `focus drill report`.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// The drill's id, or its beginning: see `focus drill list`
    id: String,
    /// Writes it as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes it as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn list(settings: &Settings, out: &Output) -> anyhow::Result<Ending> {
    let (kept, unread) = kept::list(&Folder::of(&settings.state_dir));
    let drills: Vec<_> = kept
        .iter()
        .map(|one| {
            json!({
                "id": one.id,
                "started_at": one.started_at,
                "title": one.title,
                "outage": one.outage.kind,
                "verdict": one.verdict,
                "planted": one.planted,
                "catalogued": one.catalogued,
                "outage_ms": one.outage_ms,
                "time_to_converge_ms": one.time_to_converge_ms,
            })
        })
        .collect();
    out.value(&json!({ "drills": drills, "unreadable": unread }));
    if kept.is_empty() {
        out.line("No drill is kept on this state folder.");
    } else {
        let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        let rows = kept
            .into_iter()
            .map(|one| {
                vec![
                    one.id,
                    one.started_at,
                    one.outage.kind,
                    one.verdict.name().to_owned(),
                    format!("{} of {}", one.catalogued, one.planted),
                    time(one.outage_ms),
                    time(one.time_to_converge_ms),
                    one.title,
                ]
            })
            .collect();
        let header =
            ["ID", "STARTED", "OUTAGE", "VERDICT", "CATALOGUED", "AWAY", "CAUGHT UP", "TITLE"];
        out.table(&header, rows);
    }
    for words in &unread {
        out.line(words);
    }
    Ok(Ending::InOrder)
}

pub(super) fn report(
    settings: &Settings,
    args: &ReportArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    let report = kept::load(&Folder::of(&settings.state_dir), &args.id)
        .map_err(|error| Stop::error(Ending::Refused, format!("{error:#}")))?;
    render::write(&report, args.junit.as_deref(), args.html.as_deref())
        .map_err(|error| Stop::error(Ending::Refused, format!("{error:#}")))?;
    out.value(&serde_json::to_value(&report)?);
    for (what, path) in [("JUnit XML", &args.junit), ("HTML", &args.html)] {
        if let Some(path) = path {
            out.line(&format!("written as {what}: {}", path.display()));
        }
    }
    if args.junit.is_none() && args.html.is_none() {
        out.line(render::terminal::render(&report).trim_end());
    }
    Ok(Ending::InOrder)
}
