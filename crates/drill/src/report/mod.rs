//! What a drill found: the object that `--json` ends with, and that every rendering is made from. Its field
//! names and the names of its states are an interface: `docs/drill-report.schema.json`.

pub mod archive;
mod kind_or_empty;
#[cfg(test)]
pub(crate) mod sample;
mod side_effect;
mod step;
pub mod store;

use serde::{Deserialize, Serialize};

pub use self::side_effect::{SideEffect, SideEffectKind};
pub use self::step::{Step, StepReport};
use crate::scenario::outage_kind::OutageKind;
use crate::server::CatalogState;

/// The version of the report's schema. It is raised when a field changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// The verdict of a drill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The database was away, and every planted recording was catalogued once and right, without side effects.
    Passed,
    /// The database was away, and something is not as it has to be.
    Failed,
    /// The answer is not known: the database was not really away, something was not there, or the drill was
    /// interrupted.
    #[default]
    Inconclusive,
    /// Nothing was done: wrong use, not allowed, or not possible.
    Refused,
}

impl Verdict {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Refused => "refused",
        }
    }
}

/// The whole report. Field names are an interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// `FORMAT` of the product that wrote it.
    pub format: u32,
    /// The drill's id.
    pub id: String,
    /// The experiment's title.
    pub title: String,
    /// The product's version.
    pub version: String,
    /// When the drill began, RFC 3339.
    pub started_at: String,
    /// When the drill ended, RFC 3339.
    pub ended_at: String,
    /// The server, as a URL.
    pub server: String,
    /// The root's folder.
    pub root: String,
    /// Where the database is, without credentials.
    pub database: String,
    /// The outage.
    pub outage: OutageFacts,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, where it is not `passed`: what happened, and what to do.
    pub reason: Option<String>,
    /// How many recordings were planted.
    pub planted: u64,
    /// Planted recordings that are in the catalog, once and right.
    pub catalogued: u64,
    /// Planted recordings that are not in the catalog.
    pub lost: u64,
    /// Planted recordings that are in the catalog more than once.
    pub duplicated: u64,
    /// Planted recordings that are in the catalog with other values than on storage.
    pub stale: u64,
    /// Milliseconds from the drill's last sight of the database until the server's own status said that it is
    /// down.
    pub time_to_detect_ms: Option<u64>,
    /// Milliseconds from the database taking writes again until the last planted recording was seen in the
    /// catalog.
    pub time_to_converge_ms: Option<u64>,
    /// Milliseconds from the drill's last sight of the database until it took writes again.
    pub outage_ms: Option<u64>,
    /// The ten steps, as far as they were taken.
    pub steps: Vec<StepReport>,
    /// Each planted recording.
    pub recordings: Vec<RecordingVerdict>,
    /// Second by second, from the baseline on.
    pub timeline: Vec<Second>,
    /// Queries that the drill asked during the outage.
    pub queries: Queries,
    /// What is new, gone or altered and should not be.
    pub side_effects: Vec<SideEffect>,
    /// Recordings that are not the drill's.
    pub others: Others,
}

/// The outage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutageFacts {
    /// The kind; none where the drill was refused before it was known.
    #[serde(with = "kind_or_empty")]
    pub kind: Option<OutageKind>,
    /// What is done to what, in words.
    pub what: String,
    /// What it takes away, a line each.
    pub blast_radius: Vec<String>,
    /// How long it was to last at least, milliseconds.
    pub for_ms: u64,
    /// The drill's own view: the database could not be reached.
    pub unreachable_for_drill: bool,
    /// The server's own view: its catalog is down.
    pub unreachable_for_server: bool,
}

/// How one planted recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// In the catalog, once and right.
    Catalogued,
    /// Not in the catalog.
    Lost,
    /// In the catalog more than once.
    Duplicated,
    /// In the catalog with other values than on storage.
    Stale,
}

impl Fate {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Catalogued => "catalogued",
            Fate::Lost => "lost",
            Fate::Duplicated => "duplicated",
            Fate::Stale => "stale",
        }
    }
}

/// Why a recording is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostReason {
    /// Its files are not there: it was never planted.
    NotOnStorage,
    /// The server does not know of it.
    NotSeen,
    /// The server lists it as unrecognised.
    Unrecognised,
    /// The server knows it, and has not written it.
    Pending,
    /// The database refuses its document.
    Refused,
    /// The server holds it for catalogued, and it is not in the catalog.
    Acknowledged,
}

