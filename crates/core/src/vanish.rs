//! The decision on recordings whose files are gone: marked as deleted, or held for a person.
//!
//! That files are gone is proved elsewhere, twice. Here it is only decided whether so many may be.

use std::fmt;

use crate::broken::{self, Broken};

/// How many may vanish within [`WINDOW_MS`] before a person has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxVanished {
    /// Of the recordings of the root, per cent.
    pub percent: u64,
    /// So many always may.
    pub at_least: u64,
}

impl Default for MaxVanished {
    fn default() -> MaxVanished {
        MaxVanished { percent: 10, at_least: 100 }
    }
}

/// Vanished recordings are counted over this time, milliseconds.
pub const WINDOW_MS: i64 = 3_600_000;

/// A second look this much later must agree, milliseconds.
pub const SECOND_LOOK_MS: u64 = 2_000;

/// Of so many recordings or more, not all may vanish.
const ALL_MIN: u64 = 10;

/// The recordings of one root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Their files are there.
    pub present: u64,
    /// Gone, neither moved nor marked: those held, and those about to be.
    pub gone: u64,
    /// Marked within the window, without anybody's approval.
    pub marked: u64,
}

/// What is to be done with what is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Mark them as deleted.
    Mark,
    /// Mark none: a person has to approve.
    Hold(Held),
}

/// Why deletions are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// More than `max_vanished` within the window.
    TooMany,
    /// All of a root.
    All,
    /// What was seen on one mount is looked for on another.
    Device,
    /// The index never saw their files, and nothing else of their folder is there.
    NeverSeen,
    /// An exclude hides their place: whether their files are there is not looked at any more.
    Excluded,
}

impl Held {
    /// The fixed spelling.
    pub fn name(self) -> &'static str {
        match self {
            Held::TooMany => "too_many",
            Held::All => "all",
            Held::Device => "device",
            Held::NeverSeen => "never_seen",
            Held::Excluded => "excluded",
        }
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Held> {
        [Held::TooMany, Held::All, Held::Device, Held::NeverSeen, Held::Excluded]
            .into_iter()
            .find(|held| held.name() == name)
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Held::TooMany => "more than max_vanished are gone within an hour",
            Held::All => "all recordings of the root are gone",
            Held::Device => "they were seen on another mount: one is missing, or was swapped",
            Held::NeverSeen => "the catalog names them, and this server never saw their files",
            Held::Excluded => "`exclude` or the form of the root's pairs hides them now: take the change back, or approve",
        })
    }
}

/// The most that may be gone and marked within the window.
pub fn limit(counts: Counts, max: MaxVanished) -> u64 {
    let total = counts.present + counts.gone + counts.marked;
    max.at_least.max(total.saturating_mul(max.percent) / 100)
}

/// Whether what is gone may be marked.
pub fn judge(counts: Counts, max: MaxVanished) -> Decision {
    let counted = counts.gone + counts.marked;
    if broken::is(Broken::DeletionNeverHeld) {
        return Decision::Mark;
    }
    if counts.present == 0 && counted >= ALL_MIN {
        Decision::Hold(Held::All)
    } else if counted > limit(counts, max) {
        Decision::Hold(Held::TooMany)
    } else {
        Decision::Mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(present: u64, gone: u64, marked: u64) -> Decision {
        judge(Counts { present, gone, marked }, MaxVanished::default())
    }

    #[test]
    fn a_hundred_may_go_and_a_tenth_of_many() {
        assert_eq!(verdict(101, 100, 0), Decision::Mark);
        assert_eq!(verdict(100, 101, 0), Decision::Hold(Held::TooMany));
        assert_eq!(verdict(9_000, 1_000, 0), Decision::Mark);
        assert_eq!(verdict(8_999, 1_001, 0), Decision::Hold(Held::TooMany));
    }

    #[test]
    fn what_was_marked_before_counts_too() {
        assert_eq!(verdict(200, 1, 99), Decision::Mark);
        assert_eq!(verdict(200, 1, 100), Decision::Hold(Held::TooMany));
    }

    #[test]
    fn all_of_ten_are_held_and_all_of_nine_are_not() {
        assert_eq!(verdict(0, 10, 0), Decision::Hold(Held::All));
        assert_eq!(verdict(0, 4, 6), Decision::Hold(Held::All));
        assert_eq!(verdict(0, 9, 0), Decision::Mark);
        assert_eq!(verdict(1, 10, 0), Decision::Mark);
    }
}
