//! The scanner's thread: it scans the root when somebody asks, and when a scan is due.

use std::time::{Duration, Instant};

use focus_common::clock;
use focus_common::metrics::counters;
use focus_core::periodic::every_ms;
use focus_index::IndexError;
use focus_storage::walk::{Detail, cpu_of_thread};

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
    let scan_interval = Duration::from_millis(present.settings.scan_interval_ms);
    let (mut scanned_at, mut stat_at) = (Instant::now(), Instant::now());
    let mut stat_cpu_ms = 0;
    loop {
        let until_due = scan_interval.saturating_sub(scanned_at.elapsed());
        let work = match present.inbox().scan_work(until_due.max(LOOK_MIN)) {
            ScanWork::Nothing if scanned_at.elapsed() >= scan_interval => {
                ScanWork::Scan(ScanAsked::Names)
            }
            work => work,
        };
        match work {
            ScanWork::Closed => return,
            ScanWork::Nothing => {}
            ScanWork::Folders(folders) => scan_folders(present, &folders),
            ScanWork::Scan(asked) => {
                let stat_ms = every_ms(present.settings.stat_interval_ms, stat_cpu_ms);
                let stat =
                    asked == ScanAsked::Stat || stat_at.elapsed() >= Duration::from_millis(stat_ms);
                scanned_at = Instant::now();
                let detail = if stat { Detail::Stat } else { Detail::Names };
                let cpu_ms = scan_everything(present, detail);
                if stat {
                    (stat_at, stat_cpu_ms) = (scanned_at, cpu_ms.unwrap_or(stat_cpu_ms));
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

/// Scans the whole root, and stores that it is complete through the start of the scan. The processor time that it took;
/// none where it came to no end.
fn scan_everything(present: PresentRoot<'_>, detail: Detail) -> Option<u64> {
    present.folders.begin();
    let cpu = scan_and_store(present, detail);
    present.folders.end(cpu.is_some());
    cpu.map(|cpu| u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX))
}

fn scan_and_store(present: PresentRoot<'_>, detail: Detail) -> Option<Duration> {
    let (began_ms, began, cpu_before) = (clock::wall_ms(), Instant::now(), cpu_of_thread());
    let scanned = match scan::scan(present, b"", detail, Some(present.folders)) {
        Ok(scanned) => scanned,
        Err(error) => {
            tell(present, &error);
            return None;
        }
    };
    if !present.inbox().wait_until_scan_is_stored() {
        return None;
    }
    let stored = match detail {
        Detail::Stat => store_mounts(present, &scanned),
        // The same names may be other files: what is where, a scan of sizes and times tells.
        Detail::Names if !scanned.moved.is_empty() => {
            present.inbox().ask_scan(ScanAsked::Stat);
            Ok(())
        }
        Detail::Names => Ok(()),
    };
    let stored = stored.and_then(|()| present.index.scan_finished_blocking(present.id, began_ms));
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
        read = scanned.report.folders - scanned.report.skipped,
        skipped = scanned.report.skipped,
        "scanned"
    );
    Some(scanned.report.cpu + cpu_of_thread().saturating_sub(cpu_before))
}

/// Stores the mounts that a scan of sizes and times of the whole root found folders on.
fn store_mounts(present: PresentRoot<'_>, scanned: &Scanned) -> Result<(), IndexError> {
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
