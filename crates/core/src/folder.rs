//! When a folder need not be read again: its own times tell of every name that came or went since.

use crate::broken::{self, Broken};

/// What the clock of a file system may tell the same time for, and once more as much for what is between two clocks,
/// nanoseconds.
const LASTING_NS: i64 = 4_000_000_000;

/// A clock that was set back by more than this may tell a time once more that it has told before, milliseconds.
const SET_BACK_MS: i64 = 1_000;

/// Which folder it is, and when a name came or went in it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderStamp {
    /// Its file system's number, as long as it is mounted.
    pub device: u64,
    /// Its number in the file system.
    pub inode: u64,
    /// Its modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Its change time, nanoseconds since 1970. A program cannot choose it.
    pub ctime_ns: i64,
}

impl FolderStamp {
    /// Every later change gives it another stamp. `read_ns`: when its reading began, by a clock that is not ahead of the
    /// file system's, nanoseconds since 1970. Within a tick of that clock, a change leaves the times as they are.
    pub fn is_lasting(&self, read_ns: i64) -> bool {
        let newest_ns = self.mtime_ns.max(self.ctime_ns);
        read_ns.saturating_sub(newest_ns) >= LASTING_NS
            || broken::is(Broken::FoldersSkippedWithinTick)
    }

    /// The same folder, whatever has happened in it.
    pub fn is_same_folder(&self, other: &FolderStamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The wall clock was set back, so that times of files may come again. `before_ms` and `now_ms` tell how far it is ahead of
/// the boot-time clock.
pub fn is_set_back(before_ms: i64, now_ms: i64) -> bool {
    now_ms < before_ms.saturating_sub(SET_BACK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    fn stamp(mtime_s: i64, ctime_s: i64) -> FolderStamp {
        let (mtime_ns, ctime_ns) = (mtime_s * SECOND_NS, ctime_s * SECOND_NS);
        FolderStamp { device: 1, inode: 2, mtime_ns, ctime_ns }
    }

    #[test]
    fn a_stamp_lasts_once_both_times_are_older_than_a_tick() {
        for (mtime_s, ctime_s, read_s, is_lasting) in [
            (100, 100, 104, true),
            (100, 100, 103, false),
            (100, 101, 104, false),
            (101, 100, 104, false),
            // Of the future: somebody has set a clock.
            (200, 100, 104, false),
            (100, 200, 104, false),
        ] {
            let told = stamp(mtime_s, ctime_s).is_lasting(read_s * SECOND_NS);
            assert_eq!(told, is_lasting, "{mtime_s} {ctime_s} {read_s}");
        }
        assert!(!stamp(100, i64::MAX / SECOND_NS).is_lasting(i64::MIN));
    }

    #[test]
    fn a_clock_that_was_set_back_is_told_from_one_that_was_set_forward_or_corrected() {
        for (before_ms, now_ms, is_back) in [
            (5_000, 5_000, false),
            (5_000, 4_100, false),
            (5_000, 9_000, false),
            (5_000, 3_999, true),
        ] {
            assert_eq!(is_set_back(before_ms, now_ms), is_back, "{before_ms} {now_ms}");
        }
    }
}
