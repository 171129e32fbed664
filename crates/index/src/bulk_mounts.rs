//! Statements that count, and change, what was seen on a mount.
//!
//! The mount of a recording is its own where it has one, else that of its folder: the rule
//! [`focus_core::entry::mounted::seen_on`].

use rusqlite::{Transaction, params};

use crate::rows::unsigned;
use crate::stage::{LEAVING, LEFT_ALONE, MARKED};

/// The place `f` holds the recording `r` itself: [`focus_core::entry::mounted::AtPlace::Itself`].
const ITSELF: &str =
    "(f.uuid IS r.uuid AND (f.settled OR f.state IS NULL) AND f.side_size IS NOT NULL)";

/// The mounts on which something was seen that may be on another one now, at most so many.
pub(crate) fn to_judge(tx: &Transaction<'_>, root: i64, limit: i64) -> rusqlite::Result<Vec<i64>> {
    tx.prepare_cached(
        "SELECT mount FROM folders WHERE root = ?1 AND mount <> mount_now
         UNION SELECT mount FROM recordings WHERE root = ?1 AND mount IS NOT NULL LIMIT ?2",
    )?
    .query_map(params![root, limit], |row| row.get(0))?
    .collect()
}

/// How many recordings of a root were seen on a mount, by [`focus_core::entry::mounted::was_seen`].
pub(crate) fn seen_on(tx: &Transaction<'_>, root: i64, mount: i64) -> rusqlite::Result<u64> {
    let counts = format!(
        "r.vanish_step NOT IN ({MARKED}, {LEFT_ALONE}, {LEAVING}) AND r.never_seen = 0 AND r.drilled = 0
         AND (f.data_size IS NULL AND f.side_size IS NULL
           OR f.settled AND f.uuid IS NOT r.uuid
           OR r.vanished_ms IS NULL AND ({ITSELF} OR NOT f.settled AND f.state IS NULL))"
    );
    let seen: i64 = tx.query_row(
        &format!(
            "SELECT (SELECT count(*) FROM folders d JOIN files f ON f.folder = d.id
                       JOIN recordings r ON r.file = f.id
                     WHERE d.root = ?1 AND d.mount = ?2 AND r.mount IS NULL AND {counts})
                  + (SELECT count(*) FROM recordings r JOIN files f ON f.id = r.file
                     WHERE r.root = ?1 AND r.mount = ?2 AND {counts})"
        ),
        params![root, mount],
        |row| row.get(0),
    )?;
    Ok(unsigned(seen))
}

/// Of the mounts that are `there`, the one with most recordings which were seen on `mount` and are found on it
/// now, by [`focus_core::entry::mounted::is_found`], and how many these are. None: no folder is on another.
pub(crate) fn most_found(
    tx: &Transaction<'_>,
    root: i64,
    mount: i64,
    there: &[i64],
) -> rusqlite::Result<Option<(i64, u64)>> {
    let mut most: Option<(i64, u64)> = None;
    for now in there.iter().filter(|now| **now != mount) {
        let (is_moved, found): (bool, i64) = tx
            .prepare_cached(&format!(
                "SELECT EXISTS(SELECT 1 FROM folders WHERE root = ?1 AND mount = ?2 AND mount_now = ?3),
                   (SELECT count(*) FROM folders d JOIN files f ON f.folder = d.id
                      JOIN recordings r ON r.file = f.id
                    WHERE d.root = ?1 AND d.mount = ?2 AND d.mount_now = ?3 AND r.mount IS NULL
                      AND r.vanished_ms IS NULL AND r.drilled = 0 AND {ITSELF})
                 + (SELECT count(*) FROM recordings r JOIN files f ON f.id = r.file
                      JOIN folders d ON d.id = f.folder
                    WHERE r.root = ?1 AND r.mount = ?2 AND d.mount_now = ?3
                      AND r.vanished_ms IS NULL AND r.drilled = 0 AND {ITSELF})",
            ))?
            .query_row(params![root, mount, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let found = unsigned(found);
        if !is_moved && found == 0 {
            continue;
        }
        if most.is_none_or(|(_, most)| found > most) {
            most = Some((*now, found));
        }
    }
    Ok(most)
}

/// The mount `now` takes the place of `mount`, for all that was seen on it.
pub(crate) fn take(tx: &Transaction<'_>, root: i64, mount: i64, now: i64) -> rusqlite::Result<()> {
    for statement in [
        "UPDATE folders SET mount = ?3 WHERE root = ?1 AND mount = ?2",
        "UPDATE folders SET mount_now = ?3 WHERE root = ?1 AND mount_now = ?2",
        "UPDATE recordings SET mount = ?3 WHERE root = ?1 AND mount = ?2",
        "UPDATE recordings SET mount_last = ?3 WHERE root = ?1 AND mount_last = ?2",
    ] {
        tx.execute(statement, params![root, mount, now])?;
    }
    Ok(())
}

/// What was seen on `mount` and is found on another one that is `there` counts as seen on that one. What is
/// missing stays as it was seen, but for a drill's, which goes with its folder.
pub(crate) fn move_found(
    tx: &Transaction<'_>,
    root: i64,
    mount: i64,
    there: &[i64],
) -> rusqlite::Result<()> {
    let missing = format!(
        "UPDATE recordings AS r SET mount = ?2
         WHERE root = ?1 AND mount IS NULL AND drilled = 0 AND file IN (
           SELECT f.id FROM folders d JOIN files f ON f.folder = d.id
           WHERE d.root = ?1 AND d.mount = ?2 AND d.mount_now = ?3
             AND NOT (r.vanished_ms IS NULL AND {ITSELF}))"
    );
    let found = format!(
        "UPDATE recordings AS r SET mount = ?3, mount_last = NULL
         WHERE root = ?1 AND mount = ?2 AND EXISTS(
           SELECT 1 FROM files f JOIN folders d ON d.id = f.folder
           WHERE f.id = r.file AND d.mount_now = ?3
             AND (r.drilled = 1 OR r.vanished_ms IS NULL AND {ITSELF}))"
    );
    for now in there.iter().filter(|now| **now != mount) {
        for statement in [
            missing.as_str(),
            "UPDATE folders SET mount = ?3 WHERE root = ?1 AND mount = ?2 AND mount_now = ?3",
            &found,
            // What its folder says as well needs no row of its own.
            "UPDATE recordings AS r SET mount = NULL
             WHERE root = ?1 AND mount = ?3 AND EXISTS(
               SELECT 1 FROM files f JOIN folders d ON d.id = f.folder
               WHERE f.id = r.file AND d.mount = ?3)",
        ] {
            tx.execute(statement, params![root, mount, now])?;
        }
    }
    Ok(())
}

/// What was seen last on another mount than before, and is found where it was before, is as it was; and so is a
/// drill's wherever its folder is.
pub(crate) fn back(tx: &Transaction<'_>, root: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(&format!(
        "UPDATE recordings AS r SET mount_last = NULL
         WHERE root = ?1 AND mount_last IS NOT NULL AND EXISTS(
           SELECT 1 FROM files f JOIN folders d ON d.id = f.folder
           WHERE f.id = r.file AND d.mount_now = coalesce(r.mount, d.mount)
             AND (r.drilled = 1 OR r.vanished_ms IS NULL AND {ITSELF}))"
    ))?
    .execute([root])?;
    Ok(())
}
