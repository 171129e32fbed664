//! Keys that are new are indexed, and keys that leave are dropped, in transactions of bounded size.

use focus_crash::Write;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::keys::{
    ANEW, INDEXING, KEPT_MAX, Key, LANES_DROPPING, LANES_KEPT, LEAVING, NO_LANES, READY,
    VALUES_MAX, kept, of_states, values, watch,
};
use super::settle::{Entries, Entry, RECORDED, recorded};
use crate::coverage::drop_days;
use crate::{Index, IndexError};

/// Entries and days of one transaction: it takes some ten milliseconds, and the writer serves others in between.
const PART_MAX: usize = 1_000;

/// Bytes of metadata that one transaction reads, at about.
const BYTES_MAX: usize = 4 << 20;

impl Index {
    /// Does a part of what is to be done for indexed keys: at most 1,000 entries. To be called until there is no more to
    /// do, which it then says; what was done stays over a restart.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn metadata_step(&self) -> Result<bool, IndexError> {
        self.write(Write::MetadataStep, step).await
    }
}

/// Whether there may be more to do.
pub(crate) fn step(tx: &Transaction<'_>) -> rusqlite::Result<bool> {
    if let Some(key) = of_states(tx, &format!("{LEAVING}, {ANEW}"))?.first() {
        leave(tx, key.id)?;
        return Ok(true);
    }
    if let Some(key) = with_lanes(tx, LANES_DROPPING)?.first() {
        drop_lanes(tx, *key)?;
        return Ok(true);
    }
    if build(tx)? {
        return Ok(true);
    }
    review(tx)
}

/// The keys that are kept up and whose lanes are so.
fn with_lanes(connection: &Connection, lanes: i64) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(&format!(
            "SELECT id FROM metadata_keys WHERE lanes = ?1 AND state IN ({INDEXING}, {READY}) ORDER BY id"
        ))?
        .query_map([lanes], |row| row.get(0))?
        .collect()
}

