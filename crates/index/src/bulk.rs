//! Statements that do to many rows at once what a rule of [`focus_core::entry`] does to one.
//!
//! They are SQL because they touch a thousand rows or all of them. The tests beside this file
//! prove each equal to its rule, on random states.

use focus_core::entry::EntryId;
use focus_core::vanish::{Counts, Held, WINDOW_MS};
use rusqlite::{Transaction, params};

use crate::rows::{signed, unsigned};
use crate::stage::{FOUND_DELETED, HELD, LEFT_ALONE, MARKED, PENDING, PROVED, REFUSED, UNPROVED};

/// The rule [`focus_core::entry::absence::approved`] on a root; how many were approved.
pub(crate) fn approve(
    tx: &Transaction<'_>,
    root: i64,
    through: i64,
    now_ms: i64,
) -> rusqlite::Result<u64> {
    let approved = tx
        .prepare_cached(&format!(
            "UPDATE recordings SET vanish_step = {MARKED}, marked_ms = ?3,
               deleted = deleted | {FOUND_DELETED}, approved = 1, held_seq = NULL, held_why = NULL,
               generation = generation + 1, pending = {PENDING}, pending_since_ms = ?3
             WHERE root = ?1 AND vanish_step = {HELD} AND held_seq <= ?2"
        ))?
        .execute(params![root, through, now_ms])?;
    Ok(approved as u64)
}

/// The rule [`focus_core::entry::waiting::retried`] on a root; how many are pending again.
pub(crate) fn retry(tx: &Transaction<'_>, root: i64, now_boot_ms: u64) -> rusqlite::Result<u64> {
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE recordings SET pending = {PENDING}, pending_since_ms = NULL, retry_ms = NULL
             WHERE root = ?1 AND pending = {REFUSED} AND retry_ms <= ?2"
        ))?
        .execute(params![root, signed(now_boot_ms)])?;
    Ok(changed as u64)
}

/// The rule [`focus_core::entry::waiting::started`] on a root.
pub(crate) fn start(tx: &Transaction<'_>, root: i64) -> rusqlite::Result<()> {
    tx.execute(
        &format!(
            "UPDATE recordings SET pending = {PENDING}, pending_since_ms = NULL, retry_ms = NULL
             WHERE root = ?1 AND pending = {REFUSED}"
        ),
        [root],
    )?;
    tx.execute(
        &format!(
            "UPDATE recordings SET vanish_step = {UNPROVED}, proof_ms = NULL
             WHERE root = ?1 AND vanished_ms IS NOT NULL AND vanish_step IN ({PROVED}, {LEFT_ALONE})"
        ),
        [root],
    )?;
    Ok(())
}

/// The rule [`focus_core::entry::mounted::settled`] on a root.
pub(crate) fn settle_mounts(tx: &Transaction<'_>, root: i64) -> rusqlite::Result<()> {
    tx.execute(
        &format!(
            "UPDATE recordings SET vanish_step = {UNPROVED}, proof_ms = NULL, held_seq = NULL,
               held_why = NULL
             WHERE root = ?1 AND vanish_step = {HELD} AND held_why = ?2"
        ),
        params![root, Held::Device.name()],
    )?;
    Ok(())
}

/// A sidecar somewhere names the uuid of the recording `r`, as far as storage has been seen.
pub(crate) const NAMED: &str =
    "(EXISTS(SELECT 1 FROM files m WHERE m.id = r.file AND m.uuid = r.uuid AND m.side_size IS NOT NULL)
      OR EXISTS(SELECT 1 FROM files m WHERE m.uuid = r.uuid AND m.holds = 0 AND m.side_size IS NOT NULL))";

/// The rule [`focus_core::entry::absence::count`] on a root, but for what [`candidates`] counts.
pub(crate) fn fixed_counts(
    tx: &Transaction<'_>,
    root: i64,
    now_ms: i64,
) -> rusqlite::Result<Counts> {
    let (present, held): (i64, i64) = tx.query_row(
        "SELECT recordings - vanished - (SELECT count(*) FROM recordings
           WHERE root = ?1 AND drilled = 1 AND vanished_ms IS NULL), held FROM roots WHERE id = ?1",
        [root],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let marked: i64 = tx.query_row(
        "SELECT count(*) FROM recordings WHERE root = ?1 AND marked_ms > ?2 AND approved = 0",
        params![root, now_ms.saturating_sub(WINDOW_MS)],
        |row| row.get(0),
    )?;
    Ok(Counts { present: unsigned(present), gone: unsigned(held), marked: unsigned(marked) })
}

/// How many of a root are gone, not moved, and neither held nor marked, by the same rule: at most `enough`.
pub(crate) fn candidates(tx: &Transaction<'_>, root: i64, enough: u64) -> rusqlite::Result<u64> {
    let candidates: i64 = tx
        .prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM recordings r WHERE r.root = ?1
               AND r.vanished_ms IS NOT NULL AND r.vanish_step < {HELD} AND r.drilled = 0
               AND NOT {NAMED} LIMIT ?2)"
        ))?
        .query_row(params![root, signed(enough)], |row| row.get(0))?;
    Ok(unsigned(candidates))
}

/// The folder of the place `file` holds an entry other than `id` that
/// [`focus_core::entry::absence::is_neighbour`].
pub(crate) fn has_neighbour(
    tx: &Transaction<'_>,
    id: EntryId,
    file: i64,
) -> rusqlite::Result<bool> {
    tx.prepare_cached(
        "SELECT EXISTS(SELECT 1 FROM files f JOIN files g ON g.folder = f.folder
           JOIN recordings r ON r.file = g.id
         WHERE f.id = ?1 AND r.id <> ?2 AND r.vanished_ms IS NULL AND r.never_seen = 0
           AND r.drilled = 0 AND (r.known OR r.acked IS NOT NULL))",
    )?
    .query_row(params![file, id.0], |row| row.get(0))
}

#[cfg(test)]
#[path = "bulk_tests.rs"]
mod tests;
