//! What `focus status --json` and `/api/v1/status` say. Field names and the spellings of states are an
//! interface: other programs read them.

use std::collections::BTreeMap;
use std::fmt;

use focus_core::lease::LeaseState;
use focus_core::reconcile::Phase;
use serde::{Deserialize, Serialize};

use crate::alerts::AlertsStatus;

/// Declares a state with the fixed spelling of each variant. The first variant is the default.
macro_rules! state {
    (
        $(#[$about:meta])+
        $state:ident {
            $(#[$first_about:meta])+ $first:ident = $first_name:literal,
            $($(#[$variant_about:meta])+ $variant:ident = $name:literal,)*
        }
    ) => {
        $(#[$about])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $state {
            $(#[$first_about])+ #[default] #[serde(rename = $first_name)] $first,
            $($(#[$variant_about])+ #[serde(rename = $name)] $variant,)*
        }

        impl $state {
            /// Every state, in the order of the declaration.
            pub const ALL: &'static [$state] = &[$state::$first $(, $state::$variant)*];

            /// The fixed spelling.
            pub fn name(self) -> &'static str {
                match self {
                    $state::$first => $first_name,
                    $($state::$variant => $name,)*
                }
            }
        }

        // By hand: what derives it does not see spellings that come out of a macro.
        impl utoipa::PartialSchema for $state {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .enum_values(Some($state::ALL.iter().map(|state| state.name())))
                    .into()
            }
        }

        impl utoipa::ToSchema for $state {}

        impl fmt::Display for $state {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

state! {
    /// Which catalog a server writes to.
    CatalogKind {
        /// The catalog in the state folder.
        Embedded = "embedded",
        /// A MongoDB database.
        Mongodb = "mongodb",
        /// A catalog in memory, which tests use.
        Memory = "memory",
    }
}

state! {
    /// How far the catalog follows the index.
    CatalogState {
        /// Nothing is known yet, or no server runs.
        Unknown = "unknown",
        /// The database is being reached, and asked what it is.
        Connecting = "connecting",
        /// The database is there, and a backlog is being written to it.
        Recovering = "recovering",
        /// The catalog holds what the index holds.
        InStep = "in_step",
        /// Another server has the lease, and writes.
        Standby = "standby",
        /// The database cannot be used.
        Down = "down",
    }
}

impl From<Phase> for CatalogState {
    fn from(phase: Phase) -> CatalogState {
        match phase {
            Phase::Unknown => CatalogState::Unknown,
            Phase::Connecting => CatalogState::Connecting,
            Phase::Recovering => CatalogState::Recovering,
            Phase::InStep => CatalogState::InStep,
            Phase::Standby => CatalogState::Standby,
            Phase::Down => CatalogState::Down,
        }
    }
}

state! {
    /// Where an answer comes from.
    AnswerSource {
        /// The index of this server.
        Index = "index",
    }
}

state! {
    /// The state of the index file.
    IndexState {
        /// It works.
        Ok = "ok",
        /// There is no room on its disk.
        DiskFull = "disk_full",
        /// The file is damaged.
        Damaged = "damaged",
        /// It was damaged or missing, and was made anew from storage.
        Rebuilt = "rebuilt",
        /// It fails in another way.
        Failed = "failed",
    }
}

state! {
    /// Whether a root can be used.
    RootState {
        /// It has not been opened yet.
        Unknown = "unknown",
        /// It is there, and is the one that the index knows.
        Present = "present",
        /// Its folder is not there.
        Absent = "absent",
        /// It has no marker, or a damaged one.
        NoMarker = "no_marker",
        /// Another root lies in its place.
        Replaced = "replaced",
        /// It has the marker of another root: a copy of that one, or another way to it.
        DuplicateMarker = "duplicate_marker",
        /// It can be read only in part, or not at all.
        Unreadable = "unreadable",
    }
}

state! {
    /// How new recordings of a root are noticed.
    WatchState {
        /// By the scan alone.
        Scanning = "scanning",
        /// At once, by the system's events.
        Watching = "watching",
    }
}

state! {
    /// Whose the lease of a root is.
    RootLease {
        /// Not known: the catalog has not been asked, or cannot be.
        Unknown = "unknown",
        /// This server's.
        Held = "held",
        /// Another server's.
        Standby = "standby",
    }
}

impl From<LeaseState> for RootLease {
    fn from(state: LeaseState) -> RootLease {
        match state {
            LeaseState::Unknown => RootLease::Unknown,
            LeaseState::Held => RootLease::Held,
            LeaseState::Standby => RootLease::Standby,
        }
    }
}

state! {
    /// What a verification is doing.
    VerificationStage {
        /// It compares the catalog with the index.
        Catalog = "catalog",
        /// It scans storage.
        Storage = "storage",
        /// It compares the catalog again, with what the scan found.
        CatalogAgain = "catalog_again",
        /// It reads sidecars.
        Sidecars = "sidecars",
        /// It looks at each difference once more.
        Findings = "findings",
        /// It mends what differs.
        Repair = "repair",
    }
}

state! {
    /// Whether the messages of a queue come in.
    HintQueueState {
        /// The broker is being called.
        Connecting = "connecting",
        /// Messages come in.
        Connected = "connected",
        /// The broker does not answer, or refuses; it is tried again.
        Failing = "failing",
    }
}

/// A queue of hints.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HintQueueStatus {
    /// Its name, as configured.
    pub name: String,
    /// The kind of its broker: `amqp`, `mqtt` or `nats`.
    pub kind: String,
    /// Whether its messages come in.
    pub state: HintQueueState,
    /// Hints that came in since the start.
    pub received: u64,
    /// Those of them that were accepted.
    pub accepted: u64,
    /// Why the queue is not connected, and what to do.
    pub reason: Option<String>,
}

state! {
    /// How far an indexed key is.
    IndexedKeyState {
        /// It is being indexed: queries by it read rows.
        Indexing = "indexing",
        /// Queries by it read no rows but those that they show.
        Ready = "ready",
        /// The setting does not name it any more, and it is being dropped.
        Leaving = "leaving",
    }
}

/// The state of the whole server.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    /// The product's version.
    pub version: String,
    /// Which catalog it is.
    pub catalog: CatalogKind,
    /// Where the catalog is, without credentials.
    pub catalog_address: String,
    /// The hosts that calls go to now: those of the connection string, or the members that the database names.
    #[serde(default)]
    pub catalog_hosts: Vec<String>,
    /// How far the catalog follows the index.
    pub catalog_state: CatalogState,
    /// Why it is so and what to do, where there is something to say.
    pub catalog_reason: Option<String>,
    /// The catalog is there, and refuses this server or is damaged: a person has to act.
    pub catalog_refuses: bool,
    /// What the database lacks, and what the server does instead.
    pub catalog_remarks: Vec<String>,
    /// Where answers come from.
    pub source: AnswerSource,
    /// Recognised recordings.
    pub recordings: u64,
    /// Recordings that the catalog has not acknowledged yet.
    pub pending: u64,
    /// Age of the oldest pending recording; 0 without one.
    pub lag_ms: u64,
    /// Recordings that still change on storage.
    pub unsettled: u64,
    /// Recordings whose files are gone, and that are not marked as deleted.
    pub vanished: u64,
    /// Vanished recordings that are held until somebody approves their deletion.
    pub held: u64,
    /// Recordings that are marked as deleted.
    pub deleted: u64,
    /// Documents of our roots that the last comparison found and the index did not know.
    pub missing: Option<u64>,
    /// Drift that the last verification found and did not repair; none before the first.
    pub drift: Option<u64>,
    /// Unrecognised recordings.
    pub unrecognised: u64,
    /// Unrecognised recordings by state.
    pub unrecognised_by_state: BTreeMap<String, u64>,
    /// Start of the last finished look at all roots, RFC 3339; none before the first.
    pub complete_through: Option<String>,
    /// The outage of the catalog that goes on now.
    pub outage: Option<Outage>,
    /// The last outage that ended.
    pub last_outage: Option<Outage>,
    /// The backlog being written now.
    pub recovery: Option<Recovery>,
    /// The first fill since the start, of 1,000 recordings or more, while it goes on and the catalog is there.
    #[serde(default)]
    pub fill: Option<Fill>,
    /// The comparison of catalog and index that goes on now.
    pub comparison: Option<Comparison>,
    /// The verification that goes on now.
    pub verification: Option<Verifying>,
    /// The state of the index file.
    pub index_state: IndexState,
    /// Why the index is not `ok`, and what to do.
    pub index_reason: Option<String>,
    /// Each configured root.
    pub roots: Vec<RootStatus>,
    /// Roots that the index knows and that are not configured any more. They are in no answer and no count.
    #[serde(default)]
    pub removed_roots: Vec<RemovedRoot>,
    /// The keys by which recordings are indexed.
    #[serde(default)]
    pub indexed_metadata: Vec<IndexedKeyStatus>,
    /// How far the text index is, by which `text` is looked for.
    #[serde(default)]
    pub text_index: TextIndexStatus,
    /// Queues of hints; empty where no server runs.
    #[serde(default)]
    pub hints: Vec<HintQueueStatus>,
    /// Its alerts; none where no server runs.
    #[serde(default)]
    pub alerts: Option<AlertsStatus>,
}

/// An outage of the catalog.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, utoipa::ToSchema)]
pub struct Outage {
    /// When it began, RFC 3339.
    pub began_at: String,
    /// When it ended, RFC 3339; none while it goes on.
    pub ended_at: Option<String>,
    /// How long it lasted, or has lasted so far.
    pub outage_ms: u64,
    /// What happened.
    pub reason: String,
    /// Recordings that were pending when it ended, or are pending now.
    pub pending: u64,
    /// Time from the database's return until the last pending recording was acknowledged; none before.
    pub converge_ms: Option<u64>,
}

/// Progress on a backlog.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, utoipa::ToSchema)]
pub struct Recovery {
    /// Recordings that were pending when the database came back.
    pub backlog: u64,
    /// Recordings acknowledged since then.
    pub written: u64,
    /// Recordings per second.
    pub rate_per_s: f64,
    /// Time left at this rate; none where the rate is 0.
    pub left_ms: Option<u64>,
}

/// Progress of a first fill.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, utoipa::ToSchema)]
pub struct Fill {
    /// Recordings that the catalog has acknowledged since the start.
    pub done: u64,
    /// These, and all that are unsettled or pending.
    pub of: u64,
    /// Every root was scanned: no more will be found.
    pub is_counted: bool,
    /// Recordings per second since the start.
    pub rate_per_s: f64,
    /// Time left at this rate; none while recordings are still being counted, and where the rate is 0.
    pub left_ms: Option<u64>,
}

/// Progress of a comparison.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, utoipa::ToSchema)]
pub struct Comparison {
    /// Documents and recordings compared.
    pub compared: u64,
    /// Recordings of the index in all.
    pub of: u64,
}

/// Progress of a verification.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, utoipa::ToSchema)]
pub struct Verifying {
    /// What it is doing.
    pub stage: VerificationStage,
    /// Recordings compared in this stage.
    pub compared: u64,
    /// Recordings of the root in all.
    pub of: u64,
}

/// A key by which recordings are indexed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq, utoipa::ToSchema)]
pub struct IndexedKeyStatus {
    /// The key, as `indexed_metadata` names it.
    pub key: String,
    /// How far it is.
    pub state: IndexedKeyState,
    /// Recordings that have been looked at.
    pub done: u64,
    /// Recordings of the index in all.
    pub of: u64,
    /// Its values, those of each root by themselves, counted up to 2,001: with over 1,000 there are no lanes by it.
    pub values: u64,
}

/// How far the text index is. What it does not have yet is read, so answers are the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq, utoipa::ToSchema)]
pub struct TextIndexStatus {
    /// Recordings that it has. Some that have just come may be left for a minute.
    pub done: u64,
    /// Recordings of the index in all.
    pub of: u64,
}

/// A root that is not configured any more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq, utoipa::ToSchema)]
pub struct RemovedRoot {
    /// The path where it was seen last.
    pub path: String,
    /// The marker's id.
    pub id: String,
    /// Its recordings in the index.
    pub recordings: u64,
    /// What to do.
    pub remark: String,
}

impl RemovedRoot {
    /// A root with this path and marker, and so many recordings in the index.
    pub fn of(path: String, id: String, recordings: u64) -> RemovedRoot {
        let remark = format!(
            "{path} is not configured any more, and its {recordings} recordings are in no answer: configure it again, or drop it from the index with `focus forget --root {path}`"
        );
        RemovedRoot { path, id, recordings, remark }
    }
}

/// One root.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RootStatus {
    /// Its path, as configured.
    pub path: String,
    /// The marker's id, once known.
    pub id: Option<String>,
    /// Whether the root can be used.
    pub state: RootState,
    /// Why the root is not `present`, and what to do.
    pub reason: Option<String>,
    /// Extensions of its data files. Where a recording has several, the first one counts.
    pub data_extensions: Vec<String>,
    /// The extension of its sidecars.
    pub sidecar_extension: String,
    /// How new recordings are noticed.
    pub watch: WatchState,
    /// Whose the lease of this root is.
    pub lease: RootLease,
    /// Who holds the lease: the identity of a state folder.
    pub lease_holder: Option<String>,
    /// The fencing token under which this server writes; none where it does not write.
    pub lease_token: Option<i64>,
    /// How often the lease was lost to another server, since the start.
    pub lease_lost: u64,
    /// Why the watch is incomplete or missing.
    pub watch_reason: Option<String>,
    /// When the last finished scan began, RFC 3339.
    pub last_scan_at: Option<String>,
    /// How long the last scan took.
    pub last_scan_ms: Option<u64>,
    /// Folders that could not be read in the last scan.
    pub unreadable_folders: u64,
    /// Recordings that scans found and the watch had missed, since the start.
    pub watch_missed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_spelled_in_json_as_it_is_named() {
        for state in RootState::ALL {
            assert_eq!(serde_json::json!(state), state.name());
        }
        for state in CatalogState::ALL {
            assert_eq!(serde_json::json!(state), state.name());
        }
    }
}
