//! The lease as documents, calls and their results.

use crate::answer::Failure;
use crate::broken::{self, Broken};
use crate::marker_place::MarkerPlace;

/// The lease, as the catalog holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseDoc {
    /// Who holds it: the id of a state folder.
    pub holder: String,
    /// The fencing token under which it was taken.
    pub token: i64,
    /// Raised by every renewal.
    pub counter: i64,
    /// Given up by its holder: free to take.
    pub released: bool,
    /// Its length, as its holder has it, milliseconds.
    pub length_ms: u64,
    /// Where its holder has the root; none where nobody has told.
    pub at: Option<Box<MarkerPlace>>,
}

impl LeaseDoc {
    /// Both are one state of the lease. Where its holder has the root is no part of it: each change of the
    /// lease raises the counter.
    pub fn is_same_state(&self, other: &LeaseDoc) -> bool {
        let state = |doc: &LeaseDoc| (doc.token, doc.counter, doc.released, doc.length_ms);
        state(self) == state(other) && self.holder == other.holder
    }

    /// Where its holder has the root, if that is not `me` and has another folder than the one at `at`.
    pub fn other_folder(&self, me: &str, at: Option<&MarkerPlace>) -> Option<&MarkerPlace> {
        let (theirs, ours) = (self.at.as_deref()?, at?);
        let is_other = self.holder != me && !theirs.is_same_marker(ours);
        (is_other && !broken::is(Broken::CopyTakesLease)).then_some(theirs)
    }
}

/// The right to write, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The connection in which it was renewed. In another connection the grant is void.
    pub epoch: u64,
    /// The fencing token.
    pub token: i64,
    /// No write starts at this time or later, on our own boot-time clock.
    pub until_ms: u64,
    /// Nobody else can have held the lease since our last token: the new token owes no comparison.
    pub continuous: bool,
    /// The server from which the lease was taken back may still write until this time, on our own
    /// boot-time clock.
    pub disputed_until_ms: u64,
}

/// A call on the catalog, one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseJob {
    /// Read the lease from the primary.
    Read,
    /// Draw a token above this one from the catalog's counter.
    Draw {
        /// Every token that is stored, remembered or met.
        above: i64,
    },
    /// Put `new` in the place of `expected`, and only there.
    Put {
        /// The lease as it was read; none: there is no lease.
        expected: Option<LeaseDoc>,
        /// The lease as it is to be.
        new: LeaseDoc,
    },
}

/// The result of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseDone {
    /// To `Read`.
    Read(Result<Option<LeaseDoc>, Failure>),
    /// To `Draw`.
    Drawn(Result<i64, Failure>),
    /// To `Put`: whether the lease was as expected, and so was replaced.
    Put(Result<bool, Failure>),
}

/// What the keeper is to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseNext {
    /// Do this, then hand in the result.
    Run(LeaseJob),
    /// Wait until this time, or for an event.
    Wait {
        /// On the own boot-time clock.
        until_ms: u64,
    },
    /// Wait for an event.
    Idle,
}

/// Whose the lease is, as `focus status` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// Not known: the catalog has not been asked, or cannot be.
    Unknown,
    /// Ours.
    Held,
    /// Another server's.
    Standby,
}

impl LeaseState {
    /// The fixed spelling.
    pub fn name(self) -> &'static str {
        match self {
            LeaseState::Unknown => "unknown",
            LeaseState::Held => "held",
            LeaseState::Standby => "standby",
        }
    }
}

/// Who held the lease last, as far as this server knows. During an outage this is all that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LastHolder {
    /// This server, or nobody that it knows of.
    Me,
    /// Another server, which has renewed the lease lately.
    OtherRenews,
    /// Another server, which may be dead.
    Other,
}
