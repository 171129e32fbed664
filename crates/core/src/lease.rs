//! One writer per root: the lease, without trust in any wall clock.
//!
//! The lease is a document with a counter. Its holder raises the counter; a challenger that has read
//! the same counter over the lease's whole length takes it by compare-and-swap, under a new token.
//! Times are of the caller's own boot-time clock and are compared with nobody else's.
//!
//! ```text
//! nobody's, released ──────────────────────────────► taken at once
//! ours, of this process ───────────────────────────► renewed
//! ours, of an earlier process ─────────────────────► taken at once, under a new token
//! older than a token we held, and nobody's is higher ► taken back at once (a restored database)
//! anybody else's ──────────────────────────────────► challenged: the same counter over its length
//! ```

use crate::answer::Failure;
use crate::broken::{self, Broken};

/// Reads further apart than this prove nothing about the time between them.
const GAP_MAX_MS: u64 = 2_000;

/// The longest length that is believed of a lease read back.
const LENGTH_MAX_MS: u64 = 600_000;

/// A failed call is tried again after this.
const RETRY_MS: u64 = 200;

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
}

/// The right to write, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The connection in which it was renewed; void in any other.
    pub epoch: u64,
    /// The fencing token.
    pub token: i64,
    /// No write starts at this time or later, on the own boot-time clock.
    pub until_ms: u64,
    /// Nobody else can have held it since our last token: no comparison is owed for it.
    pub continuous: bool,
    /// Until this time, on the own boot-time clock, whom it was taken back from may still write.
    pub disputed_until_ms: u64,
}

/// Something to be done on the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseJob {
    /// Read the lease from the primary.
    Read,
    /// Draw a token above this one from the catalog's counter.
    Draw {
        /// Every token that is stored, remembered or met.
        above: i64,
    },
    /// Put `new` where the lease is exactly `expected`; none: where there is no lease.
    Put {
        /// As read.
        expected: Option<LeaseDoc>,
        /// What is to be there.
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
    /// To `Put`: whether it was as expected.
    Put(Result<bool, Failure>),
}

/// What the shell is to do now.
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

#[derive(Clone, Debug)]
enum Step {
    /// What is there is to be read.
    Look,
    /// A token for taking it, where it still is as read.
    Draw { from: Option<LeaseDoc>, continuous: bool },
    /// Taking it under this token.
    Take { from: Option<LeaseDoc>, new: LeaseDoc, continuous: bool },
    /// Ours: renewed from here on, the first time at once.
    Renew { new: LeaseDoc },
    /// Given up.
    Release { new: LeaseDoc },
    /// Nothing until this time.
    Rest { until_ms: u64 },
    /// Released, for good.
    Over,
}

/// How long a challenger has seen one counter.
#[derive(Clone, Debug)]
struct Watch {
    seen: LeaseDoc,
    first_ms: u64,
    last_ms: u64,
}

/// The lease of one root, as one server sees it.
#[derive(Clone, Debug)]
pub struct Lease {
    me: String,
    length_ms: u64,
    epoch: Option<u64>,
    step: Step,
    running: bool,
    /// When the job under way was handed out, and in which connection.
    sent_ms: u64,
    sent_epoch: Option<u64>,
    /// What we hold, as last acknowledged, with the time it was sent and its connection.
    ours: Option<(LeaseDoc, u64, u64)>,
    continuous: bool,
    /// Whom it was taken back from writes no more from here on.
    disputed_until_ms: u64,
    /// The highest token that this state folder held.
    held: i64,
    /// The highest token known of anybody.
    known: i64,
    /// The highest token met in a document of this root.
    met: i64,
    /// The last token that this process drew; until then, what is ours was an earlier process's.
    drawn: Option<i64>,
    /// A renewal did not find the lease as it was: no write before it has been read.
    suspended: bool,
    watch: Option<Watch>,
    state: LeaseState,
    holder: Option<String>,
    releasing: bool,
    lost: u64,
}

impl Lease {
    /// The lease as seen by the state folder `me`, which last held it under `held` (0: never), and
    /// has seen no token above `seen`.
    pub fn new(me: &str, held: i64, seen: i64, length_ms: u64) -> Lease {
        Lease {
            me: me.to_owned(),
            length_ms,
            epoch: None,
            step: Step::Look,
            running: false,
            sent_ms: 0,
            sent_epoch: None,
            ours: None,
            continuous: false,
            disputed_until_ms: 0,
            held,
            known: seen.max(held),
            met: 0,
            drawn: None,
            suspended: false,
            watch: None,
            state: LeaseState::Unknown,
            holder: None,
            releasing: false,
            lost: 0,
        }
    }

    /// The database takes writes.
    pub fn up(&mut self, epoch: u64) {
        if self.epoch != Some(epoch) {
            self.epoch = Some(epoch);
            self.reconnected();
        }
    }

    /// It does not.
    pub fn down(&mut self) {
        self.epoch = None;
        self.reconnected();
    }

