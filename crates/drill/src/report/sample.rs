//! A report with something of everything, for tests.

use super::{
    FORMAT, Fate, LostReason, Others, OutageFacts, Queries, RecordingVerdict, Report, Second,
    SideEffect, SideEffectKind, Step, StepReport, Verdict,
};
use crate::scenario::outage_kind::OutageKind;
use crate::server::CatalogState;

/// A report with something of everything, for the tests of all renderings.
pub(crate) fn sample() -> Report {
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
            .then(|| if (4..8).contains(&at) { CatalogState::Down } else { CatalogState::InStep }),
        landed: at.saturating_sub(3).min(4),
        catalogued: if at < 9 { 0 } else { 3 },
        pending: (at != 5).then(|| if at < 9 { at.saturating_sub(3).min(4) } else { 0 }),
    };
    Report {
        format: FORMAT,
        id: "d-1".to_owned(),
        title: "a <title> & \"quotes\"".to_owned(),
        version: "0.1.0".to_owned(),
        started_at: "2026-01-02T03:04:05Z".to_owned(),
        ended_at: "2026-01-02T03:04:17Z".to_owned(),
        server: "http://127.0.0.1:8480".to_owned(),
        root: "/data".to_owned(),
        database: "mongodb://127.0.0.1:27017/focus".to_owned(),
        outage: OutageFacts {
            kind: Some(OutageKind::Process),
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
        steps: Step::ALL[..8]
            .iter()
            .map(|step| StepReport {
                name: *step,
                ok: *step != Step::Verdict,
                elapsed_ms: 1_200,
                detail: format!("what {} saw", step.name()),
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
            what: SideEffectKind::Leftover,
            detail: "a file is still there".to_owned(),
        }],
        others: Others { before: 20, landed: 1, updated: 0, foreign_changed: 0 },
    }
}
