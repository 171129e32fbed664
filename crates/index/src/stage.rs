//! The numbers that stand in the tables for the states of [`focus_core::entry`], each with its name.
//!
//! Nothing else in this crate spells them: a statement names them by these constants.

use focus_core::entry::{Absence, Delivery};

/// The column `vanish_step`: how far a recording whose files are gone has come. 0 also where they are
/// there, which `vanished_ms` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub(crate) enum Stage {
    /// Its absence is not proved.
    Unproved = 0,
    /// It is proved once.
    Proved = 1,
    /// It is held.
    Held = 2,
    /// It is marked as deleted.
    Marked = 3,
    /// It is left alone, in an archive.
    LeftAlone = 4,
    /// A drill's: it is leaving.
    Leaving = 5,
}

/// See [`Stage::Unproved`].
pub(crate) const UNPROVED: i64 = Stage::Unproved as i64;
/// See [`Stage::Proved`].
pub(crate) const PROVED: i64 = Stage::Proved as i64;
/// See [`Stage::Held`].
pub(crate) const HELD: i64 = Stage::Held as i64;
/// See [`Stage::Marked`].
pub(crate) const MARKED: i64 = Stage::Marked as i64;
/// See [`Stage::LeftAlone`].
pub(crate) const LEFT_ALONE: i64 = Stage::LeftAlone as i64;
/// See [`Stage::Leaving`].
pub(crate) const LEAVING: i64 = Stage::Leaving as i64;

impl Stage {
    /// The stage with this number.
    pub(crate) fn from_number(number: i64) -> Option<Stage> {
        use Stage::{Held, Leaving, LeftAlone, Marked, Proved, Unproved};
        [Unproved, Proved, Held, Marked, LeftAlone, Leaving]
            .into_iter()
            .find(|stage| *stage as i64 == number)
    }

    /// The stage of a recording whose files are gone.
    pub(crate) fn of(absence: Absence) -> Stage {
        match absence {
            Absence::Unproved => Stage::Unproved,
            Absence::Proved { .. } => Stage::Proved,
            Absence::Held { .. } => Stage::Held,
            Absence::Marked { .. } => Stage::Marked,
            Absence::LeftAlone => Stage::LeftAlone,
            Absence::Leaving { .. } => Stage::Leaving,
        }
    }
}

/// The column `pending`: how a recording stands on its way to the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub(crate) enum Way {
    /// There is nothing to write.
    Done = 0,
    /// It is to be written.
    Pending = 1,
    /// It was refused, and waits for `retry_ms`.
    Refused = 2,
}

/// See [`Way::Done`].
pub(crate) const DONE: i64 = Way::Done as i64;
/// See [`Way::Pending`].
pub(crate) const PENDING: i64 = Way::Pending as i64;
/// See [`Way::Refused`].
pub(crate) const REFUSED: i64 = Way::Refused as i64;

impl Way {
    /// The way with this number.
    pub(crate) fn from_number(number: i64) -> Option<Way> {
        [Way::Done, Way::Pending, Way::Refused].into_iter().find(|way| *way as i64 == number)
    }

    /// The way of a recording's delivery.
    pub(crate) fn of(delivery: Delivery) -> Way {
        match delivery {
            Delivery::Done => Way::Done,
            Delivery::Pending { .. } => Way::Pending,
            Delivery::Refused { .. } => Way::Refused,
        }
    }
}

/// The bit of the column `deleted` that the sidecar sets.
pub(crate) const SAID_DELETED: i64 = 1;

/// The bit of the column `deleted` that a mark sets, and leaving.
pub(crate) const FOUND_DELETED: i64 = 2;

/// The column `acked` where nothing that the catalog has acknowledged tells anything any more.
pub(crate) const UNSURE: i64 = 0;
