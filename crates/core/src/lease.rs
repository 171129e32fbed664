//! One writer per root: the lease, without trust in any wall clock.
//!
//! The lease is a document with a counter. Its holder raises the counter again and again. A challenger
//! takes the lease by compare-and-swap, under a new token, once it has read the same counter over the
//! lease's whole length. Every time is of the caller's own boot-time clock, and is compared with
//! nobody else's.
//!
//! | a server reads | and |
//! |---|---|
//! | no lease, or a released one | takes it at once |
//! | its own, of this process | renews it |
//! | its own, of an earlier process | takes it at once, under a new token |
//! | one older than a token it held, where no token is higher | takes it back at once: the database was restored |
//! | another's, which has the root in another folder | stands by until a person decides: its own folder is a copy |
//! | such a one that is released, and this state folder knows no token yet | takes it at once: the root was moved |
//! | anybody else's | challenges it |
//!
//! A server that stands by as a copy does not take a lease that is gone either, until it is started anew.

use crate::broken::{self, Broken};
use crate::marker_place::MarkerPlace;

mod protocol;

pub use protocol::{Grant, LastHolder, LeaseDoc, LeaseDone, LeaseJob, LeaseNext, LeaseState};

/// A challenge begins again where two reads are further apart than this: nothing is known of the time
/// between them.
const GAP_MAX_MS: u64 = 2_000;

/// The length of another server's lease counts as no longer than this, whatever its document says.
const LENGTH_MAX_MS: u64 = 600_000;

/// A failed call is tried again after this.
const RETRY_MS: u64 = 200;

/// What the lease does at this moment.
///
/// Each step names the result that it waits for. Three things hold for all of them. A call that fails
/// is made again after [`RETRY_MS`], and a challenge begins again. An answer of an earlier connection
/// says nothing. A lease that is not as it was expected is read before the next write.
#[derive(Clone, Debug)]
enum Step {
    /// Waits for `Read`: whose the lease is.
    Look,
    /// Waits for `Drawn`: a token under which the lease is taken, if it still is `from` by then. A
    /// token that is not above every known one is drawn again.
    Draw { from: Option<LeaseDoc>, continuous: bool },
    /// Waits for `Put`: the lease is taken, `new` in the place of `from`. Where somebody was faster, it
    /// is read again.
    Take { from: Option<LeaseDoc>, new: LeaseDoc, continuous: bool },
    /// Waits for `Put`: the lease, which is ours, is renewed.
    Renew { new: LeaseDoc },
    /// Waits for `Put`: the lease is given up. Whatever the answer is, it was the last call.
    Release { new: LeaseDoc },
    /// Waits for this time: the next renewal, the next read of a challenge, or the next try.
    Rest { until_ms: u64 },
    /// Waits for nothing: the lease was given up, for the rest of this process's life.
    Over,
}

/// How long a challenger has seen one counter.
#[derive(Clone, Debug)]
struct Watch {
    /// The lease, as every read of the challenge gave it.
    seen: LeaseDoc,
    /// When the first of these reads was answered.
    first_ms: u64,
    /// When the last of them was sent.
    last_ms: u64,
}

/// The lease of one root, as one server sees it.
#[derive(Clone, Debug)]
pub struct Lease {
    me: String,
    length_ms: u64,
    /// Where this server has the root; none where that is not known.
    at: Option<MarkerPlace>,
    epoch: Option<u64>,
    step: Step,
    running: bool,
    /// When the job under way was handed out, and in which connection.
    sent_ms: u64,
    sent_epoch: Option<u64>,
    /// The lease as we hold it: the last acknowledged document, when it was sent, and in which
    /// connection.
    ours: Option<(LeaseDoc, u64, u64)>,
    /// Nobody else can have held the lease since our last token.
    continuous: bool,
    /// From this time on the server from which the lease was taken back writes no more.
    disputed_until_ms: u64,
    /// The highest token that this state folder held.
    held: i64,
    /// The highest token known of anybody.
    known: i64,
    /// The highest token met in a document of this root.
    met: i64,
    /// The last token that this process drew. Before it has drawn one, a lease in our name is an earlier
    /// process's.
    drawn: Option<i64>,
    /// A renewal did not find the lease as it was: nothing is written before the lease has been read.
    suspended: bool,
    watch: Option<Watch>,
    /// Another holder has renewed the lease lately, in this connection.
    is_renewed: bool,
    /// The same, at any time in this connection.
    was_renewed: bool,
    /// This state folder has not met the root's lease before.
    is_new: bool,
    /// Where another server has the root of which ours is a copy.
    copy_of: Option<MarkerPlace>,
    state: LeaseState,
    holder: Option<String>,
    releasing: bool,
    lost: u64,
}

