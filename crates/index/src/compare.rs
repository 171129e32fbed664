//! The index's side of a comparison with the catalog, and the memory of whose catalog it is.

use focus_core::compare::{Compared, Page, Row};
use focus_core::recording::Place;
use focus_core::verify::IndexedRecording;
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::acknowledge::drop_row;
use crate::rows::{RECORDING, RootId, RootMemory, bytes, recording, signed};
use crate::{Index, IndexError, Reader};

impl Reader {
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
            let upper = if through.is_some() { "AND r.uuid <= ?3" } else { "AND ?3 IS NULL" };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COMPARED}, {RECORDING} FROM recordings r JOIN roots t ON t.id = r.root
                 WHERE r.uuid > ?2 AND r.root = ?1 {upper} ORDER BY r.uuid LIMIT ?4"
            ))?;
            let rows = statement.query_map(
                params![root.0, after.unwrap_or(""), through, signed(limit as u64)],
                |row| Ok((compared(row)?, bytes(row, COMPARED_COLUMNS)?)),
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
                "SELECT {COMPARED}, {RECORDING} FROM recordings r JOIN roots t ON t.id = r.root
                 WHERE r.uuid = ?2 AND r.root = ?1"
            ))?;
            let mut rows = Vec::new();
            for uuid in uuids {
                rows.extend(statement.query_row(params![root.0, uuid], compared).optional()?);
            }
            Ok(rows)
        })
    }
}

/// Columns of a recording that a comparison reads.
const COMPARED: &str =
    "r.id, r.generation, r.known, r.vanished_ms IS NOT NULL AND r.vanish_step <> 3,
   r.vanish_step = 3, r.generation > 1 AND r.acked IS NOT r.generation";

/// How many these are.
const COMPARED_COLUMNS: usize = 6;

fn compared(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: row.get(0)?,
        generation: row.get(1)?,
        acknowledged: row.get(2)?,
        vanished: row.get(3)?,
        marked: row.get(4)?,
        changed: row.get(5)?,
        recording: recording(row, COMPARED_COLUMNS)?,
    })
}

/// Columns of a recording and its files that verification reads.
const VERIFIED: &str = "r.id, r.generation, r.acked IS NOT NULL OR r.known,
   r.vanished_ms IS NOT NULL AND r.vanish_step <> 3, r.vanish_step = 3, r.pending <> 0,
   max(coalesce(f.data_mtime_ns, 0), coalesce(f.side_mtime_ns, 0))";

/// How many these are.
const VERIFIED_COLUMNS: usize = 7;

fn verified(row: &rusqlite::Row<'_>, cutoff_ms: i64) -> rusqlite::Result<IndexedRecording> {
    let pending: bool = row.get(5)?;
    let newest_ns: i64 = row.get(6)?;
    Ok(IndexedRecording {
        young: pending && newest_ns / 1_000_000 > cutoff_ms,
        row: Row {
            id: row.get(0)?,
            generation: row.get(1)?,
            acknowledged: row.get(2)?,
            vanished: row.get(3)?,
            marked: row.get(4)?,
            changed: false,
            recording: recording(row, VERIFIED_COLUMNS)?,
        },
    })
}

impl Reader {
    /// Recordings of a root by uuid (bytewise), after `after`, for verification, a page of them: what is
    /// pending and whose files changed after `cutoff_ms` (milliseconds since 1970) is young.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn verified(
        &self,
        root: RootId,
        after: Option<&str>,
        limit: usize,
        cutoff_ms: i64,
    ) -> Result<Page<IndexedRecording>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {VERIFIED}, {RECORDING} FROM recordings r JOIN roots t ON t.id = r.root
                   JOIN files f ON f.id = r.file
                 WHERE r.uuid > ?2 AND r.root = ?1 ORDER BY r.uuid LIMIT ?3"
            ))?;
            let rows = statement
                .query_map(params![root.0, after.unwrap_or(""), signed(limit as u64)], |row| {
                    Ok((verified(row, cutoff_ms)?, bytes(row, VERIFIED_COLUMNS)?))
                })?;
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
                    "SELECT {VERIFIED}, {RECORDING} FROM recordings r JOIN roots t ON t.id = r.root
                       JOIN files f ON f.id = r.file WHERE r.uuid = ?2 AND r.root = ?1"
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
            let rows = statement.query_map(params![root.0, signed(limit as u64)], |row| {
                Ok(Place { folder: row.get(0)?, stem: row.get(1)? })
            })?;
            rows.collect()
        })
    }

    /// The marker of the root that was last seen at this path, if any was.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn marker_at(&self, path: &str) -> Result<Option<String>, IndexError> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT marker FROM roots WHERE path = ?1 ORDER BY id DESC LIMIT 1",
                    [path],
                    |row| row.get(0),
                )
                .optional()
        })
    }
}

