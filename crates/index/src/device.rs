//! Which device each folder is on: a scan finds them, and a change of all of them is no loss.

use focus_core::entry::device::takes_over;
use focus_crash::Write;
use rusqlite::{Transaction, params};

use crate::rows::{FolderId, RootId};
use crate::{Index, IndexError, bulk};

/// Devices whose folders are looked at in one call at most.
const DEVICES_MAX: i64 = 64;

impl Index {
    /// The devices that folders were found on by a scan.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn devices_blocking(&self, folders: Vec<(FolderId, u64)>) -> Result<(), IndexError> {
        self.write_blocking(Write::Devices, move |tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE folders SET device_now = ?2, device = coalesce(device, ?2) WHERE id = ?1",
            )?;
            for (folder, device) in folders {
                statement.execute(params![folder.0, device.cast_signed()])?;
            }
            Ok(())
        })
    }

    /// After a full scan: a device on which nine tenths of what was seen on another one are found
    /// takes its place. True: one has.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn settle_devices_blocking(&self, root: RootId) -> Result<bool, IndexError> {
        self.write_blocking(Write::SettleDevices, move |tx| settle_devices(tx, root.0))
    }
}

fn settle_devices(tx: &Transaction<'_>, root: i64) -> rusqlite::Result<bool> {
    let moved: Vec<i64> = tx
        .prepare_cached(
            "SELECT DISTINCT device FROM folders WHERE root = ?1 AND device <> device_now LIMIT ?2",
        )?
        .query_map(params![root, DEVICES_MAX], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut settled = false;
    for device in moved {
        let seen = bulk::seen_on(tx, root, device)?;
        let Some((now, found)) = bulk::most_found(tx, root, device)? else { continue };
        if takes_over(seen, found) {
            tx.execute(
                "UPDATE folders SET device = ?3, device_now = ?3 WHERE root = ?1 AND device = ?2",
                params![root, device, now],
            )?;
            bulk::settle_devices(tx, root)?;
            settled = true;
        }
    }
    Ok(settled)
}