impl Lease {
    /// The lease as the state folder `me` sees it. The folder held it last under the token `held` (0:
    /// never), and has seen no token above `seen`. `length_ms` is the length that this server gives it,
    /// in milliseconds.
    pub fn new(me: &str, held: i64, seen: i64, length_ms: u64) -> Lease {
        Lease {
            me: me.to_owned(),
            length_ms,
            at: None,
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
            is_renewed: false,
            was_renewed: false,
            is_new: seen.max(held) == 0,
            copy_of: None,
            state: LeaseState::Unknown,
            holder: None,
            releasing: false,
            lost: 0,
        }
    }

    /// This server has the root there. The next change of the lease says so.
    pub fn set_place(&mut self, at: MarkerPlace) {
        self.at = Some(at);
    }

    /// Where another server has the root of which ours is a copy; none where it is none.
    pub fn copy_of(&self) -> Option<&MarkerPlace> {
        self.copy_of.as_ref()
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
        (self.is_renewed, self.was_renewed) = (false, false);
        self.state = LeaseState::Unknown;
        if !matches!(self.step, Step::Over) {
            self.step = self.after_doubt();
        }
    }

    /// What to do where it is not certain what is in the catalog. A lease of ours is renewed: whether that
    /// works tells.
    fn after_doubt(&self) -> Step {
        match &self.ours {
            Some((doc, ..)) if !self.is_contested() => Step::Renew { new: self.raised(doc) },
            _ => Step::Look,
        }
    }

    /// A document of this root has a token that is not below ours.
    fn is_contested(&self) -> bool {
        !broken::is(Broken::MetTokenIgnored)
            && self.ours.as_ref().is_some_and(|(doc, ..)| doc.token <= self.met)
    }

    /// A document of this root has this token. Where it is not below ours, the lease is read before the
    /// next write.
    pub fn met(&mut self, token: i64) {
        self.known = self.known.max(token);
        self.met = self.met.max(token);
        if self.is_contested() && !self.running && !matches!(self.step, Step::Over) {
            self.step = Step::Look;
        }
    }

    /// The highest token known of any server. The caller stores it, so that a restart knows it.
    pub fn known(&self) -> i64 {
        self.known
    }

    /// Gives the lease up for the rest of this process's life, so that a standby need not wait for it.
    pub fn release(&mut self) {
        self.releasing = true;
        if !self.running {
            self.begin_release();
        }
    }

    fn begin_release(&mut self) {
        self.state = LeaseState::Unknown;
        self.step = match self.ours.take() {
            Some((doc, ..)) if self.epoch.is_some() => {
                Step::Release { new: LeaseDoc { released: true, ..self.raised(&doc) } }
            }
            _ => Step::Over,
        };
    }

    /// The lease has been given up, or was not ours: no further call follows.
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

    /// Who held it last, as far as this server knows.
    pub fn last_holder(&self) -> LastHolder {
        match self.state {
            LeaseState::Held => LastHolder::Me,
            LeaseState::Unknown if self.held >= self.known => LastHolder::Me,
            LeaseState::Standby if self.is_renewed => LastHolder::OtherRenews,
            LeaseState::Unknown | LeaseState::Standby => LastHolder::Other,
        }
    }

    /// Another holder was seen to renew the lease in this connection: it was able to write until then.
    pub fn was_renewed(&self) -> bool {
        self.was_renewed
    }

