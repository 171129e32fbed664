//! Absence was proved, doubted, concluded, approved.

use super::{Absence, Entry, Turn};
use crate::broken::{self, Broken};
use crate::vanish::{Counts, Decision, Held, WINDOW_MS};

/// Its absence is to be proved: it is gone, and nothing has been concluded from that.
pub fn is_candidate(entry: &Entry) -> bool {
    matches!(entry.absence(), Some(Absence::Unproved | Absence::Proved { .. }))
}

/// The place of a candidate, as far as storage has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// A sidecar somewhere names its uuid: it has moved, or is about to.
    pub named: bool,
    /// Its place has files.
    pub has_files: bool,
    /// Those files have settled as another recording.
    pub replaced: bool,
}

/// Absence was proved the first time, at this time of the boot-time clock.
pub fn proved(entry: Entry, now_ms: u64) -> Entry {
    match entry.absence() {
        Some(Absence::Unproved) => entry.with_absence(Absence::Proved { at_ms: now_ms }),
        _ => entry,
    }
}

/// The first proof counts no more: a file was there, or could not be looked for.
pub fn doubted(entry: Entry) -> Entry {
    match entry.absence() {
        Some(Absence::Proved { .. }) => entry.with_absence(Absence::Unproved),
        _ => entry,
    }
}

/// What a conclusion rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Storage, as it has been seen by now.
    pub scene: Scene,
    /// The second proof looked on another device than its files were seen on.
    pub elsewhere: bool,
    /// Its place is hidden by an exclude: its files may be there.
    pub hidden: bool,
    /// The root is an archive: what is gone from it stays in the catalog.
    pub archive: bool,
    /// Its folder holds an entry that [`is_neighbour`].
    pub has_neighbour: bool,
    /// Whether so many may be gone: see [`crate::vanish::judge`].
    pub decision: Decision,
    /// The next place in the order of holding.
    pub seq: i64,
    /// The time, milliseconds since 1970.
    pub now_ms: i64,
}

/// Absence was proved twice. What came back, moved or was doubted since the first proof stays as it is.
pub fn concluded(entry: Entry, facts: Facts) -> Turn {
    let scene = facts.scene;
    let is_proved = matches!(entry.absence(), Some(Absence::Proved { .. }));
    if !is_proved || scene.named || scene.has_files && !scene.replaced {
        return Turn::keep(entry);
    }
    let facts = Facts {
        elsewhere: facts.elsewhere && !broken::is(Broken::MountIgnored),
        hidden: facts.hidden && !broken::is(Broken::ExcludedDeleted),
        ..facts
    };
    if entry.drilled && (facts.elsewhere || facts.hidden) {
        // Nothing is proved on another device or where nobody looks, and a drill's recording waits for no
        // person.
        return Turn::keep(entry.with_absence(Absence::Unproved));
    }
    match held(&entry, &facts) {
        Some(why) => Turn::keep(entry.with_absence(Absence::Held { seq: facts.seq, why })),
        None => deleted(entry, &facts),
    }
}

/// Why it is not deleted at once; none: it is.
fn held(entry: &Entry, facts: &Facts) -> Option<Held> {
    if entry.drilled || facts.archive {
        return None;
    }
    if facts.hidden {
        return Some(Held::Excluded);
    }
    if facts.elsewhere {
        return Some(Held::Device);
    }
    if entry.never_seen && !facts.has_neighbour {
        return Some(Held::NeverSeen);
    }
    match facts.decision {
        Decision::Mark => None,
        Decision::Hold(why) => Some(why),
    }
}

fn deleted(entry: Entry, facts: &Facts) -> Turn {
    let at_ms = facts.now_ms;
    if entry.drilled {
        return Turn::pending(entry.with_absence(Absence::Leaving { at_ms }).written(at_ms));
    }
    if facts.archive && !broken::is(Broken::ArchiveMarked) {
        return Turn::keep(entry.with_absence(Absence::LeftAlone));
    }
    Turn::pending(entry.with_absence(Absence::Marked { at_ms, approved: false }).written(at_ms))
}

/// A person approved what is held up to this place in the order of holding.
pub fn approved(entry: Entry, through: i64, now_ms: i64) -> Turn {
    match entry.absence() {
        Some(Absence::Held { seq, .. }) if seq <= through => {
            let marked = Absence::Marked { at_ms: now_ms, approved: true };
            Turn::pending(entry.with_absence(marked).written(now_ms))
        }
        _ => Turn::keep(entry),
    }
}

/// No exclude hides the entry's place any more: what was held for that is looked for anew.
pub fn shown(entry: Entry) -> Entry {
    match entry.absence() {
        Some(Absence::Held { why: Held::Excluded, .. }) => entry.with_absence(Absence::Unproved),
        _ => entry,
    }
}

/// An entry of the same folder that tells that the folder is the one it was: the catalog has it, and this
/// index has seen its files. One that a drill planted tells nothing of a folder.
pub fn is_neighbour(entry: &Entry) -> bool {
    entry.is_there() && !entry.never_seen && !entry.drilled && entry.is_catalogued()
}

/// Counts an entry towards the decision on what is gone. `named`: as in [`Scene`].
pub fn count(counts: &mut Counts, entry: &Entry, named: bool, now_ms: i64) {
    if entry.drilled {
        return;
    }
    match entry.absence() {
        None => counts.present += 1,
        Some(Absence::Held { .. }) => counts.gone += 1,
        Some(Absence::Unproved | Absence::Proved { .. }) => counts.gone += u64::from(!named),
        Some(Absence::Marked { at_ms, approved: false }) => {
            counts.marked += u64::from(at_ms > now_ms.saturating_sub(WINDOW_MS));
        }
        Some(Absence::Marked { .. } | Absence::LeftAlone | Absence::Leaving { .. }) => {}
    }
}
