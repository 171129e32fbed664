//! The state of one configured root that its thread, its tasks and the status share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use focus_catalog::Catalog;
use focus_common::config::RootSettings;
use focus_common::status::{RootState, RootStatus, WatchState};
use focus_common::{clock, machine};
use focus_core::marker_place::MarkerPlace;
use focus_core::pair::PairForm;
use focus_index::RootMemory;
use focus_storage::watch::WatchProblem;
use focus_storage::{Root, RootProblem};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::inbox::Inbox;
use crate::index_fault::IndexFault;
use crate::ingest::parts::Parts;
use crate::lease::LeaseKeeper;
use crate::markers::Markers;

/// One configured root, whether its storage is there or not.
#[derive(Debug)]
pub(crate) struct ServedRoot {
    pub(crate) settings: RootSettings,
    /// What waits for the observer.
    pub(crate) inbox: Arc<Inbox>,
    /// Wakes the reconciler: something is to be written.
    pub(crate) wake: Arc<Notify>,
    /// Comparisons that people ask for.
    pub(crate) comparisons: AskedComparisons,
    pub(crate) status: Mutex<RootStatus>,
    /// The id in the root's marker with the root's row in the index; none until the root was there.
    pub(crate) memory: watch::Sender<Option<(String, RootMemory)>>,
    pub(crate) index_fault: Arc<IndexFault>,
    /// Scans that were finished since the start.
    pub(crate) scans: AtomicU64,
    /// Start of the last finished scan, of this run or an earlier one, milliseconds since 1970.
    pub(crate) complete_through_ms: Mutex<Option<i64>>,
    /// Asked only whether the root is an archive.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// The markers of all configured roots.
    pub(crate) markers: Arc<Markers>,
    /// Where the root's marker is, as the lease is to say it; none until it was seen.
    pub(crate) marker_place: Mutex<Option<MarkerPlace>>,
    /// The root's lease; none until the root is known.
    pub(crate) lease: Mutex<Option<Arc<LeaseKeeper>>>,
    /// Counts what the observer has stored, for those who wait for it.
    pub(crate) observed: watch::Sender<u64>,
    /// Parts of recordings that are being handed over.
    pub(crate) parts: Arc<Parts>,
}

/// Comparisons of a root that people ask for.
#[derive(Debug, Default)]
pub(crate) struct AskedComparisons {
    asked: AtomicU64,
    due: Notify,
}

impl AskedComparisons {
    /// Asks for one, and returns its number.
    pub(crate) fn ask(&self) -> u64 {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        self.due.notify_one();
        number
    }

    /// Waits until one is asked for, and returns the number of the last one.
    pub(crate) async fn due(&self) -> u64 {
        self.due.notified().await;
        self.asked.load(Ordering::Relaxed)
    }
}

/// A finished scan of the whole root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinishedScan {
    /// When it began, milliseconds since 1970.
    pub(crate) began_ms: i64,
    /// How long it took.
    pub(crate) took_ms: Option<u64>,
    /// Folders that could not be read.
    pub(crate) unreadable_folders: u64,
    /// Places that it found news at and that the watch had not told of.
    pub(crate) unhinted: u64,
}

impl ServedRoot {
    /// A root that was not looked for yet.
    pub(crate) fn new(
        settings: RootSettings,
        form: PairForm,
        catalog: Arc<dyn Catalog>,
        index_fault: Arc<IndexFault>,
        markers: Arc<Markers>,
        parts: Parts,
    ) -> ServedRoot {
        ServedRoot {
            inbox: Arc::new(Inbox::default()),
            wake: Arc::new(Notify::new()),
            comparisons: AskedComparisons::default(),
            status: Mutex::new(RootStatus {
                path: settings.path.display().to_string(),
                data_extensions: form.data_extensions,
                sidecar_extension: form.sidecar_extension,
                ..RootStatus::default()
            }),
            memory: watch::Sender::new(None),
            lease: Mutex::new(None),
            catalog,
            index_fault,
            markers,
            marker_place: Mutex::new(None),
            observed: watch::Sender::new(0),
            parts: Arc::new(parts),
            scans: 0.into(),
            complete_through_ms: Mutex::new(None),
            settings,
        }
    }