/// Indexes rows for the keys that are furthest behind, all at once. False: every key is indexed.
fn build(tx: &Transaction<'_>) -> rusqlite::Result<bool> {
    let through: Option<i64> = tx.query_row(
        &format!("SELECT min(through) FROM metadata_keys WHERE state = {INDEXING}"),
        [],
        |row| row.get(0),
    )?;
    let Some(through) = through else { return Ok(false) };
    let behind: Vec<i64> = tx
        .prepare_cached(&format!(
            "SELECT id FROM metadata_keys WHERE state = {INDEXING} AND through = ?1"
        ))?
        .query_map([through], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let keys: Vec<Key> = kept(tx)?.into_iter().filter(|key| behind.contains(&key.id)).collect();
    let mut entries = Entries::new(tx);
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {RECORDED} FROM recordings WHERE id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let rows_max = PART_MAX / keys.len().clamp(1, PART_MAX);
    let mut rows = statement.query(params![through, rows_max as i64])?;
    let (mut last, mut done, mut bytes) = (through, 0_usize, 0);
    while bytes < BYTES_MAX
        && let Some(row) = rows.next()?
    {
        bytes += row.get_ref(7)?.as_str().map_or(0, str::len);
        let row = recorded(row, true)?;
        // What changed since the key is known has its entry.
        let known = entries.of(row.recording)?;
        for key in keys.iter().filter(|key| !known.iter().any(|(id, _)| *id == key.id)) {
            if let Some(value) = entries.value_of(key, &row)? {
                entries.put(key, &row, &Entry { value, ..row.entry })?;
            }
        }
        (last, done) = (row.recording, done + 1);
    }
    drop(rows);
    entries.carry_out()?;
    let state = if done < rows_max && bytes < BYTES_MAX { READY } else { INDEXING };
    for key in &keys {
        tx.prepare_cached(
            "UPDATE metadata_keys SET through = ?2, done = done + ?3, state = ?4 WHERE id = ?1",
        )?
        .execute(params![key.id, last, done as i64, state])?;
        if key.has_lanes && values(tx, key.id, KEPT_MAX + 1)? > KEPT_MAX {
            set_lanes(tx, key.id, LANES_DROPPING)?;
        }
    }
    Ok(true)
}

/// Drops a part of a key; with the last part the key itself, or it is indexed anew.
fn leave(tx: &Transaction<'_>, key: i64) -> rusqlite::Result<()> {
    let through: i64 =
        tx.query_row("SELECT through FROM metadata_keys WHERE id = ?1", [key], |row| row.get(0))?;
    // By recording and not by value, so that nothing stays that has lost its value.
    let next: Option<i64> = tx
        .prepare_cached(
            "SELECT max(recording) FROM (SELECT DISTINCT recording FROM metadata_entries
               WHERE recording > ?1 ORDER BY recording LIMIT ?2)",
        )?
        .query_row(params![through, PART_MAX as i64], |row| row.get(0))?;
    if let Some(next) = next {
        tx.prepare_cached(
            "DELETE FROM metadata_entries WHERE recording > ?1 AND recording <= ?2 AND key = ?3",
        )?
        .execute(params![through, next, key])?;
        tx.prepare_cached("UPDATE metadata_keys SET through = ?2 WHERE id = ?1")?
            .execute(params![key, next])?;
        return Ok(());
    }
    let mut left = PART_MAX;
    while left > 0 {
        let value: Option<i64> = tx
            .prepare_cached("SELECT id FROM metadata_values WHERE key = ?1 LIMIT 1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        let Some(value) = value else { return left_for_good(tx, key) };
        if drop_days(tx, -value, &mut left)? {
            tx.prepare_cached("DELETE FROM metadata_values WHERE id = ?1")?.execute([value])?;
            left = left.saturating_sub(1);
        }
    }
    Ok(())
}

/// Nothing of a key is left.
fn left_for_good(tx: &Transaction<'_>, key: i64) -> rusqlite::Result<()> {
    tx.execute(&format!("DELETE FROM metadata_keys WHERE id = ?1 AND state = {LEAVING}"), [key])?;
    tx.execute(
        &format!(
            "UPDATE metadata_keys SET state = {INDEXING}, through = 0, done = 0, lanes = {LANES_KEPT}, swept = 0
             WHERE id = ?1 AND state = {ANEW}"
        ),
        [key],
    )?;
    watch(tx)
}

/// Drops a part of what is kept of covered time by the values of a key.
fn drop_lanes(tx: &Transaction<'_>, key: i64) -> rusqlite::Result<()> {
    let mut swept: i64 =
        tx.query_row("SELECT swept FROM metadata_keys WHERE id = ?1", [key], |row| row.get(0))?;
    let mut left = PART_MAX;
    while left > 0 {
        let lane: Option<i64> = tx
            .prepare_cached("SELECT max(lane) FROM covered_days WHERE lane < ?1")?
            .query_row([swept], |row| row.get(0))?;
        let Some(lane) = lane else { return set_lanes(tx, key, NO_LANES) };
        let is_its: bool = tx
            .prepare_cached(
                "SELECT EXISTS(SELECT 1 FROM metadata_values WHERE id = ?1 AND key = ?2)",
            )?
            .query_row(params![-lane, key], |row| row.get(0))?;
        if !is_its || drop_days(tx, lane, &mut left)? {
            swept = lane;
        }
        left = left.saturating_sub(1);
    }
    tx.prepare_cached("UPDATE metadata_keys SET swept = ?2 WHERE id = ?1")?
        .execute(params![key, swept])?;
    Ok(())
}

/// Has covered time kept by the values of a key, or not any more, where their number asks for it. Whether it did.
fn review(tx: &Transaction<'_>) -> rusqlite::Result<bool> {
    for key in with_lanes(tx, LANES_KEPT)? {
        if values(tx, key, KEPT_MAX + 1)? > KEPT_MAX {
            set_lanes(tx, key, LANES_DROPPING)?;
            return Ok(true);
        }
    }
    for key in with_lanes(tx, NO_LANES)? {
        if values(tx, key, VALUES_MAX + 1)? <= VALUES_MAX {
            tx.execute(
                &format!("UPDATE metadata_keys SET state = {ANEW}, through = 0 WHERE id = ?1"),
                [key],
            )?;
            watch(tx)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn set_lanes(tx: &Transaction<'_>, key: i64, lanes: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE metadata_keys SET lanes = ?2, swept = 0 WHERE id = ?1")?
        .execute(params![key, lanes])?;
    Ok(())
}
