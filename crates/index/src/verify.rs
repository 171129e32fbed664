//! The index's side of a verification.

use focus_core::compare::{Page, Row as ComparedRow};
use focus_core::entry::{Delivery, EntryId};
use focus_core::recording::Place;
use focus_core::verify::IndexedRecording;
use rusqlite::{OptionalExtension, params};

use crate::entry::{ENTRY, ENTRY_COLUMNS, entry};
use crate::place::place;
use crate::rows::{RECORDING, RootId, bytes, recording, signed};
use crate::uuids::{in_order, of_uuid};
use crate::{IndexError, Reader};

/// Columns of a recording and its files that verification reads.
const VERIFIED: &str = "r.id, max(coalesce(f.data_mtime_ns, 0), coalesce(f.side_mtime_ns, 0))";

/// How many these are.
const VERIFIED_COLUMNS: usize = 2;

fn verified(row: &rusqlite::Row<'_>, cutoff_ms: i64) -> rusqlite::Result<IndexedRecording> {
    let newest_ns: i64 = row.get(1)?;
    let entry = entry(row, VERIFIED_COLUMNS)?;
    Ok(IndexedRecording {
        young: entry.delivery != Delivery::Done && newest_ns / 1_000_000 > cutoff_ms,
        row: ComparedRow {
            id: EntryId(row.get(0)?),
            generation: entry.generation,
            known: entry.known,
            vanished: entry.is_vanished(),
            marked: entry.is_marked(),
            changed: false,
            recording: recording(row, VERIFIED_COLUMNS + ENTRY_COLUMNS)?,
        },
    })
}

impl Reader {
    /// Recordings of a root by uuid (bytewise), after `after` and up to `through`, for verification, a page of
    /// them: what is pending and whose files changed after `cutoff_ms` (milliseconds since 1970) is young.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn verified(
        &self,
        root: RootId,
        after: Option<&str>,
        through: Option<&str>,
        limit: usize,
        cutoff_ms: i64,
    ) -> Result<Page<IndexedRecording>, IndexError> {
        self.read(|connection| {
            let upper = if through.is_some() { "AND u.uuid <= ?3" } else { "AND ?3 IS NULL" };
            let rows = in_order(
                &format!("{VERIFIED}, {ENTRY}, {RECORDING}"),
                "JOIN roots t ON t.id = r.root JOIN files f ON f.id = r.file",
                &format!("u.uuid > ?2 AND r.root = ?1 {upper}"),
            );
            let mut statement = connection.prepare_cached(&format!("{rows} LIMIT ?4"))?;
            let rows = statement.query_map(
                params![root.0, after.unwrap_or(""), through, signed(limit as u64)],
                |row| {
                    Ok((verified(row, cutoff_ms)?, bytes(row, VERIFIED_COLUMNS + ENTRY_COLUMNS)?))
                },
            )?;
            Page::fill(limit, rows)
        })
    }

    /// The same for one uuid.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn verified_one(
        &self,
        root: RootId,
        uuid: &str,
        cutoff_ms: i64,
    ) -> Result<Option<IndexedRecording>, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {VERIFIED}, {ENTRY}, {RECORDING} FROM recordings r JOIN roots t ON t.id = r.root
                       JOIN files f ON f.id = r.file WHERE {} AND r.root = ?1",
                    of_uuid!("r.id", "?2")
                ))?
                .query_row(params![root.0, uuid], |row| verified(row, cutoff_ms))
                .optional()
        })
    }

    /// Places that still change, at most `limit`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn unsettled(&self, root: RootId, limit: usize) -> Result<Vec<Place>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT d.path, f.stem FROM files f JOIN folders d ON d.id = f.folder
                 WHERE f.root = ?1 AND f.settled = 0 AND f.state IS NULL AND f.due_ms IS NOT NULL
                   AND (f.data_size IS NOT NULL OR f.side_size IS NOT NULL) ORDER BY f.id LIMIT ?2",
            )?;
            let rows =
                statement.query_map(params![root.0, signed(limit as u64)], |row| place(row, 0))?;
            rows.collect()
        })
    }
}