    /// Its configured path, as the catalog is told it.
    pub(crate) fn path(&self) -> String {
        self.settings.path.display().to_string()
    }

    fn change_status(&self, change: impl FnOnce(&mut RootStatus)) {
        change(&mut self.status.lock());
    }

    /// Takes note of the root's row in the index.
    pub(crate) fn remember(&self, marker: &str, memory: RootMemory) {
        self.completed_through(memory.complete_through_ms);
        self.memory.send_replace(Some((marker.to_owned(), memory)));
    }

    /// Takes note of where the marker is: it may have been made anew.
    pub(crate) fn set_marker_place(&self, root: &Root) {
        let Some((inode, ctime_ns)) = root.marker_stat() else { return };
        let mut place = self.marker_place.lock();
        let known = place.as_ref().map(|place| (place.inode, place.ctime_ns));
        if known == Some((inode, ctime_ns)) {
            return;
        }
        let now = MarkerPlace { host: machine::host(), path: self.path(), inode, ctime_ns };
        *place = Some(now.clone());
        if let Some(lease) = self.lease.lock().as_ref() {
            lease.set_place(now);
        }
    }

    /// Takes note that the storage is there.
    pub(crate) fn set_present(&self, root: &Root) {
        self.change_status(|status| {
            if status.state != RootState::Present {
                tracing::info!("the root {} is there", root.path().display());
            }
            status.state = RootState::Present;
            status.reason = None;
            status.id = Some(root.id().to_owned());
        });
    }

    /// Takes note that the storage is not there, or is not the one that it was.
    pub(crate) fn set_lost(&self, problem: &RootProblem) {
        self.change_status(|status| {
            let state = state_of(problem);
            if status.state != state {
                tracing::warn!("{problem}");
            }
            status.state = state;
            status.reason = Some(problem.to_string());
        });
    }

    /// Tells why the root is not watched, once.
    pub(crate) fn warn_of_watch(&self, problem: &WatchProblem) {
        let words = problem.to_string();
        if self.status.lock().watch_reason.as_ref() != Some(&words) {
            tracing::warn!("{}: {words}", self.path());
        }
    }

    /// Takes note that the root is watched, or of the reason why it is not.
    pub(crate) fn set_watch(&self, reason: Option<String>) {
        self.change_status(|status| {
            status.watch =
                if reason.is_none() { WatchState::Watching } else { WatchState::Scanning };
            status.watch_reason = reason;
        });
    }

    /// Takes note of a finished scan whose finds the index has.
    pub(crate) fn set_scanned(&self, scan: &FinishedScan) {
        self.completed_through(Some(scan.began_ms));
        let first = self.scans.fetch_add(1, Ordering::Relaxed) == 0;
        self.wake.notify_one();
        self.change_status(|status| {
            status.last_scan_at = Some(clock::rfc3339(scan.began_ms));
            status.last_scan_ms = scan.took_ms;
            status.unreadable_folders = scan.unreadable_folders;
            // What the first scan finds, no watch could have told.
            if !first && status.watch == WatchState::Watching {
                status.watch_missed += scan.unhinted;
            }
        });
    }

    fn completed_through(&self, through_ms: Option<i64>) {
        *self.complete_through_ms.lock() = through_ms;
    }
}

/// The state of a root with this problem.
fn state_of(problem: &RootProblem) -> RootState {
    match problem {
        RootProblem::Absent { .. } | RootProblem::NotADirectory { .. } => RootState::Absent,
        RootProblem::NoMarker { .. } | RootProblem::MarkerDamaged { .. } => RootState::NoMarker,
        RootProblem::Replaced { .. } => RootState::Replaced,
        RootProblem::Duplicate { .. } => RootState::DuplicateMarker,
        RootProblem::Unreadable { .. } => RootState::Unreadable,
    }
}