impl Index {
    /// The root with this marker, made where it is new. Boot-clock times of an earlier process
    /// mean nothing any more: what was unsettled or set aside is looked at and tried again at once.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn root(
        &self,
        marker: String,
        path: String,
        now_boot_ms: u64,
    ) -> Result<RootMemory, IndexError> {
        self.write(Write::Root, move |tx| root(tx, &marker, &path, now_boot_ms)).await
    }

    /// As [`Index::root`], from a thread that may block.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn root_blocking(
        &self,
        marker: String,
        path: String,
        now_boot_ms: u64,
    ) -> Result<RootMemory, IndexError> {
        self.write_blocking(Write::Root, move |tx| root(tx, &marker, &path, now_boot_ms))
    }

    /// Stores that a comparison with this database is owed.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn owe(&self, root: RootId, identity: String) -> Result<(), IndexError> {
        self.write(Write::Owe, move |tx| {
            tx.execute(
                "UPDATE roots SET owed = 1, identity = ?2 WHERE id = ?1",
                params![root.0, identity],
            )?;
            // The unrecognised collection is put anew along with the comparison.
            tx.execute(
                "UPDATE files SET report_seq = report_seq + 1
                 WHERE root = ?1 AND state IS NOT NULL AND report_seq = reported_seq",
                [root.0],
            )?;
            Ok(())
        })
        .await
    }

    /// Stores what one step of a comparison found. Recordings that changed meanwhile are passed over.
    /// Gives how many of those that the catalog has were dropped from the index meanwhile.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub async fn found(
        &self,
        findings: Vec<(i64, i64, Compared)>,
        now_wall_ms: i64,
    ) -> Result<u64, IndexError> {
        self.write(Write::Found, move |tx| {
            let mut gone = 0;
            for (id, generation, finding) in findings {
                apply(tx, id, generation, finding, now_wall_ms)?;
                if finding != Compared::NotThere {
                    let is_there: bool = tx
                        .prepare_cached("SELECT EXISTS(SELECT 1 FROM recordings WHERE id = ?1)")?
                        .query_row([id], |row| row.get(0))?;
                    gone += u64::from(!is_there);
                }
            }
            Ok(gone)
        })
        .await
    }

    /// Stores that the comparison has finished, with the watermark written after it. `again`: it could
    /// not use all it found, and another one is owed.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn finish_comparison(
        &self,
        root: RootId,
        identity: String,
        watermark: String,
        again: bool,
    ) -> Result<(), IndexError> {
        self.write(Write::Finish, move |tx| {
            tx.execute(
                "UPDATE roots SET owed = ?4, identity = ?2, remembered = ?3, noted = NULL WHERE id = ?1",
                params![root.0, identity, watermark, again],
            )?;
            Ok(())
        })
        .await
    }
}

fn root(
    tx: &Transaction<'_>,
    marker: &str,
    path: &str,
    now_boot_ms: u64,
) -> rusqlite::Result<RootMemory> {
    tx.execute(
        "INSERT INTO roots(marker, path) VALUES(?1, ?2) ON CONFLICT(marker) DO UPDATE SET path = ?2",
        params![marker, path],
    )?;
    let memory = tx.query_row(
        "SELECT id, identity, remembered, noted, owed, token, complete_through_ms, token_seen FROM roots WHERE marker = ?1",
        [marker],
        |row| {
            Ok(RootMemory {
                id: RootId(row.get(0)?),
                identity: row.get(1)?,
                remembered: row.get(2)?,
                noted: row.get(3)?,
                owed: row.get(4)?,
                token: row.get(5)?,
                token_seen: row.get(7)?,
                complete_through_ms: row.get(6)?,
            })
        },
    )?;
    let now = signed(now_boot_ms);
    tx.execute(
        "UPDATE files SET due_ms = 0, changed_ms = 0,
           data_since_ms = CASE WHEN data_size IS NULL THEN NULL ELSE ?2 END,
           side_since_ms = CASE WHEN side_size IS NULL THEN NULL ELSE ?2 END
         WHERE root = ?1 AND due_ms IS NOT NULL",
        params![memory.id.0, now],
    )?;
    tx.execute(
        "UPDATE recordings SET pending = 1, retry_ms = NULL WHERE root = ?1 AND pending = 2",
        [memory.id.0],
    )?;
    // The first of two proofs was an earlier process's.
    tx.execute(
        "UPDATE recordings SET vanish_step = 0, proof_ms = NULL
         WHERE root = ?1 AND vanished_ms IS NOT NULL AND vanish_step IN (1, 4)",
        [memory.id.0],
    )?;
    Ok(memory)
}

