//! `focus drill list` and `focus drill report`.

use std::path::PathBuf;

use focus_http::api::drill_item;
use serde_json::json;

use super::output::Output;
use super::{Ending, Stop};
use focus_common::config::Settings;
use focus_drill::render::{files, terminal};
use focus_drill::report::archive::{self, ArchivedDrill};
use focus_drill::scenario::outage_kind::OutageKind;
use focus_drill::state::folder::Folder;

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
    let (drills, unreadable) = archive::list(&Folder::of(&settings.state_dir));
    let values: Vec<_> = drills.iter().map(drill_item).collect();
    out.value(&json!({ "drills": values, "unreadable": unreadable }));
    if drills.is_empty() {
        out.line("No drill is kept on this state folder.");
    } else {
        let header =
            ["ID", "STARTED", "OUTAGE", "VERDICT", "CATALOGUED", "AWAY", "CAUGHT UP", "TITLE"];
        out.table(&header, drills.into_iter().map(row).collect());
    }
    for words in &unreadable {
        out.line(words);
    }
    Ok(Ending::InOrder)
}

fn row(drill: ArchivedDrill) -> Vec<String> {
    let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    vec![
        drill.id,
        drill.started_at,
        drill.outage.kind.map_or("", OutageKind::name).to_owned(),
        drill.verdict.name().to_owned(),
        format!("{} of {}", drill.catalogued, drill.planted),
        time(drill.outage_ms),
        time(drill.time_to_converge_ms),
        drill.title,
    ]
}

pub(super) fn report(
    settings: &Settings,
    args: &ReportArgs,
    out: &Output,
) -> anyhow::Result<Ending> {
    let report = archive::load(&Folder::of(&settings.state_dir), &args.id)
        .map_err(|error| Stop::error(Ending::Refused, format!("{error:#}")))?;
    files::write(&report, args.junit.as_deref(), args.html.as_deref())
        .map_err(|error| Stop::error(Ending::Refused, format!("{error:#}")))?;
    out.value(&serde_json::to_value(&report)?);
    for (what, path) in [("JUnit XML", &args.junit), ("HTML", &args.html)] {
        if let Some(path) = path {
            out.line(&format!("written as {what}: {}", path.display()));
        }
    }
    if args.junit.is_none() && args.html.is_none() {
        out.line(terminal::render(&report).trim_end());
    }
    Ok(Ending::InOrder)
}
