//! What the scans of a root remember of its folders, while its storage is there.
//!
//! A folder need not be read again where the last scan found nothing in it that the index did not have, and its times tell
//! that no name came or went since (`core::folder`). A look that finds another file than the index has, or one less, takes
//! that back: it may have looked while something else was mounted there.

use std::collections::HashSet;
use std::sync::Arc;

use focus_core::folder::is_set_back;
use focus_storage::folders::FolderMemory;
use parking_lot::Mutex;

/// Folders in doubt between two scans at most; of more, all are read again.
const DOUBTED_MAX: usize = 4_096;

/// The folders of a root, as its scans know them.
#[derive(Debug, Default)]
pub(crate) struct KnownFolders {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    memory: Arc<FolderMemory>,
    doubted: HashSet<Vec<u8>>,
    /// How far the wall clock was ahead of the boot-time clock at the least when these were read first, milliseconds.
    ahead_ms: Option<i64>,
}

impl KnownFolders {
    /// A look found a file in this folder, or missed one, that the index did not have or had.
    pub(crate) fn doubt(&self, folder: &[u8]) {
        let mut state = self.state.lock();
        if state.doubted.len() <= DOUBTED_MAX && !state.doubted.contains(folder) {
            state.doubted.insert(folder.to_vec());
        }
    }

    /// A scan begins: what it knows. `ahead_ms`: how far the wall clock was ahead of the boot-time clock at the least.
    pub(crate) fn begin(&self, ahead_ms: i64) -> Arc<FolderMemory> {
        let mut state = self.state.lock();
        if is_set_back(*state.ahead_ms.get_or_insert(ahead_ms), ahead_ms) {
            Arc::make_mut(&mut state.memory).doubt_all();
            state.ahead_ms = Some(ahead_ms);
        }
        state.clear_doubts();
        Arc::clone(&state.memory)
    }

    /// A scan has ended, and found this. What came into doubt meanwhile is read again.
    pub(crate) fn end(&self, memory: FolderMemory) {
        let mut state = self.state.lock();
        state.memory = Arc::new(memory);
        state.clear_doubts();
    }
}

impl State {
    /// What is in doubt is not settled any more.
    fn clear_doubts(&mut self) {
        if self.doubted.is_empty() {
            return;
        }
        let memory = Arc::make_mut(&mut self.memory);
        if self.doubted.len() > DOUBTED_MAX {
            memory.doubt_all();
        }
        self.doubted.drain().for_each(|folder| memory.doubt(&folder));
    }
}