/// A drill's recording that waits to be removed, and was not there at the last comparison either: a
/// server that stands by removes nothing, and learns by this that the holder has.
fn gone_for_good(
    tx: &Transaction<'_>,
    id: i64,
    generation: i64,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let row = tx
        .prepare_cached(
            "DELETE FROM recordings WHERE id = ?1 AND generation = ?2 AND vanish_step = 5 AND known = 0
             RETURNING root, file",
        )?
        .query_row(params![id, generation], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((root, file)) = row else { return Ok(false) };
    drop_row(tx, root, file, generation, now_ms)?;
    Ok(true)
}

fn apply(
    tx: &Transaction<'_>,
    id: i64,
    generation: i64,
    finding: Compared,
    now_ms: i64,
) -> rusqlite::Result<()> {
    if finding == Compared::NotThere && gone_for_good(tx, id, generation, now_ms)? {
        return Ok(());
    }
    if finding != Compared::NotThere {
        // Whatever became of the row since it was read: the catalog has a document of it.
        tx.prepare_cached(
            "UPDATE recordings SET known = 1
             WHERE id = ?1 AND known = 0 AND (generation <> ?2 OR pending <> 0)",
        )?
        .execute(params![id, generation])?;
    }
    let statement = match finding {
        Compared::Same => {
            "UPDATE recordings SET acked = ?2, known = 1, pending = 0, pending_since_ms = NULL,
               retry_ms = NULL WHERE id = ?1 AND generation = ?2 AND ?3 IS NOT NULL RETURNING file"
        }
        Compared::Differs => {
            // What is gone, and not marked, is told in full should it come back.
            "UPDATE recordings SET known = 1,
               pending_since_ms = CASE WHEN vanished_ms IS NULL OR vanish_step = 3
                 THEN coalesce(pending_since_ms, ?3) END,
               pending = vanished_ms IS NULL OR vanish_step = 3,
               acked = CASE WHEN vanished_ms IS NULL OR vanish_step = 3 THEN acked END
             WHERE id = ?1 AND generation = ?2 AND pending = 0 RETURNING file"
        }
        Compared::Deleted(since_ms) => {
            let since_ms = since_ms.unwrap_or(now_ms);
            tx.prepare_cached(
                "UPDATE recordings SET vanish_step = 3, marked_ms = ?3, deleted = deleted | 2, approved = 1,
                   held_seq = NULL, held_why = NULL, acked = ?2, known = 1, pending = 0,
                   pending_since_ms = NULL, retry_ms = NULL
                 WHERE id = ?1 AND generation = ?2 AND vanished_ms IS NOT NULL",
            )?
            .execute(params![id, generation, since_ms])?;
            return Ok(());
        }
        Compared::NotThere => {
            // Inserted first; what was acknowledged since the page was read is there all the same. What is
            // gone from storage too is news again, should it come back.
            "UPDATE recordings SET known = 0,
               pending_since_ms =
                 CASE WHEN vanished_ms IS NULL THEN coalesce(pending_since_ms, ?3) END,
               pending = CASE WHEN pending = 0 AND vanished_ms IS NULL THEN 1 ELSE pending END
             WHERE id = ?1 AND generation = ?2 AND vanish_step <> 3 RETURNING file"
        }
    };
    let file = tx
        .prepare_cached(statement)?
        .query_row(params![id, generation, now_ms], |row| row.get::<_, i64>(0))
        .optional()?;
    if let (Some(file), Compared::Same) = (file, finding) {
        tx.prepare_cached(
            "UPDATE files SET state = NULL, reason = NULL, faulty_since_ms = NULL,
               report_seq = report_seq + 1
             WHERE id = ?1 AND state IN ('catalog_refused', 'duplicate_id')",
        )?
        .execute([file])?;
    }
    Ok(())
}
