//! Reports for people and programs, all made from the one object that a drill ends with.

pub mod html;
pub mod junit;
pub mod markup;
pub mod terminal;
pub mod timeline;

use std::path::Path;

use anyhow::Context;

use super::report::{Fate, RecordingVerdict, Report};
use super::run::STEPS;

/// Writes the report as the files that were asked for.
///
/// # Errors
/// A file cannot be written.
pub fn write(report: &Report, junit: Option<&Path>, html: Option<&Path>) -> anyhow::Result<()> {
    let files = [
        (junit, junit::render as fn(&Report) -> String),
        (html, html::render as fn(&Report) -> String),
    ];
    for (path, render) in files {
        if let Some(path) = path {
            std::fs::write(path, render(report))
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(())
}

/// Whether these files can be written; they are made where they are missing.
///
/// # Errors
/// One cannot be: which, and why.
pub fn may_write(paths: [&Option<std::path::PathBuf>; 2]) -> anyhow::Result<()> {
    for path in paths.into_iter().flatten() {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// A fate in one word.
fn fate_name(fate: Fate) -> &'static str {
    match fate {
        Fate::Catalogued => "catalogued",
        Fate::Lost => "lost",
        Fate::Duplicated => "duplicated",
        Fate::Stale => "stale",
    }
}

/// Why a recording is not in the catalog as it should be, in words; empty where it is.
fn why(one: &RecordingVerdict) -> String {
    let reason = one.reason.and_then(|reason| serde_json::to_value(reason).ok());
    let reason = reason.as_ref().and_then(serde_json::Value::as_str);
    let parts: Vec<&str> = reason.into_iter().chain(one.detail.as_deref()).collect();
    parts.join(": ")
}

/// At most `most` recordings, those that are not as they should be first, and how many are left out.
fn worst_first(report: &Report, most: usize) -> (Vec<&RecordingVerdict>, usize) {
    let is_good = |one: &&RecordingVerdict| one.fate == Fate::Catalogued;
    let bad = report.recordings.iter().filter(|one| !is_good(one));
    let good = report.recordings.iter().filter(is_good);
    let shown: Vec<_> = bad.chain(good).take(most).collect();
    let left = report.recordings.len() - shown.len();
    (shown, left)
}

/// A length of time for people: `340 ms`, `3.2 s`, `4 min 05 s`.
fn time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// The same where it may not be known.
fn maybe_time(ms: Option<u64>) -> String {
    ms.map_or_else(|| "not known".to_owned(), time)
}

/// A report with something of everything, for the tests of all renderings.
#[cfg(test)]
pub(crate) fn sample() -> Report {
    use super::report::{LostReason, OutageFacts, Queries, Second, SideEffect, Step, Verdict};
    let recording = |n: u64, fate| RecordingVerdict {
        recording_id: format!("drill-{n}"),
        uuid: format!("drill-{n}"),
        path: format!("focus-drill-<1>/drill-{n}.dat"),
        fate,
        reason: (fate == Fate::Lost).then_some(LostReason::NotSeen),
        detail: (fate == Fate::Stale).then(|| "end_time: \"a\" & <b>".to_owned()),
        landed_ms: Some(4_000 + n),
        catalogued_ms: (fate != Fate::Lost).then_some(9_000 + n),
    };
    let second = |at: u64| Second {
        at_ms: at * 1_000,
        reachable: !(3..8).contains(&at),
        catalog_state: (at != 5)
            .then(|| if (4..8).contains(&at) { "down".to_owned() } else { "in_step".to_owned() }),
        landed: at.saturating_sub(3).min(4),
        catalogued: if at < 9 { 0 } else { 3 },
        pending: (at != 5).then(|| if at < 9 { at.saturating_sub(3).min(4) } else { 0 }),
    };
    Report {
        format: super::report::FORMAT,
        id: "d-1".to_owned(),
        title: "a <title> & \"quotes\"".to_owned(),
        version: "0.1.0".to_owned(),
        started_at: "2026-01-02T03:04:05Z".to_owned(),
        ended_at: "2026-01-02T03:04:17Z".to_owned(),
        server: "http://127.0.0.1:8480".to_owned(),
        root: "/data".to_owned(),
        database: "mongodb://127.0.0.1:27017/focus".to_owned(),
        outage: OutageFacts {
            kind: "process".to_owned(),
            what: "process 7 (mongod) is killed (SIGKILL)".to_owned(),
            blast_radius: vec!["process 7 (mongod)".to_owned()],
            for_ms: 3_000,
            unreachable_for_drill: true,
            unreachable_for_server: true,
        },
        verdict: Verdict::Failed,
        reason: Some("1 of 4 recordings is lost".to_owned()),
        planted: 4,
        catalogued: 2,
        lost: 1,
        duplicated: 0,
        stale: 1,
        time_to_detect_ms: Some(120),
        time_to_converge_ms: None,
        outage_ms: Some(5_230),
        steps: STEPS[..8]
            .iter()
            .map(|name| Step {
                name: (*name).to_owned(),
                ok: *name != "verdict",
                elapsed_ms: 1_200,
                detail: format!("what {name} saw"),
            })
            .collect(),
        recordings: vec![
            recording(0, Fate::Catalogued),
            recording(1, Fate::Lost),
            recording(2, Fate::Catalogued),
            recording(3, Fate::Stale),
        ],
        timeline: (0..12).map(second).collect(),
        queries: Queries { asked: 50, answered: 49, slowest_us: 4_321 },
        side_effects: vec![SideEffect {
            what: "leftover".to_owned(),
            detail: "a file is still there".to_owned(),
        }],
        others: super::report::Others { before: 20, landed: 1, updated: 0, foreign_changed: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_it_should_be_comes_first_and_the_rest_is_counted() {
        let report = sample();
        let (shown, left) = worst_first(&report, 3);
        let ids: Vec<_> = shown.iter().map(|one| one.recording_id.as_str()).collect();
        assert_eq!((ids, left), (vec!["drill-1", "drill-3", "drill-0"], 1));
    }

    /// Whatever a report can hold is in the published schema, and nothing else is.
    #[test]
    fn reports_are_as_their_schema_says() {
        use crate::report::{LostReason, Verdict};
        let schema = include_str!("../../../../docs/drill-report.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).expect("a schema");
        let is_good = |report: &Report| {
            let value = serde_json::to_value(report).expect("JSON");
            let wrong = focus_testkit::schema::check(&schema, &value);
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        };
        is_good(&Report { format: crate::report::FORMAT, ..Report::default() });
        for (verdict, fate) in [
            (Verdict::Passed, Fate::Catalogued),
            (Verdict::Failed, Fate::Lost),
            (Verdict::Inconclusive, Fate::Duplicated),
            (Verdict::Refused, Fate::Stale),
        ] {
            let mut report = Report { verdict, ..sample() };
            report.recordings[0].fate = fate;
            is_good(&report);
        }
        for reason in [
            LostReason::NotOnStorage,
            LostReason::NotSeen,
            LostReason::Unrecognised,
            LostReason::Pending,
            LostReason::Refused,
            LostReason::Acknowledged,
        ] {
            let mut report = sample();
            report.recordings[0].reason = Some(reason);
            is_good(&report);
        }
        use clap::ValueEnum;
        for kind in crate::options::OutageKind::value_variants() {
            let mut report = sample();
            kind.name().clone_into(&mut report.outage.kind);
            is_good(&report);
        }
        assert_eq!(schema["properties"]["format"]["const"], crate::report::FORMAT);
    }

    #[test]
    fn times_are_told_as_people_do() {
        assert_eq!(time(340), "340 ms");
        assert_eq!(time(3_249), "3.2 s");
        assert_eq!(time(245_000), "4 min 05 s");
    }
}
