//! The rows that may have a text.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::build::{Reach, changed};
use super::posting::{LONG, Rows, at, chunk_of, trigrams};

/// Rows that are read for a search at once because the text index does not index them, at most: with more it is
/// behind, and rows are read in the order of the listing.
const UNINDEXED_MAX: i64 = if cfg!(test) { 12 } else { 4_096 };

/// Trigrams of a text that are asked for, at most, spread over it.
const TRIGRAMS_MAX: usize = 16;

/// With so few rows left in a chunk, reading them costs less than another trigram.
const FEW: u32 = 2;

/// A chunk that is indexed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkOf {
    pub(super) chunk: i64,
    /// The first and the last start of its rows.
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    has_long: bool,
}

/// One text, and one snapshot of the index.
pub(crate) struct Search<'a> {
    pub(super) snapshot: &'a Connection,
    /// In lower case.
    pub(super) text: String,
    /// Those that have told most rows apart so far come first.
    trigrams: Vec<i64>,
    pub(super) reach: Reach,
    /// Rows that are noted as changed; none where they are very many.
    pub(super) changed: Option<BTreeSet<i64>>,
    pub(super) chunks: Vec<ChunkOf>,
    /// Of chunks that were asked for.
    known: HashMap<i64, Rows>,
    posting: CachedStatement<'a>,
}

impl<'a> Search<'a> {
    /// None where every row has to be read: the text is too short, or nothing is indexed yet.
    pub(crate) fn of(
        snapshot: &'a Connection,
        text: Option<&str>,
    ) -> rusqlite::Result<Option<Search<'a>>> {
        let Some(text) = text.map(str::to_ascii_lowercase) else { return Ok(None) };
        let trigrams = spread(trigrams(&text).collect());
        let reach = Reach::of(snapshot)?;
        if trigrams.is_empty() || reach.through == 0 {
            return Ok(None);
        }
        let chunks = snapshot
            .prepare_cached("SELECT chunk, first_ms, last_ms, has_long FROM text_chunks")?
            .query_map([], |row| {
                Ok(ChunkOf {
                    chunk: row.get(0)?,
                    first_ms: row.get(1)?,
                    last_ms: row.get(2)?,
                    has_long: row.get(3)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        let changed = match changed(snapshot, UNINDEXED_MAX + 1)? {
            count if count > UNINDEXED_MAX => None,
            _ => Some(
                snapshot
                    .prepare_cached("SELECT recording FROM text_changed")?
                    .query_map([], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?,
            ),
        };
        let posting = snapshot
            .prepare_cached("SELECT rows FROM text_postings WHERE chunk = ?1 AND trigram = ?2")?;
        let known = HashMap::new();
        Ok(Some(Search { snapshot, text, trigrams, reach, changed, chunks, known, posting }))
    }

    /// Few rows are not indexed: all of them can be read for one page.
    pub(crate) fn is_up(&self) -> bool {
        let changed = self.changed.as_ref().map(|changed| changed.len() as i64);
        changed.is_some_and(|changed| self.reach.new_rows() + changed <= UNINDEXED_MAX)
    }

    /// The row has to be read.
    pub(crate) fn may_have(&mut self, row: i64) -> rusqlite::Result<bool> {
        Ok(row > self.reach.through
            || self.rows(chunk_of(row))?.has(at(row))
            || self.has_changed(row)?)
    }

    fn has_changed(&self, row: i64) -> rusqlite::Result<bool> {
        match &self.changed {
            Some(changed) => Ok(changed.contains(&row)),
            None => self
                .snapshot
                .prepare_cached("SELECT EXISTS(SELECT 1 FROM text_changed WHERE recording = ?1)")?
                .query_row([row], |row| row.get(0)),
        }
    }

    /// The rows of a chunk that may have the text, as they were when it was made.
    pub(super) fn rows(&mut self, chunk: i64) -> rusqlite::Result<&Rows> {
        if !self.known.contains_key(&chunk) {
            let rows = self.ask(chunk)?;
            self.known.insert(chunk, rows);
        }
        Ok(self.known.get(&chunk).unwrap_or(&Rows::ALL))
    }

    fn ask(&mut self, chunk: i64) -> rusqlite::Result<Rows> {
        let Ok(index) = self.chunks.binary_search_by_key(&chunk, |known| known.chunk) else {
            return Ok(Rows::NONE);
        };
        let mut rows = Rows::ALL;
        let mut before = u32::MAX;
        for asked in 0..self.trigrams.len() {
            let posting = stored(&mut self.posting, chunk, self.trigrams[asked])?;
            rows.and(&posting.unwrap_or(Rows::NONE));
            let left = rows.count();
            if left <= FEW {
                // In the next chunk it is asked first, and likely alone.
                self.trigrams[..=asked].rotate_right(1);
                break;
            }
            if asked > 0 && left < before / 4 {
                self.trigrams.swap(asked - 1, asked);
            }
            before = left;
        }
        if self.chunks[index].has_long {
            rows.or(&stored(&mut self.posting, chunk, LONG)?.unwrap_or(Rows::NONE));
        }
        Ok(rows)
    }
}

fn stored(
    posting: &mut CachedStatement<'_>,
    chunk: i64,
    trigram: i64,
) -> rusqlite::Result<Option<Rows>> {
    let read = |row: &rusqlite::Row<'_>| Ok(Rows::decode(row.get_ref(0)?.as_blob()?));
    posting.query_row(params![chunk, trigram], read).optional()
}

/// At most [`TRIGRAMS_MAX`] of these, each once.
fn spread(mut trigrams: Vec<i64>) -> Vec<i64> {
    let mut seen = BTreeSet::new();
    trigrams.retain(|trigram| seen.insert(*trigram));
    let step = trigrams.len().div_ceil(TRIGRAMS_MAX).max(1);
    trigrams.into_iter().step_by(step).collect()
}
