//! The parts of a root: files of recordings that are being handed over. Those of a server that ended are swept away by
//! the scans of the next one on its state folder.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use focus_core::ingest;
use focus_core::recording::show_bytes;
use focus_storage::Root;
use focus_storage::landing::{FolderId, Landing, LandingError, LandingPart, remove_parts};
use focus_storage::walk::Chunk;
use parking_lot::Mutex;

/// Folders that are known to be on the disk, at most. Beyond these, all are synced once more.
const DURABLE_MAX: usize = 1_024;

/// The parts that this server has in a root.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The identity of the state folder, in the names of parts.
    server: String,
    /// Whether this process may remove what an earlier one has left.
    sweeps: bool,
    /// The names of those that are written now.
    live: Mutex<HashSet<String>>,
    /// Folders whose own place in those above them is on the disk.
    durable: Mutex<HashMap<Vec<u8>, FolderId>>,
}

impl Parts {
    /// Parts of the server with this identity.
    pub(crate) fn new(server: &str, sweeps: bool) -> Parts {
        let (live, durable) = (Mutex::default(), Mutex::default());
        Parts { server: server.to_owned(), sweeps, live, durable }
    }

    /// Sees to it that the folder of a landing stays where it is over a loss of power. Another request, or a server that
    /// was killed, may have made it and not have come to sync the one above it.
    pub(crate) fn make_durable(&self, root: &Root, landing: &Landing) -> Result<(), LandingError> {
        let (folder, id) = (&landing.target().place.folder, landing.folder_id()?);
        if self.durable.lock().get(folder) == Some(&id) {
            return Ok(());
        }
        landing.sync_above(root)?;
        let mut durable = self.durable.lock();
        if durable.len() >= DURABLE_MAX {
            durable.clear();
        }
        durable.insert(folder.clone(), id);
        Ok(())
    }

    /// Makes a part for a landing.
    pub(crate) fn make(self: &Arc<Self>, landing: &Landing) -> Result<LivePart, LandingError> {
        let name = ingest::part_name(&self.server, &uuid::Uuid::new_v4().simple().to_string());
        // Before it is there: a scan must not sweep it away.
        self.live.lock().insert(name.clone());
        let mut live = LivePart { name: name.clone(), part: None, parts: Arc::clone(self) };
        live.part = Some(landing.part(name)?);
        Ok(live)
    }

    /// Removes what an earlier process on this state folder has left in a folder that was read.
    pub(crate) fn sweep(&self, root: &Root, chunk: &Chunk) {
        if chunk.parts.is_empty() || !self.sweeps {
            return;
        }
        let live = self.live.lock().clone();
        let is_left = |name: &&Vec<u8>| {
            ingest::is_part_of(name, &self.server)
                && std::str::from_utf8(name).is_ok_and(|name| !live.contains(name))
        };
        let left: Vec<&[u8]> = chunk.parts.iter().filter(is_left).map(Vec::as_slice).collect();
        if left.is_empty() {
            return;
        }
        let folder = show_bytes(&chunk.folder);
        match remove_parts(root, &chunk.folder, &left) {
            Ok(()) => tracing::info!(
                "{} files of recordings whose handing over broke off are removed from {}/{folder}",
                left.len(),
                root.path().display()
            ),
            Err(error) => tracing::warn!(
                "files of recordings whose handing over broke off cannot be removed from {}/{folder}: {error}",
                root.path().display()
            ),
        }
    }
}

/// A part that is written now. It is removed where it was not put in place.
#[derive(Debug)]
pub(crate) struct LivePart {
    name: String,
    part: Option<LandingPart>,
    parts: Arc<Parts>,
}

impl LivePart {
    /// The part itself.
    pub(crate) fn part(&mut self) -> Result<&mut LandingPart, LandingError> {
        // It is none only while it is being made.
        self.part.as_mut().ok_or(LandingError::Taken)
    }
}

impl Drop for LivePart {
    fn drop(&mut self) {
        // First the file, then its name: no scan meets a part that nobody knows.
        drop(self.part.take());
        self.parts.live.lock().remove(&self.name);
    }
}
