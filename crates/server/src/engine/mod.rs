//! The shell: it joins storage, index and catalog, and carries out what the core decides.

use focus_index::Reader;

use crate::config::Settings;
use crate::status::Status;

/// A running Focus Server without its network side.
#[derive(Debug)]
pub struct Engine {}

/// Completeness, as every answer carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Start of the last finished look at all roots, milliseconds since 1970.
    pub complete_through_ms: Option<i64>,
    /// Not yet acknowledged by the catalog.
    pub pending: u64,
}

/// What one pass (`focus scan`) came to.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct PassReport {
    /// Recognised recordings.
    pub recordings: u64,
    /// Acknowledged by the catalog in this pass.
    pub catalogued: u64,
    /// Still pending at its end.
    pub pending: u64,
    /// Still changing.
    pub unsettled: u64,
    /// Unrecognised.
    pub unrecognised: u64,
    /// Files gone.
    pub vanished: u64,
    /// Roots that were not there, or not readable, each with its reason.
    pub problems: Vec<String>,
    /// The catalog was reached.
    pub catalog_reached: bool,
}

impl Engine {
    /// Starts everything. Absent roots, databases and full disks are states, not errors.
    ///
    /// # Errors
    /// The state folder cannot be used at all, or another server holds it.
    pub async fn start(settings: Settings) -> anyhow::Result<Engine> {
        let _ = settings;
        anyhow::bail!("not built yet")
    }

    /// Reads the index.
    pub fn reader(&self) -> Reader {
        unreachable!()
    }

    /// The state of everything; answers at once.
    pub async fn status(&self) -> Status {
        Status::default()
    }

    /// Completeness of answers given now; from memory.
    pub fn completeness(&self) -> Completeness {
        Completeness::default()
    }

    /// Waits until all roots were scanned once more, everything settled, and the catalog has it all,
    /// or cannot be reached.
    pub async fn pass(&self) -> PassReport {
        PassReport::default()
    }

    /// Stops in order; ends within 8 s.
    pub async fn stop(self) {}
}
