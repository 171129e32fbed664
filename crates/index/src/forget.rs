//! A root leaves the index, in transactions of bounded size.

use focus_core::entry::EntryId;
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::rows::{RootId, signed};
use crate::{Index, IndexError, place};

/// Rows of one transaction: it takes some ten milliseconds, and the writer serves others in between.
const ROWS_MAX: usize = 1_000;

/// What one transaction forgot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// So many recordings.
    pub recordings: u64,
    /// The root is not in the index any more.
    pub done: bool,
}

impl Index {
    /// Forgets a part of a root: at most 1,000 of its places and folders, and with the last of them the
    /// root. To be called until it is done; what another root's places can have by it is looked at again.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn forget(&self, root: RootId) -> Result<Forgotten, IndexError> {
        self.write(Write::Forget, move |tx| forget(tx, root.0)).await
    }
}

fn forget(tx: &Transaction<'_>, root: i64) -> rusqlite::Result<Forgotten> {
    let mut recordings = 0;
    let mut left = ROWS_MAX;
    while left > 0 {
        let folder: Option<i64> = tx
            .prepare_cached("SELECT id FROM folders WHERE root = ?1 LIMIT 1")?
            .query_row([root], |row| row.get(0))
            .optional()?;
        let Some(folder) = folder else {
            tx.execute("DELETE FROM mounts WHERE root = ?1", [root])?;
            tx.execute("DELETE FROM unrecognised WHERE root = ?1", [root])?;
            tx.execute("DELETE FROM roots WHERE id = ?1", [root])?;
            return Ok(Forgotten { recordings, done: true });
        };
        let files: Vec<i64> = tx
            .prepare_cached("SELECT id FROM files WHERE folder = ?1 LIMIT ?2")?
            .query_map(params![folder, signed(left as u64)], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if files.is_empty() {
            tx.prepare_cached("DELETE FROM folders WHERE id = ?1")?.execute([folder])?;
            left -= 1;
        }
        for file in files {
            recordings += forget_place(tx, file)?;
            left -= 1;
        }
    }
    Ok(Forgotten { recordings, done: false })
}

/// Removes a place with what it holds; how many recordings that is.
fn forget_place(tx: &Transaction<'_>, file: i64) -> rusqlite::Result<u64> {
    let entries: Vec<EntryId> = tx
        .prepare_cached("SELECT id FROM recordings WHERE file = ?1")?
        .query_map([file], |row| row.get(0).map(EntryId))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &entries {
        place::read_claimants_again(tx, file, *id)?;
        tx.prepare_cached("DELETE FROM recordings WHERE id = ?1")?.execute([id.0])?;
    }
    tx.prepare_cached("DELETE FROM files WHERE id = ?1")?.execute([file])?;
    Ok(entries.len() as u64)
}
