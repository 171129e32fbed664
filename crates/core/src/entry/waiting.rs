//! What was refused is tried again; the process starts.

use super::{Absence, Delivery, Entry};

/// What the catalog refused is written again once its time has come, by the boot-time clock.
pub fn retried(entry: Entry, now_ms: u64) -> Entry {
    match entry.delivery {
        Delivery::Refused { retry_ms } if retry_ms <= now_ms => again(entry),
        _ => entry,
    }
}

/// A process starts. Boot-time clock readings of an earlier one mean nothing any more, so a first proof of
/// absence is none, and what was refused is tried again at once. Whether the root is an archive is asked
/// anew.
pub fn started(entry: Entry) -> Entry {
    let entry = match entry.absence() {
        Some(Absence::Proved { .. } | Absence::LeftAlone) => entry.with_absence(Absence::Unproved),
        _ => entry,
    };
    match entry.delivery {
        Delivery::Refused { .. } => again(entry),
        _ => entry,
    }
}

fn again(entry: Entry) -> Entry {
    Entry { delivery: Delivery::Pending { since_ms: None }, ..entry }
}