    fn reconnected(&mut self) {
        self.watch = None;
        self.state = LeaseState::Unknown;
        if !matches!(self.step, Step::Over) {
            self.step = self.after_doubt();
        }
    }

    /// What to do where it is not certain what is there: ours is renewed, which tells.
    fn after_doubt(&self) -> Step {
        match &self.ours {
            Some((doc, ..)) if !self.is_contested() => Step::Renew { new: raised(doc) },
            _ => Step::Look,
        }
    }

    /// A document has a token that is not below ours.
    fn is_contested(&self) -> bool {
        !broken::is(Broken::MetTokenIgnored)
            && self.ours.as_ref().is_some_and(|(doc, ..)| doc.token <= self.met)
    }

    /// A document under this token was met, above ours: the lease is read before the next write.
    pub fn met(&mut self, token: i64) {
        self.known = self.known.max(token);
        self.met = self.met.max(token);
        if self.is_contested() && !self.running && !matches!(self.step, Step::Over) {
            self.step = Step::Look;
        }
    }

    /// The highest token known of anybody; to be stored, so that a restart knows it.
    pub fn known(&self) -> i64 {
        self.known
    }

    /// Gives it up, where it is ours: a standby need not wait.
    pub fn release(&mut self) {
        self.releasing = true;
        if !self.running {
            self.begin_release();
        }
    }

    fn begin_release(&mut self) {
        self.step = match self.ours.take() {
            Some((doc, ..)) if self.epoch.is_some() => {
                Step::Release { new: LeaseDoc { released: true, ..raised(&doc) } }
            }
            _ => Step::Over,
        };
    }

    /// It has been given up, or was not ours: nothing more will be done.
    pub fn is_over(&self) -> bool {
        matches!(self.step, Step::Over) && !self.running
    }

    /// Whose it is.
    pub fn state(&self) -> LeaseState {
        self.state
    }

    /// Who holds it, as last read.
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// How often it was found to be another's while ours.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The right to write that the last acknowledged renewal gives: a fifth of the length is kept
    /// for writes under way.
    pub fn grant(&self) -> Option<Grant> {
        let (doc, sent_ms, epoch) = self.ours.as_ref()?;
        let good = !self.is_contested() && !self.suspended && !self.releasing;
        good.then(|| Grant {
            epoch: *epoch,
            token: doc.token,
            until_ms: sent_ms + self.length_ms - self.length_ms / 5,
            continuous: self.continuous,
            disputed_until_ms: self.disputed_until_ms,
        })
    }

    /// What to do now.
    pub fn next(&mut self, now_ms: u64) -> LeaseNext {
        if self.running || matches!(self.step, Step::Over) || self.epoch.is_none() {
            return LeaseNext::Idle;
        }
        let job = match &self.step {
            Step::Rest { until_ms } if *until_ms > now_ms => {
                return LeaseNext::Wait { until_ms: *until_ms };
            }
            Step::Rest { .. } => {
                self.step = self.after_doubt();
                return self.next(now_ms);
            }
            Step::Look => LeaseJob::Read,
            Step::Draw { .. } => LeaseJob::Draw { above: self.known },
            Step::Take { from, new, .. } => {
                LeaseJob::Put { expected: from.clone(), new: new.clone() }
            }
            Step::Renew { new } | Step::Release { new } => {
                LeaseJob::Put { expected: Some(lowered(new)), new: new.clone() }
            }
            Step::Over => return LeaseNext::Idle,
        };
        self.running = true;
        self.sent_ms = now_ms;
        self.sent_epoch = self.epoch;
        LeaseNext::Run(job)
    }

    /// Takes a result.
    pub fn done(&mut self, now_ms: u64, done: LeaseDone) {
        debug_assert!(self.running, "a result without a job");
        self.running = false;
        let step = std::mem::replace(&mut self.step, Step::Look);
        match (step, done) {
            (Step::Release { .. } | Step::Over, _) => self.step = Step::Over,
            // Answered in another connection: what it says may be of another primary.
            _ if self.sent_epoch != self.epoch => self.step = self.after_doubt(),
            (Step::Look, LeaseDone::Read(Ok(found))) => self.read(now_ms, found),
            (Step::Draw { from, continuous }, LeaseDone::Drawn(Ok(token))) => {
                self.drawn(from, token, continuous);
            }
            (Step::Take { new, continuous, .. }, LeaseDone::Put(Ok(true))) => {
                self.continuous = continuous;
                self.held = self.held.max(new.token);
                self.renewed(now_ms, new);
            }
            (Step::Renew { new }, LeaseDone::Put(Ok(true))) => self.renewed(now_ms, new),
            // Not as it was: somebody was faster, or our own call of before has arrived.
            (_, LeaseDone::Put(Ok(false))) => {
                self.watch = None;
                self.suspended = true;
            }
            (_, LeaseDone::Read(Err(_)) | LeaseDone::Drawn(Err(_)) | LeaseDone::Put(Err(_))) => {
                self.watch = None;
                self.step = Step::Rest { until_ms: now_ms + RETRY_MS };
            }
            // The step changed under the call: begin again.
            _ => {}
        }
        if self.releasing && !matches!(self.step, Step::Over) {
            self.begin_release();
        }
    }

