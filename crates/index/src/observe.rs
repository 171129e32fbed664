//! Storing what looks at storage came to. A recording and its pending mark are one transaction.

use std::collections::HashMap;

use focus_core::claim::{Claim, Ruling, rule};
use focus_core::recording::{Place, Recording, show_bytes};
use focus_core::settle::{Conclusion, Sight};
use focus_core::state::{Fault, State};
use focus_crash::Write;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::rows::{RootId, signed};
use crate::schema::{LIVE_END_MS, span};
use crate::sum::sum;
use crate::{Index, IndexError};

/// A look that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Where.
    pub place: Place,
    /// What it means.
    pub conclusion: Conclusion,
    /// What to remember of the files.
    pub sight: Sight,
    /// Look again at this time of the boot-time clock.
    pub due_ms: Option<u64>,
    /// The device of the folder.
    pub device: Option<u64>,
}

/// What storing observations came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Recordings made, changed, moved or come back: they are pending now.
    pub changed: u64,
    /// Places that became or ceased to be unrecognised.
    pub reported: u64,
    /// Places that hold a uuid which another place claims: look at them again, they may be gone.
    pub contested: Vec<Place>,
}

/// The holder of a uuid.
struct Holder {
    id: i64,
    root: i64,
    file: i64,
    path: String,
    generation: i64,
    catalogued: bool,
    vanished: bool,
}

/// What becomes of the columns of a recording whose files are there again.
const BACK: &str = "vanished_ms = NULL, vanish_step = 0, proof_ms = NULL, held_seq = NULL,
   held_why = NULL, marked_ms = NULL, approved = 0, never_seen = 0";

/// Gone, and not marked: the catalog still has it as it was, and need not be told of its return.
const AS_ACKNOWLEDGED: &str = "vanished_ms IS NOT NULL AND vanish_step NOT IN (3, 5) AND pending = 0 AND known AND acked = generation";

impl Index {
    /// Stores observations, all in one transaction.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub async fn observe(
        &self,
        root: RootId,
        batch: Vec<Observation>,
        now_wall_ms: i64,
    ) -> Result<Observed, IndexError> {
        self.write(Write::Observe, move |tx| observe(tx, root, &batch, now_wall_ms)).await
    }

    /// As [`Index::observe`], from a thread that may block.
    ///
    /// # Errors
    /// The index cannot be written; nothing was stored.
    pub fn observe_blocking(
        &self,
        root: RootId,
        batch: Vec<Observation>,
        now_wall_ms: i64,
    ) -> Result<Observed, IndexError> {
        self.write_blocking(Write::Observe, move |tx| observe(tx, root, &batch, now_wall_ms))
    }
}

fn observe(
    tx: &Transaction<'_>,
    root: RootId,
    batch: &[Observation],
    now_ms: i64,
) -> rusqlite::Result<Observed> {
    let mut store = Store {
        tx,
        root: root.0,
        now_ms,
        folders: HashMap::new(),
        devices: std::collections::HashSet::new(),
        out: Observed::default(),
    };
    for observation in batch {
        store.one(observation)?;
    }
    Ok(store.out)
}

struct Store<'a> {
    tx: &'a Transaction<'a>,
    root: i64,
    now_ms: i64,
    folders: HashMap<Vec<u8>, i64>,
    /// Folders whose device is known to be stored.
    devices: std::collections::HashSet<i64>,
    out: Observed,
}

