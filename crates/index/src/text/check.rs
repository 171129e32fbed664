//! The text index against the rows: a part of the index's own check.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::build::Reach;
use super::posting::{LONG, Rows, STARTS, at, chunk_of, start, trigrams_of};

/// Rows that are held against their chunk; of more, an even spread.
const ROWS_MAX: i64 = 1_000;

/// What is wrong with the text index; none where a search by it finds what is there.
pub(crate) fn wrong(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let snapshot = connection.unchecked_transaction()?;
    let lines: i64 = snapshot.query_row("SELECT count(*) FROM text_index", [], |row| row.get(0))?;
    if lines != 1 {
        return Ok(Some("of the text index: nobody knows how far it is".to_owned()));
    }
    let Reach { through, last } = Reach::of(&snapshot)?;
    let mut next = snapshot.prepare(
        "SELECT id, start_ms, uuid, path FROM recordings WHERE id >= ?1 AND id <= ?2
           AND id NOT IN (SELECT recording FROM text_changed) ORDER BY id LIMIT 1",
    )?;
    let mut from = i64::MIN;
    loop {
        let row = next.query_row(params![from, through], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
        });
        let Some((row, start_ms, uuid, path)) = row.optional()? else { return Ok(None) };
        if !is_indexed(&snapshot, (row, start_ms), &uuid, &path)? {
            return Ok(Some(format!("of the text index: it does not have {uuid}")));
        }
        from = row + (last / ROWS_MAX).max(1);
    }
}

/// Whether a search finds this row by each part of its texts, and at its start.
fn is_indexed(
    snapshot: &Connection,
    (row, start_ms): (i64, i64),
    uuid: &str,
    path: &str,
) -> rusqlite::Result<bool> {
    let ends: Option<(i64, i64, bool)> = snapshot
        .prepare_cached("SELECT first_ms, last_ms, has_long FROM text_chunks WHERE chunk = ?1")?
        .query_row([chunk_of(row)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((first_ms, last_ms, has_long)) = ends else { return Ok(false) };
    let stored = |trigram: i64| -> rusqlite::Result<Option<Vec<u8>>> {
        snapshot
            .prepare_cached("SELECT rows FROM text_postings WHERE chunk = ?1 AND trigram = ?2")?
            .query_row(params![chunk_of(row), trigram], |row| row.get(0))
            .optional()
    };
    let is_in = |trigram| -> rusqlite::Result<bool> {
        Ok(stored(trigram)?.is_some_and(|stored| Rows::decode(&stored).has(at(row))))
    };
    let known = stored(STARTS)?.and_then(|stored| start(&stored, first_ms, at(row)));
    if known != Some(start_ms) || start_ms < first_ms || start_ms > last_ms {
        return Ok(false);
    }
    let Some(trigrams) = trigrams_of(uuid, path) else { return Ok(has_long && is_in(LONG)?) };
    for trigram in trigrams.collect::<BTreeSet<_>>() {
        if !is_in(trigram)? {
            return Ok(false);
        }
    }
    Ok(true)
}