impl LostReason {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            LostReason::NotOnStorage => "not_on_storage",
            LostReason::NotSeen => "not_seen",
            LostReason::Unrecognised => "unrecognised",
            LostReason::Pending => "pending",
            LostReason::Refused => "refused",
            LostReason::Acknowledged => "acknowledged",
        }
    }
}

/// The verdict on one planted recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingVerdict {
    /// Its recording id.
    pub recording_id: String,
    /// Its uuid.
    pub uuid: String,
    /// Path of the data file below the root.
    pub path: String,
    /// How it ended.
    pub fate: Fate,
    /// Why, where it is lost.
    pub reason: Option<LostReason>,
    /// Which values differ, or what the server says of it.
    pub detail: Option<String>,
    /// When it landed, milliseconds since the drill began.
    pub landed_ms: Option<u64>,
    /// When it was first seen in the catalog, milliseconds since the drill began.
    pub catalogued_ms: Option<u64>,
}

/// One second of the timeline: what was seen last within it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Second {
    /// The second, milliseconds since the drill began.
    pub at_ms: u64,
    /// The drill's own view: the database takes writes.
    pub reachable: bool,
    /// The server's own view, as its status says; none where it did not answer.
    pub catalog_state: Option<CatalogState>,
    /// Planted recordings on storage.
    pub landed: u64,
    /// Planted recordings seen in the catalog.
    pub catalogued: u64,
    /// What the server says is pending.
    pub pending: Option<u64>,
}

/// Queries asked during the outage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queries {
    /// How many were asked.
    pub asked: u64,
    /// How many were answered.
    pub answered: u64,
    /// The slowest answer, microseconds.
    pub slowest_us: u64,
}

/// Recordings that are not the drill's: the site goes on while it is drilled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Others {
    /// Documents before.
    pub before: u64,
    /// Documents that came during the drill.
    pub landed: u64,
    /// Documents that the server wrote anew during the drill: their version was raised.
    pub updated: u64,
    /// Foreign documents that their owners changed.
    pub foreign_changed: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::to_value;

    use super::sample::sample;
    use super::*;

    const REASONS: [LostReason; 6] = [
        LostReason::NotOnStorage,
        LostReason::NotSeen,
        LostReason::Unrecognised,
        LostReason::Pending,
        LostReason::Refused,
        LostReason::Acknowledged,
    ];

    const EFFECTS: [SideEffectKind; 6] = [
        SideEffectKind::Document,
        SideEffectKind::Field,
        SideEffectKind::Index,
        SideEffectKind::Collection,
        SideEffectKind::Target,
        SideEffectKind::Leftover,
    ];

    #[test]
    fn names_are_as_in_json() {
        for step in Step::ALL {
            assert_eq!(to_value(step).expect("JSON"), step.name());
        }
        for verdict in [Verdict::Passed, Verdict::Failed, Verdict::Inconclusive, Verdict::Refused] {
            assert_eq!(to_value(verdict).expect("JSON"), verdict.name());
        }
        for fate in [Fate::Catalogued, Fate::Lost, Fate::Duplicated, Fate::Stale] {
            assert_eq!(to_value(fate).expect("JSON"), fate.name());
        }
        for reason in REASONS {
            assert_eq!(to_value(reason).expect("JSON"), reason.name());
        }
        for kind in EFFECTS {
            assert_eq!(to_value(kind).expect("JSON"), kind.name());
        }
    }

    #[test]
    fn an_outage_that_is_not_known_yet_is_an_empty_text() {
        let facts = OutageFacts::default();
        let text = serde_json::to_string(&facts).expect("JSON");
        assert!(text.contains("\"kind\":\"\""), "{text}");
        assert_eq!(serde_json::from_str::<OutageFacts>(&text).expect("read"), facts);
    }

    #[test]
    fn the_steps_are_numbered_in_their_order() {
        let numbers: Vec<usize> = Step::ALL.iter().map(|step| step.number()).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    }

    /// Whatever a report can hold is in the published schema, and nothing else is.
    #[test]
    fn reports_are_as_their_schema_says() {
        let schema = include_str!("../../../../docs/drill-report.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).expect("a schema");
        let is_good = |report: &Report| {
            let value = to_value(report).expect("JSON");
            let wrong = focus_testkit::schema::check(&schema, &value);
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        };
        is_good(&Report { format: FORMAT, ..Report::default() });
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
        for reason in REASONS {
            let mut report = sample();
            report.recordings[0].reason = Some(reason);
            is_good(&report);
        }
        use clap::ValueEnum;
        for kind in OutageKind::value_variants() {
            let mut report = sample();
            report.outage.kind = Some(*kind);
            is_good(&report);
        }
        assert_eq!(schema["properties"]["format"]["const"], FORMAT);
    }
}
