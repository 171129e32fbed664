//! The catalog answered for what was sent to it.

use super::life::tell;
use super::{Absence, Acked, Delivery, Effects, Entry, Report, Turn};
use crate::broken::{self, Broken};
use crate::recording::Recording;
use crate::state::Fault;

/// A recording as it is written: `recording` is as its sidecar says, and `deleted_at_ms` as
/// [`Entry::deleted_at_ms`] gives it.
pub fn picked(mut recording: Recording, deleted_at_ms: Option<i64>) -> Recording {
    tell(&mut recording, deleted_at_ms);
    recording
}

/// What the catalog answered for one entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It has the generation that was sent.
    Acknowledged,
    /// It has no document of it any more.
    Removed,
    /// It cannot be written now.
    Refused {
        /// Why.
        fault: Fault,
        /// When it is tried again, on the boot-time clock, milliseconds.
        retry_ms: u64,
    },
    /// The catalog has a later generation: the entry's becomes this one, and is written again.
    Raise {
        /// Above the one in the catalog.
        generation: i64,
    },
}

/// The catalog answered for the generation `sent`. Whatever changed since then stays to be written.
pub fn answered(entry: Entry, sent: i64, answer: &Answer) -> Turn {
    match answer {
        Answer::Acknowledged => acknowledged(entry, sent),
        Answer::Removed => removed(entry, sent),
        Answer::Refused { fault, retry_ms } => refused(entry, sent, fault, *retry_ms),
        Answer::Raise { generation } => {
            Turn::keep(Entry { generation: entry.generation.max(*generation), ..entry })
        }
    }
}

fn acknowledged(entry: Entry, sent: i64) -> Turn {
    let is_present = entry.generation == sent || broken::is(Broken::AnyGenerationAcknowledged);
    let is_done = is_present && !entry.is_leaving();
    let delivery = if is_done { Delivery::Done } else { entry.delivery };
    let acked = Acked::Generation(sent);
    Turn::keep(Entry { acked, known: true, delivery, ..entry }).taken()
}

/// A drill's recording whose document is gone needs no entry; unless its files came back meanwhile: that is
/// written as a change, and makes the document anew.
fn removed(entry: Entry, sent: i64) -> Turn {
    if entry.generation == sent && entry.is_leaving() {
        return Turn::left(entry);
    }
    Turn::keep(entry)
}

/// It waits, whatever it is about to tell, so that what comes after it is written meanwhile. What is gone
/// and not marked has nothing to write.
fn refused(entry: Entry, sent: i64, fault: &Fault, retry_ms: u64) -> Turn {
    if entry.generation != sent || entry.delivery == Delivery::Done {
        return Turn::keep(entry);
    }
    let report = match entry.absence() {
        None => Some(Report::Fault(fault.clone())),
        // Its files are gone, and those of another recording may be at their place.
        Some(Absence::Leaving { .. }) => Some(Report::FaultOfAbsent(fault.clone())),
        // A mark is told nowhere but in the catalog. What is neither has nothing to write.
        Some(
            Absence::Unproved
            | Absence::Proved { .. }
            | Absence::Held { .. }
            | Absence::LeftAlone
            | Absence::Marked { .. },
        ) => None,
    };
    let entry = Entry { delivery: Delivery::Refused { retry_ms }, ..entry };
    Turn { entry: Some(entry), effects: Effects { report, ..Effects::default() } }
}

impl Turn {
    /// The catalog has taken the entry: a refusal of it is reported no more. What is reported of a place
    /// whose files are gone, or are another recording's, is not about this one.
    pub(super) fn taken(mut self) -> Turn {
        if self.entry.is_some_and(|entry| entry.is_there()) {
            self.effects.report = Some(Report::Taken);
        }
        self
    }
}
