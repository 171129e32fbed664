//! The entries in step with the rows: the last but one of the steps of every transaction.

use std::collections::BTreeMap;

use focus_core::json::Value;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::keys::{Key, kept};
use crate::coverage::{Changes, LONG_SPAN};
use crate::stage::PENDING;

/// Values whose counts are held back, and hours of their lanes, at most: a statement may change every row. Tests
/// come to it with few.
const HELD_BACK_MAX: usize = if cfg!(test) { 6 } else { 16_384 };

/// Brings entries, values and lanes in step with what this transaction has changed.
pub(crate) fn settle(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let (has_acked, has_changed): (bool, bool) = tx
        .prepare_cached(
            "SELECT EXISTS(SELECT 1 FROM metadata_acked), EXISTS(SELECT 1 FROM metadata_changed)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if !has_acked && !has_changed {
        return Ok(());
    }
    let keys = kept(tx)?;
    let mut entries = Entries::new(tx);
    // First: of what changes besides, the hours are computed anew, and what is new brings its own state.
    if has_acked {
        entries.acknowledged(&keys)?;
        tx.prepare_cached("DELETE FROM metadata_acked")?.execute([])?;
    }
    if has_changed {
        let mut statement =
            tx.prepare_cached("SELECT recording, content, gone FROM metadata_changed")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            entries.changed(&keys, row.get(0)?, row.get(1)?, row.get(2)?)?;
        }
        drop(rows);
        tx.prepare_cached("DELETE FROM metadata_changed")?.execute([])?;
    }
    entries.carry_out()
}

/// What an entry has besides its recording and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: i64,
    pub(super) span: i64,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) deleted: bool,
}

impl Entry {
    /// From `span, start_ms, end_ms, deleted` beginning at `at`.
    pub(super) fn read(row: &Row<'_>, at: usize, value: i64) -> rusqlite::Result<Entry> {
        Ok(Entry {
            value,
            span: row.get(at)?,
            start_ms: row.get(at + 1)?,
            end_ms: row.get(at + 2)?,
            deleted: row.get(at + 3)?,
        })
    }

    /// It is in hours of its lane.
    fn is_in_hours(&self) -> bool {
        !self.deleted && self.span < LONG_SPAN
    }
}

/// A recording as its row says.
pub(super) struct Recorded {
    pub(super) recording: i64,
    pub(super) root: i64,
    /// Without a value.
    pub(super) entry: Entry,
    pub(super) pending: bool,
    pub(super) metadata: Value,
}

/// The columns that [`recorded`] reads.
pub(super) const RECORDED: &str =
    "id, root, span, start_ms, end_ms, deleted <> 0, pending = 1, metadata";
const _: () = assert!(PENDING == 1, "as the columns say");

/// Reads a recording; its metadata where that is asked for.
pub(super) fn recorded(row: &Row<'_>, with_metadata: bool) -> rusqlite::Result<Recorded> {
    let metadata = match with_metadata {
        // What is stored was made from such a value; a damaged one has no values until it is read again.
        true => {
            Value::from_text(row.get_ref(7)?.as_str().unwrap_or_default()).unwrap_or(Value::Null)
        }
        false => Value::Null,
    };
    Ok(Recorded {
        recording: row.get(0)?,
        root: row.get(1)?,
        entry: Entry::read(row, 2, 0)?,
        pending: row.get(6)?,
        metadata,
    })
}

/// Entries that a transaction changes, and what follows for values and lanes.
pub(super) struct Entries<'a, 'tx> {
    tx: &'a Transaction<'tx>,
    /// By value: how many more entries it has, and how many more of them are not deleted.
    counts: BTreeMap<i64, (i64, i64)>,
    lanes: Changes,
}

impl<'a, 'tx> Entries<'a, 'tx> {
    pub(super) fn new(tx: &'a Transaction<'tx>) -> Entries<'a, 'tx> {
        Entries { tx, counts: BTreeMap::new(), lanes: Changes::default() }
    }

