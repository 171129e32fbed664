//! From pending to acknowledged: pending is cleared only by an acknowledgement of the same generation.

use std::collections::HashSet;

use focus_core::batch::{Item, Pick, Picked};
use focus_core::entry::EntryId;
use focus_core::entry::answered::{Answer, answered};
use focus_core::entry::sent::Sent;
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::entry::{RootFacts, apply, load};
use crate::rows::{RECORDING, RootId, bytes as size, recording, signed, unsigned};
use crate::stage::{PENDING, REFUSED};
use crate::{Index, IndexError, Reader, bulk};

/// The watermarks of a batch that is acknowledged, and of the one after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The catalog has stored this one after the batch: it is remembered.
    pub remembered: String,
    /// That of the next batch, which is being sent already: it is noted.
    pub noted: Option<String>,
}

/// What the catalog answered for one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    /// Which it is.
    pub id: EntryId,
    /// The generation that was sent.
    pub generation: i64,
    /// The answer.
    pub answer: Answer,
}

impl Reader {
    /// Pending recordings of a root, newest first, within about `bytes_max` bytes.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn pick(&self, root: RootId, pick: &Pick) -> Result<Picked, IndexError> {
        self.read(|connection| {
            // Whether a row is passed over shows by its number alone: the row itself is not read.
            let mut statement = connection.prepare_cached(&format!(
                "SELECT r.id, r.generation, r.known, {RECORDING}
                 FROM recordings r JOIN roots t ON t.id = r.root
                 WHERE r.root = ?1 AND r.pending = {PENDING} AND r.id < ?2
                   AND r.id NOT IN (SELECT value FROM json_each(?4))
                 ORDER BY r.id DESC LIMIT ?3"
            ))?;
            let before = pick.before.map_or(i64::MAX, |before| before.0);
            let limit = signed(pick.limit as u64);
            let mut rows = statement.query(params![root.0, before, limit, json(&pick.but)])?;
            let mut picked = Picked::default();
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                bytes += size(row, 3)?;
                if bytes > pick.bytes_max && !picked.items.is_empty() {
                    picked.more = true;
                    break;
                }
                picked.items.push(Item {
                    id: EntryId(row.get(0)?),
                    generation: row.get(1)?,
                    known: row.get(2)?,
                    recording: recording(row, 3)?,
                });
            }
            picked.more |= picked.items.len() >= pick.limit;
            Ok(picked)
        })
    }

    /// When the next recording that was refused is tried again, on the boot-time clock.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn next_retry(&self, root: RootId) -> Result<Option<u64>, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT retry_ms FROM recordings WHERE root = ?1 AND pending = {REFUSED}
                     ORDER BY retry_ms LIMIT 1"
                ))?
                .query_row([root.0], |row| row.get::<_, Option<i64>>(0).map(|ms| ms.map(unsigned)))
                .optional()
                .map(Option::flatten)
        })
    }
}

impl Index {
    /// Stores the watermark of the batch that is about to be sent, and which entries are in it: from now
    /// on the catalog may have them. Gives those that are not pending any more: they must not be sent.
    /// Without a watermark the noted one stays that of the batch that is being written.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn note(
        &self,
        root: RootId,
        watermark: Option<String>,
        ids: Vec<EntryId>,
    ) -> Result<Vec<EntryId>, IndexError> {
        let write = if watermark.is_some() { Write::Note } else { Write::NoteBeside };
        self.write(write, move |tx| note(tx, root, watermark.as_deref(), ids)).await
    }

    /// Stores the answers to a batch, and its watermark as remembered, in one transaction; with them the
    /// watermark of the next batch, where that one is being sent already.
    /// Entries that are gone meanwhile are passed over.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub async fn acknowledge(
        &self,
        root: RootId,
        watermarks: Option<Watermarks>,
        acks: Vec<Ack>,
        now_wall_ms: i64,
    ) -> Result<(), IndexError> {
        let is_beside = watermarks.as_ref().is_some_and(|both| both.noted.is_some());
        let write = if is_beside { Write::AcknowledgeBeside } else { Write::Acknowledge };
        self.write(write, move |tx| {
            for ack in &acks {
                let Some(loaded) = load(tx, ack.id)? else { continue };
                let turn = answered(loaded.entry, ack.generation, &ack.answer);
                apply(tx, &loaded, turn, None, now_wall_ms)?;
            }
            after_answers(tx, root)?;
            if let Some(Watermarks { remembered, noted }) = watermarks {
                tx.execute(
                    "UPDATE roots SET remembered = ?2, noted = ?3 WHERE id = ?1",
                    params![root.0, remembered, noted],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Recordings that were refused and whose time has come are pending again; how many.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn retry_due(&self, root: RootId, now_boot_ms: u64) -> Result<u64, IndexError> {
        self.write(Write::RetryDue, move |tx| bulk::retry(tx, root.0, now_boot_ms)).await
    }
}

fn note(
    tx: &Transaction<'_>,
    root: RootId,
    watermark: Option<&str>,
    mut ids: Vec<EntryId>,
) -> rusqlite::Result<Vec<EntryId>> {
    let sent = RootFacts::load(tx, root.0)?.sent.note(ids.iter().copied());
    store_sent(tx, root, sent)?;
    if let Some(watermark) = watermark {
        tx.execute("UPDATE roots SET noted = ?2 WHERE id = ?1", params![root.0, watermark])?;
    }
    let (low, high) = (ids.iter().min(), ids.iter().max());
    let pending: HashSet<i64> = tx
        .prepare_cached(&format!(
            "SELECT id FROM recordings WHERE root = ?1 AND pending = {PENDING} AND id BETWEEN ?2 AND ?3"
        ))?
        .query_map(params![root.0, low.map(|id| id.0), high.map(|id| id.0)], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    ids.retain(|id| !pending.contains(&id.0));
    Ok(ids)
}

/// These entries as a list in JSON, for `json_each`.
fn json(ids: &[EntryId]) -> String {
    let numbers: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

fn after_answers(tx: &Transaction<'_>, root: RootId) -> rusqlite::Result<()> {
    let sent = RootFacts::load(tx, root.0)?.sent;
    if sent == Sent::default() {
        return Ok(());
    }
    let (pending, refused): (bool, bool) = tx.query_row(
        &format!(
            "SELECT pending <> 0, EXISTS(SELECT 1 FROM recordings WHERE root = ?1 AND pending = {REFUSED})
             FROM roots WHERE id = ?1"
        ),
        [root.0],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    store_sent(tx, root, sent.after_answers(pending, refused))
}

fn store_sent(tx: &Transaction<'_>, root: RootId, Sent(span): Sent) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE roots SET sent_low = ?2, sent_high = ?3 WHERE id = ?1")?
        .execute(params![root.0, span.map(|(low, _)| low.0), span.map(|(_, high)| high.0)])?;
    Ok(())
}
