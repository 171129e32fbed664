//! What waits for the threads of a root: hints of the watch, what scans found, and scans to do.
//!
//! Every queue is bounded. The watch never waits: where hints are too many to be kept, a scan of the
//! whole root takes their place. A scan that is too far ahead of the observer waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use focus_common::clock;
use focus_core::hint::{HintList, Outcome, Pushed, Target};
use focus_core::recording::Place;
use focus_core::settle::Closed;
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Places that hints may name at once, some ten megabytes of names. Further hints ask for a scan of the
/// whole root instead, which finds the same.
const HINTS_MAX: usize = 32_768;

/// Places that a scan may be ahead of the observer by: two of its batches, so that neither waits for
/// the other at every step. They take half a megabyte.
const SCAN_FINDS_MAX: usize = 4_096;

/// Finds of a scan are gathered for so long at most, and for as long as one comes within a step.
const GATHER_MAX: Duration = Duration::from_millis(100);

/// The observer is woken for the first find, and for so many more.
const WOKEN_FOR: usize = 512;

/// See [`GATHER_MAX`].
const GATHER_STEP: Duration = Duration::from_millis(5);

/// Folders that wait to be scanned at most. Each is compared with the others when it comes in; further
/// folders ask for a scan of the whole root instead.
const FOLDERS_MAX: usize = 256;

/// While so many folders wait, hints from outside add none.
const FOLDERS_OUTSIDE_MAX: usize = 64;

/// A waiting thread looks at least this often whether the session is over.
const OVER_LOOK: Duration = Duration::from_secs(1);

/// The inbox of one root.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// There is something for the scanner: it need not wake up for every hint.
    scan_asked: Condvar,
}

/// Everything that waits, and how far it has come.
#[derive(Debug, Default)]
struct Waiting {
    hints: HashMap<Place, WaitingLook>,
    /// Places at which files are being put in place, with what the watch has told of them meanwhile. Each has a thread of
    /// its own, so there are few.
    held: HashMap<Place, Option<WaitingLook>>,
    /// Counts hints and folders as they come in: a barrier waits for all up to its number.
    seq: u64,
    /// Places that scans found, and that were not taken yet.
    scan_finds: VecDeque<Place>,
    /// Places that scans have handed over in this session.
    handed_over: u64,
    /// How many of them are stored; never more than were handed over.
    stored: u64,
    folders: Vec<(u64, Vec<u8>)>,
    /// The lowest number of the folders being scanned.
    scanning_folders: Option<u64>,
    /// Hints from outside, which wait for their files.
    outside: HintList,
    scan: Option<ScanAsked>,
    /// A scan that somebody asked for is under way.
    scanning: bool,
    closed: bool,
    /// A session is on: somebody takes what comes in.
    open: bool,
    root_lost: bool,
}

/// A hint that waits to be looked at, and its number.
#[derive(Clone, Copy, Debug, Default)]
struct WaitingLook {
    closed: Closed,
    seq: u64,
}

/// Everything that came in before a moment, and what scans of it find.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrier {
    seq: u64,
    /// Places handed over by the time that the folders of before were scanned; none until then.
    handed_over: Option<u64>,
}

/// A scan that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ScanAsked {
    /// Of names alone.
    Names,
    /// Of names, and of size and time of every file.
    Stat,
}

/// Places that were taken from the inbox to be looked at.
#[derive(Debug, Default)]
pub(crate) struct PlacesToLookAt {
    /// Each with which of its files a writer has just closed.
    pub(crate) places: Vec<(Place, Closed)>,
    /// How many of them scans found.
    pub(crate) from_scans: u64,
    /// Folders that hints from outside name, to be looked for.
    pub(crate) folders: Vec<Target>,
}

/// Work for the scanner.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScanWork {
    /// Scan these folders.
    Folders(Vec<Vec<u8>>),
    /// Scan the whole root.
    Scan(ScanAsked),
    /// Nobody asked for anything.
    Nothing,
    /// The session is over.
    Closed,
}

impl Inbox {
    /// An inbox in which `waiting_max` hints from outside wait for their files at most.
    pub(crate) fn new(waiting_max: usize) -> Inbox {
        let outside = HintList::new(waiting_max);
        Inbox { waiting: Mutex::new(Waiting { outside, ..Waiting::default() }), ..Inbox::default() }
    }

