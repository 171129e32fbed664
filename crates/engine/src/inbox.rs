//! What waits for the observer of a root: hints of the watch, and what scans found.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use focus_core::recording::Place;
use focus_core::settle::Closed;

/// Places that hints may name at once; more, and everything is scanned instead.
const HINTS_MAX: usize = 32_768;

/// Places that a scan may be ahead by.
const FOUND_MAX: usize = 2_048;

/// Folders that wait to be walked at most; more, and everything is scanned instead.
const FOLDERS_MAX: usize = 256;

/// The inbox of one root.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Content {
    hints: HashMap<Place, WaitingLook>,
    /// Counts what came in: a barrier waits for all below it.
    seq: u64,
    found: VecDeque<Place>,
    /// Found by scans, and looked at since: equal when a scan's finds are all stored.
    pushed: u64,
    done: u64,
    folders: Vec<(u64, Vec<u8>)>,
    /// The first of the folders being walked.
    walking: Option<u64>,
    scan: Option<ScanAsked>,
    /// A scan that somebody asked for is under way.
    scanning: bool,
    closed: bool,
    root_lost: bool,
}

/// A hint, and when it came.
#[derive(Clone, Copy, Debug, Default)]
struct WaitingLook {
    closed: Closed,
    seq: u64,
}

/// All that came in before a moment, and what follows from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrier {
    seq: u64,
    /// Finds that were there when the folders of before were walked.
    pushed: Option<u64>,
}

/// A scan that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ScanAsked {
    /// Names are enough.
    Names,
    /// Size and time of everything too.
    Stat,
}

/// Places to look at now.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) places: Vec<(Place, Closed)>,
    /// How many of them scans found.
    pub(crate) found: u64,
}

/// Work for the scanner.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScanWork {
    Folders(Vec<Vec<u8>>),
    Scan(ScanAsked),
    Nothing,
    Closed,
}

impl Inbox {
    /// A hint at one place. Never blocks.
    pub(crate) fn hint(&self, place: Place, closed: Closed) {
        let mut content = self.lock();
        if content.hints.len() >= HINTS_MAX && !content.hints.contains_key(&place) {
            // Too many to remember one by one: the scan finds them.
            content.scan = content.scan.max(Some(ScanAsked::Stat));
        } else {
            content.seq += 1;
            let seq = content.seq;
            let known = content
                .hints
                .entry(place)
                .or_insert(WaitingLook { closed: Closed::default(), seq });
            known.closed.data |= closed.data;
            known.closed.sidecar |= closed.sidecar;
        }
        self.changed.notify_all();
    }

    /// A folder appeared or went. Never blocks.
    pub(crate) fn hint_folder(&self, folder: Vec<u8>) {
        let mut content = self.lock();
        if content.folders.len() >= FOLDERS_MAX {
            content.folders.clear();
            content.scan = content.scan.max(Some(ScanAsked::Names));
        } else if !content.folders.iter().any(|(_, known)| *known == folder) {
            content.seq += 1;
            let seq = content.seq;
            content.folders.push((seq, folder));
        }
        self.changed.notify_all();
    }

    /// Asks for a scan. Never blocks.
    pub(crate) fn ask_scan(&self, scan: ScanAsked) {
        let mut content = self.lock();
        content.scan = content.scan.max(Some(scan));
        self.changed.notify_all();
    }

    /// The root is lost: the session ends.
    pub(crate) fn lose_root(&self) {
        self.lock().root_lost = true;
        self.changed.notify_all();
    }

    /// A scan found that this place is to be looked at; waits where it is too far ahead. False: closed.
    pub(crate) fn found(&self, place: Place) -> bool {
        let mut content = self.lock();
        while content.found.len() >= FOUND_MAX && !content.is_over() {
            content = self.wait(content, Duration::from_secs(1));
        }
        if content.is_over() {
            return false;
        }
        content.found.push_back(place);
        content.pushed += 1;
        self.changed.notify_all();
        true
    }

    /// A hint names this place already.
    pub(crate) fn is_hinted(&self, place: &Place) -> bool {
        self.lock().hints.contains_key(place)
    }

