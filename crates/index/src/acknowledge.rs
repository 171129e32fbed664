//! From pending to acknowledged: pending is cleared only by an acknowledgement of the same generation.

use std::collections::HashSet;

use focus_core::recording::Recording;
use focus_core::state::{Fault, State};
use focus_crash::Write;
use rusqlite::{Transaction, params};

use crate::observe::{set_state, tidy};
use crate::rows::{RECORDING, RootId, bytes as size, recording, signed};
use crate::{Index, IndexError, Reader};

/// A recording that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Its row.
    pub id: i64,
    /// The generation of this content.
    pub generation: i64,
    /// The catalog once acknowledged it, in some generation.
    pub acknowledged: bool,
    /// The content.
    pub recording: Recording,
}

/// What the catalog answered for one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    /// Its row.
    pub id: i64,
    /// The generation that was sent.
    pub generation: i64,
    /// What became of it.
    pub outcome: AckOutcome,
}

/// What became of a recording that was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum AckOutcome {
    /// The catalog has it in the generation sent.
    Acknowledged,
    /// The catalog has no document of it any more.
    Removed,
    /// It cannot be written now: unrecognised, tried again at this time of the boot-time clock.
    SetAside {
        /// Why.
        fault: Fault,
        /// When to try again.
        retry_ms: u64,
    },
    /// Its generation becomes this one, and it stays pending.
    Raise {
        /// Above the one in the catalog.
        generation: i64,
    },
}

impl Reader {
    /// Pending recordings of a root, newest first: at most `limit`, at most about `bytes_max` bytes,
    /// but always one; only rows below `before`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn pick(
        &self,
        root: RootId,
        limit: usize,
        bytes_max: usize,
        before: Option<i64>,
    ) -> Result<Vec<Pending>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT r.id, r.generation, r.known, {RECORDING}
                 FROM recordings r JOIN roots t ON t.id = r.root
                 WHERE r.root = ?1 AND r.pending = 1 AND r.id < ?2
                 ORDER BY r.id DESC LIMIT ?3"
            ))?;
            let before = before.unwrap_or(i64::MAX);
            let mut rows = statement.query(params![root.0, before, signed(limit as u64)])?;
            let mut picked: Vec<Pending> = Vec::new();
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                bytes += size(row, 3)?;
                if bytes > bytes_max && !picked.is_empty() {
                    break;
                }
                picked.push(Pending {
                    id: row.get(0)?,
                    generation: row.get(1)?,
                    acknowledged: row.get(2)?,
                    recording: recording(row, 3)?,
                });
            }
            Ok(picked)
        })
    }
}

