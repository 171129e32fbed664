//! What scans remember of the folders of a root, shared by the scanner and the observer. It lives as long as the root is
//! there under the same settings: each session begins with a scan that reads everything.

use focus_common::clock;
use focus_core::folder::{FolderMemory, FolderSeen, ScanClock};
use focus_core::recording::Place;
use focus_storage::walk::Remembered;
use parking_lot::Mutex;

/// The folders of one session.
#[derive(Debug, Default)]
pub(crate) struct Folders(Mutex<FolderMemory>);

impl Folders {
    /// A scan of the whole root begins.
    pub(crate) fn begin(&self) {
        let now_ns = clock::steady_wall_ns();
        let boot_ms = i64::try_from(clock::boot_ms()).unwrap_or(i64::MAX);
        self.0.lock().begin(ScanClock { now_ns, ahead_ms: now_ns / 1_000_000 - boot_ms });
    }

    /// A folder was read to its end, and everything in it was as the index has it.
    pub(crate) fn was_the_same(&self, folder: &[u8], below: &[Vec<u8>]) {
        self.0.lock().was_the_same(folder, below);
    }

    /// What the index has of these places may be something else now: their folders are read again.
    pub(crate) fn looked_at<'p>(&self, places: impl Iterator<Item = &'p Place>) {
        let mut memory = self.0.lock();
        let mut last: Option<&[u8]> = None;
        for place in places {
            if last != Some(&place.folder) {
                memory.looked_at(&place.folder);
                last = Some(&place.folder);
            }
        }
    }

    /// The scan that goes on has skipped this folder.
    pub(crate) fn has_skipped(&self, folder: &[u8]) -> bool {
        self.0.lock().has_skipped(folder)
    }

    /// The scan of the whole root is over. True: everything that it found is stored.
    pub(crate) fn end(&self, finished: bool) {
        self.0.lock().end(finished);
    }
}

impl Remembered for Folders {
    fn skip(&self, folder: &[u8], now: &FolderSeen, is_new: bool) -> Option<Vec<Vec<u8>>> {
        self.0.lock().skip(folder, now, is_new)
    }

    fn read(&self, folder: &[u8], now: FolderSeen, is_new: bool) -> bool {
        self.0.lock().read(folder, now, is_new)
    }
}