    /// Waits until all that scans found is stored. False: closed before.
    pub(crate) fn drained(&self) -> bool {
        let mut content = self.lock();
        while content.done < content.pushed && !content.is_over() {
            content = self.wait(content, Duration::from_secs(1));
        }
        !content.is_over()
    }

    /// Finds that were looked at and stored.
    pub(crate) fn looked_at(&self, found: u64) {
        self.lock().done += found;
        self.changed.notify_all();
    }

    /// At most `limit` places, hints first; waits for `patience` where there is none.
    pub(crate) fn take(&self, limit: usize, patience: Duration) -> Taken {
        let mut content = self.lock();
        if content.hints.is_empty() && content.found.is_empty() && !content.is_over() {
            content = self.wait(content, patience);
        }
        let mut taken = Taken::default();
        if !content.hints.is_empty() {
            let names: Vec<Place> = content.hints.keys().take(limit).cloned().collect();
            for place in names {
                if let Some(hinted) = content.hints.remove(&place) {
                    taken.places.push((place, hinted.closed));
                }
            }
            if content.hints.is_empty() {
                // A burst's room is given back.
                content.hints = HashMap::new();
            }
        }
        while taken.places.len() < limit {
            let Some(place) = content.found.pop_front() else { break };
            taken.places.push((place, Closed::default()));
            taken.found += 1;
        }
        self.changed.notify_all();
        taken
    }

    /// Puts back what could not be stored.
    pub(crate) fn put_back(&self, taken: Taken) {
        for (place, closed) in taken.places {
            self.hint(place, closed);
        }
        self.looked_at(taken.found);
    }

    /// What the scanner is to do; waits for at most `patience`.
    pub(crate) fn scan_work(&self, patience: Duration) -> ScanWork {
        let mut content = self.lock();
        if content.scan.is_none() && content.folders.is_empty() && !content.is_over() {
            content = self.wait(content, patience);
        }
        if content.is_over() {
            return ScanWork::Closed;
        }
        if let Some(scan) = content.scan.take() {
            content.folders.clear();
            content.scanning = true;
            return ScanWork::Scan(scan);
        }
        if !content.folders.is_empty() {
            let folders = std::mem::take(&mut content.folders);
            content.walking = folders.iter().map(|(seq, _)| *seq).min();
            return ScanWork::Folders(folders.into_iter().map(|(_, folder)| folder).collect());
        }
        ScanWork::Nothing
    }

    /// The scanner has done what it was given.
    pub(crate) fn scanned(&self) {
        let mut content = self.lock();
        content.walking = None;
        content.scanning = false;
    }

    /// A barrier behind everything that has come in.
    pub(crate) fn barrier(&self) -> Barrier {
        Barrier { seq: self.lock().seq, pushed: None }
    }

    /// Everything before the barrier has been looked at and stored. Scans that were asked for count;
    /// periodic ones do not.
    pub(crate) fn is_past(&self, barrier: &mut Barrier) -> bool {
        let content = self.lock();
        let folders = content.folders.iter().map(|(seq, _)| *seq).chain(content.walking);
        let hints = content.hints.values().map(|hinted| hinted.seq);
        if content.scan.is_some()
            || content.scanning
            || folders.chain(hints).any(|seq| seq <= barrier.seq)
        {
            return false;
        }
        content.done >= *barrier.pushed.get_or_insert(content.pushed)
    }

    /// Begins a session with the root there: nothing from before it counts.
    pub(crate) fn reopen(&self) {
        let mut content = self.lock();
        if !content.closed {
            *content = Content::default();
        }
    }

    /// Ends it for good.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// It is closed for good.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The session is over: the root is lost, or all ends.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// Waits, but ends early when it is closed.
    pub(crate) fn pause(&self, patience: Duration) {
        let content = self.lock();
        if !content.closed {
            drop(self.changed.wait_timeout_while(content, patience, |content| !content.closed));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        content: MutexGuard<'a, Content>,
        patience: Duration,
    ) -> MutexGuard<'a, Content> {
        self.changed.wait_timeout(content, patience).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Content {
    fn is_over(&self) -> bool {
        self.closed || self.root_lost
    }
}
