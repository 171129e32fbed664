//! What is gone: proved, concluded on, approved; and the mounts that folders are on.

use std::collections::BTreeSet;
use std::sync::Arc;

use focus_core::entry::absence::{self, Facts, Scene, is_candidate};
use focus_core::entry::mounted::{self, AtPlace, Own, Settled};
use focus_core::entry::{Absence, Effects, Entry, News, Turn};
use focus_core::exclude::Exclude;
use focus_core::mount::Mount;
use focus_core::recording::Place;
use focus_core::vanish::{Counts, SECOND_LOOK_MS, judge};

use super::{Index, MAX, Row};

/// What a conclusion on absence is told of the world.
pub(crate) struct Proofs<'a> {
    /// Whether no file is at a place; none: nobody can tell.
    pub(crate) absent: &'a dyn Fn(&Place) -> Option<bool>,
    /// The mount that a folder is read on.
    pub(crate) mount: &'a dyn Fn(&[u8]) -> Arc<Mount>,
    /// What of the root is not there.
    pub(crate) exclude: &'a Exclude,
    /// The root is an archive.
    pub(crate) archive: bool,
    /// The boot-time clock.
    pub(crate) now_ms: u64,
    /// The wall clock.
    pub(crate) wall_ms: i64,
}

impl Index {
    /// The places of those whose absence is to be proved.
    pub(crate) fn candidates(&self) -> Vec<Place> {
        let candidates = self.rows.values().filter(|row| is_candidate(&row.entry));
        candidates.map(|row| row.place.clone()).collect()
    }

    /// Proves absence, and concludes on what was proved twice. Gives the uuids whose documents change by
    /// that: marked, or leaving.
    pub(crate) fn conclude(&mut self, proofs: &Proofs<'_>) -> Vec<String> {
        let named = self.named();
        let ready = self.prove(proofs, &named);
        if ready.is_empty() {
            return ready;
        }
        let decision = judge(self.counts(proofs.wall_ms, &named), MAX);
        let mut deleted = Vec::new();
        for uuid in ready {
            let row = &self.rows[&uuid];
            let facts = Facts {
                scene: self.scene(row, &named),
                elsewhere: self.is_elsewhere(row, &(proofs.mount)(&row.place.folder)),
                hidden: proofs.exclude.hides_folder(&row.place.folder),
                archive: proofs.archive,
                has_neighbour: self.rows.values().any(|other| {
                    other.place.folder == row.place.folder && absence::is_neighbour(&other.entry)
                }),
                decision,
                seq: self.held_seq + 1,
                now_ms: proofs.wall_ms,
            };
            let turn = absence::concluded(row.entry, facts);
            if let Some(Absence::Held { seq, .. }) = turn.entry.as_ref().and_then(Entry::absence) {
                self.held_seq = seq;
            }
            if self.take(&uuid, turn) == News::Pending {
                deleted.push(uuid);
            }
        }
        deleted
    }

    /// One round of proofs. Gives the uuids of those that were proved twice.
    fn prove(&mut self, proofs: &Proofs<'_>, named: &BTreeSet<String>) -> Vec<String> {
        let mut ready = Vec::new();
        let uuids: Vec<String> = self
            .rows
            .iter()
            .filter(|(uuid, row)| is_candidate(&row.entry) && !named.contains(*uuid))
            .map(|(uuid, _)| uuid.clone())
            .collect();
        for uuid in uuids {
            let row = &self.rows[&uuid];
            let (place, before) = (row.place.clone(), row.entry);
            let replaced = self.scene(row, named).replaced;
            let after = match (
                (proofs.absent)(&place)
                    .map(|absent| absent || replaced || proofs.exclude.hides_folder(&place.folder)),
                before.absence(),
            ) {
                (Some(true), Some(Absence::Proved { at_ms })) => {
                    if proofs.now_ms >= at_ms + SECOND_LOOK_MS {
                        ready.push(uuid.clone());
                    }
                    before
                }
                (Some(true), _) => absence::proved(before, proofs.now_ms),
                (Some(false), _) => {
                    self.places.entry(place).or_default().due_ms = Some(0);
                    absence::doubted(before)
                }
                (None, _) => absence::doubted(before),
            };
            self.take(&uuid, Turn { entry: Some(after), effects: Effects::default() });
        }
        ready
    }