    /// Takes a hint at one place. Never blocks.
    pub(crate) fn hint(&self, place: Place, closed: Closed) {
        let mut waiting = self.lock();
        if waiting.hints.len() >= HINTS_MAX && !waiting.hints.contains_key(&place) {
            // Too many to keep one by one: the scan finds them.
            waiting.scan = waiting.scan.max(Some(ScanAsked::Stat));
            self.scan_asked.notify_all();
        } else {
            waiting.seq += 1;
            let look = WaitingLook { closed: Closed::default(), seq: waiting.seq };
            if let Some(held) = waiting.held.get_mut(&place) {
                held.get_or_insert(look).add(closed);
                return;
            }
            waiting.hints.entry(place).or_insert(look).add(closed);
        }
        self.changed.notify_all();
    }

    /// Keeps hints at a place until what this returns is dropped: files are being put there, and a look in between would
    /// find half of them.
    pub(crate) fn hold(&self, place: Place) -> Held<'_> {
        self.lock().held.insert(place.clone(), None);
        Held { inbox: self, place, is_whole: false }
    }

    /// Takes note that a folder appeared or went. Never blocks.
    pub(crate) fn hint_folder(&self, folder: Vec<u8>) {
        let mut waiting = self.lock();
        if waiting.folders.len() >= FOLDERS_MAX {
            waiting.folders.clear();
            waiting.scan = waiting.scan.max(Some(ScanAsked::Names));
        } else if !waiting.folders.iter().any(|(_, known)| *known == folder) {
            waiting.seq += 1;
            let seq = waiting.seq;
            waiting.folders.push((seq, folder));
        }
        self.scan_asked.notify_all();
    }

    /// Takes hints from outside, as many as there is room for, from the first on; `targets` keeps the others. Never
    /// blocks. While the root is not there nothing has to be kept: its return has everything scanned.
    pub(crate) fn hint_outside(&self, targets: &mut VecDeque<Target>) {
        let now_ms = clock::boot_ms();
        let mut waiting = self.lock();
        while let Some(target) = targets.front() {
            if waiting.outside.push(target, now_ms) == Pushed::Full && waiting.open {
                break;
            }
            targets.pop_front();
        }
        self.changed.notify_all();
    }

    /// Hints from outside had no room for long: a scan takes their place.
    pub(crate) fn outside_overflowed(&self) {
        self.lock().outside.overflowed(clock::boot_ms());
    }

    /// Whether hints from outside wait for anything.
    pub(crate) fn has_outside(&self) -> bool {
        !self.lock().outside.is_empty()
    }

    /// Whether a hint from outside that was taken had waited for its files before.
    pub(crate) fn has_waited(&self, target: &Target) -> bool {
        self.lock().outside.has_waited(target)
    }

    /// Takes note of what looks at places came to, for the hints from outside that wait for them.
    pub(crate) fn looked(&self, outcomes: Vec<(Target, Outcome)>) {
        let now_ms = clock::boot_ms();
        let mut waiting = self.lock();
        for (target, outcome) in outcomes {
            waiting.outside.looked(&target, outcome, now_ms);
        }
    }

    /// Asks for a scan. Never blocks.
    pub(crate) fn ask_scan(&self, scan: ScanAsked) {
        let mut waiting = self.lock();
        waiting.scan = waiting.scan.max(Some(scan));
        self.scan_asked.notify_all();
    }

    /// Ends the session: the root is lost.
    pub(crate) fn lose_root(&self) {
        {
            let mut waiting = self.lock();
            (waiting.root_lost, waiting.open) = (true, false);
        }
        self.changed.notify_all();
        self.scan_asked.notify_all();
    }

    /// Hands over a place that a scan found news at. Waits where the scan is too far ahead. False: the
    /// session is over.
    pub(crate) fn hand_over(&self, place: Place) -> bool {
        let mut waiting = self.lock();
        while waiting.scan_finds.len() >= SCAN_FINDS_MAX && !waiting.is_over() {
            waiting = self.wait(waiting, OVER_LOOK);
        }
        if waiting.is_over() {
            return false;
        }
        waiting.scan_finds.push_back(place);
        waiting.handed_over += 1;
        // Whoever gathers them need not wake up for each.
        if waiting.scan_finds.len() % WOKEN_FOR == 1 {
            self.changed.notify_all();
        }
        true
    }

    /// Whether a hint names this place.
    pub(crate) fn is_hinted(&self, place: &Place) -> bool {
        self.lock().hints.contains_key(place)
    }

    /// Waits until everything that scans found is stored. False: the session was over before.
    pub(crate) fn wait_until_scan_is_stored(&self) -> bool {
        let mut waiting = self.lock();
        while waiting.stored < waiting.handed_over && !waiting.is_over() {
            waiting = self.wait(waiting, OVER_LOOK);
        }
        !waiting.is_over()
    }

    /// Takes note that places found by scans are stored, `count` of them.
    ///
    /// More than were handed over would let a barrier pass too early, and recordings could be concluded
    /// on before their files were looked for. That is told, and the whole root is scanned.
    pub(crate) fn scan_finds_stored(&self, count: u64) {
        let mut waiting = self.lock();
        waiting.stored += count;
        if waiting.stored > waiting.handed_over {
            tracing::error!(
                stored = waiting.stored,
                handed_over = waiting.handed_over,
                "more places are stored than scans have found: please report this. Everything is scanned again"
            );
            waiting.stored = waiting.handed_over;
            waiting.scan = waiting.scan.max(Some(ScanAsked::Stat));
            self.scan_asked.notify_all();
        }
        self.changed.notify_all();
    }

    /// Takes at most `limit` places, hints first. Waits for `patience` where there is none.
    ///
    /// What scans find is gathered for a moment while more of it comes: places that are stored together share pages of
    /// the index.
    pub(crate) fn take(&self, limit: usize, patience: Duration) -> PlacesToLookAt {
        let mut waiting = self.lock();
        if waiting.hints.is_empty() && waiting.scan_finds.is_empty() && !waiting.is_over() {
            let until_due = waiting.until_outside_due(clock::boot_ms());
            if until_due != Some(Duration::ZERO) {
                waiting = self.wait(waiting, patience.min(until_due.unwrap_or(patience)));
            }
        }
        waiting = self.gather(waiting, limit.min(SCAN_FINDS_MAX / 2), patience.min(GATHER_MAX));
        let mut taken = PlacesToLookAt::default();
        // Neither a flood from outside nor a scan keeps the other waiting.
        waiting.take_outside(clock::boot_ms(), limit.div_ceil(2), &mut taken);
        if !waiting.hints.is_empty() {
            let room = limit - taken.places.len();
            let names: Vec<Place> = waiting.hints.keys().take(room).cloned().collect();
            for place in names {
                if let Some(hinted) = waiting.hints.remove(&place) {
                    taken.places.push((place, hinted.closed));
                }
            }
            if waiting.hints.is_empty() {
                // A burst's room is given back.
                waiting.hints = HashMap::new();
            }
        }
        // A place is looked at once in a round: a second look would begin from what was known before the first one.
        let hinted: HashSet<Place> = taken.places.iter().map(|(place, _)| place.clone()).collect();
        while taken.places.len() < limit {
            let Some(place) = waiting.scan_finds.pop_front() else { break };
            taken.from_scans += 1;
            if !hinted.contains(&place) {
                taken.places.push((place, Closed::default()));
            }
        }
        self.changed.notify_all();
        if waiting.scan.is_some() {
            self.scan_asked.notify_all();
        }
        taken
    }

    /// Puts back places that could not be stored, as hints.
    pub(crate) fn put_back(&self, taken: PlacesToLookAt) {
        for (place, closed) in taken.places {
            self.hint(place, closed);
        }
        self.scan_finds_stored(taken.from_scans);
        self.lock().outside.start_over();
    }

    /// Takes what the scanner is to do. Waits for `patience` where there is nothing.
    pub(crate) fn scan_work(&self, patience: Duration) -> ScanWork {
        let mut waiting = self.lock();
        if waiting.scan.is_none() && waiting.folders.is_empty() && !waiting.is_over() {
            self.scan_asked.wait_for(&mut waiting, patience);
        }
        if waiting.is_over() {
            return ScanWork::Closed;
        }
        if let Some(scan) = waiting.scan.take() {
            waiting.folders.clear();
            waiting.scanning = true;
            return ScanWork::Scan(scan);
        }
        if !waiting.folders.is_empty() {
            let folders = std::mem::take(&mut waiting.folders);
            waiting.scanning_folders = folders.iter().map(|(seq, _)| *seq).min();
            return ScanWork::Folders(folders.into_iter().map(|(_, folder)| folder).collect());
        }
        ScanWork::Nothing
    }

    /// Takes note that the scanner has done its work.
    pub(crate) fn scan_work_done(&self) {
        let mut waiting = self.lock();
        waiting.scanning_folders = None;
        waiting.scanning = false;
    }

    /// A barrier behind everything that has come in.
    pub(crate) fn barrier(&self) -> Barrier {
        Barrier { seq: self.lock().seq, handed_over: None }
    }

    /// Whether everything before the barrier has been looked at and stored. Scans that somebody asked for
    /// count; periodic ones do not.
    pub(crate) fn is_past(&self, barrier: &mut Barrier) -> bool {
        let waiting = self.lock();
        let folders = waiting.folders.iter().map(|(seq, _)| *seq).chain(waiting.scanning_folders);
        let held = waiting.held.values().flatten();
        let hints = waiting.hints.values().chain(held).map(|hinted| hinted.seq);
        if waiting.scan.is_some()
            || waiting.scanning
            || folders.chain(hints).any(|seq| seq <= barrier.seq)
        {
            return false;
        }
        waiting.stored >= *barrier.handed_over.get_or_insert(waiting.handed_over)
    }

    /// Begins a session: what waited in an earlier one is forgotten.
    pub(crate) fn reopen(&self) {
        let mut waiting = self.lock();
        if !waiting.closed {
            // Hints from outside may be for files that come after the scan with which the session begins.
            let mut outside = std::mem::take(&mut waiting.outside);
            outside.start_over();
            *waiting = Waiting { outside, open: true, ..Waiting::default() };
        }
    }

    /// Closes the inbox for good.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
        self.scan_asked.notify_all();
    }

    /// Whether the inbox is closed for good.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether the session is over: the root is lost, or the inbox is closed.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// Waits for `patience`, and ends early when the inbox is closed.
    pub(crate) fn pause(&self, patience: Duration) {
        let mut waiting = self.lock();
        if !waiting.closed {
            self.changed.wait_while_for(&mut waiting, |waiting| !waiting.closed, patience);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }

    /// Waits until scans have found `enough`, or find nothing for the time being. Hints wait for nothing.
    fn gather<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting>,
        enough: usize,
        patience: Duration,
    ) -> MutexGuard<'a, Waiting> {
        let began = Instant::now();
        let mut found = waiting.scan_finds.len();
        while found > 0
            && found < enough
            && waiting.hints.is_empty()
            && !waiting.is_over()
            && began.elapsed() < patience
        {
            waiting = self.wait(waiting, GATHER_STEP.min(patience));
            if waiting.scan_finds.len() == found {
                break;
            }
            found = waiting.scan_finds.len();
        }
        waiting
    }

    fn wait<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting>,
        patience: Duration,
    ) -> MutexGuard<'a, Waiting> {
        self.changed.wait_for(&mut waiting, patience);
        waiting
    }
}

