//! Two places name one uuid.

use super::{Delivery, Entry, Turn};
use crate::claim::{Claim, Ruling, rule};
use crate::document::Stored;
use crate::recording::show_bytes;
use crate::state::{Fault, State};

/// The place that holds a uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding<'a> {
    /// Path of its data file, relative to its root.
    pub path: &'a str,
    /// A file was there at its last look.
    pub has_files: bool,
}

/// A place has settled as a recording whose uuid `entry`, of another place, has. Gives the ruling and
/// the entry: where it is the newcomer's from now on it is written with the newcomer's content.
/// `drilled`: a drill planted the newcomer.
pub fn claimed(
    entry: Entry,
    holding: Holding<'_>,
    newcomer_path: &str,
    drilled: bool,
    now_ms: i64,
) -> (Ruling, Turn) {
    let claim = Claim {
        path: holding.path,
        catalogued: entry.is_catalogued(),
        absent: !entry.is_there() || !holding.has_files,
    };
    let ruling = rule(claim, newcomer_path);
    let turn = match ruling {
        Ruling::HolderKeeps => Turn::keep(entry),
        Ruling::Moved | Ruling::NewcomerTakes => {
            Turn::pending(Entry { drilled, ..entry.returned().written(now_ms) }).replaced()
        }
    };
    (ruling, turn)
}

/// The catalog has the entry's uuid at a path whose place has files and names it: that place holds it
/// from now on. Its content is not known before it has been read there, and not written before that.
pub fn preferred(entry: Entry) -> Entry {
    Entry {
        generation: entry.generation.saturating_add(1),
        delivery: Delivery::Done,
        known: true,
        ..entry.returned()
    }
}

/// What is reported of a place whose uuid is that of another, at `path`.
pub fn duplicate(uuid: &str, path: &str, in_another_root: bool) -> Fault {
    let elsewhere = if in_another_root { " in another root" } else { "" };
    let path = show_bytes(path.as_bytes());
    duplicate_of(&format!("the uuid {uuid} is that of {path}{elsewhere}"))
}

/// What is reported of a place whose uuid the catalog has at `path`.
pub fn duplicate_of_catalogued(uuid: &str, path: &str) -> Fault {
    duplicate_of(&format!("the uuid {uuid} is that of {path}, which the catalog has"))
}

/// What is reported of a recording whose uuid a live document of another root has.
pub fn duplicate_of_another_root(stored: &Stored) -> Fault {
    let path = stored.path.as_deref().unwrap_or("a recording");
    let root = stored.root.as_deref().unwrap_or_default();
    duplicate_of(&format!("the uuid {} belongs to {path} in the root {root}", stored.uuid))
}

fn duplicate_of(words: &str) -> Fault {
    let advice = "Give one of the two another uuid, or remove one";
    Fault::new(State::DuplicateId, format!("{words}. {advice}"))
}