    fn scene(&self, row: &Row, named: &BTreeSet<String>) -> Scene {
        let sight = self.sight(&row.place);
        Scene {
            named: named.contains(&row.recording.uuid),
            has_files: sight.data.is_some() || sight.sidecar.is_some(),
            replaced: sight.settled && sight.uuid.as_ref() != Some(&row.recording.uuid),
        }
    }

    /// The uuids that sidecars name, settled or not.
    fn named(&self) -> BTreeSet<String> {
        let there = self.places.values().filter(|known| known.sight.sidecar.is_some());
        there.filter_map(|known| known.sight.uuid.clone()).collect()
    }

    /// What the decision on deletions rests on.
    pub(crate) fn counted(&self, wall_ms: i64) -> Counts {
        self.counts(wall_ms, &self.named())
    }

    fn counts(&self, wall_ms: i64, named: &BTreeSet<String>) -> Counts {
        let mut counts = Counts::default();
        for (uuid, row) in &self.rows {
            absence::count(&mut counts, &row.entry, named.contains(uuid), wall_ms);
        }
        counts
    }

    /// What was held for an exclude, and is not hidden by this one, is looked for anew.
    pub(crate) fn show_again(&mut self, exclude: &Exclude) {
        for row in self.rows.values_mut() {
            if !exclude.hides_folder(&row.place.folder) {
                row.entry = absence::shown(row.entry);
            }
        }
    }

    /// The uuids of what is held, at most so many.
    pub(crate) fn held(&self, limit: usize) -> BTreeSet<String> {
        let is_held = |row: &&Row| matches!(row.entry.absence(), Some(Absence::Held { .. }));
        let held = self.rows.values().filter(is_held);
        held.take(limit).map(|row| row.recording.uuid.clone()).collect()
    }

    /// Approves what is held.
    pub(crate) fn approve(&mut self, wall_ms: i64) -> bool {
        let uuids: Vec<String> = self.rows.keys().cloned().collect();
        let mut any = false;
        for uuid in uuids {
            let turn = absence::approved(self.rows[&uuid].entry, i64::MAX, wall_ms);
            any |= self.take(&uuid, turn) == News::Pending;
        }
        any
    }

    /// The recording was seen on another mount than this one.
    pub(crate) fn is_elsewhere(&self, row: &Row, mount: &Arc<Mount>) -> bool {
        let folder = self.folders.get(&row.place.folder).map(|at| at.seen.clone());
        mounted::is_elsewhere(row.own.clone(), folder, Some(mount.clone()))
    }

    /// The mount that the recording was seen on; none where that is not known.
    pub(crate) fn seen_on(&self, row: &Row) -> Option<Arc<Mount>> {
        let folder = self.folders.get(&row.place.folder).map(|at| at.seen.clone());
        mounted::seen_on(row.own.seen.clone(), folder)
    }

    /// A whole scan has found every folder on its mount.
    pub(crate) fn settle_mounts(&mut self, mount: &dyn Fn(&[u8]) -> Arc<Mount>) {
        for (path, folder) in &mut self.folders {
            folder.now = mount(path);
        }
        let there: BTreeSet<Arc<Mount>> =
            crate::storage::all_places().map(|place| mount(&place.folder)).collect();
        let moved = self.folders.values().filter(|at| at.seen != at.now).map(|at| at.seen.clone());
        let own = self.rows.values().filter_map(|row| row.own.seen.clone());
        for seen_on in moved.chain(own).collect::<BTreeSet<_>>() {
            for now in there.iter().filter(|now| **now != seen_on) {
                if self.settle_mount(&seen_on, now, there.contains(&seen_on)) {
                    break;
                }
            }
        }
        self.back();
    }

