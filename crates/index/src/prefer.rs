//! Where two places name one uuid, the one that the catalog has keeps it.

use focus_core::entry::claimed::{duplicate_of_catalogued, preferred};
use focus_core::entry::observed::place_of;
use focus_core::entry::{Entry, EntryId};
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::entry::{ENTRY, entry, store};
use crate::place;
use crate::rows::RootId;
use crate::uuids::of_uuid;
use crate::{Index, IndexError};

impl Index {
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

fn prefer(
    tx: &Transaction<'_>,
    root: RootId,
    uuid: &str,
    path: &str,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let Some(claimant) = claimant(tx, root, uuid, path)? else { return Ok(false) };
    let (id, holder, before): (EntryId, i64, Entry) = tx
        .prepare_cached(&format!(
            "SELECT r.id, r.file, {ENTRY} FROM recordings r WHERE {}",
            of_uuid!("r.id", "?1")
        ))?
        .query_row([uuid], |row| Ok((EntryId(row.get(0)?), row.get(1)?, entry(row, 2)?)))?;
    if holder == claimant {
        return Ok(false);
    }
    store(tx, id, &before, &preferred(before))?;
    // Without a fingerprint, whatever is read from its sidecar is news.
    tx.execute(
        "UPDATE recordings SET file = ?2, path = ?3, fingerprint = '', sum = NULL,
           mount_last = NULL,
           mount = (SELECT nullif(d.mount_now, d.mount) FROM files f JOIN folders d ON d.id = f.folder
                    WHERE f.id = ?2)
         WHERE id = ?1",
        params![id.0, claimant, path],
    )?;
    tx.execute("UPDATE files SET settled = 0, due_ms = 0 WHERE id = ?1", [claimant])?;
    place::report(tx, claimant, None, now_ms)?;
    place::report(tx, holder, Some(&duplicate_of_catalogued(uuid, path)), now_ms)?;
    Ok(true)
}

/// The place of this path, where it has both files, and its sidecar names the uuid.
fn claimant(
    tx: &Transaction<'_>,
    root: RootId,
    uuid: &str,
    path: &str,
) -> rusqlite::Result<Option<i64>> {
    let Some(at) = place_of(path) else { return Ok(None) };
    tx.prepare_cached(
        "SELECT f.id FROM files f JOIN folders d ON d.id = f.folder
         WHERE d.root = ?1 AND d.path = ?2 AND f.stem = ?3 AND f.uuid = ?4
           AND f.data_size IS NOT NULL AND f.side_size IS NOT NULL",
    )?
    .query_row(params![root.0, at.folder, at.stem, uuid], |row| row.get(0))
    .optional()
}
