//! Listings of recordings by start, in pages.
//!
//! A page is made in `page.rs`. The order is start and row id, which no change of a recording's state alters, so pages stay
//! whole while recordings land. The work for a page is bounded: one that is not full leads on by its cursor.

use std::hash::{DefaultHasher, Hash, Hasher};

use focus_core::meta_filter::MetaFilter;
use focus_core::recording_state::{RecordingState, StateSet};

use crate::listed::Listed;
use crate::page::{count, page};
use crate::rows::RootId;
use crate::walk::Entry;
use crate::{IndexError, Reader};

/// What further recordings are counted to, at most: a count must not read ten million rows.
pub const MORE_MAX: u64 = 100_000;

/// In which order recordings are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// By start, the earliest first.
    #[default]
    Start,
    /// By start, the latest first.
    StartDescending,
}

/// A place in a listing: the page after it begins with the next recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) start_ms: i64,
    pub(crate) id: i64,
}

impl Cursor {
    pub(crate) fn new(start_ms: i64, id: i64) -> Cursor {
        Cursor { start_ms, id }
    }
}

/// A text that is no cursor of this listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this cursor belongs to another query: give it with the same filters and order, or begin without it"
)]
pub struct WrongCursor;

/// What a listing asks for. All conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only those that end at this time or later, or are live, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Only those that start at this time or before.
    pub to_ms: Option<i64>,
    /// Only those of this root.
    pub root: Option<RootId>,
    /// Only those in one of these states.
    pub states: StateSet,
    /// Only those whose uuid or path contains this text, whatever the case of its letters from A to Z.
    pub text: Option<String>,
    /// Only those of whose metadata each of these is true.
    pub meta: Vec<MetaFilter>,
    /// In which order.
    pub order: Order,
    /// Continue after this one ([`Listed::cursor`]).
    pub after: Option<Cursor>,
    /// At most so many rows.
    pub limit: usize,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordingsPage {
    /// The recordings, in order. There may be fewer than were asked for, or none, although more come.
    pub rows: Vec<Listed>,
    /// Where the next page begins; none at the end.
    pub next: Option<Cursor>,
}

impl Listing {
    /// A cursor as text. It belongs to this listing's filters and order alone.
    pub fn text_of(&self, cursor: Cursor) -> String {
        let Cursor { start_ms, id } = cursor;
        format!("{start_ms:x}-{id:x}-{:08x}", self.seal(cursor))
    }

    /// The cursor that a text stands for.
    ///
    /// # Errors
    /// The text is no cursor, or one of another listing.
    pub fn cursor_of(&self, text: &str) -> Result<Cursor, WrongCursor> {
        let mut parts = text.splitn(3, '-');
        let mut part = || u64::from_str_radix(parts.next()?, 16).ok();
        let read = || Some((part()?.cast_signed(), part()?.cast_signed(), part()?));
        let (start_ms, id, seal) = { read }().ok_or(WrongCursor)?;
        let cursor = Cursor { start_ms, id };
        if u64::from(self.seal(cursor)) == seal { Ok(cursor) } else { Err(WrongCursor) }
    }

    /// What ties a cursor to the filters and the order.
    fn seal(&self, cursor: Cursor) -> u32 {
        let mut sum = DefaultHasher::new();
        let filters =
            (self.from_ms, self.to_ms, self.root, self.states, &self.text, &self.meta, self.order);
        (filters, cursor.start_ms, cursor.id).hash(&mut sum);
        (sum.finish() >> 32) as u32
    }

    /// The last place before the first recording.
    pub(crate) fn begin(&self) -> Cursor {
        self.after.unwrap_or(match self.order {
            Order::Start => Cursor { start_ms: i64::MIN, id: i64::MIN },
            Order::StartDescending => Cursor { start_ms: i64::MAX, id: i64::MAX },
        })
    }

    /// Whether `a` comes before `b`.
    pub(crate) fn is_before(&self, a: Entry, b: Entry) -> bool {
        let (a, b) = ((a.start_ms, a.id), (b.start_ms, b.id));
        match self.order {
            Order::Start => a < b,
            Order::StartDescending => a > b,
        }
    }

    /// Whether the index alone tells that the recording is not asked for.
    pub(crate) fn is_out(&self, entry: Entry) -> bool {
        match entry.is_deleted {
            true => !self.states.has(RecordingState::Deleted),
            // The other states have one in common: not to be deleted.
            false => RecordingState::ALL[1..].iter().all(|state| !self.states.has(*state)),
        }
    }
}

impl Reader {
    /// A page of recordings.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn recordings(&self, listing: &Listing) -> Result<RecordingsPage, IndexError> {
        self.read(|connection| page(connection, listing, &self.scope(connection)?))
    }

    /// How many recordings come after the cursor `after`, counted up to 100,000, of as many that are looked at.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn recordings_after(&self, listing: &Listing, after: Cursor) -> Result<u64, IndexError> {
        let rest = Listing { after: Some(after), ..listing.clone() };
        self.read(|connection| count(connection, &rest, &self.scope(connection)?))
    }
}
