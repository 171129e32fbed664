//! What the engine tells of outages.

use std::path::Path;

use focus_core::outage::{History, OutageRecord};
use focus_index::IndexError;
use tokio::sync::watch;

use super::kept;
use crate::engine::Engine;

impl Engine {
    /// The outages that are kept, the newest first; one that goes on is as it is now, and has no end. Blocks.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn outages(&self) -> Result<Vec<OutageRecord>, IndexError> {
        Ok(self.outages.listed(&self.reader.totals()?))
    }

    /// How the backlog of an outage went down: milliseconds since the database's return, and pending recordings,
    /// at most 500 pairs. None where there is no such outage. Blocks.
    pub fn outage_curve(&self, id: u64) -> Option<Vec<(u64, u64)>> {
        self.outages.curve(id)
    }

    /// Changes when an outage begins, ends, or is caught up with.
    pub fn outage_changes(&self) -> watch::Receiver<u64> {
        self.outages.changes.subscribe()
    }
}

/// The outages that a server has kept in this state folder, the newest first. An outage without an end went on when
/// the server ended.
pub fn kept_outages(state_dir: &Path) -> Vec<OutageRecord> {
    History::of(kept::read_all(state_dir)).newest_first().cloned().collect()
}
