//! One root: a thread that opens it, watches it, scans it and observes it, and begins anew with
//! every return of its storage.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use focus_catalog::{Catalog, RootPlace};
use focus_core::vanish::MaxVanished;
use focus_index::{Index, IndexError, RootId, RootMemory};
use focus_storage::walk::Detail;
use focus_storage::{Pair, Root, RootProblem};
use tokio::sync::Notify;

use super::absence::Absence;
use super::inbox::{Inbox, ScanAsked, ScanWork};
use super::observer::{ObserveError, Observer};
use super::scan::{self, ScanError};
use super::watching::Watching;
use focus_common::clock;
use focus_common::config::{RootSettings, Settings};
use focus_common::status::{IndexState, RootState, RootStatus, WatchState};

/// A root that is not there is looked for this often.
const RETURN_LOOK: Duration = Duration::from_millis(500);

/// The parts of one root that its threads and the status share.
#[derive(Debug)]
pub(crate) struct ServedRoot {
    pub(crate) settings: RootSettings,
    pub(crate) inbox: Arc<Inbox>,
    /// Wakes the reconciler.
    pub(crate) wake: Arc<Notify>,
    pub(crate) status: Mutex<RootStatus>,
    /// Known once the root was there, or by an earlier run.
    pub(crate) memory: tokio::sync::watch::Sender<Option<(String, RootMemory)>>,
    pub(crate) index_fault: Arc<IndexFault>,
    /// Finished scans since the start.
    pub(crate) scans: AtomicU64,
    pub(crate) complete_through_ms: Mutex<Option<i64>>,
    /// Asked only whether the root is an archive.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Once the root is known.
    pub(crate) lease: Mutex<Option<Arc<super::lease::LeaseKeeper>>>,
}

/// The index's own trouble, as the status shows it.
#[derive(Debug, Default)]
pub(crate) struct IndexFault {
    words: Mutex<Option<(IndexState, String)>>,
    /// Stays: a file that is damaged does not mend itself.
    damage: Mutex<Option<String>>,
    damaged: Notify,
}

impl IndexFault {
    /// Tells of an error of the index.
    pub(crate) fn tell(&self, error: &focus_index::IndexError) {
        let state = if error.is_full() {
            IndexState::DiskFull
        } else if error.is_damage() {
            let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
            damage.get_or_insert_with(|| error.to_string());
            self.damaged.notify_one();
            IndexState::Damaged
        } else {
            IndexState::Failed
        };
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.as_ref().is_none_or(|(before, _)| *before != state) {
            tracing::error!("{error}");
        }
        *words = Some((state, error.to_string()));
    }

    /// Ends when the file is found to be damaged, and says how.
    pub(crate) async fn damaged(&self) -> String {
        self.damaged.notified().await;
        self.damage().unwrap_or_default()
    }

