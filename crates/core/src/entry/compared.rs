//! The catalog was compared with the index.

use super::{Absence, Acked, Delivery, Entry, Life, Turn};
use crate::compare::Compared;

/// A comparison found this of the entry, as it was in the generation `read`.
pub fn compared(entry: Entry, read: i64, found: Compared, now_ms: i64) -> Turn {
    let is_present = entry.generation == read && !entry.is_leaving();
    let known = Entry { known: true, ..entry };
    match found {
        Compared::NotThere => not_there(entry, read, now_ms),
        // The entry may have changed since it was read. All the same the catalog has a document of it.
        Compared::Same | Compared::Differs | Compared::Deleted(_) if !is_present => {
            Turn::keep(known)
        }
        Compared::Same => same(known),
        Compared::Deleted(since_ms) if !entry.is_there() && !entry.drilled => {
            deleted(known, since_ms.unwrap_or(now_ms))
        }
        // Its files came back since it was read, as the catalog had it: that says "deleted" by now.
        Compared::Deleted(_) | Compared::Differs => differs(known, now_ms),
    }
}

fn same(entry: Entry) -> Turn {
    let acked = Acked::Generation(entry.generation);
    Turn::keep(Entry { acked, delivery: Delivery::Done, ..entry }).taken()
}

fn differs(entry: Entry, now_ms: i64) -> Turn {
    if entry.delivery != Delivery::Done {
        return Turn::keep(entry);
    }
    if entry.is_vanished() {
        // It is told in full, should its files come back.
        return Turn::keep(Entry { acked: Acked::Never, ..entry });
    }
    Turn::pending(Entry { delivery: Delivery::Pending { since_ms: Some(now_ms) }, ..entry })
}

/// The catalog has it as deleted already: so it is, and nothing is written.
fn deleted(entry: Entry, at_ms: i64) -> Turn {
    let entry = entry.with_absence(Absence::Marked { at_ms, approved: true });
    let acked = Acked::Generation(entry.generation);
    Turn::keep(Entry { acked, delivery: Delivery::Done, ..entry })
}

fn not_there(entry: Entry, read: i64, now_ms: i64) -> Turn {
    if entry.generation != read || entry.is_marked() {
        return Turn::keep(entry);
    }
    if entry.is_leaving() {
        return leaving_not_there(entry);
    }
    let entry = Entry { known: false, ..entry };
    if entry.life == Life::There && entry.delivery == Delivery::Done {
        return Turn::pending(Entry {
            delivery: Delivery::Pending { since_ms: Some(now_ms) },
            ..entry
        });
    }
    // What is gone from storage too is news again, should it come back.
    Turn::keep(entry)
}

/// A server that stands by removes nothing: it learns from two comparisons that the holder of the lease
/// has. One is not enough, because what was sent may have landed since that one read the documents.
fn leaving_not_there(entry: Entry) -> Turn {
    if !entry.known && entry.acked == Acked::Never {
        return Turn::left(entry);
    }
    Turn::keep(Entry { known: false, acked: Acked::Never, ..entry })
}
