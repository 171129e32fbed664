//! The first rows that may have a text, in the order of a listing, from the starts that chunks hold.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rusqlite::{OptionalExtension, Row, params};

use super::posting::{STARTS, row_of, start};
use super::search::Search;
use crate::listing::{Cursor, Order};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// Starts, milliseconds since 1970: both ends belong to it.
    pub(crate) starts_ms: (i64, i64),
    pub(crate) order: Order,
    /// Only what comes after it.
    pub(crate) after: Option<Cursor>,
    /// Rows, at most.
    pub(crate) rows_max: usize,
}

impl Range {
    /// What sorts rows by the order of the listing.
    fn key(&self, start_ms: i64, row: i64) -> (i64, i64) {
        match self.order {
            Order::Start => (start_ms, row),
            // The complement turns the order around, also of the least number.
            Order::StartDescending => (!start_ms, !row),
        }
    }

    fn entry(&self, (start_ms, row): (i64, i64)) -> Cursor {
        match self.order {
            Order::Start => Cursor { start_ms, id: row },
            Order::StartDescending => Cursor { start_ms: !start_ms, id: !row },
        }
    }
}

/// The first rows of a range.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// In order.
    pub(crate) rows: Vec<Cursor>,
    /// More may come.
    pub(crate) has_more: bool,
}

/// The least keys so far.
struct Least {
    range: Range,
    after: Option<(i64, i64)>,
    kept: BinaryHeap<(i64, i64)>,
    has_more: bool,
}

impl Least {
    fn of(range: Range) -> Least {
        let after = range.after.map(|after| range.key(after.start_ms, after.id));
        Least { range, after, kept: BinaryHeap::new(), has_more: false }
    }

    fn add(&mut self, start_ms: i64, row: i64) {
        let (first_ms, last_ms) = self.range.starts_ms;
        let key = self.range.key(start_ms, row);
        if start_ms < first_ms || start_ms > last_ms || self.after.is_some_and(|after| key <= after)
        {
            return;
        }
        if self.kept.len() < self.range.rows_max {
            self.kept.push(key);
            return;
        }
        self.has_more = true;
        if self.kept.peek().is_some_and(|last| key < *last) {
            self.kept.pop();
            self.kept.push(key);
        }
    }

    /// No row that starts there, or after that in the order, is among the first.
    fn is_beyond(&self, start_ms: i64) -> bool {
        let first = match self.range.order {
            Order::Start => (start_ms, i64::MIN),
            Order::StartDescending => (!start_ms, i64::MIN),
        };
        self.kept.len() >= self.range.rows_max && self.kept.peek().is_some_and(|last| first > *last)
    }
}

impl Search<'_> {
    /// The first rows of a range that may have the text, and all that are not indexed that have it.
    pub(crate) fn first(&mut self, range: Range) -> rusqlite::Result<Gathered> {
        let mut least = Least::of(range);
        self.unindexed(&mut least)?;
        let mut chunks = self.chunks.clone();
        match range.order {
            Order::Start => chunks.sort_unstable_by_key(|chunk| chunk.first_ms),
            Order::StartDescending => chunks.sort_unstable_by_key(|chunk| Reverse(chunk.last_ms)),
        }
        let (first_ms, last_ms) = range.starts_ms;
        for known in chunks {
            if known.last_ms < first_ms || known.first_ms > last_ms {
                continue;
            }
            let (begins_ms, is_passed) = match range.order {
                Order::Start => (
                    known.first_ms,
                    range.after.is_some_and(|after| known.last_ms < after.start_ms),
                ),
                Order::StartDescending => (
                    known.last_ms,
                    range.after.is_some_and(|after| known.first_ms > after.start_ms),
                ),
            };
            if is_passed {
                continue;
            }
            if least.is_beyond(begins_ms) {
                least.has_more = true;
                break;
            }
            self.of_chunk(known.chunk, known.first_ms, &mut least)?;
        }
        let has_more = least.has_more;
        let keys = least.kept.into_sorted_vec();
        Ok(Gathered { rows: keys.into_iter().map(|key| range.entry(key)).collect(), has_more })
    }

    fn of_chunk(&mut self, chunk: i64, first_ms: i64, least: &mut Least) -> rusqlite::Result<()> {
        let rows = self.rows(chunk)?.clone();
        if rows.count() == 0 {
            return Ok(());
        }
        let mut statement = self
            .snapshot
            .prepare_cached("SELECT rows FROM text_postings WHERE chunk = ?1 AND trigram = ?2")?;
        let mut found = statement.query(params![chunk, STARTS])?;
        let Some(starts) = found.next()? else { return Ok(()) };
        let starts = starts.get_ref(0)?.as_blob()?;
        for place in rows.iter() {
            let row = row_of(chunk, place);
            // What has changed is read by itself.
            if self.changed.as_ref().is_some_and(|changed| changed.contains(&row)) {
                continue;
            }
            if let Some(start_ms) = start(starts, first_ms, place) {
                least.add(start_ms, row);
            }
        }
        Ok(())
    }

    /// Reads what is not indexed.
    fn unindexed(&self, least: &mut Least) -> rusqlite::Result<()> {
        let has = |value: &str| value.to_ascii_lowercase().contains(&self.text);
        let mut take = |row: &Row<'_>| -> rusqlite::Result<()> {
            if has(row.get_ref(2)?.as_str()?) || has(row.get_ref(3)?.as_str()?) {
                least.add(row.get(1)?, row.get(0)?);
            }
            Ok(())
        };
        let mut statement = self
            .snapshot
            .prepare_cached("SELECT id, start_ms, uuid, path FROM recordings WHERE id > ?1")?;
        let mut rows = statement.query([self.reach.through])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        let mut one = self
            .snapshot
            .prepare_cached("SELECT id, start_ms, uuid, path FROM recordings WHERE id = ?1")?;
        for changed in self.changed.iter().flatten() {
            one.query_row([changed], |row| take(row)).optional()?;
        }
        Ok(())
    }
}
