//! The restore plan: written and synced before anything is broken, so that a recovery after a crash knows what
//! to bring back and what to remove. It is never changed; how far the drill came is in
//! [`crate::state::progress`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::database::address::Address;
use crate::outage::restore::Restore;
use crate::state::folder::{Folder, PLAN, PROGRESS, UP_DONE};

/// What a drill is going to do, and how that is undone.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the file.
    pub format: u32,
    /// The drill's id.
    pub id: String,
    /// When the drill began, RFC 3339.
    pub started_at: String,
    /// The root's folder, absolute.
    pub root: PathBuf,
    /// The root's id, from its marker.
    pub root_id: String,
    /// The server, `host:port`.
    pub server: String,
    /// Where the database is.
    pub database: Address,
    /// How the outage is ended.
    pub restore: Restore,
    /// The guard ends the outage this long after it was armed, whatever the drill does. Milliseconds.
    pub deadline_ms: u64,
    /// The folder that is planted into, below the root. The drill creates it, and removes it.
    pub folder: String,
    /// Everything that will be planted.
    pub planted: Vec<PlannedRecording>,
}

/// A recording that will be planted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRecording {
    /// File name of its files without extension.
    pub recording_id: String,
    /// Its uuid.
    pub uuid: String,
    /// Path of the data file below the root.
    pub path: String,
    /// Path of the sidecar below the root.
    pub sidecar: String,
    /// Start, milliseconds since 1970.
    pub start_ms: i64,
    /// End, milliseconds since 1970.
    pub end_ms: i64,
    /// What its sidecar says, where the drill writes it.
    #[serde(default)]
    pub content: serde_json::Value,
    /// The fields of that which are metadata.
    #[serde(default)]
    pub metadata: Vec<String>,
    /// Bytes of its data file, where the drill writes it.
    #[serde(default)]
    pub data_bytes: u64,
}

impl Plan {
    /// The version that this product writes.
    pub const FORMAT: u32 = 1;

    /// Reads the plan of a drill that has not ended; none where there is no such drill.
    ///
    /// # Errors
    /// The plan cannot be read or understood, or another version of the product wrote it.
    pub fn read(folder: &Folder) -> anyhow::Result<Option<Plan>> {
        let Some(plan) = folder.read::<Plan>(PLAN)? else { return Ok(None) };
        anyhow::ensure!(
            plan.format == Plan::FORMAT,
            "{} was written by another version of focus: recover with that one",
            folder.file(PLAN).display()
        );
        Ok(Some(plan))
    }

    /// Writes the plan: it is on disk when this returns.
    ///
    /// # Errors
    /// The plan cannot be written: nothing may be broken.
    pub fn write(&self, folder: &Folder) -> anyhow::Result<()> {
        // A progress left over from another drill would be taken for this one's.
        folder.remove(PROGRESS)?;
        folder.remove(UP_DONE)?;
        folder.replace(PLAN, &serde_json::to_vec_pretty(self)?)
    }

    /// The uuids of everything that will be planted.
    pub fn uuids(&self) -> Vec<String> {
        self.planted.iter().map(|planted| planted.uuid.clone()).collect()
    }

    /// The time that the planted recordings cover, from the first start to the last end, milliseconds since
    /// 1970; `(0, 0)` where nothing is planted.
    pub fn window_ms(&self) -> (i64, i64) {
        match (self.planted.first(), self.planted.last()) {
            (Some(first), Some(last)) => (first.start_ms, last.end_ms),
            _ => (0, 0),
        }
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection string may hold a password.
        f.debug_struct("Plan")
            .field("id", &self.id)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