impl Store<'_> {
    fn one(&mut self, observation: &Observation) -> rusqlite::Result<()> {
        let place = &observation.place;
        if observation.conclusion == Conclusion::Absent {
            return match self.file_of(place)? {
                Some(file) => self.absent(file),
                None => Ok(()),
            };
        }
        let file = self.file_for(place)?;
        if let Some(device) = observation.device {
            self.seen_on(&place.folder, device)?;
        }
        let mut sight = observation.sight.clone();
        let mut due_ms = observation.due_ms;
        match &observation.conclusion {
            Conclusion::Absent | Conclusion::Unsettled => {}
            Conclusion::Unrecognised(fault) => self.set_state(file, Some(fault))?,
            Conclusion::Same => due_ms = self.came_back(file, &mut sight, due_ms)?,
            Conclusion::Settled(recording) => self.settled(file, recording)?,
        }
        self.store_sight(file, &sight, due_ms)
    }

    /// Neither file is there any more.
    fn absent(&mut self, file: i64) -> rusqlite::Result<()> {
        self.set_state(file, None)?;
        self.store_sight(file, &Sight::default(), None)?;
        self.vanish_held_by(file, None)?;
        self.tidy(file)
    }

    /// The recordings this place holds, but for `keep`, have no files any more. Others that claim
    /// their uuids are looked at again: one of them may have it now.
    fn vanish_held_by(&mut self, file: i64, keep: Option<&str>) -> rusqlite::Result<()> {
        let keep = keep.unwrap_or("");
        self.tx
            .prepare_cached(
                "UPDATE files SET due_ms = 0, settled = 0 WHERE id <> ?1 AND uuid IN
                   (SELECT uuid FROM recordings WHERE file = ?1 AND uuid <> ?2)",
            )?
            .execute(params![file, keep])?;
        // Never sent, and gone: there is nothing to tell anybody.
        self.tx
            .prepare_cached(
                "DELETE FROM recordings WHERE file = ?1 AND uuid <> ?2 AND acked IS NULL AND known = 0
                   AND vanished_ms IS NULL
                   AND NOT EXISTS(SELECT 1 FROM roots t WHERE t.id = recordings.root
                     AND recordings.id BETWEEN t.sent_low AND t.sent_high)",
            )?
            .execute(params![file, keep])?;
        // What is kept may be in the catalog, acknowledged or not: it is not forgotten later either.
        self.tx
            .prepare_cached(
                "UPDATE recordings SET vanished_ms = ?3, vanish_step = 0, approved = 0, pending = 0,
                   acked = coalesce(acked, 0)
                 WHERE file = ?1 AND uuid <> ?2 AND vanished_ms IS NULL",
            )?
            .execute(params![file, keep, self.now_ms])?;
        Ok(())
    }

    /// Unchanged files: a recording that had vanished is back.
    fn came_back(
        &mut self,
        file: i64,
        sight: &mut Sight,
        due_ms: Option<u64>,
    ) -> rusqlite::Result<Option<u64>> {
        let unmarked = self
            .tx
            .prepare_cached(&format!(
                "UPDATE recordings SET {BACK} WHERE file = ?1 AND {AS_ACKNOWLEDGED}
                   AND uuid = (SELECT uuid FROM files WHERE id = ?1)"
            ))?
            .execute([file])?;
        self.out.reported += unmarked as u64;
        let back = self
            .tx
            .prepare_cached(&format!(
                "UPDATE recordings SET {BACK}, deleted = deleted & 1, pending = 1,
                   generation = generation + 1, pending_since_ms = ?2
                 WHERE file = ?1 AND vanished_ms IS NOT NULL
                   AND uuid = (SELECT uuid FROM files WHERE id = ?1)"
            ))?
            .execute(params![file, self.now_ms])?;
        self.out.changed += back as u64;
        // Held by this place, or by another one whose files are there.
        let (state, holds, held): (Option<String>, bool, bool) = self
            .tx
            .prepare_cached(
                "SELECT f.state, coalesce(r.file = f.id, 0), r.id IS NOT NULL AND r.vanished_ms IS NULL
                 FROM files f LEFT JOIN recordings r ON r.uuid = f.uuid WHERE f.id = ?1",
            )?
            .query_row([file], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let kept = [State::DuplicateId, State::CatalogRefused].map(State::name);
        if state.as_deref().is_some_and(|state| !kept.contains(&state)) {
            self.set_state(file, None)?;
        }
        let duplicate = held && state.as_deref() == Some(State::DuplicateId.name());
        if !holds && !duplicate {
            // It settled once, and its uuid has another holder since, or none: read it again.
            sight.settled = false;
            return Ok(Some(0));
        }
        Ok(due_ms)
    }

    /// A settled recording: who has its uuid?
    fn settled(&mut self, file: i64, recording: &Recording) -> rusqlite::Result<()> {
        self.vanish_held_by(file, Some(&recording.uuid))?;
        let Some(holder) = self.holder(&recording.uuid)? else {
            self.insert(file, recording)?;
            return self.set_state(file, None);
        };
        if holder.file == file {
            self.update(&holder, recording)?;
            return self.set_state(file, None);
        }
        let claim = Claim {
            path: &holder.path,
            catalogued: holder.catalogued,
            absent: holder.vanished || !self.is_there(holder.file)?,
        };
        match rule(claim, &recording.path) {
            Ruling::Moved => {
                self.give(&holder, file, recording)?;
                self.set_state(file, None)?;
                self.tidy(holder.file)
            }
            Ruling::NewcomerTakes => {
                self.give(&holder, file, recording)?;
                self.set_state(file, None)?;
                let fault = duplicate(&recording.uuid, &recording.path, None);
                self.set_state(holder.file, Some(&fault))
            }
            Ruling::HolderKeeps => {
                let elsewhere = (holder.root != self.root).then_some(holder.root);
                let fault = duplicate(&recording.uuid, &holder.path, elsewhere);
                self.set_state(file, Some(&fault))?;
                if elsewhere.is_none() {
                    self.out.contested.push(self.place_of(holder.file)?);
                } else {
                    self.tx
                        .prepare_cached("UPDATE files SET due_ms = 0 WHERE id = ?1")?
                        .execute([holder.file])?;
                }
                Ok(())
            }
        }
    }

    fn insert(&mut self, file: i64, recording: &Recording) -> rusqlite::Result<()> {
        let metadata = recording.metadata.to_text();
        self.tx
            .prepare_cached(
                "INSERT INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id,
                   path, size, fingerprint, metadata, generation, pending, pending_since_ms, drilled, sum)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
                   1 + (SELECT generation_base FROM roots WHERE id = ?1), 1, ?13, ?14, ?15)",
            )?
            .execute(params![
                self.root,
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
                self.now_ms,
                recording.is_drilled(),
                sum(recording, recording.deleted, &metadata),
            ])?;
        self.out.changed += 1;
        Ok(())
    }

    /// The same place holds it: write it where it says something else than before.
    fn update(&mut self, holder: &Holder, recording: &Recording) -> rusqlite::Result<()> {
        let metadata = recording.metadata.to_text();
        let same: bool = self
            .tx
            .prepare_cached(
                "SELECT start_ms = ?2 AND end_ms = ?3 AND deleted = ?4
                   AND recording_id = ?5 AND path = ?6 AND size = ?7 AND fingerprint = ?8
                   AND metadata = ?9 FROM recordings WHERE id = ?1",
            )?
            .query_row(
                params![
                    holder.id,
                    recording.start_ms,
                    recording.end_ms.unwrap_or(LIVE_END_MS),
                    recording.deleted,
                    recording.recording_id,
                    recording.path,
                    recording.size,
                    recording.fingerprint,
                    metadata,
                ],
                |row| row.get(0),
            )?;
        if same && !holder.vanished {
            return Ok(());
        }
        if same {
            let back = self
                .tx
                .prepare_cached(&format!(
                    "UPDATE recordings SET {BACK} WHERE id = ?1 AND {AS_ACKNOWLEDGED}"
                ))?
                .execute([holder.id])?;
            if back > 0 {
                self.out.reported += 1;
                return Ok(());
            }
        }
        self.rewrite(holder, None, recording, &metadata)
    }

    /// The recording is now this place's.
    fn give(&mut self, holder: &Holder, file: i64, recording: &Recording) -> rusqlite::Result<()> {
        self.rewrite(holder, Some(file), recording, &recording.metadata.to_text())
    }

    fn rewrite(
        &mut self,
        holder: &Holder,
        file: Option<i64>,
        recording: &Recording,
        metadata: &str,
    ) -> rusqlite::Result<()> {
        self.tx
            .prepare_cached(&format!(
                "UPDATE recordings SET root = ?2, file = ?3, start_ms = ?4, end_ms = ?5, span = ?6,
                   deleted = ?7, recording_id = ?8, path = ?9, size = ?10, fingerprint = ?11,
                   metadata = ?12, generation = ?13, drilled = ?15, sum = ?16, retry_ms = NULL,
                   {BACK},
                   pending_since_ms = CASE WHEN pending = 1 THEN pending_since_ms ELSE ?14 END,
                   pending = 1
                 WHERE id = ?1"
            ))?
            .execute(params![
                holder.id,
                self.root,
                file.unwrap_or(holder.file),
                recording.start_ms,
                recording.end_ms.unwrap_or(LIVE_END_MS),
                span(recording.start_ms, recording.end_ms),
                recording.deleted,
                recording.recording_id,
                recording.path,
                recording.size,
                recording.fingerprint,
                metadata,
                holder.generation.saturating_add(1),
                self.now_ms,
                recording.is_drilled(),
                sum(recording, recording.deleted, metadata),
            ])?;
        self.out.changed += 1;
        Ok(())
    }

    fn holder(&self, uuid: &str) -> rusqlite::Result<Option<Holder>> {
        self.tx
            .prepare_cached(
                "SELECT id, root, file, path, generation, acked IS NOT NULL OR known, vanished_ms IS NOT NULL
                 FROM recordings WHERE uuid = ?1",
            )?
            .query_row([uuid], |row| {
                Ok(Holder {
                    id: row.get(0)?,
                    root: row.get(1)?,
                    file: row.get(2)?,
                    path: row.get(3)?,
                    generation: row.get(4)?,
                    catalogued: row.get(5)?,
                    vanished: row.get(6)?,
                })
            })
            .optional()
    }

    /// The place had a file at its last look.
    fn is_there(&self, file: i64) -> rusqlite::Result<bool> {
        Ok(self
            .tx
            .prepare_cached(
                "SELECT data_size IS NOT NULL OR side_size IS NOT NULL FROM files WHERE id = ?1",
            )?
            .query_row([file], |row| row.get(0))
            .optional()?
            .unwrap_or(false))
    }

    fn place_of(&self, file: i64) -> rusqlite::Result<Place> {
        self.tx
            .prepare_cached(
                "SELECT d.path, f.stem FROM files f JOIN folders d ON d.id = f.folder WHERE f.id = ?1",
            )?
            .query_row([file], |row| Ok(Place { folder: row.get(0)?, stem: row.get(1)? }))
    }

    fn folder(&mut self, path: &[u8], make: bool) -> rusqlite::Result<Option<i64>> {
        if let Some(&id) = self.folders.get(path) {
            return Ok(Some(id));
        }
        let mut id = self
            .tx
            .prepare_cached("SELECT id FROM folders WHERE root = ?1 AND path = ?2")?
            .query_row(params![self.root, path], |row| row.get(0))
            .optional()?;
        if id.is_none() && make {
            self.tx
                .prepare_cached("INSERT INTO folders(root, path) VALUES(?1, ?2)")?
                .execute(params![self.root, path])?;
            id = Some(self.tx.last_insert_rowid());
        }
        if let Some(id) = id {
            self.folders.insert(path.to_vec(), id);
        }
        Ok(id)
    }

    /// A folder's device, where none is stored yet: later ones are the scan's to judge.
    fn seen_on(&mut self, path: &[u8], device: u64) -> rusqlite::Result<()> {
        let Some(folder) = self.folder(path, false)? else { return Ok(()) };
        if self.devices.insert(folder) {
            self.tx
                .prepare_cached(
                    "UPDATE folders SET device = ?2, device_now = ?2 WHERE id = ?1 AND device IS NULL",
                )?
                .execute(params![folder, device.cast_signed()])?;
        }
        Ok(())
    }

    fn file_of(&mut self, place: &Place) -> rusqlite::Result<Option<i64>> {
        let Some(folder) = self.folder(&place.folder, false)? else { return Ok(None) };
        self.tx
            .prepare_cached("SELECT id FROM files WHERE folder = ?1 AND stem = ?2")?
            .query_row(params![folder, place.stem], |row| row.get(0))
            .optional()
    }

    fn file_for(&mut self, place: &Place) -> rusqlite::Result<i64> {
        if let Some(file) = self.file_of(place)? {
            return Ok(file);
        }
        let folder = self.folder(&place.folder, true)?;
        self.tx
            .prepare_cached("INSERT INTO files(root, folder, stem) VALUES(?1, ?2, ?3)")?
            .execute(params![self.root, folder, place.stem])?;
        Ok(self.tx.last_insert_rowid())
    }

    fn store_sight(
        &mut self,
        file: i64,
        sight: &Sight,
        due_ms: Option<u64>,
    ) -> rusqlite::Result<()> {
        let data = sight.data;
        let side = sight.sidecar;
        self.tx
            .prepare_cached(
                "UPDATE files SET data_size = ?2, data_mtime_ns = ?3, data_since_ms = ?4, data_closed = ?5,
                   extension = ?6, side_size = ?7, side_mtime_ns = ?8, side_since_ms = ?9,
                   side_closed = ?10, settled = ?11, uuid = ?12, live = ?13, changed_ms = ?14, due_ms = ?15
                 WHERE id = ?1",
            )?
            .execute(params![
                file,
                data.map(|f| f.stat.size),
                data.map(|f| f.stat.mtime_ns),
                data.map(|f| signed(f.since_ms)),
                data.map(|f| f.closed),
                sight.extension,
                side.map(|f| f.stat.size),
                side.map(|f| f.stat.mtime_ns),
                side.map(|f| signed(f.since_ms)),
                side.map(|f| f.closed),
                sight.settled,
                sight.uuid,
                sight.live,
                signed(sight.changed_ms),
                due_ms.map(signed),
            ])?;
        Ok(())
    }

    fn set_state(&mut self, file: i64, fault: Option<&Fault>) -> rusqlite::Result<()> {
        let changed = set_state(self.tx, file, fault, self.now_ms)?;
        self.out.reported += u64::from(changed);
        Ok(())
    }

    /// A place without files, recording and report needs no row.
    fn tidy(&mut self, file: i64) -> rusqlite::Result<()> {
        tidy(self.tx, file)
    }
}

