//! Which of several recordings with one `uuid` has it.

use crate::broken::{self, Broken};

/// A recording's claim on a uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Path of its data file, relative to its root.
    pub path: &'a str,
    /// The catalog has, or may have, a document of it, at whatever path.
    pub catalogued: bool,
    /// Its files were not there at the last look.
    pub absent: bool,
}

/// The ruling on a newcomer that claims a uuid which another recording has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The other one's files are gone: the recording has moved here.
    Moved,
    /// The other one keeps it; the newcomer is `duplicate_id`.
    HolderKeeps,
    /// The newcomer gets it; the other one is `duplicate_id`.
    NewcomerTakes,
}

/// Of several with one uuid, the one in the catalog keeps it, else the smallest path.
pub fn rule(holder: Claim<'_>, newcomer_path: &str) -> Ruling {
    if holder.absent && !broken::is(Broken::MoveIsDuplicate) {
        Ruling::Moved
    } else if holder.catalogued || holder.path <= newcomer_path {
        Ruling::HolderKeeps
    } else {
        Ruling::NewcomerTakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(catalogued: bool, absent: bool) -> Claim<'static> {
        Claim { path: "b/r.dat", catalogued, absent }
    }

    #[test]
    fn the_one_in_the_catalog_keeps_its_uuid_against_a_smaller_path() {
        assert_eq!(rule(holder(true, false), "a/r.dat"), Ruling::HolderKeeps);
    }

    #[test]
    fn without_the_catalog_the_smallest_path_has_the_uuid() {
        assert_eq!(rule(holder(false, false), "a/r.dat"), Ruling::NewcomerTakes);
        assert_eq!(rule(holder(false, false), "c/r.dat"), Ruling::HolderKeeps);
    }

    #[test]
    fn a_recording_whose_old_files_are_gone_has_moved() {
        assert_eq!(rule(holder(true, true), "z/r.dat"), Ruling::Moved);
    }
}
