//! A root's row: what the index remembers of its catalog and its lease.

use focus_core::recognise::Known;
use focus_core::state::State;
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::rows::{RootId, RootMemory, signed};
use crate::uuids::of_uuid;
use crate::{Index, IndexError, Reader, bulk};

impl Reader {
    /// The root with this marker, and its path.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn root_with_marker(&self, marker: &str) -> Result<Option<(RootId, String)>, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT id, path FROM roots WHERE marker = ?1")?
                .query_row([marker], |row| Ok((RootId(row.get(0)?), row.get(1)?)))
                .optional()
        })
    }

    /// What is known of recordings with these uuids, and of which root. Roots that are not configured any
    /// more count too.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn known(&self, uuids: &[String]) -> Result<Vec<Known>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(concat!(
                "SELECT t.marker, r.path, r.deleted FROM recordings r JOIN roots t ON t.id = r.root WHERE ",
                of_uuid!("r.id", "?1")
            ))?;
            let mut known = Vec::new();
            for uuid in uuids {
                let row = statement.query_row([uuid], |row| {
                    Ok(Known {
                        uuid: uuid.clone(),
                        root: row.get(0)?,
                        path: row.get(1)?,
                        deleted: row.get::<_, i64>(2)? != 0,
                    })
                });
                known.extend(row.optional()?);
            }
            Ok(known)
        })
    }

    /// The markers of all roots, the one that was made last first. Roots that are not configured any more count too.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn markers(&self) -> Result<Vec<String>, IndexError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT marker FROM roots ORDER BY id DESC")?;
            let rows = statement.query_map([], |row| row.get(0))?;
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
    /// mean nothing any more: what was unsettled or refused is looked at and tried again at once.
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
           side_since_ms = CASE WHEN side_size IS NULL THEN NULL ELSE ?2 END,
           side_counts_ms = CASE WHEN side_counts_ms > 0 THEN ?3 ELSE side_counts_ms END
         WHERE root = ?1 AND due_ms IS NOT NULL",
        params![memory.id.0, now, signed(focus_core::settle::counts_from_ms(now_boot_ms))],
    )?;
    // What is a time depends on the root's settings, which may be others now. These files have been
    // unchanged for long enough: else they had no state.
    tx.execute(
        "UPDATE files SET due_ms = 0, changed_ms = 0,
           data_since_ms = CASE WHEN data_size IS NULL THEN NULL ELSE 0 END,
           side_since_ms = CASE WHEN side_size IS NULL THEN NULL ELSE 0 END
         WHERE root = ?1 AND state = ?2",
        params![memory.id.0, State::TimeInvalid.name()],
    )?;
    bulk::start(tx, memory.id.0)?;
    Ok(memory)
}