/// Sets or clears a place's state; true where that changed anything.
pub(crate) fn set_state(
    tx: &Transaction<'_>,
    file: i64,
    fault: Option<&Fault>,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let changed = match fault {
        Some(fault) => tx
            .prepare_cached(
                "UPDATE files SET faulty_since_ms = CASE WHEN state IS ?2 THEN faulty_since_ms ELSE ?4 END,
                   state = ?2, reason = ?3, report_seq = report_seq + 1
                 WHERE id = ?1 AND (state IS NOT ?2 OR reason IS NOT ?3)",
            )?
            .execute(params![file, fault.state.name(), fault.reason, now_ms])?,
        None => tx
            .prepare_cached(
                "UPDATE files SET state = NULL, reason = NULL, faulty_since_ms = NULL,
                   report_seq = report_seq + 1 WHERE id = ?1 AND state IS NOT NULL",
            )?
            .execute([file])?,
    };
    Ok(changed > 0)
}

/// Removes the row of a place that has no files, holds nothing and is reported nowhere.
pub(crate) fn tidy(tx: &Transaction<'_>, file: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "DELETE FROM files WHERE id = ?1 AND data_size IS NULL AND side_size IS NULL
           AND state IS NULL AND report_seq = reported_seq
           AND NOT EXISTS(SELECT 1 FROM recordings WHERE file = ?1)",
    )?
    .execute([file])?;
    Ok(())
}

fn duplicate(uuid: &str, path: &str, other_root: Option<i64>) -> Fault {
    let place = if other_root.is_some() { " in another root" } else { "" };
    Fault::new(
        State::DuplicateId,
        format!(
            "the uuid {uuid} is that of {}{place}. Give one of the two another uuid, or remove one",
            show_bytes(path.as_bytes())
        ),
    )
}
