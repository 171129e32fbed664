//! Recordings whose files are gone: proved twice, then marked as deleted, or held for a person.

use focus_core::document;
use focus_core::document::Stored;
use focus_core::recording::Place;
use focus_core::vanish::{self, Counts, Decision, Held, MaxVanished, WINDOW_MS};
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::rows::{RootId, signed, unsigned};
use crate::schema::{LIVE_END_MS, span};
use crate::sum::sum;
use crate::{Index, IndexError, Reader};

/// No file anywhere has this uuid in its sidecar, as far as storage has been seen.
const NOT_MOVED: &str =
    "NOT EXISTS(SELECT 1 FROM files m WHERE m.uuid = r.uuid AND m.side_size IS NOT NULL)";

/// A recording whose absence is to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its row.
    pub id: i64,
    /// Where its files were.
    pub place: Place,
    /// The device they were seen on; none where the index never saw them.
    pub device: Option<u64>,
    /// When its absence was proved the first time, on the boot-time clock; none: not yet.
    pub proof_ms: Option<u64>,
    /// Files are there, and are another recording.
    pub replaced: bool,
}

/// What became of recordings whose absence is proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concluded {
    /// Marked as deleted, and pending.
    pub marked: u64,
    /// Held.
    pub held: u64,
    /// Planted by drills: their documents are to be removed.
    pub leaving: u64,
}

/// A held deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    /// Its place in the order of holding: a set is shown up to one of these.
    pub seq: i64,
    /// Its uuid.
    pub uuid: String,
    /// Where its files were.
    pub path: String,
    /// Since when they are gone, milliseconds since 1970.
    pub vanished_ms: i64,
    /// Why.
    pub why: Held,
}

impl Reader {
    /// Recordings that are gone, not moved, and neither held nor marked, after the row `after`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn vanish_candidates(
        &self,
        root: RootId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Candidate>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT r.id, d.path, f.stem, d.device, CASE WHEN r.vanish_step = 1 THEN r.proof_ms END,
                   f.side_size IS NOT NULL AND f.settled AND f.uuid <> r.uuid
                 FROM recordings r JOIN files f ON f.id = r.file JOIN folders d ON d.id = f.folder
                 WHERE r.root = ?1 AND r.id > ?2 AND r.vanished_ms IS NOT NULL AND r.vanish_step < 2
                   AND {NOT_MOVED} ORDER BY r.id LIMIT ?3"
            ))?;
            let rows = statement.query_map(params![root.0, after, signed(limit as u64)], |row| {
                Ok(Candidate {
                    id: row.get(0)?,
                    place: Place { folder: row.get(1)?, stem: row.get(2)? },
                    device: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                    proof_ms: row.get::<_, Option<i64>>(4)?.map(unsigned),
                    replaced: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Whether anything is gone that has neither been held nor marked.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn has_vanish_candidates(&self, root: RootId) -> Result<bool, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT EXISTS(SELECT 1 FROM recordings r WHERE r.root = ?1
                       AND r.vanished_ms IS NOT NULL AND r.vanish_step < 2)",
                )?
                .query_row([root.0], |row| row.get(0))
        })
    }

    /// Held deletions in the order of holding, after `after`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn held(&self, root: RootId, after: i64, limit: usize) -> Result<Vec<HeldRow>, IndexError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT held_seq, uuid, path, vanished_ms, held_why FROM recordings
                 WHERE root = ?1 AND vanish_step = 2 AND held_seq > ?2 ORDER BY held_seq LIMIT ?3",
            )?;
            let rows =
                statement.query_map(params![root.0, after, signed(limit as u64)], |row| {
                    let why: Option<String> = row.get(4)?;
                    Ok(HeldRow {
                        seq: row.get(0)?,
                        uuid: row.get(1)?,
                        path: row.get(2)?,
                        vanished_ms: row.get(3)?,
                        why: why.as_deref().and_then(Held::from_name).unwrap_or(Held::TooMany),
                    })
                })?;
            rows.collect()
        })
    }

    /// The last place in the order of holding that is in use; 0 where nothing is held.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn held_through(&self, root: RootId) -> Result<i64, IndexError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT coalesce(max(held_seq), 0) FROM recordings WHERE root = ?1 AND vanish_step = 2",
                )?
                .query_row([root.0], |row| row.get(0))
        })
    }

    /// The row of the root with this marker, and its path.
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
}