impl Index {
    /// Stores the watermark of the batch that is about to be sent, and which rows are in it: from now
    /// on the catalog may have them. Gives those that are not pending any more: they must not be sent.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn note(
        &self,
        root: RootId,
        watermark: String,
        rows: Vec<i64>,
    ) -> Result<Vec<i64>, IndexError> {
        self.write(Write::Note, move |tx| note(tx, root, &watermark, rows)).await
    }

    /// Stores what became of a batch, and its watermark as remembered, in one transaction.
    /// Rows that are gone meanwhile are passed over.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub async fn acknowledge(
        &self,
        root: RootId,
        watermark: Option<String>,
        acks: Vec<Ack>,
        now_wall_ms: i64,
    ) -> Result<(), IndexError> {
        self.write(Write::Acknowledge, move |tx| {
            for ack in &acks {
                acknowledge(tx, ack, now_wall_ms)?;
            }
            // What was sent is all acknowledged; what was set aside may have been written before.
            tx.execute(
                "UPDATE roots SET sent_low = NULL, sent_high = NULL
                 WHERE id = ?1 AND pending = 0 AND sent_low IS NOT NULL
                   AND NOT EXISTS(SELECT 1 FROM recordings WHERE root = ?1 AND pending = 2)",
                [root.0],
            )?;
            if let Some(watermark) = watermark {
                tx.execute(
                    "UPDATE roots SET remembered = ?2, noted = NULL WHERE id = ?1",
                    params![root.0, watermark],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Recordings that were set aside and whose time has come are pending again; how many.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn retry_due(&self, root: RootId, now_boot_ms: u64) -> Result<u64, IndexError> {
        self.write(Write::RetryDue, move |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE recordings SET pending = 1, retry_ms = NULL
                     WHERE root = ?1 AND pending = 2 AND retry_ms <= ?2",
                )?
                .execute(params![root.0, signed(now_boot_ms)])?;
            Ok(changed as u64)
        })
        .await
    }

    /// Stores the lease's token, before the first write under it.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn set_token(&self, root: RootId, token: i64) -> Result<(), IndexError> {
        self.write(Write::Token, move |tx| {
            tx.execute("UPDATE roots SET token = ?2 WHERE id = ?1", params![root.0, token])?;
            Ok(())
        })
        .await
    }

    /// Stores the highest token seen of anybody.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn set_token_seen(&self, root: RootId, token: i64) -> Result<(), IndexError> {
        self.write(Write::TokenSeen, move |tx| {
            tx.execute(
                "UPDATE roots SET token_seen = max(token_seen, ?2) WHERE id = ?1",
                params![root.0, token],
            )?;
            Ok(())
        })
        .await
    }

    /// The catalog has this uuid at another path of this root: where that path is there and claims
    /// the uuid, it holds it from now on, and the present holder is `duplicate_id`. True if so.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn prefer(
        &self,
        root: RootId,
        uuid: String,
        path: String,
        now_wall_ms: i64,
    ) -> Result<bool, IndexError> {
        self.write(Write::Prefer, move |tx| prefer(tx, root, &uuid, &path, now_wall_ms)).await
    }
}