impl WaitingLook {
    fn add(&mut self, closed: Closed) {
        self.closed.data |= closed.data;
        self.closed.sidecar |= closed.sidecar;
    }
}

/// A place whose hints are kept.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    inbox: &'a Inbox,
    place: Place,
    is_whole: bool,
}

impl Held<'_> {
    /// Both files are in place: it is looked at now.
    pub(crate) fn whole(mut self) {
        self.is_whole = true;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut waiting = self.inbox.lock();
        let told = waiting.held.remove(&self.place).flatten();
        if told.is_none() && !self.is_whole {
            return;
        }
        waiting.seq += 1;
        // What the watch told keeps its number: a barrier may wait for it.
        let mut look = told.unwrap_or(WaitingLook { closed: Closed::default(), seq: waiting.seq });
        look.add(Closed { data: self.is_whole, sidecar: self.is_whole });
        waiting.hints.entry(self.place.clone()).or_insert(look).add(look.closed);
        self.inbox.changed.notify_all();
    }
}

impl Waiting {
    fn is_over(&self) -> bool {
        self.closed || self.root_lost
    }

    fn has_room_for_folders(&self) -> bool {
        self.folders.len() < FOLDERS_OUTSIDE_MAX
    }

    /// How long until a hint from outside is to be looked at; none: there is none.
    fn until_outside_due(&self, now_ms: u64) -> Option<Duration> {
        let next_ms = self.outside.next_ms(self.has_room_for_folders())?;
        Some(Duration::from_millis(next_ms.saturating_sub(now_ms)))
    }

    fn take_outside(&mut self, now_ms: u64, limit: usize, taken: &mut PlacesToLookAt) {
        for target in self.outside.take_places(now_ms, limit) {
            match target {
                Target::Place(place) => taken.places.push((place, Closed::default())),
                Target::Folder(_) => taken.folders.push(target),
            }
        }
        if self.has_room_for_folders() {
            taken.folders.extend(self.outside.take_folders());
        }
        if self.outside.take_scan(now_ms) {
            self.scan = self.scan.max(Some(ScanAsked::Names));
        }
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
