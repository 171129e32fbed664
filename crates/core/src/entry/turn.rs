//! What a rule gives back: the entry as it is now, and what else follows.

use super::Entry;
use crate::state::Fault;

/// What a rule made of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The entry as it is now; none: it is forgotten, and its row is removed.
    pub entry: Option<Entry>,
    /// What else follows.
    pub effects: Effects,
}

/// What follows from a turn beyond the entry itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// What the reconciler is told.
    pub news: News,
    /// The change of what is reported of its place; none: the report stays.
    pub report: Option<Report>,
    /// Whether the row's content stays.
    pub content: Content,
    /// Which places are looked at again at once.
    pub look_again: Option<LookAgain>,
    /// Entries that are made later in this root begin above this generation. So a removal that the
    /// database carries out late cannot meet a recording that has come back.
    pub generation_base: Option<i64>,
}

/// What the reconciler is told of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    #[default]
    None,
    /// Its files are there again, as the catalog has them: there is nothing to write.
    Returned,
    /// It is to be written.
    Pending,
}

/// Whether the content that is kept beside an entry stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// It stays.
    #[default]
    Kept,
    /// The recording that was just read takes its place, and the place of that one holds the entry.
    Replaced,
}

/// A change of what is reported of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// This fault is reported.
    Fault(Fault),
    /// This fault is reported where the place has no files: those there would be another recording's.
    FaultOfAbsent(Fault),
    /// The catalog took its recording: a refusal, or a uuid that it shared, is reported no more.
    Taken,
    /// Nothing is reported, and the place is forgotten, where it has no files.
    Emptied,
}

/// Which places are looked at again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookAgain {
    /// All others whose sidecar named its uuid, as if they had never settled: one may have it now.
    Claimants,
}

impl Turn {
    /// The entry stays as it is, and nothing follows.
    pub(super) fn keep(entry: Entry) -> Turn {
        Turn { entry: Some(entry), effects: Effects::default() }
    }

    /// The entry is to be written.
    pub(super) fn pending(entry: Entry) -> Turn {
        let effects = Effects { news: News::Pending, ..Effects::default() };
        Turn { entry: Some(entry), effects }
    }

    /// The recording that was just read is the entry's content from now on.
    pub(super) fn replaced(mut self) -> Turn {
        self.effects.content = Content::Replaced;
        self
    }

    /// The entry's document is gone for good, so nothing is left to remember but its generation.
    pub(super) fn left(entry: Entry) -> Turn {
        let effects = Effects {
            report: Some(Report::Emptied),
            generation_base: Some(entry.generation),
            ..Effects::default()
        };
        Turn { entry: None, effects }
    }
}
