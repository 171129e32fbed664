//! Comparing the catalog with the index, window by window, in linear time and bounded memory.
//!
//! Both sides come ordered by uuid. A recording that both have with the same values is acknowledged
//! without a write. One that differs becomes pending. One that the catalog lacks is inserted again.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use crate::batch::{ItemOutcome, Outcome};
use crate::broken::{self, Broken};
use crate::document::{self, Stored};
use crate::entry::EntryId;
use crate::entry::claimed::duplicate_of_another_root;
use crate::recording::Recording;
use crate::window::Window;

/// Bytes of a page at most, about; one of its items may alone be larger.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// A part of an ordered sequence, bounded by count and by bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// In their order.
    pub items: Vec<T>,
    /// More may follow.
    pub more: bool,
    bytes: usize,
}

impl<T> Page<T> {
    /// An empty page, which may be the last one.
    pub fn new() -> Page<T> {
        Page { items: Vec::new(), more: false, bytes: 0 }
    }

    /// Takes the next item, of about so many bytes. False: the page is full, with `limit` items or
    /// [`PAGE_BYTES_MAX`] bytes, and takes no more.
    pub fn add(&mut self, item: T, bytes: usize, limit: usize) -> bool {
        self.items.push(item);
        self.bytes += bytes;
        self.more = self.items.len() >= limit || self.bytes >= PAGE_BYTES_MAX;
        !self.more
    }

    /// A page of as many of these items as there is room for, each with its bytes.
    ///
    /// # Errors
    /// The first error that comes in the place of an item.
    pub fn fill<E>(
        limit: usize,
        from: impl IntoIterator<Item = Result<(T, usize), E>>,
    ) -> Result<Page<T>, E> {
        let mut page = Page::new();
        for item in from {
            let (item, bytes) = item?;
            if !page.add(item, bytes, limit) {
                break;
            }
        }
        Ok(page)
    }

    /// A page of as many of these items as there is room for, where their bytes need not be counted.
    pub fn of(limit: usize, from: impl IntoIterator<Item = T>) -> Page<T> {
        let mut page = Page::new();
        for item in from {
            if !page.add(item, 0, limit) {
                break;
            }
        }
        page
    }
}

impl<T> Default for Page<T> {
    fn default() -> Page<T> {
        Page::new()
    }
}

/// A recording of the index, as a comparison needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which it is.
    pub id: EntryId,
    /// The generation of this content: the outcome counts only while it is the present one.
    pub generation: i64,
    /// The catalog is believed to have a document of it.
    pub known: bool,
    /// Its files are gone, and it is not marked: its document is left as it is.
    pub vanished: bool,
    /// It is marked as deleted.
    pub marked: bool,
    /// It had another content before, and the catalog has not acknowledged the present one. A document
    /// with the present content but an older version may have been read before a write in between.
    pub changed: bool,
    /// The content.
    pub recording: Recording,
}

/// What a comparison found for one recording of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The catalog has it with the same values: acknowledged.
    Same,
    /// The catalog has other values: to be written.
    Differs,
    /// The catalog does not have it under our root: to be inserted.
    NotThere,
    /// Its files are gone, and the catalog has it as deleted since then, milliseconds since 1970.
    Deleted(Option<i64>),
}

/// What a comparison found for one recording of the index, as it was when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComparedEntry {
    /// Which it is.
    pub id: EntryId,
    /// The generation that was compared.
    pub generation: i64,
    /// What was found.
    pub found: Compared,
}

/// What one step of a comparison came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparedPage {
    /// Each recording that something follows for.
    pub findings: Vec<ComparedEntry>,
    /// Documents of our root, not deleted, whose recording the index does not know; those of drills
    /// also where they are deleted.
    pub missing: Vec<Stored>,
}

/// Where a comparison stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The documents of the window under way that are not compared yet.
    documents: std::collections::VecDeque<Stored>,
    /// The last uuid of the window under way. None in the last one, to which all the rest of the index
    /// belongs.
    through: Option<String>,
    is_last: bool,
    /// Rows of the window under way are still to be compared.
    is_open: bool,
    /// The rows of the index up to this uuid are compared.
    rows_after: Option<String>,
    /// Rows compared.
    compared: u64,
    /// Documents that the index does not know; without those of drills.
    missing: u64,
}

/// What a comparison needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The next window of documents after this uuid.
    Window {
        /// Bytewise after this one; from the start where none.
        after: Option<String>,
    },
    /// The next recordings of the index.
    Rows {
        /// Bytewise after this one.
        after: Option<String>,
        /// Up to this one, itself included; to the end where none.
        through: Option<String>,
    },
    /// Nothing: it is finished.
    Nothing,
}

impl Comparison {
    /// What the comparison needs next.
    pub fn need(&self) -> Need {
        if self.is_open {
            Need::Rows { after: self.rows_after.clone(), through: self.through.clone() }
        } else if self.is_last {
            Need::Nothing
        } else {
            Need::Window { after: self.through.clone() }
        }
    }

    /// Rows of the index compared so far.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Documents of our root, not deleted, that the index does not know; without those of drills.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Takes a window of documents.
    pub fn window(&mut self, window: Window) {
        self.is_last = window.through.is_none();
        self.through = window.through;
        self.documents = window.documents.into();
        self.is_open = true;
    }

