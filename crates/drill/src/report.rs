//! What a drill found: the object that `--json` ends with, and that all reports are made from.

use serde::{Deserialize, Serialize};

/// The version of the report's schema. It is raised when a field changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// What a drill came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The database was away, and every planted recording was catalogued once and right, without side effects.
    Passed,
    /// The database was away, and something is not as it has to be.
    Failed,
    /// It cannot be told: the database was not really away, or something was not there, or the drill was interrupted.
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
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub ended_at: String,
    /// The server, as a URL.
    pub server: String,
    /// The root's folder.
    pub root: String,
    /// Where the database is, without credentials.
    pub database: String,
    /// The outage.
    pub outage: OutageFacts,
    /// What it came to.
    pub verdict: Verdict,
    /// Why, where it is not `passed`: what happened, and what to do.
    pub reason: Option<String>,
    /// How many recordings were planted.
    pub planted: u64,
    /// Of these: in the catalog, once and right.
    pub catalogued: u64,
    /// Of these: not in the catalog.
    pub lost: u64,
    /// Of these: in the catalog more than once.
    pub duplicated: u64,
    /// Of these: in the catalog with other values than on storage.
    pub stale: u64,
    /// From the drill's last sight of the database until the server's own status said that it is down.
    pub time_to_detect_ms: Option<u64>,
    /// From the database taking writes again until the last planted recording was seen in the catalog.
    pub time_to_converge_ms: Option<u64>,
    /// From the drill's last sight of the database until it took writes again.
    pub outage_ms: Option<u64>,
    /// The ten steps, as far as they were taken.
    pub steps: Vec<Step>,
    /// Each planted recording.
    pub recordings: Vec<RecordingVerdict>,
    /// Second by second, from the baseline on.
    pub timeline: Vec<Second>,
    /// Queries that the drill asked during the outage.
    pub queries: Queries,
    /// What is there that was not, or is not as it was; empty where all is as before.
    pub side_effects: Vec<SideEffect>,
    /// Recordings that are not the drill's.
    pub others: Others,
}

/// The outage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutageFacts {
    /// `command`, `process`, `proxy`, `kubernetes`, `systemd` or `docker`.
    pub kind: String,
    /// In words.
    pub what: String,
    /// What it takes away, a line each.
    pub blast_radius: Vec<String>,
    /// How long it was to last at least.
    pub for_ms: u64,
    /// The drill's own view: the database could not be reached.
    pub unreachable_for_drill: bool,
    /// The server's own view: its catalog is down.
    pub unreachable_for_server: bool,
}

/// One of the ten steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `baseline`, `outage`, `unreachable`, `plant`, `restore`, `reachable`, `converge`, `verdict`,
    /// `side_effects` or `clean_up`.
    pub name: String,
    /// It came out as it has to.
    pub ok: bool,
    /// How long it took.
    pub elapsed_ms: u64,
    /// What was seen, in words.
    #[serde(default)]
    pub detail: String,
}

/// What became of one planted recording.
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

/// The verdict on one planted recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingVerdict {
    /// Its recording id.
    pub recording_id: String,
    /// Its uuid.
    pub uuid: String,
    /// Path of the data file below the root.
    pub path: String,
    /// What became of it.
    pub fate: Fate,
    /// Why, where it is lost.
    pub reason: Option<LostReason>,
    /// Which values differ, or what the server says of it.
    pub detail: Option<String>,
    /// When it landed, since the drill began.
    pub landed_ms: Option<u64>,
    /// When it was first seen in the catalog, since the drill began.
    pub catalogued_ms: Option<u64>,
}

/// One second of the timeline: the last sample within it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Second {
    /// Since the drill began.
    pub at_ms: u64,
    /// The drill's own view: the database takes writes.
    pub reachable: bool,
    /// The server's own view, as its status says; none where it did not answer.
    pub catalog_state: Option<String>,
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

/// Something that the drill, or the server under it, changed and should not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideEffect {
    /// `document`, `field`, `index`, `collection`, `target` or `leftover`.
    pub what: String,
    /// In words.
    pub detail: String,
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
    /// Foreign documents that were changed by whoever owns them.
    pub foreign_changed: u64,
}
