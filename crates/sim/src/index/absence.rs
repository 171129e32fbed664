//! What is gone: proved, concluded on, approved; and the devices that folders are on.

use std::collections::BTreeSet;

use focus_core::entry::absence::{self, Facts, Scene, is_candidate};
use focus_core::entry::{Absence, Effects, Entry, News, Turn, device};
use focus_core::exclude::Exclude;
use focus_core::recording::Place;
use focus_core::vanish::{Counts, SECOND_LOOK_MS, judge};

use super::{Index, MAX, Row};

/// What a conclusion on absence is told of the world.
pub(crate) struct Proofs<'a> {
    /// Whether no file is at a place; none: nobody can tell.
    pub(crate) absent: &'a dyn Fn(&Place) -> Option<bool>,
    /// The device that is read.
    pub(crate) device: u64,
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
                elsewhere: self.is_elsewhere(&row.place, proofs.device),
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

    /// The folder of this place was seen on another device than this one.
    pub(crate) fn is_elsewhere(&self, place: &Place, device: u64) -> bool {
        self.devices.get(&place.folder).is_some_and(|known| known.seen != device)
    }

    /// A whole scan has found every folder on this device.
    pub(crate) fn settle_devices(&mut self, device: u64) {
        self.devices.values_mut().for_each(|known| known.now = device);
        let moved: BTreeSet<u64> = self
            .devices
            .values()
            .filter(|known| known.seen != known.now)
            .map(|known| known.seen)
            .collect();
        for old in moved {
            let is_of = |row: &&Row| {
                self.devices.get(&row.place.folder).is_some_and(|known| known.seen == old)
            };
            let was_seen = |row: &&Row| device::was_seen(&row.entry, self.has_files(&row.place));
            let seen = self.rows.values().filter(is_of).filter(was_seen);
            let found = self.rows.values().filter(is_of).filter(|row| device::is_found(&row.entry));
            if device::takes_over(seen.count() as u64, found.count() as u64) {
                self.devices
                    .values_mut()
                    .filter(|known| known.seen == old)
                    .for_each(|known| known.seen = device);
                self.rows.values_mut().for_each(|row| row.entry = device::settled(row.entry));
            }
        }
    }
}
