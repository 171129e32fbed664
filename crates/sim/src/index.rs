//! The index of one server: what outlives a crash. It follows the rules of the real one.

use std::collections::BTreeMap;

use focus_core::batch::{Item, Outcome};
use focus_core::claim::{Claim, Ruling, rule};
use focus_core::compare::{Compared, Page, Row};
use focus_core::document::Stored;
use focus_core::reconcile::CatalogMemory;
use focus_core::recording::{Place, Recording};
use focus_core::settle::{Conclusion, Judgement, Sight};
use focus_core::vanish::{Counts, Decision, MaxVanished, SECOND_LOOK_MS, WINDOW_MS, judge};

/// How many may vanish, in a world this small.
pub(crate) const MAX: MaxVanished = MaxVanished { percent: 20, at_least: 2 };

/// How far a recording whose files are gone has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Not proved; or proved once, at this boot time.
    Candidate(Option<u64>),
    /// Held.
    Held,
    /// Marked at this wall time; `counts` unless it was approved or learned.
    Marked {
        /// By the wall clock.
        at_ms: i64,
        /// Towards the sliding hour.
        counts: bool,
    },
}

/// A recording.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) place: Place,
    pub(crate) recording: Recording,
    pub(crate) generation: i64,
    pub(crate) acked: Option<i64>,
    pub(crate) known: bool,
    pub(crate) pending: bool,
    pub(crate) aside: bool,
    pub(crate) gone: Option<Gone>,
    pub(crate) never_seen: bool,
}

/// The index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) memory: CatalogMemory,
    pub(crate) token_seen: i64,
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) sights: BTreeMap<Place, Sight>,
    /// Places that claim a uuid which another place has.
    pub(crate) duplicates: BTreeMap<Place, String>,
    /// Places to look at again, whatever happens.
    pub(crate) due: BTreeMap<Place, u64>,
    /// Rows that may have been sent, and are not all acknowledged.
    pub(crate) sent: Option<(i64, i64)>,
    next_id: i64,
}

impl Entry {
    /// The content as the catalog is to have it.
    pub(crate) fn content(&self) -> Recording {
        let mut recording = self.recording.clone();
        if let Some(Gone::Marked { at_ms, .. }) = self.gone {
            recording.deleted = true;
            recording.deleted_at_ms = Some(at_ms);
        }
        recording
    }

    fn is_marked(&self) -> bool {
        matches!(self.gone, Some(Gone::Marked { .. }))
    }
}

impl Index {
    /// An index that knows nothing.
    pub(crate) fn new() -> Index {
        Index {
            memory: CatalogMemory { owed: true, ..CatalogMemory::default() },
            ..Index::default()
        }
    }

    /// Stores what a look came to. True: news for the reconciler.
    pub(crate) fn observe(&mut self, place: &Place, judged: Judgement) -> bool {
        self.due.remove(place);
        if let Some(due_ms) = judged.due_ms {
            self.due.insert(place.clone(), due_ms);
        }
        let mut sight = judged.sight;
        let news = match judged.conclusion {
            Conclusion::Absent => {
                self.duplicates.remove(place);
                self.sights.remove(place);
                self.vanish(place, None);
                return true;
            }
            Conclusion::Unsettled => false,
            Conclusion::Unrecognised(_) => {
                self.duplicates.remove(place);
                false
            }
            Conclusion::Same => self.came_back(place, &mut sight),
            Conclusion::Settled(recording) => self.settled(place, *recording),
        };
        self.sights.insert(place.clone(), sight);
        news
    }

    fn vanish(&mut self, place: &Place, keep: Option<&str>) {
        let gone: Vec<String> = self
            .entries
            .values()
            .filter(|entry| entry.place == *place && Some(entry.recording.uuid.as_str()) != keep)
            .map(|entry| entry.recording.uuid.clone())
            .collect();
        for uuid in gone {
            for (other, claimed) in &self.duplicates {
                if *claimed == uuid {
                    self.due.insert(other.clone(), 0);
                    if let Some(sight) = self.sights.get_mut(other) {
                        sight.settled = false;
                    }
                }
            }
            let Some(entry) = self.entries.get_mut(&uuid) else { continue };
            let sent = self.sent.is_some_and(|(low, high)| (low..=high).contains(&entry.id));
            if entry.gone.is_none() && entry.acked.is_none() && !entry.known && !sent {
                self.entries.remove(&uuid);
            } else if entry.gone.is_none() {
                entry.gone = Some(Gone::Candidate(None));
                entry.pending = false;
                // It may be in the catalog: it is not forgotten later either.
                entry.acked = entry.acked.or(Some(0));
            }
        }
    }

