//! A look at storage found files, or found none.

use super::{Absence, Acked, Delivery, Effects, Entry, Life, LookAgain, News, Turn};
use crate::document::{self, Stored};
use crate::recording::{Place, Recording};
use crate::state::State;

/// A recording whose uuid no entry has. `generation_base` is that of its root: see
/// [`Effects::generation_base`].
pub fn made(generation_base: i64, drilled: bool, now_ms: i64) -> Entry {
    Entry {
        generation: generation_base.saturating_add(1),
        life: Life::There,
        delivery: Delivery::Pending { since_ms: Some(now_ms) },
        acked: Acked::Never,
        known: false,
        drilled,
        never_seen: false,
    }
}

/// The entry's own place has settled as its recording. `same`: what the sidecar and the files say is what
/// the entry's content says already; `drilled`: a drill planted it, as its sidecar is now.
pub fn settled(entry: Entry, same: bool, drilled: bool, now_ms: i64) -> Turn {
    if same && entry.is_there() {
        return Turn::keep(entry);
    }
    if same && is_as_catalogued(&entry) {
        return returned(entry);
    }
    Turn::pending(Entry { drilled, ..entry.returned().written(now_ms) }).replaced()
}

/// The files of the entry's own place are as they were when they last settled as its recording.
pub fn unchanged(entry: Entry, now_ms: i64) -> Turn {
    if entry.is_there() {
        return Turn::keep(entry);
    }
    if is_as_catalogued(&entry) {
        return returned(entry);
    }
    Turn::pending(entry.returned().written(now_ms))
}

fn returned(entry: Entry) -> Turn {
    let effects = Effects { news: News::Returned, ..Effects::default() };
    Turn { entry: Some(entry.returned()), effects }
}

/// Its files are gone, and the catalog still has it as it was: it need not be told of their return.
fn is_as_catalogued(entry: &Entry) -> bool {
    entry.is_vanished()
        && entry.delivery == Delivery::Done
        && entry.known
        && entry.is_acknowledged()
}

/// The entry's own place has no files any more, or those of another recording. `sent`: the catalog may
/// have it without having acknowledged it, see [`super::sent`].
pub fn vanished(entry: Entry, sent: bool, now_ms: i64) -> Turn {
    let effects = Effects { look_again: Some(LookAgain::Claimants), ..Effects::default() };
    if !entry.is_there() {
        return Turn { entry: Some(entry), effects };
    }
    if !entry.is_catalogued() && !sent {
        // The catalog never heard of it: there is nothing to tell anybody.
        return Turn { entry: None, effects };
    }
    let acked = match entry.acked {
        // From here on an entry that is catalogued stays so: it is not forgotten later either.
        Acked::Never => Acked::Unsure,
        // A comparison found its document to differ, so its return has to be told.
        Acked::Generation(_) if entry.is_acknowledged() && entry.delivery != Delivery::Done => {
            Acked::Unsure
        }
        other => other,
    };
    let life = Life::Vanished { since_ms: now_ms, absence: Absence::Unproved };
    let entry = Entry { life, acked, delivery: Delivery::Done, ..entry };
    Turn { entry: Some(entry), effects }
}

/// What holds the uuid that the files of a place last settled as, as seen from that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// This place holds it.
    pub here: bool,
    /// The files of the place that holds it are there.
    pub there: bool,
}

/// What follows for a place whose files are unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unchanged {
    /// What is reported of it is reported no more.
    pub cleared: bool,
    /// It is read again at once: its recording is another place's by now, or nobody's.
    pub read_again: bool,
}

/// What is reported of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reported {
    /// Nothing.
    #[default]
    Nothing,
    /// This state.
    State(State),
    /// A state that this program does not know: a later version may have stored it.
    Unknown,
}

/// The files of a place are as they were when they last settled. `reported` is what is reported of it;
/// `holder` is who holds its uuid, after [`unchanged`].
pub fn place_unchanged(reported: Reported, holder: Option<Holder>) -> Unchanged {
    let is_duplicate = reported == Reported::State(State::DuplicateId)
        && holder.is_some_and(|holder| holder.there);
    Unchanged {
        cleared: match reported {
            Reported::Nothing => false,
            // These two are not about the files: the catalog, or the other place, decides when they end.
            Reported::State(State::DuplicateId | State::CatalogRefused) => false,
            Reported::State(_) | Reported::Unknown => true,
        },
        read_again: !is_duplicate && !holder.is_some_and(|holder| holder.here),
    }
}

/// The place of a recording's files, as its path tells it; none where that names no place.
pub fn place_of(path: &str) -> Option<Place> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (stem, _) = name.rsplit_once('.')?;
    (!stem.is_empty()).then(|| Place { folder: folder.into(), stem: stem.into() })
}

/// A document of our root whose uuid no entry has: it is looked for like any other that is gone.
pub fn missing(stored: &Stored, recording: &Recording, now_ms: i64) -> Entry {
    let generation = stored.version.map_or(1, document::generation).max(1);
    Entry {
        generation,
        life: Life::Vanished { since_ms: now_ms, absence: Absence::Unproved },
        delivery: Delivery::Done,
        acked: Acked::Generation(generation),
        known: true,
        drilled: recording.is_drilled(),
        never_seen: true,
    }
}

/// The same, where an entry has been made since the catalog was compared: the catalog has a document of
/// it, also where its files are gone again.
pub fn missing_no_more(entry: Entry) -> Entry {
    Entry { known: true, ..entry }
}
