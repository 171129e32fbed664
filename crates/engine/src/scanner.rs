//! The scanner's thread: it scans the root when somebody asks, and when a scan is due.

use std::time::{Duration, Instant};

use focus_common::clock;
use focus_common::metrics::counters;
use focus_core::periodic::interval_ms;
use focus_index::IndexError;
use focus_storage::walk::Detail;

use crate::inbox::{ScanAsked, ScanWork};
use crate::present_root::PresentRoot;
use crate::scan::{self, ScanError, Scanned};
use crate::served_root::FinishedScan;

/// The scanner does not look for due work more often than this.
const LOOK_MIN: Duration = Duration::from_millis(10);

/// Mounts of folders stored in one transaction, so that a scan that finds every folder on another
/// mount does not hold the index for long.
const FOLDERS_MAX: usize = 4_096;

/// Scans until the session is over.
pub(crate) fn run(present: PresentRoot<'_>) {
    let scan_interval = present.scan_interval();
    let configured_ms = present.settings.stat_interval_ms;
    let mut stat_interval = Duration::from_millis(configured_ms);
    let (mut scanned_at, mut stat_at) = (Instant::now(), Instant::now());
    loop {
        let until_due = scan_interval.saturating_sub(scanned_at.elapsed());
        let work = match present.inbox().scan_work(until_due.max(LOOK_MIN)) {
            // Folders that are told of without end do not keep the whole root from being scanned.
            ScanWork::Nothing | ScanWork::Folders(_) if scanned_at.elapsed() >= scan_interval => {
                ScanWork::Scan(ScanAsked::Names)
            }
            work => work,
        };
        match work {
            ScanWork::Closed => return,
            ScanWork::Nothing => {}
            ScanWork::Folders(folders) => scan_folders(present, &folders),
            ScanWork::Scan(asked) => {
                let stat = asked == ScanAsked::Stat || stat_at.elapsed() >= stat_interval;
                scanned_at = Instant::now();
                if stat {
                    stat_at = scanned_at;
                }
                let cpu_ms =
                    scan_everything(present, if stat { Detail::Stat } else { Detail::Names });
                if let Some(cpu_ms) = cpu_ms.filter(|_| stat) {
                    stat_interval = Duration::from_millis(interval_ms(configured_ms, cpu_ms));
                }
            }
        }
        present.inbox().scan_work_done();
    }
}

/// Scans folders that appeared or went.
fn scan_folders(present: PresentRoot<'_>, folders: &[Vec<u8>]) {
    for folder in folders {
        if let Err(error) = scan::scan(present, folder, Detail::Names, None) {
            tell(present, &error);
            return;
        }
    }
}

/// Scans the whole root, and stores that it is complete through the start of the scan. Returns the processor time that
/// the walk took, milliseconds; none where the scan came to nothing.
fn scan_everything(present: PresentRoot<'_>, detail: Detail) -> Option<u64> {
    let (began_ms, began) = (clock::wall_ms(), Instant::now());
    let boot_ms = i64::try_from(clock::boot_ms()).unwrap_or(i64::MAX);
    let known = present.folders.begin(clock::steady_wall_ns() / 1_000_000 - boot_ms);
    // A file that is rewritten in place does not change its folder: a scan of sizes and times reads all of them.
    let skips = Some(&*known).filter(|_| detail == Detail::Names);
    let mut scanned = match scan::scan(present, b"", detail, skips) {
        Ok(scanned) => scanned,
        Err(error) => {
            tell(present, &error);
            return None;
        }
    };
    present.folders.end(std::mem::take(&mut scanned.folders));
    if !present.inbox().wait_until_scan_is_stored() {
        return None;
    }
    let stored = store_mounts(present, detail, &scanned)
        .and_then(|()| present.index.scan_finished_blocking(present.id, began_ms));
    if let Err(error) = stored {
        present.served.index_fault.tell(&error);
        return None;
    }
    counters().scan.observe(began.elapsed().as_secs_f64());
    present.served.set_scanned(&FinishedScan {
        began_ms,
        took_ms: u64::try_from(began.elapsed().as_millis()).ok(),
        unreadable_folders: scanned.report.failed,
        unhinted: scanned.unhinted,
    });
    for words in &scanned.report.failed_named {
        tracing::warn!("a folder cannot be read, and nothing in it counts as gone: {words}");
    }
    tracing::debug!(
        root = present.served.path(),
        read = scanned.report.folders - scanned.unchanged,
        unchanged = scanned.unchanged,
        "scanned"
    );
    Some(scanned.report.cpu_ms)
}

/// Stores the mounts that a scan of the whole root found folders on.
fn store_mounts(
    present: PresentRoot<'_>,
    detail: Detail,
    scanned: &Scanned,
) -> Result<(), IndexError> {
    if detail == Detail::Names {
        // What lies on a mount was seen by its names alone: it is looked at before it counts as found there.
        if !scanned.moved.is_empty() {
            present.inbox().ask_scan(ScanAsked::Stat);
        }
        return Ok(());
    }
    for folders in scanned.moved.chunks(FOLDERS_MAX) {
        let folders = folders.iter().map(|(id, mount)| (*id, (**mount).clone())).collect();
        present.index.mounts_found_blocking(present.id, folders)?;
    }
    let met = scanned.mounts.iter().map(|mount| (**mount).clone()).collect();
    if scanned.report.failed == 0 && present.index.settle_mounts_blocking(present.id, met)? {
        tracing::info!(
            "{}: what was seen on one mount is on another one now, which takes its place",
            present.served.path()
        );
    }
    Ok(())
}

/// Tells why a scan has no result. A root that went ends the session.
fn tell(present: PresentRoot<'_>, error: &ScanError) {
    match error {
        ScanError::Root(problem) => {
            present.served.set_lost(problem);
            present.inbox().lose_root();
        }
        ScanError::Index(error) => present.served.index_fault.tell(error),
        ScanError::Ended => {}
    }
}
