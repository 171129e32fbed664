//! The outages in the state folder: a file for each, with its curve. One that is written is one outage's; the
//! others stay as they are.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use focus_common::state_dir;
use focus_core::outage::{OUTAGES_MAX, OutageRecord};
use serde::{Deserialize, Serialize};

/// The folder of the outages in the state folder.
const FOLDER: &str = "outages";

/// A file that is larger was not written by us.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Files that are looked at, at most.
const FILES_MAX: usize = 4 * OUTAGES_MAX;

/// An outage, as its file has it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    id: u64,
    began_ms: i64,
    ended_ms: Option<i64>,
    outage_ms: u64,
    detected_after_ms: Option<u64>,
    reason: String,
    known_before: u64,
    landed: u64,
    pending: u64,
    converge_ms: Option<u64>,
    /// Milliseconds since the return, and pending recordings.
    curve: Vec<(u64, u64)>,
}

/// Reads every outage that is kept. What cannot be read is left out, and the log has it.
pub(super) fn read_all(state_dir: &Path) -> Vec<OutageRecord> {
    let Ok(entries) = fs::read_dir(state_dir.join(FOLDER)) else { return Vec::new() };
    let mut ids: Vec<u64> = entries
        .take(FILES_MAX)
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_suffix(".json")?.parse().ok()
        })
        .collect();
    ids.sort_unstable();
    let read = ids.iter().rev().take(OUTAGES_MAX).filter_map(|id| match read(state_dir, *id) {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!("{} cannot be read: {error}", file(state_dir, *id).display());
            None
        }
    });
    read.map(record).collect()
}

/// The curve of the outage with this id; none where it is not kept.
pub(super) fn read_curve(state_dir: &Path, id: u64) -> Option<Vec<(u64, u64)>> {
    read(state_dir, id).ok().map(|kept| kept.curve)
}

fn read(state_dir: &Path, id: u64) -> io::Result<Kept> {
    let mut bytes = Vec::new();
    fs::File::open(file(state_dir, id))?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let kept: Kept = serde_json::from_slice(&bytes)?;
    if kept.id == id { Ok(kept) } else { Err(io::Error::other("it is of another outage")) }
}

/// Keeps an outage and its curve.
pub(super) fn write(
    state_dir: &Path,
    record: &OutageRecord,
    curve: &[(u64, u64)],
) -> io::Result<()> {
    let OutageRecord {
        id,
        began_ms,
        ended_ms,
        outage_ms,
        detected_after_ms,
        reason,
        known_before,
        landed,
        pending,
        converge_ms,
    } = record.clone();
    let curve = curve.to_vec();
    let kept = Kept {
        id,
        began_ms,
        ended_ms,
        outage_ms,
        detected_after_ms,
        reason,
        known_before,
        landed,
        pending,
        converge_ms,
        curve,
    };
    let (path, folder) = (file(state_dir, id), state_dir.join(FOLDER));
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let part = path.with_extension("part");
    state_dir::write_private(&part, &serde_json::to_vec(&kept)?)?;
    fs::rename(&part, &path)
}

/// Forgets an outage. Where its file cannot be removed, it is left out when they are read.
pub(super) fn remove(state_dir: &Path, id: u64) {
    let _ = fs::remove_file(file(state_dir, id));
}

fn file(state_dir: &Path, id: u64) -> PathBuf {
    state_dir.join(FOLDER).join(format!("{id}.json"))
}

fn record(kept: Kept) -> OutageRecord {
    OutageRecord {
        id: kept.id,
        began_ms: kept.began_ms,
        ended_ms: kept.ended_ms,
        outage_ms: kept.outage_ms,
        detected_after_ms: kept.detected_after_ms,
        reason: kept.reason,
        known_before: kept.known_before,
        landed: kept.landed,
        pending: kept.pending,
        converge_ms: kept.converge_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_read_as_they_were_kept_and_what_is_damaged_hides_no_other() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(read_all(dir.path()), Vec::new());
        let records: Vec<OutageRecord> = (1..=3)
            .map(|id| OutageRecord {
                id,
                began_ms: 5,
                ended_ms: (id < 3).then_some(9),
                detected_after_ms: Some(1),
                reason: "a \"reason\"".to_owned(),
                landed: id,
                ..OutageRecord::default()
            })
            .collect();
        for record in &records {
            write(dir.path(), record, &[(0, 4), (50, record.id)]).expect("kept");
        }
        let mut read = read_all(dir.path());
        read.reverse();
        assert_eq!(read, records);
        assert_eq!(read_curve(dir.path(), 2), Some(vec![(0, 4), (50, 2)]));
        remove(dir.path(), 1);
        fs::write(file(dir.path(), 2), "{").expect("damaged");
        fs::copy(file(dir.path(), 3), file(dir.path(), 7)).expect("copied");
        fs::write(dir.path().join(FOLDER).join("other.txt"), "").expect("written");
        assert_eq!(read_all(dir.path()), records[2..]);
        assert_eq!(read_curve(dir.path(), 1), None);
    }
}
