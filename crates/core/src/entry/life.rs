//! The types that say how a recording stands.

use crate::recording::Recording;
use crate::vanish::Held;

/// Which entry: opaque, and higher the later its entry was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub i64);

/// How one recording stands. Its content is kept beside it: no rule but "is it the same?" reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts what the catalog is to be told of this recording, from 1. An answer counts for the
    /// generation that was sent, and for no other.
    pub generation: i64,
    /// How it stands on storage.
    pub life: Life,
    /// How it stands on its way to the catalog.
    pub delivery: Delivery,
    /// What the catalog acknowledged last.
    pub acked: Acked,
    /// The catalog is believed to have a document of it: it is updated then, and not inserted.
    pub known: bool,
    /// A drill planted it: once its files are gone its document is removed, not marked.
    pub drilled: bool,
    /// The catalog named it, and this index has not seen its files yet.
    pub never_seen: bool,
}

/// How a recording stands on storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its files are there, as far as they were looked at.
    There,
    /// A look found none of its files.
    Vanished {
        /// When it found none, milliseconds since 1970.
        since_ms: i64,
        /// What followed from that.
        absence: Absence,
    },
}

/// What has followed from files that a look did not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Nothing: one look proves nothing.
    Unproved,
    /// Absence was proved once.
    Proved {
        /// By the boot-time clock of this process, milliseconds.
        at_ms: u64,
    },
    /// Absence was proved twice, and a person has to approve the deletion.
    Held {
        /// Its place in the order of holding; from 1.
        seq: i64,
        /// Why it is held.
        why: Held,
    },
    /// Absence was proved twice, in an archive: its document stays as it is.
    LeftAlone,
    /// It is deleted, and its document is to say so.
    Marked {
        /// Since when, milliseconds since 1970: `deleted_at` of the document.
        at_ms: i64,
        /// A person approved it, or the catalog had it as deleted: it does not count towards
        /// [`crate::vanish::MaxVanished`].
        approved: bool,
    },
    /// A drill planted it: its document is to be removed. Its delivery is never [`Delivery::Done`].
    Leaving {
        /// Since when, milliseconds since 1970.
        at_ms: i64,
    },
}

/// How a recording stands on its way to the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// There is nothing to write.
    Done,
    /// It is to be written.
    Pending {
        /// Since when, milliseconds since 1970; none where it was refused before.
        since_ms: Option<i64>,
    },
    /// The catalog refused it: it is written again later.
    Refused {
        /// When, on the boot-time clock of this process, milliseconds.
        retry_ms: u64,
    },
}

/// What the catalog acknowledged last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// Nothing.
    Never,
    /// Nothing that still tells anything: a document may be there, with any content of ours.
    Unsure,
    /// This generation.
    Generation(i64),
}

impl Entry {
    /// It is to be written now.
    pub fn is_pending(&self) -> bool {
        matches!(self.delivery, Delivery::Pending { .. })
    }

    /// The catalog refused it, and it waits to be written again.
    pub fn is_refused(&self) -> bool {
        matches!(self.delivery, Delivery::Refused { .. })
    }

    /// Its files are there.
    pub fn is_there(&self) -> bool {
        self.life == Life::There
    }

    /// The step on which its absence stands; none while its files are there.
    pub fn absence(&self) -> Option<Absence> {
        match self.life {
            Life::There => None,
            Life::Vanished { absence, .. } => Some(absence),
        }
    }

    /// It is marked as deleted.
    pub fn is_marked(&self) -> bool {
        matches!(self.absence(), Some(Absence::Marked { .. }))
    }

    /// Its document is to be removed.
    pub fn is_leaving(&self) -> bool {
        matches!(self.absence(), Some(Absence::Leaving { .. }))
    }

    /// Its files are gone, and it is not marked: its document is left as it is until more is known.
    pub fn is_vanished(&self) -> bool {
        !self.is_there() && !self.is_marked()
    }

    /// The catalog has, or may have, a document of it.
    pub fn is_catalogued(&self) -> bool {
        self.known || self.acked != Acked::Never
    }

    /// The catalog has acknowledged the present generation.
    pub fn is_acknowledged(&self) -> bool {
        self.acked == Acked::Generation(self.generation)
    }

    /// It was another before, and the catalog has not acknowledged what it is now.
    pub fn is_changed(&self) -> bool {
        self.generation > 1 && !self.is_acknowledged()
    }

    /// Since when the document is to say "deleted", or to be removed, milliseconds since 1970.
    pub fn deleted_at_ms(&self) -> Option<i64> {
        match self.absence()? {
            Absence::Marked { at_ms, .. } | Absence::Leaving { at_ms } => Some(at_ms),
            _ => None,
        }
    }

    /// Whether this combination can come of the rules; what cannot is damage.
    pub fn is_sound(&self) -> bool {
        let delivery = match self.absence() {
            None => true,
            Some(Absence::Leaving { .. }) => self.drilled && self.delivery != Delivery::Done,
            Some(Absence::Marked { .. }) => !self.drilled,
            Some(Absence::Held { .. }) => !self.drilled && self.delivery == Delivery::Done,
            Some(_) => self.delivery == Delivery::Done,
        };
        delivery && self.generation >= 1 && !(self.is_there() && self.never_seen)
    }

    /// The entry, to be written: its content has changed, or its document has to.
    pub(super) fn written(self, now_ms: i64) -> Entry {
        let since_ms = match self.delivery {
            Delivery::Pending { since_ms } => since_ms,
            Delivery::Done | Delivery::Refused { .. } => Some(now_ms),
        };
        Entry {
            generation: self.generation.saturating_add(1),
            delivery: Delivery::Pending { since_ms },
            ..self
        }
    }

    /// The entry, with the step on which its absence stands. Where its files are there it stays as it is.
    pub(super) fn with_absence(self, next: Absence) -> Entry {
        let life = match self.life {
            Life::There => Life::There,
            Life::Vanished { since_ms, .. } => Life::Vanished { since_ms, absence: next },
        };
        Entry { life, ..self }
    }

    /// The entry, now that its files are there.
    pub(super) fn returned(self) -> Entry {
        let acked = match self.acked {
            // It was removed, and nothing tells whether what was sent before that lands late: the entry
            // is not forgotten, should its files go again before anything more is sent.
            Acked::Never if self.is_leaving() => Acked::Unsure,
            acked => acked,
        };
        Entry { life: Life::There, never_seen: false, acked, ..self }
    }
}

/// Puts into a recording, as its sidecar says it, what the index adds to it: that it is deleted since
/// `deleted_at_ms` (see [`Entry::deleted_at_ms`]).
pub(super) fn tell(recording: &mut Recording, deleted_at_ms: Option<i64>) {
    recording.deleted |= deleted_at_ms.is_some();
    recording.deleted_at_ms = deleted_at_ms;
}
