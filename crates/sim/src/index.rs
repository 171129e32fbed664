//! The index of one server: what outlives a crash. It is a few maps. The rules of
//! `focus_core::entry` decide what happens to a recording in them, as in the real one.

mod absence;

use std::collections::BTreeMap;
use std::sync::Arc;

use focus_core::batch::{Item, ItemOutcome, Outcome, Pick, Picked};
use focus_core::claim::Ruling;
use focus_core::compare::{Compared, ComparedEntry, Page};
use focus_core::document::Stored;
use focus_core::entry::answered::{Answer, answered, picked};
use focus_core::entry::claimed::{Holding, claimed, preferred};
use focus_core::entry::compared::compared;
use focus_core::entry::mounted::{Own, kept};
use focus_core::entry::observed::{self, Holder, Reported};
use focus_core::entry::sent::Sent;
use focus_core::entry::{Content, Effects, Entry, EntryId, LookAgain, News, Report, Turn, waiting};
use focus_core::mount::Mount;
use focus_core::reconcile::CatalogMemory;
use focus_core::recording::{Place, Recording};
use focus_core::settle::{Conclusion, Judgement, Sight};
use focus_core::state::State;
use focus_core::vanish::MaxVanished;

pub(crate) use absence::Proofs;

/// How many may vanish, in a world this small.
pub(crate) const MAX: MaxVanished = MaxVanished { percent: 20, at_least: 2 };

/// After this what was refused is tried again.
const RETRY_MS: u64 = 1_000;

/// A recording.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: EntryId,
    pub(crate) place: Place,
    /// As its sidecar says.
    pub(crate) recording: Recording,
    pub(crate) entry: Entry,
    /// The mounts that it was seen on, where they are others than its folder's.
    own: Own<Arc<Mount>>,
    /// Where the mount is, relative to the root, on which its files were seen last.
    pub(crate) seen_at: Option<Vec<u8>>,
}

/// A place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) sight: Sight,
    reported: Option<State>,
    /// To be looked at again at this time of the boot-time clock.
    due_ms: Option<u64>,
}

/// The mount that a folder was seen on, and the one a scan found it on last.
#[derive(Clone, Debug)]
struct FolderMounts {
    seen: Arc<Mount>,
    now: Arc<Mount>,
}

/// The index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) memory: CatalogMemory,
    pub(crate) token_seen: i64,
    /// By uuid.
    pub(crate) rows: BTreeMap<String, Row>,
    places: BTreeMap<Place, Known>,
    folders: BTreeMap<Vec<u8>, FolderMounts>,
    sent: Sent,
    generation_base: i64,
    held_seq: i64,
    last_id: i64,
}