    /// How often the lease was found to be another's while it counted as ours.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The right to write that the last acknowledged renewal gives. It ends a fifth of the length before
    /// the lease does: that time is for writes under way.
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
        if !std::mem::take(&mut self.running) {
            // It answers no call of ours: what is there is read before the next write.
            self.suspended = true;
            if !matches!(self.step, Step::Over) {
                self.step = Step::Look;
            }
            return;
        }
        let step = std::mem::replace(&mut self.step, Step::Look);
        match (step, done) {
            (Step::Release { .. } | Step::Over, _) => self.step = Step::Over,
            // Of an earlier connection: what it says may be another primary's.
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
            // The lease was not as expected: somebody was faster, or an earlier call of ours has arrived.
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
        (self.watch, self.is_renewed) = (None, false);
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
            return match self.copy_of {
                Some(_) => self.stand_by(now_ms),
                None => self.take(None, false),
            };
        };
        self.holder = (!doc.released).then(|| doc.holder.clone());
        let known = self.known;
        self.known = known.max(doc.token);
        let mine = doc.holder == self.me;
        // Nobody can have held the lease since this state folder did.
        let as_held = mine && doc.token == self.held && self.held == known;
        let restored = self.held > doc.token && self.held == known;
        let moved = doc.released && self.is_new;
        let other = doc.other_folder(&self.me, self.at.as_ref());
        self.copy_of = other.filter(|_| !restored && !moved).cloned();
        if self.copy_of.is_some() {
            self.is_new = false;
            return self.stand_by(now_ms);
        }
        if doc.released {
            return self.take(Some(doc), as_held);
        }
        if mine && self.ours.as_ref().is_some_and(|(ours, ..)| ours.token == doc.token) {
            if self.is_contested() {
                return self.take(Some(doc), true);
            }
            // A renewal whose answer was lost has arrived.
            self.step = Step::Renew { new: self.raised(&doc) };
            return;
        }
        // The database was restored: it names an older holder, and no token is above our own.
        if restored {
            // That holder may believe in its lease until it next renews. The lease is taken only if what was
            // read is its last renewal, and the length of that renewal has begun by now.
            if !mine {
                self.disputed_until_ms = now_ms.saturating_add(self.length_of(&doc));
            }
            return self.take(Some(doc), false);
        }
        // An earlier process of this state folder holds it, or this process took it without hearing of it.
        // Any other token in our name was drawn by another server with a copy of this state folder.
        let explained = self.drawn.is_none_or(|drawn| doc.token == drawn);
        if mine && doc.token >= known && explained {
            return self.take(Some(doc), as_held && self.drawn.is_none());
        }
        self.challenge(now_ms, doc);
    }

    /// Leaves the lease to another server, and reads it again later.
    fn stand_by(&mut self, now_ms: u64) {
        if self.ours.take().is_some() {
            self.lost += 1;
        }
        self.suspended = false;
        self.state = LeaseState::Standby;
        self.watch = None;
        self.step = Step::Rest { until_ms: now_ms + self.poll_ms() };
    }

    /// Time between two reads of another's lease.
    fn poll_ms(&self) -> u64 {
        (self.length_ms / 20).clamp(50, 500)
    }

    fn challenge(&mut self, now_ms: u64, doc: LeaseDoc) {
        let before = self.watch.take();
        let length_ms = self.length_of(&doc);
        let renews = |seen: &LeaseDoc| seen.token == doc.token && seen.counter < doc.counter;
        self.is_renewed = before.as_ref().is_some_and(|before| {
            let is_late = now_ms.saturating_sub(before.first_ms) > length_ms / 2;
            renews(&before.seen) || self.is_renewed && !is_late
        });
        self.was_renewed |= self.is_renewed;
        self.stand_by(now_ms);
        // A read is older than its answer: the challenge counts from the first answer to the last sending.
        let watch = match before {
            Some(watch)
                if watch.seen.is_same_state(&doc)
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
        self.watch = Some(watch);
        self.step = Step::Rest { until_ms: over_ms.min(now_ms + self.poll_ms()) };
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
            // The counter went back: a token above all known ones is drawn.
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
            at: self.at.clone().map(Box::new),
        };
        self.step = Step::Take { from, new, continuous };
    }

    fn raised(&self, doc: &LeaseDoc) -> LeaseDoc {
        let at = self.at.clone().map(Box::new).or_else(|| doc.at.clone());
        LeaseDoc { counter: doc.counter.saturating_add(1), at, ..doc.clone() }
    }
}

/// What a renewal or a release expects to find.
fn lowered(doc: &LeaseDoc) -> LeaseDoc {
    LeaseDoc { counter: doc.counter - 1, released: false, ..doc.clone() }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
