//! The entries against the rows: a part of the index's own check.

use rusqlite::{Connection, OptionalExtension, params};

use super::keys::{INDEXING, Key, READY, kept};
use super::settle::{RECORDED, Recorded, recorded};
use crate::coverage;

/// Rows whose values are held against their entries; of more, an even spread.
const ROWS_MAX: i64 = 5_000;

/// What is wrong with the entries of the keys that are kept up; none where they agree with the rows.
pub(crate) fn wrong(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let snapshot = connection.unchecked_transaction()?;
    let keys = kept(&snapshot)?;
    if keys.is_empty() {
        return Ok(None);
    }
    for (words, query) in checks() {
        let found: Option<i64> = snapshot.query_row(&query, [], |row| row.get(0)).optional()?;
        if let Some(found) = found {
            return Ok(Some(format!("of indexed metadata: {words}: {found}")));
        }
    }
    if let Some(recording) = row_wrong(&snapshot, &keys)? {
        return Ok(Some(format!(
            "of indexed metadata: the entries of {recording} are not its values"
        )));
    }
    coverage::wrong_of_values(&snapshot)
}

/// What is looked for in all entries, each of which a query finds the first of.
fn checks() -> [(&'static str, String); 3] {
    let kept = format!("(SELECT id FROM metadata_keys WHERE state IN ({INDEXING}, {READY}))");
    [
        (
            "a value counts others than its entries",
            format!(
                "SELECT v.id FROM metadata_values v WHERE v.key IN {kept} AND (
                   v.entries <> (SELECT count(*) FROM metadata_entries WHERE value = v.id)
                   OR v.there <> (SELECT count(*) FROM metadata_entries WHERE value = v.id AND deleted = 0))
                 LIMIT 1"
            ),
        ),
        (
            "a recording has an entry without a value",
            format!(
                "SELECT e.recording FROM metadata_entries e WHERE e.key IN {kept}
                   AND NOT EXISTS(SELECT 1 FROM metadata_values v WHERE v.id = e.value AND v.key = e.key)
                 LIMIT 1"
            ),
        ),
        (
            "an entry is not as its recording",
            format!(
                "SELECT e.recording FROM metadata_entries e LEFT JOIN recordings r ON r.id = e.recording
                 WHERE e.key IN {kept} AND (r.id IS NULL OR r.span <> e.span OR r.start_ms <> e.start_ms
                   OR r.end_ms <> e.end_ms OR (r.deleted <> 0) <> e.deleted)
                 LIMIT 1"
            ),
        ),
    ]
}

/// The first recording of an even spread whose entries are not those of its values.
fn row_wrong(snapshot: &Connection, keys: &[Key]) -> rusqlite::Result<Option<i64>> {
    let last: i64 =
        snapshot.query_row("SELECT ifnull(max(id), 0) FROM recordings", [], |row| row.get(0))?;
    let indexed: Vec<(i64, i64)> = snapshot
        .prepare(&format!(
            "SELECT id, iif(state = {READY}, {}, through) FROM metadata_keys",
            i64::MAX
        ))?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut next = snapshot.prepare(&format!(
        "SELECT {RECORDED} FROM recordings WHERE id >= ?1 ORDER BY id LIMIT 1"
    ))?;
    let mut at = 0;
    while let Some(row) = next.query_row([at], |row| recorded(row, true)).optional()? {
        for key in keys {
            let through = indexed.iter().find(|(id, _)| *id == key.id).map_or(0, |(_, at)| *at);
            if !is_right(snapshot, key, &row, through)? {
                return Ok(Some(row.recording));
            }
        }
        at = row.recording + (last / ROWS_MAX).max(1);
    }
    Ok(None)
}

/// Whether a recording has the entry of its value at a key; where it is not indexed yet, it may have none.
fn is_right(
    snapshot: &Connection,
    key: &Key,
    row: &Recorded,
    through: i64,
) -> rusqlite::Result<bool> {
    let entry: Option<(String, i64)> = snapshot
        .prepare_cached(
            "SELECT v.value, v.root FROM metadata_entries e JOIN metadata_values v ON v.id = e.value
             WHERE e.recording = ?1 AND e.key = ?2",
        )?
        .query_row(params![row.recording, key.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let value = key.key.text_in(&row.metadata).map(|text| (text, row.root));
    Ok(entry == value || entry.is_none() && row.recording > through)
}