impl Index {
    /// Stores the first proof of absence of these.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn vanish_proved_blocking(
        &self,
        ids: Vec<i64>,
        now_boot_ms: u64,
    ) -> Result<(), IndexError> {
        self.write_blocking(Write::Proved, move |tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE recordings SET vanish_step = 1, proof_ms = ?2
                 WHERE id = ?1 AND vanished_ms IS NOT NULL AND vanish_step = 0",
            )?;
            for id in ids {
                statement.execute(params![id, signed(now_boot_ms)])?;
            }
            Ok(())
        })
    }

    /// The first proof of these counts no more: they were there, or could not be looked for.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn vanish_doubted_blocking(&self, ids: Vec<i64>) -> Result<(), IndexError> {
        self.write_blocking(Write::Doubted, move |tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE recordings SET vanish_step = 0, proof_ms = NULL WHERE id = ?1 AND vanish_step = 1",
            )?;
            for id in ids {
                statement.execute([id])?;
            }
            Ok(())
        })
    }

    /// Marks or holds recordings whose absence was proved twice. `elsewhere` tells which were looked
    /// for on another device than they were seen on. What came back or moved meanwhile is passed over.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub fn vanish_conclude_blocking(
        &self,
        root: RootId,
        ready: Vec<(i64, bool)>,
        max: MaxVanished,
        archive: bool,
        now_wall_ms: i64,
    ) -> Result<Concluded, IndexError> {
        self.write_blocking(Write::Concluded, move |tx| {
            conclude(tx, root, &ready, max, archive, now_wall_ms)
        })
    }

    /// Lets held deletions through, up to this place in the order of holding; how many.
    ///
    /// # Errors
    /// The index cannot be written; nothing was let through.
    pub async fn approve(
        &self,
        root: RootId,
        through: i64,
        now_wall_ms: i64,
    ) -> Result<u64, IndexError> {
        self.write(Write::Approve, move |tx| {
            let approved = tx
                .prepare_cached(
                    "UPDATE recordings SET vanish_step = 3, marked_ms = ?3, deleted = deleted | 2, approved = 1,
                       held_seq = NULL, held_why = NULL, generation = generation + 1, pending = 1,
                       pending_since_ms = ?3
                     WHERE root = ?1 AND vanish_step = 2 AND held_seq <= ?2",
                )?
                .execute(params![root.0, through, now_wall_ms])?;
            Ok(approved as u64)
        })
        .await
    }

    /// Documents of the root whose recording the index does not know: they are looked for like any
    /// other that is gone. Those that name no place, or whose uuid is known after all, are passed over.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn add_missing(
        &self,
        root: RootId,
        documents: Vec<Stored>,
        now_wall_ms: i64,
    ) -> Result<(), IndexError> {
        self.write(Write::AddMissing, move |tx| {
            for stored in &documents {
                add_missing(tx, root, stored, now_wall_ms)?;
            }
            Ok(())
        })
        .await
    }

    /// The devices that folders were found on by a scan.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn devices_blocking(&self, folders: Vec<(i64, u64)>) -> Result<(), IndexError> {
        self.write_blocking(Write::Devices, move |tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE folders SET device_now = ?2, device = coalesce(device, ?2) WHERE id = ?1",
            )?;
            for (folder, device) in folders {
                statement.execute(params![folder, device.cast_signed()])?;
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
        self.write_blocking(Write::SettleDevices, move |tx| settle_devices(tx, root))
    }
}