    fn renewed(&mut self, now_ms: u64, doc: LeaseDoc) {
        let Some(epoch) = self.epoch else { return };
        self.state = LeaseState::Held;
        self.holder = Some(self.me.clone());
        self.known = self.known.max(doc.token);
        self.suspended = false;
        self.watch = None;
        let since_ms =
            if broken::is(Broken::LeaseFromAcknowledgement) { now_ms } else { self.sent_ms };
        self.ours = Some((doc, since_ms, epoch));
        self.step = if self.is_contested() {
            Step::Look
        } else {
            Step::Rest { until_ms: self.sent_ms + self.length_ms / 4 }
        };
    }

    fn read(&mut self, now_ms: u64, found: Option<LeaseDoc>) {
        let Some(doc) = found else {
            return self.take(None, false);
        };
        self.holder = (!doc.released).then(|| doc.holder.clone());
        let known = self.known;
        self.known = known.max(doc.token);
        let mine = doc.holder == self.me;
        // Nobody can have held it since this state folder did.
        let as_held = mine && doc.token == self.held && self.held == known;
        if doc.released {
            return self.take(Some(doc), as_held);
        }
        if mine && self.ours.as_ref().is_some_and(|(ours, ..)| ours.token == doc.token) {
            if self.is_contested() {
                return self.take(Some(doc), true);
            }
            // A renewal whose answer was lost has arrived.
            self.step = Step::Renew { new: raised(&doc) };
            return;
        }
        // A restored database names an older holder, and nobody's token is above our own.
        if self.held > doc.token && self.held == known {
            // It may believe in its lease, and hear of ours when it next renews. What was read is its last
            // renewal, or the lease is not taken: that renewal's length has begun by now.
            if !mine {
                self.disputed_until_ms = now_ms.saturating_add(self.length_of(&doc));
            }
            return self.take(Some(doc), false);
        }
        // An earlier process's, or one that this one took without hearing of it. A token that neither
        // explains was drawn by another server with a copy of this state folder.
        let explained = self.drawn.is_none_or(|drawn| doc.token == drawn);
        if mine && doc.token >= known && explained {
            return self.take(Some(doc), as_held && self.drawn.is_none());
        }
        self.challenge(now_ms, doc);
    }

    fn challenge(&mut self, now_ms: u64, doc: LeaseDoc) {
        if self.ours.take().is_some() {
            self.lost += 1;
        }
        self.suspended = false;
        self.state = LeaseState::Standby;
        let length_ms = self.length_of(&doc);
        // A read proves the time at which it was sent to have been before its answer.
        let watch = match self.watch.take() {
            Some(watch)
                if watch.seen == doc
                    && (now_ms.saturating_sub(watch.last_ms) <= GAP_MAX_MS
                        || broken::is(Broken::ChallengeOverGaps)) =>
            {
                Watch { last_ms: self.sent_ms, ..watch }
            }
            _ => Watch { seen: doc.clone(), first_ms: now_ms, last_ms: self.sent_ms },
        };
        let over_ms = watch.first_ms.saturating_add(length_ms);
        if self.sent_ms >= over_ms {
            return self.take(Some(doc), false);
        }
        let poll_ms = (self.length_ms / 20).clamp(50, 500);
        self.watch = Some(watch);
        self.step = Step::Rest { until_ms: over_ms.min(now_ms + poll_ms) };
    }

    /// The length that is believed of a lease read back.
    fn length_of(&self, doc: &LeaseDoc) -> u64 {
        doc.length_ms.clamp(self.length_ms, LENGTH_MAX_MS.max(self.length_ms))
    }

    fn take(&mut self, from: Option<LeaseDoc>, continuous: bool) {
        self.step = Step::Draw { from, continuous };
    }

    fn drawn(&mut self, from: Option<LeaseDoc>, token: i64, continuous: bool) {
        if token <= self.known {
            // A counter that went back: draw again, above all that is known.
            self.step = Step::Draw { from, continuous };
            return;
        }
        let token = match &from {
            Some(from) if broken::is(Broken::TokenReused) => from.token.max(1),
            _ => token,
        };
        self.drawn = Some(token);
        let new = LeaseDoc {
            holder: self.me.clone(),
            token,
            counter: from.as_ref().map_or(0, |from| from.counter).saturating_add(1),
            released: false,
            length_ms: self.length_ms,
        };
        self.step = Step::Take { from, new, continuous };
    }
}

fn raised(doc: &LeaseDoc) -> LeaseDoc {
    LeaseDoc { counter: doc.counter.saturating_add(1), ..doc.clone() }
}

/// What a renewal or a release expects to find.
fn lowered(doc: &LeaseDoc) -> LeaseDoc {
    LeaseDoc { counter: doc.counter - 1, released: false, ..doc.clone() }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
