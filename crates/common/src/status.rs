//! What `focus status --json` and `/api/v1/status` say. Field names are an interface.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The state of the whole server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// The product's version.
    pub version: String,
    /// `embedded` or `mongodb`.
    pub catalog: String,
    /// Where the catalog is, without credentials.
    pub catalog_address: String,
    /// `unknown`, `connecting`, `recovering`, `in_step`, `standby` or `down`.
    pub catalog_state: String,
    /// Why it is so and what to do, where there is something to say.
    pub catalog_reason: Option<String>,
    /// What the database lacks and how that is worked around.
    pub catalog_remarks: Vec<String>,
    /// Where answers come from: `index`.
    pub source: String,
    /// Recognised recordings.
    pub recordings: u64,
    /// Not yet acknowledged by the catalog.
    pub pending: u64,
    /// Age of the oldest pending one.
    pub lag_ms: u64,
    /// Still changing on storage.
    pub unsettled: u64,
    /// Files gone, and not marked as deleted.
    pub vanished: u64,
    /// Those of them that are held until they are approved.
    pub held: u64,
    /// Marked as deleted.
    pub deleted: u64,
    /// Documents of our roots that the last comparison found and the index did not know.
    pub missing: Option<u64>,
    /// Unrecognised recordings.
    pub unrecognised: u64,
    /// The same by state.
    pub unrecognised_by_state: BTreeMap<String, u64>,
    /// Start of the last finished look at all roots, RFC 3339; none before the first.
    pub complete_through: Option<String>,
    /// The outage of the catalog that goes on now.
    pub outage: Option<Outage>,
    /// The last one that ended.
    pub last_outage: Option<Outage>,
    /// The backlog being written now.
    pub recovery: Option<Recovery>,
    /// The comparison of catalog and index that goes on now.
    pub comparison: Option<Comparison>,
    /// The verification that goes on now.
    pub verification: Option<Verifying>,
    /// The index's own state: `ok`, `disk_full`, `damaged`, `rebuilt`.
    pub index_state: String,
    /// Why, and what to do.
    pub index_reason: Option<String>,
    /// Each configured root.
    pub roots: Vec<RootStatus>,
}

/// An outage of the catalog.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Outage {
    /// RFC 3339.
    pub began_at: String,
    /// RFC 3339; none while it goes on.
    pub ended_at: Option<String>,
    /// How long it lasted, or has lasted.
    pub outage_ms: u64,
    /// What happened.
    pub reason: String,
    /// How many recordings were pending at its end, or are now.
    pub pending: u64,
    /// From the database's return to the last of them acknowledged; none before.
    pub converge_ms: Option<u64>,
}

/// Progress on a backlog.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Recovery {
    /// How many were pending when it began.
    pub backlog: u64,
    /// How many are acknowledged since.
    pub written: u64,
    /// Recordings per second.
    pub rate_per_s: f64,
    /// Time left at this rate.
    pub left_ms: Option<u64>,
}

/// Progress of a comparison.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Comparison {
    /// Documents and recordings compared.
    pub compared: u64,
    /// Recordings of the index in all.
    pub of: u64,
}

/// Progress of a verification.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Verifying {
    /// `catalog`, `storage`, `catalog_again`, `findings` or `repair`.
    pub stage: String,
    /// Recordings compared in this stage.
    pub compared: u64,
    /// Recordings of the root in all.
    pub of: u64,
}

/// One root.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RootStatus {
    /// As configured.
    pub path: String,
    /// The marker's id, once known.
    pub id: Option<String>,
    /// `present`, `absent`, `no_marker`, `replaced`, `unreadable`.
    pub state: String,
    /// Why, and what to do.
    pub reason: Option<String>,
    /// `watching`, or `scanning` where only the scan sees new recordings.
    pub watch: String,
    /// Whose the lease of this root is: `held` (ours), `standby` (another server's), `unknown`.
    pub lease: String,
    /// Who holds it: the identity of a state folder.
    pub lease_holder: Option<String>,
    /// The fencing token under which we write; none where we do not.
    pub lease_token: Option<i64>,
    /// How often it was lost to another server, since the start.
    pub lease_lost: u64,
    /// Why the watch is incomplete or missing.
    pub watch_reason: Option<String>,
    /// RFC 3339.
    pub last_scan_at: Option<String>,
    /// How long it took.
    pub last_scan_ms: Option<u64>,
    /// Folders that could not be read in the last scan.
    pub unreadable_folders: u64,
    /// How many recordings scans found that the watch had missed, since the start.
    pub watch_missed: u64,
}