fn conclude(
    tx: &Transaction<'_>,
    root: RootId,
    ready: &[(i64, bool)],
    max: MaxVanished,
    archive: bool,
    now_ms: i64,
) -> rusqlite::Result<Concluded> {
    let mut out = Concluded::default();
    let verdict = vanish::judge(counts(tx, root, max, now_ms)?, max);
    let mut seq: i64 = tx.query_row(
        "SELECT coalesce(CAST((SELECT value FROM meta WHERE key = 'held_seq') AS INTEGER), 0)",
        [],
        |row| row.get(0),
    )?;
    for &(id, elsewhere) in ready {
        let gone: Option<(bool, bool)> = tx
            .prepare_cached(&format!(
                "SELECT r.never_seen, r.drilled FROM recordings r JOIN files f ON f.id = r.file
                 WHERE r.id = ?1 AND r.vanished_ms IS NOT NULL AND r.vanish_step = 1 AND {NOT_MOVED}
                   AND (f.data_size IS NULL AND f.side_size IS NULL OR f.settled AND f.uuid <> r.uuid)"
            ))?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((never_seen, drilled)) = gone else { continue };
        if drilled {
            out.leaving += leave(tx, id, elsewhere, now_ms)?;
            continue;
        }
        if archive {
            tx.prepare_cached("UPDATE recordings SET vanish_step = 4 WHERE id = ?1")?
                .execute([id])?;
            continue;
        }
        let held = if elsewhere {
            Some(Held::Device)
        } else if never_seen && !has_neighbour(tx, id)? {
            Some(Held::NeverSeen)
        } else if let Decision::Hold(held) = verdict {
            Some(held)
        } else {
            None
        };
        if let Some(held) = held {
            seq += 1;
            tx.prepare_cached(
                "UPDATE recordings SET vanish_step = 2, held_seq = ?2, held_why = ?3 WHERE id = ?1",
            )?
            .execute(params![id, seq, held.name()])?;
            out.held += 1;
        } else {
            tx.prepare_cached(
                "UPDATE recordings SET vanish_step = 3, marked_ms = ?2, deleted = deleted | 2,
                   generation = generation + 1, pending = 1, pending_since_ms = ?2 WHERE id = ?1",
            )?
            .execute(params![id, now_ms])?;
            out.marked += 1;
        }
    }
    tx.execute(
        "INSERT OR REPLACE INTO meta(key, value) VALUES('held_seq', ?1)",
        [seq.to_string()],
    )?;
    Ok(out)
}

/// A drill's recording is gone: its document is to be removed, however many there are. On another
/// device nothing is proved, and it is looked for anew.
fn leave(tx: &Transaction<'_>, id: i64, elsewhere: bool, now_ms: i64) -> rusqlite::Result<u64> {
    if elsewhere {
        tx.prepare_cached("UPDATE recordings SET vanish_step = 0, proof_ms = NULL WHERE id = ?1")?
            .execute([id])?;
        return Ok(0);
    }
    let left = tx
        .prepare_cached(
            "UPDATE recordings SET vanish_step = 5, marked_ms = ?2, deleted = deleted | 2, approved = 1,
               generation = generation + 1, pending = 1, pending_since_ms = ?2 WHERE id = ?1",
        )?
        .execute(params![id, now_ms])?;
    Ok(left as u64)
}

/// What the verdict rests on, drills left out. What is gone is counted no further than it takes to
/// hold it.
fn counts(
    tx: &Transaction<'_>,
    root: RootId,
    max: MaxVanished,
    now_ms: i64,
) -> rusqlite::Result<Counts> {
    let (present, held): (i64, i64) = tx.query_row(
        "SELECT recordings - vanished - (SELECT count(*) FROM recordings
           WHERE root = ?1 AND drilled = 1 AND vanished_ms IS NULL), held FROM roots WHERE id = ?1",
        [root.0],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let marked: i64 = tx.query_row(
        "SELECT count(*) FROM recordings WHERE root = ?1 AND marked_ms > ?2 AND approved = 0",
        params![root.0, now_ms.saturating_sub(WINDOW_MS)],
        |row| row.get(0),
    )?;
    let mut counts =
        Counts { present: unsigned(present), gone: unsigned(held), marked: unsigned(marked) };
    let enough = vanish::limit(counts, max).saturating_mul(2).saturating_add(1);
    let about: i64 = tx
        .prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM recordings r WHERE r.root = ?1
               AND r.vanished_ms IS NOT NULL AND r.vanish_step < 2 AND r.drilled = 0
               AND {NOT_MOVED} LIMIT ?2)"
        ))?
        .query_row(params![root.0, signed(enough)], |row| row.get(0))?;
    counts.gone += unsigned(about);
    Ok(counts)
}

/// Its folder holds another recording that the catalog has, and this index has seen. One that a drill
/// planted tells nothing of a folder.
fn has_neighbour(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<bool> {
    tx.prepare_cached(
        "SELECT EXISTS(
           SELECT 1 FROM recordings r JOIN files f ON f.id = r.file JOIN files g ON g.folder = f.folder
             JOIN recordings n ON n.file = g.id
           WHERE r.id = ?1 AND n.id <> r.id AND n.vanished_ms IS NULL AND n.never_seen = 0
             AND n.drilled = 0 AND (n.acked IS NOT NULL OR n.known))",
    )?
    .query_row([id], |row| row.get(0))
}

