//! Which mount recordings were seen on: a scan finds the mounts of folders, and a mount that shows another id
//! after a restart of the machine is no loss.

use std::collections::HashMap;

use focus_core::entry::mounted::{Settled, settle};
use focus_core::mount::Mount;
use focus_crash::Write;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::rows::{FolderId, RootId};
use crate::{Index, IndexError, bulk, bulk_mounts};

/// Mounts on which recordings were seen that are judged in one call at most.
const JUDGED_MAX: i64 = 64;

/// The type of a mount that an index of an earlier version knew by a device number alone.
const DEVICE: &str = "device";

/// Columns of `mounts` (as `m`) that make a [`Mount`], in the order [`mount`] reads them.
pub(crate) const MOUNT: &str = "m.point, m.kind, m.within, m.file_system";

/// The same columns of a second one (as `l`).
pub(crate) const LAST: &str = "l.point, l.kind, l.within, l.file_system";

impl Index {
    /// The mounts that folders were found on by a scan.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn mounts_found_blocking(
        &self,
        root: RootId,
        folders: Vec<(FolderId, Mount)>,
    ) -> Result<(), IndexError> {
        self.write_blocking(Write::MountsFound, move |tx| {
            let mut rows = MountRows::new(root.0);
            let mut statement = tx.prepare_cached(
                "UPDATE folders SET mount_now = ?2, mount = coalesce(mount, ?2) WHERE id = ?1",
            )?;
            for (folder, mount) in &folders {
                statement.execute(params![folder.0, rows.of(tx, mount)?])?;
            }
            Ok(())
        })
    }

    /// After a full scan that has met these mounts: what was seen on one that is not met any more is taken to
    /// be on another one, where nine tenths of it are found there. True: something is.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn settle_mounts_blocking(
        &self,
        root: RootId,
        met: Vec<Mount>,
    ) -> Result<bool, IndexError> {
        self.write_blocking(Write::SettleMounts, move |tx| settle_mounts(tx, root.0, &met))
    }
}

/// The rows of mounts, each looked up once.
pub(crate) struct MountRows {
    root: i64,
    rows: HashMap<Mount, i64>,
}

impl MountRows {
    /// Of this root.
    pub(crate) fn new(root: i64) -> MountRows {
        MountRows { root, rows: HashMap::new() }
    }

    /// The row of a mount, made where there is none.
    pub(crate) fn of(&mut self, tx: &Transaction<'_>, mount: &Mount) -> rusqlite::Result<i64> {
        if let Some(row) = self.rows.get(mount) {
            return Ok(*row);
        }
        let row = match row_of(tx, self.root, mount)? {
            Some(row) => row,
            None => {
                tx.prepare_cached(
                    "INSERT INTO mounts(root, point, kind, within, file_system)
                     VALUES(?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    self.root,
                    mount.point,
                    mount.kind,
                    mount.within,
                    mount.file_system
                ])?;
                tx.last_insert_rowid()
            }
        };
        self.rows.insert(mount.clone(), row);
        Ok(row)
    }
}

fn row_of(tx: &Transaction<'_>, root: i64, mount: &Mount) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached(
        "SELECT id FROM mounts WHERE root = ?1 AND point = ?2 AND kind = ?3 AND within = ?4
           AND file_system = ?5",
    )?
    .query_row(params![root, mount.point, mount.kind, mount.within, mount.file_system], |row| {
        row.get(0)
    })
    .optional()
}

/// Reads a mount from the columns of [`MOUNT`], beginning at `at`; none where there is no row.
pub(crate) fn mount(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Mount>> {
    let Some(point) = row.get(at)? else { return Ok(None) };
    Ok(Some(Mount {
        point,
        kind: row.get(at + 1)?,
        within: row.get(at + 2)?,
        file_system: row.get(at + 3)?,
    }))
}

/// Every mount of a root, by its row.
pub(crate) fn all(connection: &Connection, root: i64) -> rusqlite::Result<HashMap<i64, Mount>> {
    let query = format!("SELECT {MOUNT}, m.id FROM mounts m WHERE m.root = ?1");
    let mut statement = connection.prepare(&query)?;
    let rows = statement.query_map([root], |row| Ok((row.get(4)?, mount(row, 0)?)))?;
    rows.filter_map(|row| row.map(|(id, mount)| Some((id, mount?))).transpose()).collect()
}

fn settle_mounts(tx: &Transaction<'_>, root: i64, met: &[Mount]) -> rusqlite::Result<bool> {
    let mut there = Vec::new();
    for mount in met {
        there.extend(row_of(tx, root, mount)?);
    }
    let (mut taken, mut any) = (false, false);
    for seen_on in bulk_mounts::to_judge(tx, root, JUDGED_MAX)? {
        let is_there = there.contains(&seen_on);
        let Some((now, found)) = bulk_mounts::most_found(tx, root, seen_on, &there)? else {
            continue;
        };
        // Read only where it tells something: it counts rows.
        let seen = if is_there { 0 } else { bulk_mounts::seen_on(tx, root, seen_on)? };
        match settle(is_there, seen, found) {
            Settled::Taken => {
                bulk_mounts::take(tx, root, seen_on, now)?;
                taken = true;
            }
            // A device number may be that of several mounts, so each folder goes to its own.
            Settled::Stays if !is_device(tx, seen_on)? => continue,
            Settled::Moves | Settled::Stays => bulk_mounts::move_found(tx, root, seen_on, &there)?,
        }
        any = true;
    }
    bulk_mounts::back(tx, root)?;
    if taken {
        bulk::settle_mounts(tx, root)?;
    }
    if any {
        tidy(tx, root)?;
    }
    Ok(taken)
}

fn is_device(tx: &Transaction<'_>, row: i64) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT kind = ?2 FROM mounts WHERE id = ?1")?
        .query_row(params![row, DEVICE], |row| row.get(0))
        .optional()
        .map(|is| is == Some(true))
}

/// Removes mounts on which nothing was seen any more.
fn tidy(tx: &Transaction<'_>, root: i64) -> rusqlite::Result<()> {
    tx.execute(
        "DELETE FROM mounts WHERE root = ?1 AND id NOT IN (
           SELECT mount FROM folders WHERE root = ?1 AND mount IS NOT NULL
           UNION SELECT mount_now FROM folders WHERE root = ?1 AND mount_now IS NOT NULL
           UNION SELECT mount FROM recordings WHERE root = ?1 AND mount IS NOT NULL
           UNION SELECT mount_last FROM recordings WHERE root = ?1 AND mount_last IS NOT NULL)",
        [root],
    )?;
    Ok(())
}
