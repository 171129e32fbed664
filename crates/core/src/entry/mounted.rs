//! Which mount the files of a recording were seen on, and when another one takes its place.
//!
//! A recording is never judged by a folder that lies below the mount it was seen on, or over it: what is
//! missing there was not looked for. Most recordings were seen on the mount of their folder, so the folder
//! keeps it for all of them, and a recording keeps its own only where it was seen on another one. That is so
//! in a mount point which held recordings before something was mounted over it.

use super::{Absence, Entry};
use crate::broken::{self, Broken};
use crate::vanish::Held;

/// Of ten recordings that were seen on a mount, so many found on another one make them the same.
const FOUND_OF_TEN: u64 = 9;

/// The mounts that a recording keeps as its own, where they are not that of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own<M> {
    /// The one that it was seen on.
    pub seen: Option<M>,
    /// Another one that its files were seen on last. A whole scan makes one of the two (see [`settle`]).
    pub last: Option<M>,
}

impl<M> Default for Own<M> {
    fn default() -> Own<M> {
        Own { seen: None, last: None }
    }
}

/// What a recording keeps once its files were read on the mount `on`. It kept `own` before; `folder` is the
/// mount of its folder. `is_new`: it was not at this place before, or was never seen at all.
pub fn kept<M: Clone + PartialEq>(
    own: Own<M>,
    on: Option<M>,
    folder: Option<M>,
    is_new: bool,
) -> Own<M> {
    let Some(on) = on else { return own };
    if is_new {
        return Own {
            seen: Some(on).filter(|on| folder.is_some_and(|folder| folder != *on)),
            last: None,
        };
    }
    let seen = seen_on(own.seen.clone(), folder);
    Own { last: Some(on).filter(|on| seen.is_some_and(|seen| seen != *on)), ..own }
}

/// The mount that a recording was seen on, from its own and that of its folder; none where that is not known.
pub fn seen_on<M>(own: Option<M>, folder: Option<M>) -> Option<M> {
    if broken::is(Broken::FolderMountTrusted) {
        return folder;
    }
    own.or(folder)
}

/// A recording with these mounts of its own is looked for where it was not seen. One that was seen on two
/// mounts is so on either, until a whole scan has made one of them. Where a mount is not known, nothing tells.
pub fn is_elsewhere<M: PartialEq>(own: Own<M>, folder: Option<M>, read_on: Option<M>) -> bool {
    let Some(read_on) = read_on else { return false };
    let is_other = |mount: Option<M>| mount.is_some_and(|mount| mount != read_on);
    is_other(seen_on(own.seen, folder)) || is_other(own.last)
}

/// What lies at the place of a recording, as it was seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtPlace {
    /// Its files: a sidecar that names it, settled or not.
    Itself,
    /// No file.
    Nothing,
    /// Another recording, which has settled.
    Another,
    /// Files that have not settled yet as they are now.
    Unsettled,
    /// What is no recording.
    Faulty,
}

/// It counts among those that were seen on its mount and have to be found again. What is marked, left
/// alone or leaving is known to be gone, and is not missing on another mount. Nor is one in whose place
/// something lies that is no recording: nothing is concluded from that. One that a drill planted is never counted: nobody
/// approves its deletion, so as a missing one it could keep its mount from ever being known again, and its
/// document from being removed.
pub fn was_seen(entry: &Entry, at_place: AtPlace) -> bool {
    let counts = match at_place {
        AtPlace::Nothing | AtPlace::Another => true,
        AtPlace::Itself | AtPlace::Unsettled => entry.is_there(),
        AtPlace::Faulty => false,
    };
    !entry.drilled
        && !entry.never_seen
        && counts
        && !matches!(
            entry.absence(),
            Some(Absence::Marked { .. } | Absence::LeftAlone | Absence::Leaving { .. })
        )
}

/// Its files are there to be found, wherever that is.
pub fn is_found(entry: &Entry, at_place: AtPlace) -> bool {
    !entry.drilled && at_place == AtPlace::Itself && entry.is_there()
}

/// What a whole scan makes of a mount on which recordings were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing: what was seen on it stays so.
    Stays,
    /// It is still there, or nothing that counts was seen on it. What is found on another mount now has moved to
    /// that one; what is missing stays. A drill's goes with its folder.
    Moves,
    /// The other mount takes its place, for all that was seen on it.
    Taken,
}

/// Judges a mount. A whole scan of the root has met it (`is_there`) or not. Of `seen` recordings that were
/// seen on it (see [`was_seen`]), `found` have their files on one other mount now (see [`is_found`]).
///
/// A file system may show another id after a restart of the machine, so a mount that is not met again
/// is no proof of a swapped one. What is found tells.
pub fn settle(is_there: bool, seen: u64, found: u64) -> Settled {
    if is_there || seen == 0 {
        Settled::Moves
    } else if found.saturating_mul(10) >= seen.saturating_mul(FOUND_OF_TEN) {
        Settled::Taken
    } else {
        Settled::Stays
    }
}

/// A mount of the entry's root has taken another's place: what was held for its mount is looked for
/// anew.
pub fn settled(entry: Entry) -> Entry {
    match entry.absence() {
        Some(Absence::Held { why: Held::Device, .. }) => entry.with_absence(Absence::Unproved),
        _ => entry,
    }
}