impl Row {
    /// The content as the catalog is to have it.
    pub(crate) fn content(&self) -> Recording {
        picked(self.recording.clone(), self.entry.deleted_at_ms())
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

    /// The process starts.
    pub(crate) fn start(&mut self) {
        self.rows.values_mut().for_each(|row| row.entry = waiting::started(row.entry));
        // The scan at its start looks at everything.
        self.places.values_mut().for_each(|known| known.due_ms = Some(known.due_ms.unwrap_or(0)));
    }

    /// A folder was found on another mount by the last scan of everything.
    pub(crate) fn is_moved(&self, folder: &[u8], mount: &Arc<Mount>) -> bool {
        self.folders.get(folder).is_some_and(|known| known.now != *mount)
    }

    /// What is remembered of a place.
    pub(crate) fn sight(&self, place: &Place) -> Sight {
        self.places.get(place).map(|known| known.sight.clone()).unwrap_or_default()
    }

    /// The places whose time has come.
    pub(crate) fn due(&self, now_ms: u64) -> Vec<Place> {
        let is_due = |known: &Known| known.due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        self.places
            .iter()
            .filter(|(_, known)| is_due(known))
            .map(|(place, _)| place.clone())
            .collect()
    }

    /// Stores what a look came to. True: news for the reconciler.
    pub(crate) fn observe(
        &mut self,
        place: &Place,
        judged: Judgement,
        mount: Option<Arc<Mount>>,
        wall_ms: i64,
    ) -> bool {
        let known = self.places.entry(place.clone()).or_default().clone();
        if let Some(mount) = &mount {
            let first = || FolderMounts { seen: mount.clone(), now: mount.clone() };
            self.folders.entry(place.folder.clone()).or_insert_with(first);
        }
        let (mut sight, mut due_ms) = (judged.sight, judged.due_ms);
        let news = match judged.conclusion {
            Conclusion::Absent => {
                self.report(place, None);
                self.vanished_from(place, None, wall_ms);
                self.places.remove(place);
                return true;
            }
            Conclusion::Unsettled => News::None,
            Conclusion::Unrecognised(fault) => {
                self.report(place, Some(fault.state));
                News::None
            }
            Conclusion::Same => {
                let (news, read_again) = self.unchanged(place, &known, mount.as_ref(), wall_ms);
                if read_again {
                    sight.settled = false;
                    due_ms = Some(0);
                }
                news
            }
            Conclusion::Settled(recording) => {
                self.settled(place, *recording, mount.as_ref(), wall_ms)
            }
        };
        let known = self.places.entry(place.clone()).or_default();
        known.sight = sight;
        known.due_ms = due_ms;
        if known.sight.sidecar.is_some() {
            self.seen_at(place, mount.as_ref());
        }
        news == News::Pending
    }

    fn report(&mut self, place: &Place, state: Option<State>) {
        if let Some(known) = self.places.get_mut(place) {
            known.reported = state;
        }
    }

    pub(crate) fn has_files(&self, place: &Place) -> bool {
        self.places
            .get(place)
            .is_some_and(|known| known.sight.data.is_some() || known.sight.sidecar.is_some())
    }

    fn vanished_from(&mut self, place: &Place, keep: Option<&str>, wall_ms: i64) {
        let is_gone =
            |(uuid, row): &(&String, &Row)| row.place == *place && Some(uuid.as_str()) != keep;
        let gone: Vec<String> =
            self.rows.iter().filter(is_gone).map(|(uuid, _)| uuid.clone()).collect();
        for uuid in gone {
            let row = &self.rows[&uuid];
            let turn = observed::vanished(row.entry, self.sent.holds(row.id), wall_ms);
            self.take(&uuid, turn);
        }
    }

    fn unchanged(
        &mut self,
        place: &Place,
        known: &Known,
        mount: Option<&Arc<Mount>>,
        wall_ms: i64,
    ) -> (News, bool) {
        let uuid = known.sight.uuid.clone().unwrap_or_default();
        let mut news = News::None;
        let holder = self.rows.get(&uuid).map(|row| (row.place == *place, row.entry));
        let holder = holder.map(|(here, entry)| {
            if here {
                news = self.take(&uuid, observed::unchanged(entry, wall_ms));
                self.keep_mount(&uuid, mount, false);
            }
            Holder { here, there: here || entry.is_there() }
        });
        let reported = known.reported.map_or(Reported::Nothing, Reported::State);
        let unchanged = observed::place_unchanged(reported, holder);
        if unchanged.cleared {
            self.report(place, None);
        }
        (news, unchanged.read_again)
    }

    fn settled(
        &mut self,
        place: &Place,
        recording: Recording,
        mount: Option<&Arc<Mount>>,
        wall_ms: i64,
    ) -> News {
        let (uuid, drilled) = (recording.uuid.clone(), recording.is_drilled());
        self.vanished_from(place, Some(&uuid), wall_ms);
        let Some(row) = self.rows.get(&uuid) else {
            let entry = observed::made(self.generation_base, drilled, wall_ms);
            self.insert(place.clone(), recording, entry);
            self.keep_mount(&uuid, mount, true);
            self.report(place, None);
            return News::Pending;
        };
        if row.place == *place {
            let same = row.recording == recording;
            let was_seen = !row.entry.never_seen;
            let turn = observed::settled(row.entry, same, drilled, wall_ms);
            self.report(place, None);
            let news = self.take_read(&uuid, turn, Some((place, recording)));
            self.keep_mount(&uuid, mount, !was_seen);
            return news;
        }
        let holder = row.place.clone();
        let has_files = self.has_files(&holder);
        let holding = Holding { path: &row.recording.path, has_files };
        let (ruling, turn) = claimed(row.entry, holding, &recording.path, drilled, wall_ms);
        let news = self.take_read(&uuid, turn, Some((place, recording)));
        match ruling {
            Ruling::HolderKeeps => {
                self.report(place, Some(State::DuplicateId));
                self.places.entry(holder).or_default().due_ms = Some(0);
                return news;
            }
            Ruling::NewcomerTakes => self.report(&holder, Some(State::DuplicateId)),
            Ruling::Moved => {}
        }
        self.keep_mount(&uuid, mount, true);
        self.report(place, None);
        news
    }

    /// The files of a recording were read on this mount. `is_new`: it was not at its place before, or was never
    /// seen.
    fn keep_mount(&mut self, uuid: &str, mount: Option<&Arc<Mount>>, is_new: bool) {
        let Some(row) = self.rows.get_mut(uuid) else { return };
        let folder = self.folders.get(&row.place.folder).map(|at| at.seen.clone());
        row.own = kept(row.own.clone(), mount.cloned(), folder, is_new);
    }

    /// The files of a place were seen on this mount: the truth, which the index itself does not keep. What was
    /// gone is there again only once it has settled.
    fn seen_at(&mut self, place: &Place, mount: Option<&Arc<Mount>>) {
        let uuid = self.places.get(place).and_then(|known| known.sight.uuid.clone());
        if let Some(row) = uuid.and_then(|uuid| self.rows.get_mut(&uuid))
            && row.place == *place
            && row.entry.is_there()
        {
            row.seen_at = mount.map(|mount| mount.point.clone());
        }
    }

    fn insert(&mut self, place: Place, recording: Recording, entry: Entry) {
        self.last_id += 1;
        let row = Row {
            id: EntryId(self.last_id),
            place,
            entry,
            recording,
            own: Own::default(),
            seen_at: None,
        };
        self.rows.insert(row.recording.uuid.clone(), row);
    }

    /// Stores what a rule made of a row, and carries out what follows.
    fn take(&mut self, uuid: &str, turn: Turn) -> News {
        self.take_read(uuid, turn, None)
    }

    /// The same, of a rule that was told what was read at a place.
    fn take_read(&mut self, uuid: &str, turn: Turn, read: Option<(&Place, Recording)>) -> News {
        let Some(row) = self.rows.get_mut(uuid) else { return News::None };
        let at = row.place.clone();
        let Effects { news, report, content, look_again, generation_base } = turn.effects;
        match (turn.entry, content, read) {
            (Some(entry), Content::Replaced, Some((place, recording))) => {
                *row = Row { place: place.clone(), recording, entry, ..row.clone() };
            }
            (Some(_), Content::Replaced, None) => panic!("nothing was read for {uuid}"),
            (Some(entry), Content::Kept, _) => row.entry = entry,
            (None, Content::Kept | Content::Replaced, _) => drop(self.rows.remove(uuid)),
        }
        if let Some(generation) = generation_base {
            self.generation_base = self.generation_base.max(generation);
        }
        match look_again {
            None => {}
            Some(LookAgain::Claimants) => self.read_claimants_again(&at, uuid),
        }
        match report {
            None => {}
            Some(Report::Fault(fault)) => self.report(&at, Some(fault.state)),
            Some(Report::FaultOfAbsent(fault)) if !self.has_files(&at) => {
                self.report(&at, Some(fault.state));
            }
            Some(Report::Taken) => {
                let known = self.places.get_mut(&at);
                let shared = [Some(State::CatalogRefused), Some(State::DuplicateId)];
                if let Some(known) = known.filter(|known| shared.contains(&known.reported)) {
                    known.reported = None;
                }
            }
            Some(Report::Emptied) if !self.has_files(&at) => {
                self.places.remove(&at);
            }
            Some(Report::FaultOfAbsent(_) | Report::Emptied) => {}
        }
        news
    }

    /// Reads again, at once, every place but this one whose sidecar named the uuid.
    fn read_claimants_again(&mut self, but: &Place, uuid: &str) {
        let claims = |known: &Known| known.sight.uuid.as_deref() == Some(uuid);
        for (_, known) in self.places.iter_mut().filter(|(at, known)| *at != but && claims(known)) {
            known.due_ms = Some(0);
            known.sight.settled = false;
        }
    }

    /// The newest pending ones.
    pub(crate) fn pick(&self, pick: &Pick) -> Picked {
        let mut rows: Vec<&Row> = self
            .rows
            .values()
            .filter(|row| row.entry.is_pending() && !pick.but.contains(&row.id))
            .filter(|row| pick.before.is_none_or(|before| row.id < before))
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.id));
        let more = rows.len() >= pick.limit;
        rows.truncate(pick.limit);
        let items = rows
            .into_iter()
            .map(|row| Item {
                id: row.id,
                generation: row.entry.generation,
                known: row.entry.known,
                recording: row.content(),
            })
            .collect();
        Picked { items, more }
    }

    /// The row with this id.
    pub(crate) fn by_id(&self, id: EntryId) -> Option<&Row> {
        self.rows.values().find(|row| row.id == id)
    }

    /// Stores what a batch came to. Gives what has nothing left to write by that.
    pub(crate) fn acknowledge(&mut self, outcomes: &[ItemOutcome], now_ms: u64) -> Vec<String> {
        let mut acknowledged = Vec::new();
        for ItemOutcome { id, generation, outcome } in outcomes {
            let Some(row) = self.by_id(*id) else { continue };
            let answer = match outcome.clone() {
                Outcome::Acknowledged => Answer::Acknowledged,
                Outcome::Removed => Answer::Removed,
                Outcome::Refused(fault) => Answer::Refused { fault, retry_ms: now_ms + RETRY_MS },
                Outcome::Raise(generation) => Answer::Raise { generation },
                Outcome::Left => continue,
            };
            let (uuid, was_pending) = (row.recording.uuid.clone(), row.entry.is_pending());
            let turn = answered(row.entry, *generation, &answer);
            let is_done = turn.entry.is_some_and(|entry| !entry.is_pending());
            if answer == Answer::Acknowledged && was_pending && is_done {
                acknowledged.push(uuid.clone());
            }
            self.take(&uuid, turn);
        }
        let pending = self.rows.values().any(|row| row.entry.is_pending());
        let refused = self.rows.values().any(|row| row.entry.is_refused());
        self.sent = self.sent.after_answers(pending, refused);
        acknowledged
    }

    /// The catalog may have these rows from now on. Gives those that are not pending any more.
    pub(crate) fn note(&mut self, ids: &[EntryId]) -> Vec<EntryId> {
        self.sent = self.sent.note(ids.iter().copied());
        let is_pending = |id: &EntryId| self.by_id(*id).is_some_and(|row| row.entry.is_pending());
        ids.iter().copied().filter(|id| !is_pending(id)).collect()
    }

    /// What was refused and whose time has come is tried again.
    pub(crate) fn retry(&mut self, now_ms: u64) {
        self.rows.values_mut().for_each(|row| row.entry = waiting::retried(row.entry, now_ms));
    }

    /// The catalog has this uuid at another path: whether its place claims it, and holds it from now on.
    pub(crate) fn prefer(&mut self, uuid: &str, path: &str) -> bool {
        let Some(place) = observed::place_of(path) else { return false };
        let claims = |known: &Known| {
            let sight = &known.sight;
            sight.uuid.as_deref() == Some(uuid) && sight.data.is_some() && sight.sidecar.is_some()
        };
        let Some(row) = self.rows.get_mut(uuid) else { return false };
        if row.place == place || !self.places.get(&place).is_some_and(claims) {
            return false;
        }
        let holder = std::mem::replace(&mut row.place, place.clone());
        row.seen_at = None;
        row.own = self.folders.get(&place.folder).map_or_else(Own::default, |at| {
            kept(Own::default(), Some(at.now.clone()), Some(at.seen.clone()), true)
        });
        row.entry = preferred(row.entry);
        row.recording.path = path.to_owned();
        row.recording.fingerprint = String::new();
        if let Some(known) = self.places.get_mut(&place) {
            known.sight.settled = false;
            known.due_ms = Some(0);
            known.reported = None;
        }
        self.report(&holder, Some(State::DuplicateId));
        true
    }

    /// The uuid of the `nth` recording after this one.
    pub(crate) fn uuid_after(&self, after: Option<&String>, nth: usize) -> Option<String> {
        self.rows.keys().filter(|uuid| Some(*uuid) > after).nth(nth - 1).cloned()
    }

    /// A range for a comparison.
    pub(crate) fn range(
        &self,
        after: Option<&String>,
        through: Option<&String>,
        limit: usize,
    ) -> Page<focus_core::compare::Row> {
        let rows = self
            .rows
            .iter()
            .filter(|(uuid, _)| Some(*uuid) > after)
            .filter(|(uuid, _)| through.is_none_or(|through| *uuid <= through))
            .map(|(_, row)| focus_core::compare::Row {
                id: row.id,
                generation: row.entry.generation,
                known: row.entry.known,
                vanished: row.entry.is_vanished(),
                marked: row.entry.is_marked(),
                changed: row.entry.is_changed(),
                recording: row.content(),
            });
        Page::of(limit, rows)
    }

    /// Stores what a comparison found. Gives how many of the documents' rows are dropped by now.
    pub(crate) fn found(&mut self, findings: &[ComparedEntry], wall_ms: i64) -> u64 {
        let mut dropped = 0;
        for ComparedEntry { id, generation, found } in findings {
            let Some(row) = self.by_id(*id) else {
                dropped += u64::from(*found != Compared::NotThere);
                continue;
            };
            let uuid = row.recording.uuid.clone();
            let turn = compared(row.entry, *generation, *found, wall_ms);
            self.take(&uuid, turn);
        }
        dropped
    }

    /// Documents that no row has, once storage has been scanned.
    pub(crate) fn add_missing(&mut self, missing: &[Stored], wall_ms: i64) {
        for stored in missing {
            let Some(recording) = &stored.recording else { continue };
            if let Some(row) = self.rows.get_mut(&stored.uuid) {
                row.entry = observed::missing_no_more(row.entry);
                continue;
            }
            let Some(place) = observed::place_of(&recording.path) else { continue };
            let entry = observed::missing(stored, recording, wall_ms);
            self.insert(place, recording.clone(), entry);
        }
    }
}