    /// How the file was found to be damaged, if it was.
    pub(crate) fn damage(&self) -> Option<String> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It works.
    pub(crate) fn clear(&self) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// State and reason.
    pub(crate) fn get(&self) -> Option<(IndexState, String)> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServedRoot {
    /// Its configured path, as the catalog is told it.
    pub(super) fn path(&self) -> String {
        self.settings.path.display().to_string()
    }

    fn tell(&self, change: impl FnOnce(&mut RootStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn lost(&self, problem: &RootProblem) {
        self.tell(|status| {
            let state = root_state(problem);
            if status.state != state {
                tracing::warn!("{problem}");
            }
            status.state = state;
            status.reason = Some(problem.to_string());
        });
    }
}

/// The state of a root that cannot be used, as the status spells it.
fn root_state(problem: &RootProblem) -> RootState {
    match problem {
        RootProblem::Absent { .. } | RootProblem::NotADirectory { .. } => RootState::Absent,
        RootProblem::NoMarker { .. } | RootProblem::MarkerDamaged { .. } => RootState::NoMarker,
        RootProblem::Replaced { .. } => RootState::Replaced,
        RootProblem::Unreadable { .. } => RootState::Unreadable,
    }
}

/// Runs a root until its inbox is closed.
pub(crate) fn run(side: &ServedRoot, index: &Index, settings: &Settings) {
    let pair = Pair::new(settings.data_extensions.clone());
    let mut expected: Option<String> = None;
    while !side.inbox.is_closed() {
        let opened = open(&side.settings.path, expected.as_deref());
        match opened {
            Ok(root) => {
                expected = Some(root.id().to_owned());
                side.inbox.reopen();
                if let Err(problem) = session(side, index, settings, &pair, &root) {
                    side.lost(&problem);
                }
            }
            Err(problem) => side.lost(&problem),
        }
        side.inbox.pause(RETURN_LOOK);
    }
}

fn open(path: &Path, expected: Option<&str>) -> Result<Root, RootProblem> {
    let root = Root::open(path)?;
    match expected {
        Some(id) if id != root.id() => Err(RootProblem::Replaced {
            path: path.to_owned(),
            words: format!(
                "its marker is {} and was {id}. Bring the storage back, or restart to take the new one",
                root.id()
            ),
        }),
        _ => Ok(root),
    }
}

/// One stay of the root: from its being there to its going.
fn session(
    side: &ServedRoot,
    index: &Index,
    settings: &Settings,
    pair: &Pair,
    root: &Root,
) -> Result<(), RootProblem> {
    let Some(id) = remember(side, index, root) else { return Ok(()) };
    // Watched before the first scan, so that nothing slips between.
    let scan_interval = Duration::from_millis(settings.scan_interval_ms);
    let watching = Watching::start(side, root, pair, scan_interval);
    side.tell(|status| {
        if status.state != RootState::Present {
            tracing::info!("the root {} is there", root.path().display());
        }
        status.state = RootState::Present;
        status.reason = None;
        status.id = Some(root.id().to_owned());
    });
    side.inbox.ask_scan(ScanAsked::Stat);
    std::thread::scope(|scope| {
        let scanner = std::thread::Builder::new()
            .name("scan".to_owned())
            .spawn_scoped(scope, || scan_loop(side, index, settings, pair, root, id));
        let observer = Observer {
            root,
            id,
            index,
            pair,
            inbox: &side.inbox,
            settle_ms: settings.settle_ms,
            time_unit: side.settings.time_unit,
        };
        let absence = Absence::new(
            root,
            (id, RootPlace { id: root.id().to_owned(), path: side.path() }),
            (index, pair, &side.inbox),
            Arc::clone(&side.catalog),
            MaxVanished {
                percent: settings.max_vanished_percent,
                at_least: settings.max_vanished_at_least,
            },
        );
        let ended = observe_loop(side, root, &observer, absence, watching);
        side.inbox.lose_root();
        drop(scanner);
        ended
    })
}

/// The root's row in the index; tried until it works or all ends.
fn remember(side: &ServedRoot, index: &Index, root: &Root) -> Option<RootId> {
    let known = side.memory.borrow().as_ref().map(|(_, memory)| memory.id);
    if known.is_some() {
        return known;
    }
    let path = root.path().display().to_string();
    loop {
        match index.root_blocking(root.id().to_owned(), path.clone(), clock::boot_ms()) {
            Ok(memory) => {
                let id = memory.id;
                *side.complete_through_ms.lock().unwrap_or_else(PoisonError::into_inner) =
                    memory.complete_through_ms;
                side.memory.send_replace(Some((root.id().to_owned(), memory)));
                return Some(id);
            }
            Err(error) => side.index_fault.tell(&error),
        }
        if side.inbox.is_closed() {
            return None;
        }
        side.inbox.pause(RETURN_LOOK);
    }
}

fn observe_loop(
    side: &ServedRoot,
    root: &Root,
    observer: &Observer<'_>,
    mut absence: Absence<'_>,
    mut watching: Watching<'_>,
) -> Result<(), RootProblem> {
    let mut looked = Instant::now();
    while !side.inbox.is_over() {
        let round = observer.round().and_then(|news| Ok(absence.round()? | news));
        match round {
            Ok(news) => {
                side.index_fault.clear();
                if news {
                    side.wake.notify_one();
                }
            }
            Err(ObserveError::Root(problem)) => return Err(problem),
            Err(ObserveError::Index(error)) => {
                side.index_fault.tell(&error);
                absence.start_over();
                side.inbox.pause(RETURN_LOOK);
            }
        }
        if looked.elapsed() >= Duration::from_secs(1) {
            root.still_there()?;
            watching.keep();
            looked = Instant::now();
        }
    }
    root.still_there()
}

fn scan_loop(
    side: &ServedRoot,
    index: &Index,
    settings: &Settings,
    pair: &Pair,
    root: &Root,
    id: RootId,
) {
    let mut names_at = Instant::now();
    let mut stat_at = Instant::now();
    loop {
        let next =
            Duration::from_millis(settings.scan_interval_ms).saturating_sub(names_at.elapsed());
        let work = match side.inbox.scan_work(next.max(Duration::from_millis(10))) {
            ScanWork::Closed => return,
            ScanWork::Nothing
                if names_at.elapsed() >= Duration::from_millis(settings.scan_interval_ms) =>
            {
                ScanWork::Scan(ScanAsked::Names)
            }
            work => work,
        };
        match work {
            ScanWork::Folders(folders) => {
                for folder in folders {
                    let scanned = scan::scan(
                        root,
                        id,
                        &index.reader(),
                        pair,
                        &side.inbox,
                        &folder,
                        Detail::Names,
                    );
                    if !went_well(side, scanned.map(|_| ())) {
                        break;
                    }
                }
            }
            ScanWork::Scan(asked) => {
                let stat_due =
                    stat_at.elapsed() >= Duration::from_millis(settings.stat_interval_ms);
                let detail =
                    if stat_due || asked == ScanAsked::Stat { Detail::Stat } else { Detail::Names };
                names_at = Instant::now();
                if detail == Detail::Stat {
                    stat_at = names_at;
                }
                full_scan(side, index, pair, root, id, detail);
            }
            ScanWork::Nothing | ScanWork::Closed => {}
        }
        side.inbox.scanned();
    }
}

fn full_scan(
    side: &ServedRoot,
    index: &Index,
    pair: &Pair,
    root: &Root,
    id: RootId,
    detail: Detail,
) {
    let (began_ms, began) = (clock::wall_ms(), Instant::now());
    let reader = index.reader();
    let scanned = scan::scan(root, id, &reader, pair, &side.inbox, b"", detail);
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(error) => {
            went_well(side, Err(error));
            return;
        }
    };
    if !side.inbox.drained() {
        return;
    }
    let stored = store_devices(side, index, id, &scanned)
        .and_then(|()| index.scan_finished_blocking(id, began_ms));
    if let Err(error) = stored {
        side.index_fault.tell(&error);
        return;
    }
    *side.complete_through_ms.lock().unwrap_or_else(PoisonError::into_inner) = Some(began_ms);
    let first = side.scans.fetch_add(1, Ordering::Relaxed) == 0;
    side.wake.notify_one();
    side.tell(|status| {
        status.last_scan_at = Some(clock::rfc3339(began_ms));
        status.last_scan_ms = u64::try_from(began.elapsed().as_millis()).ok();
        status.unreadable_folders = scanned.report.failed;
        if !first && status.watch == WatchState::Watching {
            status.watch_missed += scanned.unhinted;
        }
    });
    for words in &scanned.report.failed_named {
        tracing::warn!("a folder cannot be read, and nothing in it counts as gone: {words}");
    }
}

/// What a full scan tells of devices.
fn store_devices(
    side: &ServedRoot,
    index: &Index,
    id: RootId,
    scanned: &scan::Scanned,
) -> Result<(), IndexError> {
    for folders in scanned.devices.chunks(4_096) {
        index.devices_blocking(folders.to_vec())?;
    }
    if scanned.report.failed == 0 && index.settle_devices_blocking(id)? {
        tracing::info!(
            "{}: what was seen on one device is on another one now, which takes its place",
            side.path()
        );
    }
    Ok(())
}

/// Tells of a scan without result; false where it has none.
fn went_well(side: &ServedRoot, scanned: Result<(), ScanError>) -> bool {
    match scanned {
        Ok(()) => true,
        Err(ScanError::Root(problem)) => {
            side.lost(&problem);
            side.inbox.lose_root();
            false
        }
        Err(ScanError::Index(error)) => {
            side.index_fault.tell(&error);
            false
        }
        Err(ScanError::Ended) => false,
    }
}