    fn came_back(&mut self, place: &Place, sight: &mut Sight) -> bool {
        let Some(uuid) = sight.uuid.clone() else { return false };
        match self.entries.get_mut(&uuid) {
            Some(entry) if entry.place == *place => {
                let Some(gone) = entry.gone.take() else { return false };
                entry.never_seen = false;
                if !matches!(gone, Gone::Marked { .. })
                    && !entry.pending
                    && entry.known
                    && entry.acked == Some(entry.generation)
                {
                    return false;
                }
                entry.generation += 1;
                entry.pending = true;
                true
            }
            Some(entry) if entry.gone.is_none() && self.duplicates.contains_key(place) => false,
            _ => {
                sight.settled = false;
                self.due.insert(place.clone(), 0);
                false
            }
        }
    }

    fn settled(&mut self, place: &Place, recording: Recording) -> bool {
        let uuid = recording.uuid.clone();
        self.vanish(place, Some(&uuid));
        self.duplicates.remove(place);
        let there = |sights: &BTreeMap<Place, Sight>, at: &Place| {
            sights.get(at).is_some_and(|sight| sight.data.is_some() || sight.sidecar.is_some())
        };
        let Some(entry) = self.entries.get_mut(&uuid) else {
            self.next_id += 1;
            let entry = Entry {
                id: self.next_id,
                place: place.clone(),
                recording,
                generation: 1,
                acked: None,
                known: false,
                pending: true,
                aside: false,
                gone: None,
                never_seen: false,
            };
            self.entries.insert(uuid, entry);
            return true;
        };
        if entry.place != *place {
            let claim = Claim {
                path: &entry.recording.path,
                catalogued: entry.known || entry.acked.is_some(),
                absent: entry.gone.is_some() || !there(&self.sights, &entry.place),
            };
            match rule(claim, &recording.path) {
                Ruling::HolderKeeps => {
                    self.duplicates.insert(place.clone(), uuid);
                    let holder = entry.place.clone();
                    self.due.insert(holder, 0);
                    return false;
                }
                Ruling::NewcomerTakes => {
                    self.duplicates.insert(entry.place.clone(), uuid);
                }
                Ruling::Moved => {}
            }
            entry.place = place.clone();
        } else if entry.recording == recording {
            let was = entry.gone.take();
            entry.never_seen = false;
            match was {
                None => return false,
                Some(Gone::Marked { .. }) => {}
                Some(_)
                    if !entry.pending && entry.known && entry.acked == Some(entry.generation) =>
                {
                    return false;
                }
                Some(_) => {}
            }
        }
        entry.recording = recording;
        entry.gone = None;
        entry.never_seen = false;
        entry.generation += 1;
        entry.pending = true;
        entry.aside = false;
        true
    }

    /// The newest pending ones.
    pub(crate) fn pick(&self, limit: usize, before: Option<i64>) -> Vec<Item> {
        let mut rows: Vec<&Entry> = self
            .entries
            .values()
            .filter(|entry| entry.pending && !entry.aside)
            .filter(|entry| before.is_none_or(|before| entry.id < before))
            .collect();
        rows.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        rows.truncate(limit);
        rows.into_iter()
            .map(|entry| Item {
                id: entry.id,
                generation: entry.generation,
                acknowledged: entry.known,
                recording: entry.content(),
            })
            .collect()
    }

    fn by_id(&mut self, id: i64) -> Option<&mut Entry> {
        self.entries.values_mut().find(|entry| entry.id == id)
    }