    /// What was seen on one mount, and may be on another now. True: all of it is.
    fn settle_mount(&mut self, seen_on: &Arc<Mount>, now: &Arc<Mount>, is_there: bool) -> bool {
        let of = |row: &&Row| self.seen_on(row).as_ref() == Some(seen_on);
        let is_now = |row: &&Row| {
            self.folders.get(&row.place.folder).is_some_and(|folder| folder.now == *now)
        };
        let was_seen = |row: &&Row| mounted::was_seen(&row.entry, self.at_place(row));
        let seen = self.rows.values().filter(of).filter(was_seen).count() as u64;
        let found = self.rows.values().filter(of).filter(is_now);
        let found =
            found.filter(|row| mounted::is_found(&row.entry, self.at_place(row))).count() as u64;
        match mounted::settle(is_there, seen, found) {
            Settled::Stays => false,
            Settled::Taken => {
                let taken = self.rows.iter().filter(|(_, row)| of(row));
                let taken: Vec<String> = taken.map(|(uuid, _)| uuid.clone()).collect();
                self.taken(&taken, seen_on, now);
                true
            }
            Settled::Moves => {
                self.move_found(seen_on, now);
                false
            }
        }
    }

    /// What was seen last on another mount than before, and is found where it was before, is as it was.
    fn back(&mut self) {
        let is_back = |row: &&Row| {
            (row.entry.drilled || mounted::is_found(&row.entry, self.at_place(row)))
                && self.folders.get(&row.place.folder).map(|at| &at.now)
                    == self.seen_on(row).as_ref()
        };
        let back = self.rows.values().filter(is_back).map(|row| row.recording.uuid.clone());
        for uuid in back.collect::<Vec<_>>() {
            self.rows.entry(uuid).and_modify(|row| row.own.last = None);
        }
    }

    fn taken(&mut self, uuids: &[String], seen_on: &Arc<Mount>, now: &Arc<Mount>) {
        for (_, row) in self.rows.iter_mut().filter(|(uuid, _)| uuids.contains(uuid)) {
            // Nine tenths have been found: the rest counts as looked for.
            row.seen_at = None;
        }
        for row in self.rows.values_mut() {
            if row.own.seen.as_ref() == Some(seen_on) {
                row.own.seen = Some(now.clone());
            }
            if row.own.last.as_ref() == Some(seen_on) {
                row.own.last = Some(now.clone());
            }
            row.entry = mounted::settled(row.entry);
        }
        let folders = self.folders.values_mut();
        folders
            .filter(|folder| folder.seen == *seen_on)
            .for_each(|folder| folder.seen = now.clone());
    }

    fn at_place(&self, row: &Row) -> AtPlace {
        let Some(known) = self.places.get(&row.place) else { return AtPlace::Nothing };
        if !self.has_files(&row.place) {
            AtPlace::Nothing
        } else if known.sight.uuid.as_ref() == Some(&row.recording.uuid)
            && known.sight.sidecar.is_some()
            && (known.sight.settled || known.reported.is_none())
        {
            AtPlace::Itself
        } else if known.sight.settled {
            AtPlace::Another
        } else if known.reported.is_none() {
            AtPlace::Unsettled
        } else {
            AtPlace::Faulty
        }
    }

    fn move_found(&mut self, seen_on: &Arc<Mount>, now: &Arc<Mount>) {
        let found = self.rows.values();
        let found = found.filter(|row| mounted::is_found(&row.entry, self.at_place(row)));
        let found: BTreeSet<String> = found.map(|row| row.recording.uuid.clone()).collect();
        for row in self.rows.values_mut() {
            let Some(folder) = self.folders.get(&row.place.folder) else { continue };
            if folder.now != *now {
                continue;
            }
            let goes = row.entry.drilled || found.contains(&row.recording.uuid);
            let is_seen_on = row.own.seen.as_ref().unwrap_or(&folder.seen) == seen_on;
            if is_seen_on && goes {
                row.own = Own { seen: Some(now.clone()), last: None };
            } else if is_seen_on {
                row.own.seen = Some(seen_on.clone());
            }
        }
        let moved = self.folders.values_mut();
        moved
            .filter(|folder| folder.seen == *seen_on && folder.now == *now)
            .for_each(|folder| folder.seen = now.clone());
    }
}
