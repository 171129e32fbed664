//! A file system is mounted under another device number.
//!
//! Device numbers may change with a restart of the machine, so a folder that is found on another device
//! is no proof of a swapped mount. What is found there tells.

use super::{Absence, Entry};
use crate::vanish::Held;

/// Of ten recordings that were seen on a device, so many found on another one make them the same.
const FOUND_OF_TEN: u64 = 9;

/// Its files were seen on the device of its folder, and are there, vanished or held. What is marked, left
/// alone or leaving is known to be gone, and is not counted as missing on another device. Nor is a vanished
/// one whose place `has_files`: these are another's, or too few to be a recording, and nothing is concluded
/// from them. One that a drill planted is never counted: nobody approves its deletion, so as a missing one
/// it could keep its folder from ever being known again, and its document from being removed.
pub fn was_seen(entry: &Entry, has_files: bool) -> bool {
    !entry.drilled
        && !entry.never_seen
        && (entry.is_there() || !has_files)
        && !matches!(
            entry.absence(),
            Some(Absence::Marked { .. } | Absence::LeftAlone | Absence::Leaving { .. })
        )
}

/// Its files are there to be found.
pub fn is_found(entry: &Entry) -> bool {
    !entry.drilled && entry.is_there()
}

/// Of `seen` recordings of a device (see [`was_seen`]) `found` have their files on another one now (see
/// [`is_found`]), as a whole scan has met it. True: that one takes its place.
pub fn takes_over(seen: u64, found: u64) -> bool {
    found.saturating_mul(10) >= seen.saturating_mul(FOUND_OF_TEN)
}

/// A device of the entry's root has taken another's place: what was held for its device is looked for
/// anew.
pub fn settled(entry: Entry) -> Entry {
    match entry.absence() {
        Some(Absence::Held { why: Held::Device, .. }) => entry.with_absence(Absence::Unproved),
        _ => entry,
    }
}