fn add_missing(
    tx: &Transaction<'_>,
    root: RootId,
    stored: &Stored,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let Some(recording) = &stored.recording else { return Ok(()) };
    // Found on storage since it was compared: the catalog has it, whatever becomes of its files.
    let found_since = tx
        .prepare_cached("UPDATE recordings SET known = 1 WHERE root = ?1 AND uuid = ?2")?
        .execute(params![root.0, recording.uuid])?;
    if found_since > 0 {
        return Ok(());
    }
    let (folder, name) = recording.path.rsplit_once('/').unwrap_or(("", &recording.path));
    let Some((stem, _)) = name.rsplit_once('.') else { return Ok(()) };
    if stem.is_empty() {
        return Ok(());
    }
    tx.prepare_cached("INSERT OR IGNORE INTO folders(root, path) VALUES(?1, ?2)")?
        .execute(params![root.0, folder.as_bytes()])?;
    let folder: i64 = tx
        .prepare_cached("SELECT id FROM folders WHERE root = ?1 AND path = ?2")?
        .query_row(params![root.0, folder.as_bytes()], |row| row.get(0))?;
    tx.prepare_cached("INSERT OR IGNORE INTO files(root, folder, stem) VALUES(?1, ?2, ?3)")?
        .execute(params![root.0, folder, stem.as_bytes()])?;
    let file: i64 = tx
        .prepare_cached("SELECT id FROM files WHERE folder = ?1 AND stem = ?2")?
        .query_row(params![folder, stem.as_bytes()], |row| row.get(0))?;
    let metadata = recording.metadata.to_text();
    let generation = stored.version.map_or(1, document::generation).max(1);
    tx.prepare_cached(
        "INSERT OR IGNORE INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id,
           path, size, fingerprint, metadata, generation, acked, known, pending, vanished_ms, never_seen, drilled,
           sum)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, 1, 0, ?14, 1, ?15, ?16)",
    )?
    .execute(params![
        root.0,
        recording.uuid,
        file,
        recording.start_ms,
        recording.end_ms.unwrap_or(LIVE_END_MS),
        span(recording.start_ms, recording.end_ms),
        recording.deleted,
        recording.recording_id,
        recording.path,
        recording.size,
        recording.fingerprint,
        metadata,
        generation,
        now_ms,
        recording.is_drilled(),
        sum(recording, recording.deleted, &metadata),
    ])?;
    Ok(())
}

fn settle_devices(tx: &Transaction<'_>, root: RootId) -> rusqlite::Result<bool> {
    let moved: Vec<i64> = tx
        .prepare_cached(
            "SELECT DISTINCT device FROM folders WHERE root = ?1 AND device <> device_now LIMIT 64",
        )?
        .query_map([root.0], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut settled = false;
    for device in moved {
        let seen: i64 = tx.query_row(
            "SELECT count(*) FROM recordings r JOIN files f ON f.id = r.file
               JOIN folders d ON d.id = f.folder
             WHERE d.root = ?1 AND d.device = ?2 AND r.vanish_step NOT IN (3, 5) AND r.never_seen = 0",
            params![root.0, device],
            |row| row.get(0),
        )?;
        let most: Option<(i64, i64)> = tx
            .query_row(
                "SELECT d.device_now, count(r.id) AS found FROM folders d
                   LEFT JOIN files f ON f.folder = d.id
                   LEFT JOIN recordings r ON r.file = f.id AND r.vanished_ms IS NULL
                 WHERE d.root = ?1 AND d.device = ?2 AND d.device_now <> d.device
                 GROUP BY d.device_now ORDER BY found DESC LIMIT 1",
                params![root.0, device],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((now, found)) = most else { continue };
        if found.saturating_mul(10) >= seen.saturating_mul(9) {
            tx.execute(
                "UPDATE folders SET device = ?3, device_now = ?3 WHERE root = ?1 AND device = ?2",
                params![root.0, device, now],
            )?;
            // Held for their device: it is known now, so they are looked for anew.
            tx.execute(
                "UPDATE recordings SET vanish_step = 0, proof_ms = NULL, held_seq = NULL, held_why = NULL
                 WHERE root = ?1 AND vanish_step = 2 AND held_why = 'device'",
                [root.0],
            )?;
            settled = true;
        }
    }
    Ok(settled)
}
