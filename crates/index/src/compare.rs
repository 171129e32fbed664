//! The index's side of a comparison with the catalog.

use focus_core::compare::{Compared, ComparedEntry, Page, Row};
use focus_core::entry::EntryId;
use focus_core::entry::compared::compared;
use focus_crash::Write;
use rusqlite::{OptionalExtension, params};

use crate::entry::{ENTRY, ENTRY_COLUMNS, apply, entry, load};
use crate::rows::{RECORDING, RootId, bytes, recording, signed};
use crate::uuids::{in_order, of_uuid};
use crate::{Index, IndexError, Reader};

impl Reader {
    /// The uuid of the `nth` recording of a root, by uuid (bytewise), after `after`; the first is 1. None where there
    /// are not so many.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn uuid_after(
        &self,
        root: RootId,
        after: Option<&str>,
        nth: usize,
    ) -> Result<Option<String>, IndexError> {
        self.read(|connection| {
            // The tables of uuids answer for a single root; a row's root is looked up only where there are several.
            let is_alone: bool = connection
                .prepare_cached("SELECT count(*) = 1 FROM roots")?
                .query_row([], |row| row.get(0))?;
            let sql = if is_alone {
                "SELECT uuid FROM uuids WHERE uuid > ?2 AND ?1 NOTNULL UNION ALL
                 SELECT uuid FROM uuids_new WHERE uuid > ?2 ORDER BY uuid LIMIT 1 OFFSET ?3"
                    .to_owned()
            } else {
                format!(
                    "{} LIMIT 1 OFFSET ?3",
                    in_order("r.uuid", "", "u.uuid > ?2 AND r.root = ?1")
                )
            };
            connection
                .prepare_cached(&sql)?
                .query_row(
                    params![root.0, after.unwrap_or(""), signed(nth.saturating_sub(1) as u64)],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// Recordings of a root by uuid (bytewise), after `after` and up to `through`: a page of them.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn range(
        &self,
        root: RootId,
        after: Option<&str>,
        through: Option<&str>,
        limit: usize,
    ) -> Result<Page<Row>, IndexError> {
        self.read(|connection| {
            let upper = if through.is_some() { "AND u.uuid <= ?3" } else { "AND ?3 IS NULL" };
            let rows = in_order(
                &format!("r.id, {ENTRY}, {RECORDING}"),
                "JOIN roots t ON t.id = r.root",
                &format!("u.uuid > ?2 AND r.root = ?1 {upper}"),
            );
            let mut statement = connection.prepare_cached(&format!("{rows} LIMIT ?4"))?;
            let rows = statement.query_map(
                params![root.0, after.unwrap_or(""), through, signed(limit as u64)],
                |row| Ok((compared_row(row)?, bytes(row, 1 + ENTRY_COLUMNS)?)),
            )?;
            Page::fill(limit, rows)
        })
    }

    /// The recordings of a root with these uuids.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn rows_of(
        &self,
        root: RootId,
        uuids: impl IntoIterator<Item = String>,
    ) -> Result<Vec<Row>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT r.id, {ENTRY}, {RECORDING} FROM recordings r JOIN roots t ON t.id = r.root
                 WHERE {} AND r.root = ?1",
                of_uuid!("r.id", "?2")
            ))?;
            let mut rows = Vec::new();
            for uuid in uuids {
                rows.extend(statement.query_row(params![root.0, uuid], compared_row).optional()?);
            }
            Ok(rows)
        })
    }
}

fn compared_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let entry = entry(row, 1)?;
    Ok(Row {
        id: EntryId(row.get(0)?),
        generation: entry.generation,
        known: entry.known,
        vanished: entry.is_vanished(),
        marked: entry.is_marked(),
        changed: entry.is_changed(),
        recording: recording(row, 1 + ENTRY_COLUMNS)?,
    })
}

impl Index {
    /// Stores what one step of a comparison found: which entry, the generation that was compared, and what
    /// was found. Gives how many of those that the catalog has were dropped from the index meanwhile.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub async fn found(
        &self,
        findings: Vec<ComparedEntry>,
        now_wall_ms: i64,
    ) -> Result<u64, IndexError> {
        self.write(Write::Found, move |tx| {
            let mut dropped = 0;
            for ComparedEntry { id, generation, found } in findings {
                let Some(loaded) = load(tx, id)? else {
                    dropped += u64::from(found != Compared::NotThere);
                    continue;
                };
                let turn = compared(loaded.entry, generation, found, now_wall_ms);
                apply(tx, &loaded, turn, None, now_wall_ms)?;
            }
            Ok(dropped)
        })
        .await
    }
}