    /// Takes rows of the index; `token` is the one that was held last.
    pub fn rows(&mut self, page: Page<Row>, token: i64) -> ComparedPage {
        let mut out = ComparedPage::default();
        let Page { items: rows, more, .. } = page;
        self.compared += rows.len() as u64;
        if let Some(last) = rows.last() {
            self.rows_after = Some(last.recording.uuid.clone());
        }
        for row in rows {
            let found = self.take_up_to(&row.recording.uuid, &mut out);
            out.findings.extend(judged(&row, found.as_ref(), token));
        }
        if !more {
            out.missing.extend(self.documents.drain(..).filter(is_missing));
            self.is_open = false;
            if let Some(through) = &self.through {
                self.rows_after = Some(through.clone());
            }
        }
        self.missing += out.missing.iter().filter(|stored| !stored.is_drilled()).count() as u64;
        out
    }

    /// The document with this uuid, counting those before it that no row has.
    fn take_up_to(&mut self, uuid: &str, out: &mut ComparedPage) -> Option<Stored> {
        while let Some(first) = self.documents.front() {
            match first.uuid.as_str().cmp(uuid) {
                Ordering::Less => {
                    out.missing.extend(self.documents.pop_front().filter(is_missing));
                }
                Ordering::Equal => return self.documents.pop_front(),
                Ordering::Greater => return None,
            }
        }
        None
    }
}

/// The index ought to know the document. It need not know a deleted one, unless a drill planted it: a
/// drill leaves no document behind.
fn is_missing(stored: &Stored) -> bool {
    !stored.deleted || stored.is_drilled()
}

/// What is read of single uuids: first the documents, then the recordings of the index. In this order a
/// recording that changes between the two is the newer of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpotCheck {
    /// The index's recordings of these uuids, of one root.
    pub rows: Vec<Row>,
    /// The catalog's documents of these uuids, of any root.
    pub documents: Vec<Stored>,
}

/// Compares single recordings of a root with the documents of their uuids, of any root. None where these
/// do not tell enough, and the whole content has to be compared: a uuid has two documents, or the index
/// does not know a document of this root.
pub fn spot(
    rows: &[Row],
    documents: &[Stored],
    root: &str,
    token: i64,
) -> Option<Vec<ComparedEntry>> {
    let mut ours: HashMap<&str, &Stored> = HashMap::new();
    let known: HashSet<&str> = rows.iter().map(|row| row.recording.uuid.as_str()).collect();
    for stored in documents.iter().filter(|stored| stored.root.as_deref() == Some(root)) {
        let twice = ours.insert(&stored.uuid, stored).is_some();
        if twice || !known.contains(stored.uuid.as_str()) && is_missing(stored) {
            return None;
        }
    }
    let judged = rows.iter().filter_map(|row| {
        let found = ours.get(row.recording.uuid.as_str()).copied();
        judged(row, found, token)
    });
    Some(judged.collect())
}

/// Uuids that the catalog has of other recordings than the index: what a standby learns of them without a
/// write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// Recordings whose uuid a live document of another root has: they are refused.
    pub refused: Vec<ItemOutcome>,
    /// Uuids with the path where the catalog has them: where that path still claims it, it has the
    /// recording.
    pub elsewhere: Vec<(String, String)>,
}

impl Claims {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.elsewhere.is_empty()
    }
}

/// Of single recordings of a root, those whose uuid the catalog has of another recording. `documents` holds
/// at most one of each uuid.
pub fn claims(rows: &[Row], documents: &[Stored], root: &str) -> Claims {
    let mut claims = Claims::default();
    let by_uuid: HashMap<&str, &Stored> =
        documents.iter().map(|stored| (stored.uuid.as_str(), stored)).collect();
    for row in rows.iter().filter(|row| !row.vanished && !row.marked) {
        let Some(stored) = by_uuid.get(row.recording.uuid.as_str()) else { continue };
        let is_ours = stored.root.as_deref() == Some(root);
        match (&stored.root, &stored.path) {
            _ if stored.deleted => {}
            (Some(_), Some(path)) if is_ours && *path != row.recording.path => {
                claims.elsewhere.push((stored.uuid.clone(), path.clone()));
            }
            (Some(_), _) if !is_ours => claims.refused.push(ItemOutcome {
                id: row.id,
                generation: row.generation,
                outcome: Outcome::Refused(duplicate_of_another_root(stored)),
            }),
            (Some(_) | None, _) => {}
        }
    }
    claims
}

fn judged(row: &Row, stored: Option<&Stored>, token: i64) -> Option<ComparedEntry> {
    let found = judge(row, stored, token)?;
    Some(ComparedEntry { id: row.id, generation: row.generation, found })
}

fn judge(row: &Row, found: Option<&Stored>, token: i64) -> Option<Compared> {
    if row.recording.is_leaving() {
        // Its document is about to be removed, whatever its values are.
        return found.is_none().then_some(Compared::NotThere);
    }
    let is_current =
        |stored: &Stored| stored.version >= Some(document::version(token, row.generation));
    match found {
        Some(_) if broken::is(Broken::ComparedByUuid) => Some(Compared::Same),
        Some(stored)
            if stored.is_true_to(&row.recording) && (!row.changed || is_current(stored)) =>
        {
            Some(Compared::Same)
        }
        // Somebody else marked it. A document older than what we wrote last was read before that write, and
        // does not count.
        Some(stored)
            if stored.deleted
                && (row.vanished || row.marked)
                && is_current(stored)
                && !row.recording.is_drilled() =>
        {
            let since_ms = stored.recording.as_ref().and_then(|recording| recording.deleted_at_ms);
            Some(Compared::Deleted(since_ms))
        }
        // The catalog does not have it, and it is gone: no document is made only to be marked.
        None if row.marked => None,
        Some(_) => Some(Compared::Differs),
        None if row.known => Some(Compared::NotThere),
        None => None,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