    /// Stores what a batch came to. Gives what counts as acknowledged.
    pub(crate) fn acknowledge(&mut self, outcomes: &[(i64, i64, Outcome)]) -> Vec<String> {
        let mut acknowledged = Vec::new();
        for (id, generation, outcome) in outcomes {
            let Some(entry) = self.by_id(*id) else { continue };
            match outcome {
                Outcome::Acknowledged => {
                    entry.acked = Some(*generation);
                    entry.known = true;
                    if entry.generation == *generation {
                        entry.pending = false;
                        acknowledged.push(entry.recording.uuid.clone());
                    }
                }
                Outcome::SetAside(_) if entry.generation == *generation => entry.aside = true,
                Outcome::Raise(to) => entry.generation = entry.generation.max(*to),
                Outcome::Removed if entry.generation == *generation => {
                    let uuid = entry.recording.uuid.clone();
                    self.entries.remove(&uuid);
                }
                Outcome::SetAside(_) | Outcome::Left | Outcome::Removed => {}
            }
        }
        if !self.entries.values().any(|entry| entry.pending) {
            self.sent = None;
        }
        acknowledged
    }

    /// The catalog may have these rows from now on. Gives those that are not pending any more.
    pub(crate) fn note(&mut self, rows: &[i64]) -> Vec<i64> {
        if let (Some(&low), Some(&high)) = (rows.iter().min(), rows.iter().max()) {
            let (before, after) = self.sent.unwrap_or((low, high));
            self.sent = Some((low.min(before), high.max(after)));
        }
        let is_pending = |row: &i64| self.entries.values().any(|one| one.id == *row && one.pending);
        rows.iter().copied().filter(|row| !is_pending(row)).collect()
    }