fn note(
    tx: &Transaction<'_>,
    root: RootId,
    watermark: &str,
    mut rows: Vec<i64>,
) -> rusqlite::Result<Vec<i64>> {
    let (low, high) = (rows.iter().min().copied(), rows.iter().max().copied());
    tx.execute(
        "UPDATE roots SET noted = ?2, sent_low = min(coalesce(sent_low, ?3), coalesce(?3, sent_low)),
           sent_high = max(coalesce(sent_high, ?4), coalesce(?4, sent_high)) WHERE id = ?1",
        params![root.0, watermark, low, high],
    )?;
    let there: HashSet<i64> = tx
        .prepare_cached(
            "SELECT id FROM recordings WHERE root = ?1 AND pending = 1 AND id BETWEEN ?2 AND ?3",
        )?
        .query_map(params![root.0, low, high], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    rows.retain(|row| !there.contains(row));
    Ok(rows)
}

fn acknowledge(tx: &Transaction<'_>, ack: &Ack, now_ms: i64) -> rusqlite::Result<()> {
    match &ack.outcome {
        AckOutcome::Acknowledged => {
            let row = tx
                .prepare_cached(
                    "UPDATE recordings SET acked = ?2, known = 1,
                       pending_since_ms = CASE WHEN generation = ?2 THEN NULL ELSE pending_since_ms END,
                       pending = CASE WHEN generation = ?2 THEN 0 ELSE pending END
                     WHERE id = ?1 RETURNING file",
                )?
                .query_row(params![ack.id, ack.generation], |row| row.get::<_, i64>(0));
            let Some(file) = found(row)? else { return Ok(()) };
            // Set aside earlier, and taken now.
            tx.prepare_cached(
                "UPDATE files SET state = NULL, reason = NULL, faulty_since_ms = NULL,
                   report_seq = report_seq + 1
                 WHERE id = ?1 AND state IN ('catalog_refused', 'duplicate_id')",
            )?
            .execute([file])?;
        }
        AckOutcome::Removed => left(tx, ack, now_ms)?,
        AckOutcome::SetAside { fault, retry_ms } => {
            let row = tx
                .prepare_cached(
                    "UPDATE recordings SET pending = 2, pending_since_ms = NULL, retry_ms = ?3
                     WHERE id = ?1 AND generation = ?2 AND (vanished_ms IS NULL OR vanish_step = 5)
                     RETURNING file",
                )?
                .query_row(params![ack.id, ack.generation, signed(*retry_ms)], |row| {
                    row.get::<_, i64>(0)
                });
            if let Some(file) = found(row)? {
                set_state(tx, file, Some(fault), now_ms)?;
            }
        }
        AckOutcome::Raise { generation } => {
            tx.prepare_cached(
                "UPDATE recordings SET generation = ?2 WHERE id = ?1 AND generation < ?2",
            )?
            .execute(params![ack.id, generation])?;
        }
    }
    Ok(())
}

/// A drill's recording whose document is gone needs no row; unless its files came back meanwhile:
/// that is written as a change, and makes the document anew.
fn left(tx: &Transaction<'_>, ack: &Ack, now_ms: i64) -> rusqlite::Result<()> {
    let row = tx
        .prepare_cached(
            "DELETE FROM recordings WHERE id = ?1 AND generation = ?2 AND vanish_step = 5
             RETURNING root, file",
        )?
        .query_row(params![ack.id, ack.generation], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
    let Some((root, file)) = found(row)? else { return Ok(()) };
    drop_row(tx, root, file, ack.generation, now_ms)
}

/// What follows where a row of a drill's recording was removed: see `generation_base`.
pub(crate) fn drop_row(
    tx: &Transaction<'_>,
    root: i64,
    file: i64,
    generation: i64,
    now_ms: i64,
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE roots SET generation_base = max(generation_base, ?2) WHERE id = ?1")?
        .execute(params![root, generation])?;
    let there: bool = tx
        .prepare_cached(
            "SELECT data_size IS NOT NULL OR side_size IS NOT NULL FROM files WHERE id = ?1",
        )?
        .query_row([file], |row| row.get(0))?;
    if !there {
        set_state(tx, file, None, now_ms)?;
        tidy(tx, file)?;
    }
    Ok(())
}

fn prefer(
    tx: &Transaction<'_>,
    root: RootId,
    uuid: &str,
    path: &str,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let Some((stem, _)) = name.rsplit_once('.') else { return Ok(false) };
    let claimant = found(
        tx.prepare_cached(
            "SELECT f.id FROM files f JOIN folders d ON d.id = f.folder
             WHERE d.root = ?1 AND d.path = ?2 AND f.stem = ?3 AND f.uuid = ?4
               AND f.data_size IS NOT NULL AND f.side_size IS NOT NULL",
        )?
        .query_row(params![root.0, folder.as_bytes(), stem.as_bytes(), uuid], |row| {
            row.get::<_, i64>(0)
        }),
    )?;
    let Some(claimant) = claimant else { return Ok(false) };
    let holder: (i64, String) = tx
        .prepare_cached("SELECT file, path FROM recordings WHERE uuid = ?1")?
        .query_row([uuid], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if holder.0 == claimant {
        return Ok(false);
    }
    // Its content is read from its own sidecar before it is written: not pending until then, and
    // without a fingerprint, so that whatever is read is news.
    tx.execute(
        "UPDATE recordings SET file = ?2, path = ?3, known = 1, generation = generation + 1,
           fingerprint = '', sum = NULL, pending = 0, pending_since_ms = NULL WHERE uuid = ?1",
        params![uuid, claimant, path],
    )?;
    tx.execute("UPDATE files SET settled = 0, due_ms = 0 WHERE id = ?1", [claimant])?;
    set_state(tx, claimant, None, now_ms)?;
    let fault = Fault::new(
        State::DuplicateId,
        format!(
            "the uuid {uuid} is that of {path}, which the catalog has. Give one of the two another uuid, or remove one"
        ),
    );
    set_state(tx, holder.0, Some(&fault), now_ms)?;
    Ok(true)
}

/// No row is an answer, not an error.
pub(crate) fn found<T>(row: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match row {
        Ok(value) => Ok(Some(value)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error),
    }
}
