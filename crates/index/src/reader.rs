//! Queries. They see the last committed state and wait for nobody.

use std::ops::ControlFlow;

use crate::IndexError;

/// Reads the index. Clones share a small pool of read-only connections. All calls block:
/// call them from a blocking thread.
#[derive(Clone, Debug)]
pub struct Reader {}

/// Counts over all roots, kept by the index itself: cheap at any size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Recognised recordings, deleted and vanished ones included.
    pub recordings: u64,
    /// Recordings the catalog has not acknowledged in their present form.
    pub pending: u64,
    /// Recordings whose files are gone.
    pub vanished: u64,
    /// Places that still change.
    pub unsettled: u64,
    /// Unrecognised places, by state (the fixed spelling).
    pub unrecognised: Vec<(String, u64)>,
    /// When the oldest pending one became pending, milliseconds since 1970.
    pub pending_since_ms: Option<i64>,
}

/// What a listing asks for. All conditions hold together.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only those that overlap this time or end later, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Only those that start at this time or before.
    pub to_ms: Option<i64>,
    /// Only those whose uuid or path contains this text.
    pub text: Option<String>,
    /// Only those the catalog has not acknowledged.
    pub pending_only: bool,
    /// Continue after this row (`Listed::row` of the last one).
    pub after: Option<i64>,
    /// At most so many rows, 1 to 1,000.
    pub limit: usize,
}

/// A recognised recording, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Row, for paging.
    pub row: i64,
    /// Its uuid.
    pub uuid: String,
    /// Milliseconds since 1970.
    pub start_ms: i64,
    /// Milliseconds since 1970; none while live.
    pub end_ms: Option<i64>,
    /// Deleted, as its sidecar says.
    pub deleted: bool,
    /// The root's marker id.
    pub root: String,
    /// Path of the data file, relative to the root.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Not yet acknowledged by the catalog.
    pub pending: bool,
    /// Its files are gone.
    pub vanished: bool,
}

/// An unrecognised place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Row, for paging.
    pub row: i64,
    /// The root's marker id.
    pub root: String,
    /// Relative path without extension.
    pub path: String,
    /// The state's fixed spelling.
    pub state: String,
    /// What is wrong and what to do.
    pub reason: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// How many of its files are there.
    pub file_count: i64,
}

impl Reader {
    /// Every recognised, not deleted recording that overlaps `from_ms..=to_ms`, by start, to `sink`.
    ///
    /// # Errors
    /// The index file cannot be read.
    pub fn overlapping(
        &self,
        from_ms: i64,
        to_ms: i64,
        sink: &mut dyn FnMut(i64, Option<i64>) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let _ = (from_ms, to_ms, sink);
        Ok(())
    }

    /// A page of recordings, in the order they were first seen.
    ///
    /// # Errors
    /// The index file cannot be read.
    pub fn recordings(&self, listing: &Listing) -> Result<Vec<Listed>, IndexError> {
        let _ = listing;
        Ok(Vec::new())
    }

    /// A page of unrecognised places after the row `after`; `state` narrows it.
    ///
    /// # Errors
    /// The index file cannot be read.
    pub fn unrecognised(
        &self,
        state: Option<&str>,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Fault>, IndexError> {
        let _ = (state, after, limit);
        Ok(Vec::new())
    }

    /// The counts.
    ///
    /// # Errors
    /// The index file cannot be read.
    pub fn totals(&self) -> Result<Totals, IndexError> {
        Ok(Totals::default())
    }
}