    /// What was set aside is tried again.
    pub(crate) fn retry(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.aside = false);
    }

    /// A range for a comparison.
    pub(crate) fn range(
        &self,
        after: Option<&String>,
        through: Option<&String>,
        limit: usize,
    ) -> Page<Row> {
        let rows = self
            .entries
            .values()
            .filter(|entry| Some(&entry.recording.uuid) > after)
            .filter(|entry| through.is_none_or(|through| entry.recording.uuid <= *through))
            .map(|entry| Row {
                id: entry.id,
                generation: entry.generation,
                acknowledged: entry.known,
                vanished: entry.gone.is_some() && !entry.is_marked(),
                marked: entry.is_marked(),
                changed: entry.generation > 1 && entry.acked != Some(entry.generation),
                recording: entry.content(),
            });
        Page::of(limit, rows)
    }

    /// Stores what a comparison found. Gives how many of the documents' rows are gone by now.
    pub(crate) fn found(&mut self, findings: &[(i64, i64, Compared)]) -> u64 {
        let mut gone = 0;
        for (id, generation, finding) in findings {
            let Some(entry) = self.by_id(*id) else {
                gone += u64::from(*finding != Compared::NotThere);
                continue;
            };
            if entry.generation != *generation {
                // Whatever became of the row since it was read: the catalog has a document of it.
                entry.known |= *finding != Compared::NotThere;
                continue;
            }
            let open = entry.gone.is_none() || entry.is_marked();
            match finding {
                Compared::Same => {
                    entry.acked = Some(*generation);
                    entry.known = true;
                    entry.pending = false;
                    entry.aside = false;
                }
                Compared::Differs if open => {
                    entry.known = true;
                    entry.pending = true;
                }
                Compared::Differs if !entry.pending => {
                    entry.known = true;
                    entry.acked = None;
                }
                Compared::NotThere if entry.gone.is_none() => {
                    entry.known = false;
                    entry.pending = true;
                }
                Compared::NotThere if !entry.is_marked() => {
                    entry.known = false;
                }
                Compared::Deleted(since_ms) if entry.gone.is_some() => {
                    let at_ms = since_ms.unwrap_or(0);
                    entry.gone = Some(Gone::Marked { at_ms, counts: false });
                    entry.acked = Some(*generation);
                    entry.known = true;
                    entry.pending = false;
                }
                _ => {}
            }
        }
        gone
    }

    /// Documents that no row has, once storage has been scanned.
    pub(crate) fn add_missing(&mut self, missing: &[Stored]) {
        for stored in missing {
            let Some(recording) = &stored.recording else { continue };
            let Some((folder, name)) = recording.path.split_once('/') else { continue };
            let Some((stem, _)) = name.split_once('.') else { continue };
            if let Some(entry) = self.entries.get_mut(&stored.uuid) {
                entry.known = true;
                continue;
            }
            self.next_id += 1;
            let generation = stored.version.map_or(1, focus_core::document::generation).max(1);
            let entry = Entry {
                id: self.next_id,
                place: Place { folder: folder.into(), stem: stem.into() },
                recording: recording.clone(),
                generation,
                acked: Some(generation),
                known: true,
                pending: false,
                aside: false,
                gone: Some(Gone::Candidate(None)),
                never_seen: true,
            };
            self.entries.insert(stored.uuid.clone(), entry);
        }
    }

    /// Proves absence, and marks or holds what was proved twice. Gives the uuids that were marked.
    pub(crate) fn conclude(
        &mut self,
        now_ms: u64,
        wall_ms: u64,
        absent: impl Fn(&Place) -> Option<bool>,
    ) -> Vec<String> {
        let moved = self.named();
        let mut ready = Vec::new();
        for entry in self.entries.values_mut() {
            let Some(Gone::Candidate(proof)) = entry.gone else { continue };
            if moved.contains(&entry.recording.uuid) {
                continue;
            }
            // Files are there, and are another recording.
            let replaced = self.sights.get(&entry.place).is_some_and(|sight| {
                sight.settled && sight.uuid.as_ref() != Some(&entry.recording.uuid)
            });
            match (absent(&entry.place).map(|absent| absent || replaced), proof) {
                (Some(true), None) => entry.gone = Some(Gone::Candidate(Some(now_ms))),
                (Some(true), Some(first)) if now_ms >= first + SECOND_LOOK_MS => {
                    ready.push(entry.recording.uuid.clone());
                }
                (Some(true), Some(_)) => {}
                (Some(false), _) => {
                    entry.gone = Some(Gone::Candidate(None));
                    self.due.insert(entry.place.clone(), 0);
                }
                (None, _) => entry.gone = Some(Gone::Candidate(None)),
            }
        }
        if ready.is_empty() {
            return ready;
        }
        let verdict = judge(self.counts(wall_ms, &moved), MAX);
        let mut marked = Vec::new();
        for uuid in ready {
            let neighbour = self.entries.get(&uuid).is_some_and(|gone| {
                self.entries.values().any(|other| {
                    other.place.folder == gone.place.folder
                        && other.gone.is_none()
                        && !other.never_seen
                        && other.known
                })
            });
            let Some(entry) = self.entries.get_mut(&uuid) else { continue };
            let drilled = entry.recording.is_drilled();
            if drilled || verdict == Decision::Mark && (neighbour || !entry.never_seen) {
                let at_ms = i64::try_from(wall_ms).unwrap_or(0);
                entry.gone = Some(Gone::Marked { at_ms, counts: !drilled });
                entry.generation += 1;
                entry.pending = true;
                marked.push(uuid);
            } else {
                entry.gone = Some(Gone::Held);
            }
        }
        marked
    }

    /// The uuids that sidecars name, settled or not.
    pub(crate) fn named(&self) -> Vec<String> {
        let there = self.sights.values().filter(|sight| sight.sidecar.is_some());
        there.filter_map(|sight| sight.uuid.clone()).collect()
    }

    /// What the verdict on deletions rests on.
    pub(crate) fn counts(&self, wall_ms: u64, moved: &[String]) -> Counts {
        let mut counts = Counts::default();
        let since = i64::try_from(wall_ms).unwrap_or(0) - WINDOW_MS;
        for entry in self.entries.values() {
            match entry.gone {
                None => counts.present += 1,
                Some(Gone::Held) => counts.gone += 1,
                Some(Gone::Candidate(_))
                    if !moved.contains(&entry.recording.uuid) && !entry.recording.is_drilled() =>
                {
                    counts.gone += 1
                }
                Some(Gone::Marked { at_ms, counts: true }) if at_ms > since => counts.marked += 1,
                Some(_) => {}
            }
        }
        counts
    }

    /// Lets what is held through.
    pub(crate) fn approve(&mut self, wall_ms: u64) -> Vec<String> {
        let mut approved = Vec::new();
        for entry in self.entries.values_mut() {
            if entry.gone == Some(Gone::Held) {
                let at_ms = i64::try_from(wall_ms).unwrap_or(0);
                entry.gone = Some(Gone::Marked { at_ms, counts: false });
                entry.generation += 1;
                entry.pending = true;
                approved.push(entry.recording.uuid.clone());
            }
        }
        approved
    }
}