    /// Recordings became pending, or are not any more.
    fn acknowledged(&mut self, keys: &[Key]) -> rusqlite::Result<()> {
        let tx = self.tx;
        let mut statement = tx.prepare_cached(&format!(
            "SELECT e.key, e.value, e.start_ms, a.delta
             FROM metadata_acked a CROSS JOIN metadata_entries e ON e.recording = a.recording
             WHERE a.delta <> 0 AND e.deleted = 0 AND e.span < {LONG_SPAN}"
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            if keys.iter().any(|one| one.id == key && one.has_lanes) {
                self.lanes.pending(-row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?);
                self.relieve()?;
            }
        }
        Ok(())
    }

    /// A row changed: its content or only its times, or it is gone, and another one may be in its place.
    fn changed(
        &mut self,
        keys: &[Key],
        recording: i64,
        content: bool,
        gone: bool,
    ) -> rusqlite::Result<()> {
        let before = self.of(recording)?;
        let row = self
            .tx
            .prepare_cached(&format!("SELECT {RECORDED} FROM recordings WHERE id = ?1"))?
            .query_row([recording], |row| recorded(row, content))
            .optional()?;
        for key in keys {
            let before = before.iter().find(|(id, _)| *id == key.id).map(|(_, entry)| *entry);
            let value = match &row {
                None => None,
                Some(row) if content => self.value_of(key, row)?,
                Some(_) => before.map(|entry| entry.value),
            };
            let after = value.zip(row.as_ref()).map(|(value, row)| Entry { value, ..row.entry });
            if before == after && !gone {
                continue;
            }
            if let Some(before) = before {
                self.went(key, &before);
            }
            match (after, &row) {
                (Some(after), Some(row)) => self.put(key, row, &after)?,
                _ => self.remove(key, recording)?,
            }
        }
        self.relieve()
    }

    /// The entries of a recording, by key.
    pub(super) fn of(&self, recording: i64) -> rusqlite::Result<Vec<(i64, Entry)>> {
        self.tx
            .prepare_cached(
                "SELECT key, value, span, start_ms, end_ms, deleted FROM metadata_entries WHERE recording = ?1",
            )?
            .query_map([recording], |row| Ok((row.get(0)?, Entry::read(row, 2, row.get(1)?)?)))?
            .collect()
    }

    /// The number of the value that a recording has at a key; none where it has none.
    pub(super) fn value_of(&self, key: &Key, row: &Recorded) -> rusqlite::Result<Option<i64>> {
        let Some(text) = key.key.text_in(&row.metadata) else { return Ok(None) };
        let found = self
            .tx
            .prepare_cached(
                "SELECT id FROM metadata_values WHERE key = ?1 AND value = ?2 AND root = ?3",
            )?
            .query_row(params![key.id, text, row.root], |row| row.get(0))
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
        self.tx
            .prepare_cached("INSERT INTO metadata_values(key, value, root) VALUES(?1, ?2, ?3)")?
            .execute(params![key.id, text, row.root])?;
        Ok(Some(self.tx.last_insert_rowid()))
    }

    /// Stores an entry in place of the one that is there.
    pub(super) fn put(&mut self, key: &Key, row: &Recorded, entry: &Entry) -> rusqlite::Result<()> {
        self.tx
            .prepare_cached(
                "INSERT OR REPLACE INTO metadata_entries VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                row.recording,
                key.id,
                entry.value,
                entry.span,
                entry.start_ms,
                entry.end_ms,
                entry.deleted
            ])?;
        self.count(entry, 1);
        if key.has_lanes && entry.is_in_hours() {
            self.lanes.came(-entry.value, (entry.start_ms, entry.end_ms), row.pending);
        }
        Ok(())
    }

    fn remove(&mut self, key: &Key, recording: i64) -> rusqlite::Result<()> {
        self.tx
            .prepare_cached("DELETE FROM metadata_entries WHERE recording = ?1 AND key = ?2")?
            .execute(params![recording, key.id])?;
        Ok(())
    }

    fn went(&mut self, key: &Key, entry: &Entry) {
        self.count(entry, -1);
        if key.has_lanes && entry.is_in_hours() {
            self.lanes.went(-entry.value, (entry.start_ms, entry.end_ms));
        }
    }

    fn count(&mut self, entry: &Entry, delta: i64) {
        let known = self.counts.entry(entry.value).or_default();
        known.0 += delta;
        known.1 += if entry.deleted { 0 } else { delta };
    }

    /// Carries out what is held back, where that is so much. What follows later changes the same hours once more.
    fn relieve(&mut self) -> rusqlite::Result<()> {
        if self.counts.len() < HELD_BACK_MAX && self.lanes.len() < HELD_BACK_MAX {
            return Ok(());
        }
        self.carry_out()
    }

    fn count_all(&mut self) -> rusqlite::Result<()> {
        for (value, (entries, there)) in std::mem::take(&mut self.counts) {
            if (entries, there) != (0, 0) {
                self.tx
                    .prepare_cached(
                        "UPDATE metadata_values SET entries = entries + ?2, there = there + ?3 WHERE id = ?1",
                    )?
                    .execute(params![value, entries, there])?;
            }
            // Also one that was made for an entry which went again.
            if entries <= 0 {
                let removed = self
                    .tx
                    .prepare_cached("DELETE FROM metadata_values WHERE id = ?1 AND entries <= 0")?
                    .execute([value])?;
                if removed > 0 {
                    crate::coverage::forget_lane(self.tx, -value)?;
                }
            }
        }
        Ok(())
    }

    /// Brings values and lanes in step.
    pub(super) fn carry_out(&mut self) -> rusqlite::Result<()> {
        self.count_all()?;
        std::mem::take(&mut self.lanes).carry_out(self.tx)
    }
}
