//! Comparing the catalog with the index, page by page, in linear time and bounded memory.
//!
//! Both sides come ordered by uuid. What both have with the same values is acknowledged without a
//! write; what differs becomes pending; what the catalog lacks is to be inserted again.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::broken::{self, Broken};
use crate::document::{self, Stored};
use crate::recording::Recording;

/// Bytes of a page at most, about; one of its items may alone be larger.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// A part of what comes in order, bounded by count and by bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// In their order.
    pub items: Vec<T>,
    /// More may follow.
    pub more: bool,
    bytes: usize,
}

impl<T> Page<T> {
    /// One that holds nothing, and may be the last.
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

    /// As many of these as there is room for, each with its bytes.
    ///
    /// # Errors
    /// What comes in place of an item.
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

    /// As many of these as there is room for, where they are small.
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
    /// Its row.
    pub id: i64,
    /// The generation of this content: the outcome counts only while it is the present one.
    pub generation: i64,
    /// The catalog is believed to have it, in some generation.
    pub acknowledged: bool,
    /// Its files are gone, and it is not marked: its document is left as it is.
    pub vanished: bool,
    /// It is marked as deleted.
    pub marked: bool,
    /// It was another before, and the catalog has not acknowledged what it is now: an older document
    /// that is the same may have been read before what was written in between.
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

/// What one step of a comparison came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparedPage {
    /// Row, generation and finding of each recording that something follows for.
    pub findings: Vec<(i64, i64, Compared)>,
    /// Documents of our root, not deleted, whose recording the index does not know; those of drills
    /// also where they are deleted.
    pub missing: Vec<Stored>,
}

/// Where a comparison stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The documents of the page under way that have not been met yet.
    documents: std::collections::VecDeque<Stored>,
    /// The last uuid of the page; none after the last page: all the rest of the index belongs to it.
    through: Option<String>,
    last_page: bool,
    page_open: bool,
    /// Everything up to here is compared, on the side of the index.
    rows_after: Option<String>,
    /// Rows and documents compared.
    compared: u64,
    missing: u64,
}

/// What a comparison needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The next page of documents after this uuid.
    Page {
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
    /// What it needs next.
    pub fn need(&self) -> Need {
        if self.page_open {
            Need::Rows { after: self.rows_after.clone(), through: self.through.clone() }
        } else if self.last_page {
            Need::Nothing
        } else {
            Need::Page { after: self.through.clone() }
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

    /// Takes a page of documents.
    pub fn page(&mut self, page: Page<Stored>) {
        self.through = page.items.last().filter(|_| page.more).map(|stored| stored.uuid.clone());
        self.last_page = self.through.is_none();
        self.documents = page.items.into();
        self.page_open = true;
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
            if let Some(finding) = judge(&row, found.as_ref(), token) {
                out.findings.push((row.id, row.generation, finding));
            }
        }
        if !more {
            out.missing.extend(self.documents.drain(..).filter(is_missing));
            self.page_open = false;
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

/// A tombstone is no loss; a drill leaves none.
fn is_missing(stored: &Stored) -> bool {
    !stored.deleted || stored.is_drilled()
}

/// Compares single recordings with what was read of their uuids, of any root. None where that does not
/// tell enough, and the whole content has to be compared.
pub fn spot(
    rows: &[Row],
    documents: &[Stored],
    root: &str,
    token: i64,
) -> Option<Vec<(i64, i64, Compared)>> {
    let mut ours: HashMap<&str, &Stored> = HashMap::new();
    for stored in documents.iter().filter(|stored| stored.root.as_deref() == Some(root)) {
        let twice = ours.insert(&stored.uuid, stored).is_some();
        let known = rows.iter().any(|row| row.recording.uuid == stored.uuid);
        if twice || !known && is_missing(stored) {
            return None;
        }
    }
    let judged = rows.iter().filter_map(|row| {
        let found = ours.get(row.recording.uuid.as_str()).copied();
        Some((row.id, row.generation, judge(row, found, token)?))
    });
    Some(judged.collect())
}

fn judge(row: &Row, found: Option<&Stored>, token: i64) -> Option<Compared> {
    if row.recording.is_leaving() {
        // Its document is about to be removed, whatever it says.
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
        // Somebody else's mark; an older document of ours was read before what we wrote since.
        Some(stored)
            if stored.deleted
                && (row.vanished || row.marked)
                && is_current(stored)
                && !row.recording.is_drilled() =>
        {
            let since_ms = stored.recording.as_ref().and_then(|recording| recording.deleted_at_ms);
            Some(Compared::Deleted(since_ms))
        }
        // A tombstone that the catalog does not have is not worth making.
        None if row.marked => None,
        Some(_) => Some(Compared::Differs),
        None if row.acknowledged => Some(Compared::NotThere),
        None => None,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
