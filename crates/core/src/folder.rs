//! Which folders a names scan need not read, because they are as an earlier scan read them.
//!
//! A folder's own times change with every name that comes into it or goes, but not twice within a tick. So a reading
//! counts only if it began at least a tick after the folder had changed last, by a clock that is never ahead of the file
//! system's. Whatever the server looked at in a folder since then makes it read again: what a scan compares names
//! with has changed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::broken::{self, Broken};
use crate::mount::Mount;
use crate::one_root::FolderId;

/// Folders that are remembered at most, some 200 bytes each. Those beyond are read by every scan.
pub const FOLDERS_MAX: usize = 100_000;

/// A wall clock that is set back by less than this changes nothing.
const SET_BACK_MS: i64 = 500;

/// A folder has to have been as it is for so long when its reading begins: the longest tick of a file system, 2 s, what
/// a clock may be set back unnoticed, and some more.
const AGE_MIN_NS: i64 = 3_000_000_000;

/// A folder as its own stat shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSeen {
    /// Which folder it is, as long as it is on that mount.
    pub id: FolderId,
    /// When a name came or went last, nanoseconds since 1970. People can set it.
    pub mtime_ns: i64,
    /// When anything of it changed last. Nobody can set it.
    pub ctime_ns: i64,
    /// The mount that it is on.
    pub mount: Arc<Mount>,
}

impl FolderSeen {
    /// It is the same folder, whatever has become of it.
    fn is_same_folder(&self, other: &FolderSeen) -> bool {
        self.id == other.id && self.mount == other.mount
    }

    /// Its times tell of every change that follows a reading which begins now.
    fn tells_changes(&self, now_ns: i64) -> bool {
        let changed_ns = self.mtime_ns.max(self.ctime_ns);
        let is_aged = now_ns.checked_sub(changed_ns).is_some_and(|age_ns| age_ns >= AGE_MIN_NS);
        self.mount.has_our_clock() && (is_aged || broken::is(Broken::FoldersSkippedWithinTick))
    }
}

/// The clock when a scan begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanClock {
    /// Nanoseconds since 1970, and never ahead of the wall clock.
    pub now_ns: i64,
    /// How far that is ahead of the boot-time clock, milliseconds. It becomes less only where the wall clock is set
    /// back.
    pub ahead_ms: i64,
}

/// How far the reading of a folder has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// It goes on.
    Begun,
    /// It counts: everything in the folder was as the index has it.
    Counts,
    /// It does not count, or no more: the next names scan reads the folder.
    Void,
}

/// What is remembered of a folder.
#[derive(Clone, Debug)]
struct Known {
    seen: FolderSeen,
    reading: Reading,
    /// The folders in it, one after another, each with a slash behind it.
    below: Box<[u8]>,
    /// The scan that met it last.
    scan: u64,
    /// The scan that skipped it last; 0 where none has.
    skipped: u64,
}

/// The folders of a root, as the scans of one session have met them.
#[derive(Debug)]
pub struct FolderMemory {
    known: HashMap<Box<[u8]>, Known>,
    /// Folders that are remembered at most, and names in `below` at most.
    most: usize,
    /// Names in `below` of all of them.
    names: usize,
    /// The scan that goes on, or was the last.
    scan: u64,
    clock: ScanClock,
    /// `ahead_ms` as it was when the oldest reading that counts was made.
    ahead_ms: Option<i64>,
}

impl Default for FolderMemory {
    fn default() -> FolderMemory {
        FolderMemory::of(FOLDERS_MAX)
    }
}

impl FolderMemory {
    /// A memory of so many folders at most.
    fn of(most: usize) -> FolderMemory {
        FolderMemory {
            known: HashMap::new(),
            most,
            names: 0,
            scan: 0,
            clock: ScanClock::default(),
            ahead_ms: None,
        }
    }

    /// A scan of the whole root begins. Where the wall clock was set back, a change may have had a time that was there
    /// before, and everything is read.
    pub fn begin(&mut self, clock: ScanClock) {
        self.scan += 1;
        self.clock = clock;
        let before_ms = *self.ahead_ms.get_or_insert(clock.ahead_ms);
        if clock.ahead_ms < before_ms.saturating_sub(SET_BACK_MS) {
            self.ahead_ms = Some(clock.ahead_ms);
            self.void(|_| true);
        }
    }

    /// The folders in this one, if it need not be read. `is_new`: a folder that it is in is new, or another than
    /// before.
    pub fn skip(&mut self, folder: &[u8], now: &FolderSeen, is_new: bool) -> Option<Vec<Vec<u8>>> {
        let known = self.known.get_mut(folder)?;
        if is_new || known.reading != Reading::Counts || known.seen != *now {
            return None;
        }
        (known.scan, known.skipped) = (self.scan, self.scan);
        Some(
            known
                .below
                .split_inclusive(|byte| *byte == b'/')
                .map(|name| name[..name.len() - 1].to_vec())
                .collect(),
        )
    }

    /// A folder is going to be read. True: so is everything in it, because it, or a folder that it is in (`is_new`), is
    /// new or another than before.
    pub fn read(&mut self, folder: &[u8], now: FolderSeen, is_new: bool) -> bool {
        let Some(known) = self.known.get_mut(folder) else {
            if self.known.len() < self.most {
                let known = Known {
                    seen: now,
                    reading: Reading::Begun,
                    below: Box::default(),
                    scan: self.scan,
                    skipped: 0,
                };
                self.known.insert(folder.into(), known);
            }
            return true;
        };
        let is_new = is_new || !known.seen.is_same_folder(&now);
        (known.seen, known.reading, known.scan) = (now, Reading::Begun, self.scan);
        is_new
    }

    /// A folder was read to its end, and everything in it was as the index has it. These folders are in it.
    pub fn was_the_same(&mut self, folder: &[u8], below: &[Vec<u8>]) {
        let Some(known) = self.known.get_mut(folder) else { return };
        let before = names(&known.below);
        let fits = self.names - before + below.len() <= self.most;
        if known.reading != Reading::Begun || !fits || !known.seen.tells_changes(self.clock.now_ns)
        {
            known.reading = Reading::Void;
            return;
        }
        self.names = self.names - before + below.len();
        known.below = below.iter().flat_map(|name| [name, &b"/"[..]].concat()).collect();
        known.reading = Reading::Counts;
    }

    /// Something in a folder was looked at, and what the index has of it may be something else now.
    pub fn looked_at(&mut self, folder: &[u8]) {
        if let Some(known) = self.known.get_mut(folder) {
            known.reading = Reading::Void;
        }
    }

    /// The scan that goes on has skipped this folder.
    pub fn has_skipped(&self, folder: &[u8]) -> bool {
        self.known.get(folder).is_some_and(|known| known.skipped == self.scan)
    }

    /// The scan of the whole root is over. If it has `finished`, what it did not meet is not there; else nothing that
    /// it met counts.
    pub fn end(&mut self, finished: bool) {
        let scan = self.scan;
        if !finished {
            return self.void(|known| known.scan == scan);
        }
        self.known.retain(|_, known| known.scan == scan);
        self.names = self.known.values().map(|known| names(&known.below)).sum();
    }

    fn void(&mut self, which: impl Fn(&Known) -> bool) {
        self.known
            .values_mut()
            .filter(|known| which(known))
            .for_each(|known| known.reading = Reading::Void);
    }
}

/// How many names these are.
fn names(below: &[u8]) -> usize {
    below.iter().filter(|byte| **byte == b'/').count()
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
