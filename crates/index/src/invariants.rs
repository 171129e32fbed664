//! What has to hold in an index that is in order.

use rusqlite::Connection;

use crate::entry::{ENTRY, entry};
use crate::stage::{DONE, FOUND_DELETED, HELD, LEAVING, MARKED, PENDING, UNPROVED};
use crate::{IndexError, Reader, coverage, metadata, text, uuids};

/// The invariant that [`focus_core::entry::Entry::is_sound`] tells of each row.
const SOUND: &str = "every entry is one that can come of the rules";

/// Each other invariant, and the number of rows that break it.
fn checks() -> [(&'static str, String); 10] {
    [
        (
            "pending_cleared_only_after_ack",
            format!(
                "SELECT count(*) FROM recordings WHERE pending = {DONE} AND acked IS NOT generation
                   AND vanished_ms IS NULL AND fingerprint <> ''"
            ),
        ),
        (
            "no_recording_lost: every recording has its place",
            "SELECT count(*) FROM recordings r LEFT JOIN files f ON f.id = r.file WHERE f.id IS NULL"
                .to_owned(),
        ),
        (
            "counters are right: recordings, pending, vanished",
            format!(
                "SELECT count(*) FROM roots t WHERE
                   recordings <> (SELECT count(*) FROM recordings WHERE root = t.id)
                   OR pending <> (SELECT count(*) FROM recordings WHERE root = t.id AND pending = {PENDING})
                   OR vanished <> (SELECT count(*) FROM recordings
                     WHERE root = t.id AND vanished_ms IS NOT NULL)"
            ),
        ),
        (
            "counters are right: held, marked",
            format!(
                "SELECT count(*) FROM roots t WHERE
                   held <> (SELECT count(*) FROM recordings WHERE root = t.id AND vanish_step = {HELD})
                   OR marked <> (SELECT count(*) FROM recordings WHERE root = t.id AND vanish_step = {MARKED})"
            ),
        ),
        (
            "no_deletion_without_proof: only what is gone goes through the steps",
            format!(
                "SELECT count(*) FROM recordings WHERE
                   vanished_ms IS NULL AND (vanish_step <> {UNPROVED} OR marked_ms IS NOT NULL
                     OR deleted >= {FOUND_DELETED})
                   OR (vanish_step IN ({MARKED}, {LEAVING})) <> (marked_ms IS NOT NULL)
                   OR (vanish_step = {HELD}) <> (held_seq IS NOT NULL)
                   OR vanish_step = {LEAVING} AND approved = 0"
            ),
        ),
        (
            "counters are right: unsettled",
            "SELECT count(*) FROM roots t WHERE unsettled <> (SELECT count(*) FROM files
               WHERE root = t.id AND settled = 0 AND state IS NULL
                 AND (data_size IS NOT NULL OR side_size IS NOT NULL))"
                .to_owned(),
        ),
        (
            "counters are right: unrecognised",
            "SELECT count(*) FROM (
               SELECT root, state, count(*) AS count FROM files WHERE state IS NOT NULL GROUP BY root, state
               EXCEPT SELECT root, state, count FROM unrecognised)"
                .to_owned(),
        ),
        ("every uuid leads to its recording", uuids::WRONG.to_owned()),
        (
            "who holds the uuid that its sidecar names is known",
            "SELECT count(*) FROM files f WHERE holds <> (uuid IS NOT NULL AND EXISTS(
               SELECT 1 FROM recordings r WHERE r.file = f.id AND r.uuid = f.uuid))"
                .to_owned(),
        ),
        (
            "what is not settled is looked at again",
            "SELECT count(*) FROM files WHERE settled = 0 AND state IS NULL AND due_ms IS NULL
               AND (data_size IS NOT NULL OR side_size IS NOT NULL)"
                .to_owned(),
        ),
    ]
}

impl Reader {
    /// What does not hold in this index although it should; empty in an index that is in order.
    /// Reads every row: for tests and for doubt.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn broken_invariants(&self) -> Result<Vec<String>, IndexError> {
        self.read(|connection| {
            let mut broken = broken(connection)?;
            broken.extend(coverage::wrong(connection)?);
            broken.extend(metadata::wrong(connection)?);
            broken.extend(text::wrong(connection)?);
            Ok(broken)
        })
    }
}

pub(crate) fn broken(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut counts = vec![(SOUND, unsound(connection)?)];
    for (name, query) in checks() {
        let count: i64 = connection.query_row(&query, [], |row| row.get(0))?;
        counts.push((name, count));
    }
    let broken = counts.into_iter().filter(|(_, count)| *count > 0);
    Ok(broken.map(|(name, count)| format!("{name}: {count} rows")).collect())
}

/// How many rows hold an entry that cannot come of the rules, or none that can be read.
fn unsound(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare(&format!("SELECT {ENTRY} FROM recordings r"))?;
    let mut rows = statement.query([])?;
    let mut unsound = 0;
    while let Some(row) = rows.next()? {
        unsound += i64::from(!entry(row, 0).is_ok_and(|entry| entry.is_sound()));
    }
    Ok(unsound)
}
