//! The reconciler: what next, given this state and this event.
//!
//! One per root. It holds no clock, reads nothing and writes nothing: [`Reconciler::next_action`] says
//! what is to be done, the shell does it and hands the result to [`Reconciler::handle`]. At most
//! one job is under way, so nothing here can overtake anything else.
//!
//! Recovery and everyday work are one path: whenever the database is there and has shown who it
//! is, pending recordings are picked, noted, written, marked and acknowledged, in this order.

use crate::answer::{Class, Failure};
use crate::backoff::Backoff;
use crate::batch::{Batch, Call, Item, Outcome, Reply};
use crate::broken::{self, Broken};
use crate::compare::{Compared, ComparedPage, Comparison, Need, Page, Row};
use crate::document::{OpenedCatalog, Stored};
use crate::lease::Grant;

pub use crate::step::{Bounds, CatalogMemory, Done, Event, Job, Next, Phase, Right};

#[derive(Clone, Debug)]
enum Step {
    Rest,
    Waiting {
        within_ms: u64,
    },
    /// On this connection.
    Opening(u64),
    /// That a comparison is owed is stored before anything is written.
    Owing {
        identity: String,
        /// Owed because this token was taken from another server's hands.
        token: Option<i64>,
    },
    /// The batch in doubt was complete: its watermark is there.
    Recalling {
        watermark: String,
    },
    Picking,
    Noting(Box<Batch>),
    Calling(Box<Batch>, String),
    Marking(Box<Batch>, String),
    Acknowledging {
        watermark: String,
        outcomes: Vec<(i64, i64, Outcome)>,
        met: Option<i64>,
    },
    Token(i64),
    Met(i64),
    Reporting,
    Paging,
    Ranging,
    Found {
        findings: Vec<(i64, i64, Compared)>,
        missing: Vec<Stored>,
    },
    Sweeping,
    FinishNoting,
    FinishMarking(String),
    Finishing(String),
}

/// The state machine of one root.
#[derive(Clone, Debug)]
pub struct Reconciler {
    root: String,
    bounds: Bounds,
    memory: CatalogMemory,
    epoch: Option<u64>,
    /// The epoch in which the database has shown who it is.
    opened: Option<u64>,
    right: Right,
    /// That a comparison is owed under this token is stored.
    owed_under: Option<i64>,
    /// A standby's comparison is due.
    standby_due: bool,
    step: Step,
    /// A job has been handed out and is not done.
    running: bool,
    backoff: Backoff,
    refused_backoff: Backoff,
    failure: Option<Failure>,
    in_step: bool,
    tried: bool,
    wake: bool,
    unreported: bool,
    compare_due: bool,
    limit: usize,
    before: Option<i64>,
    /// Turns taken, so that reports and comparisons get theirs beside a long backlog.
    turn: u32,
    /// The last batch was mostly in the catalog already: the comparison is the faster way.
    mostly_there: bool,
    comparison: Option<Comparison>,
    /// When the comparison under way began, on the boot-time clock.
    comparison_ms: u64,
    sweep: Option<Option<String>>,
    /// Batches in a row that moved nothing.
    idle_rounds: u32,
    acknowledged: u64,
    compared: u64,
    comparisons: u64,
    missing: Option<u64>,
}

impl Reconciler {
    /// A reconciler for this root, with what the index remembers.
    pub fn new(root: &str, memory: CatalogMemory, bounds: Bounds) -> Reconciler {
        Reconciler {
            root: root.to_owned(),
            bounds,
            memory,
            epoch: None,
            opened: None,
            right: Right::Unknown,
            owed_under: None,
            standby_due: true,
            step: Step::Rest,
            running: false,
            backoff: Backoff::new(50, 2_000),
            refused_backoff: Backoff::new(1_000, 30_000),
            failure: None,
            in_step: false,
            tried: false,
            wake: true,
            unreported: true,
            compare_due: false,
            limit: bounds.batch_first,
            before: None,
            turn: 0,
            mostly_there: false,
            comparison: None,
            comparison_ms: 0,
            sweep: None,
            idle_rounds: 0,
            acknowledged: 0,
            compared: 0,
            comparisons: 0,
            missing: None,
        }
    }

    /// The catalog's life now.
    pub fn phase(&self) -> Phase {
        match (self.epoch, self.opened) {
            (None, _) if self.tried => Phase::Down,
            (None, _) => Phase::Unknown,
            (Some(_), None) if self.failure.is_some() => Phase::Down,
            (Some(_), None) => Phase::Connecting,
            (Some(_), Some(_)) if self.right == Right::Standby => Phase::Standby,
            (Some(_), Some(_)) if self.in_step => Phase::InStep,
            (Some(_), Some(_)) => Phase::Recovering,
        }
    }

    /// The last failure, until something succeeds.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Recordings acknowledged since the start.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many recordings the comparison under way has compared; none where there is none.
    pub fn comparing(&self) -> Option<u64> {
        (self.comparison.is_some() || self.sweep.is_some()).then_some(self.compared)
    }

    /// Comparisons finished since the start.
    pub fn comparisons(&self) -> u64 {
        self.comparisons
    }

    /// A comparison is owed.
    pub fn owed(&self) -> bool {
        self.memory.owed
    }

    /// What the last finished comparison found in the catalog and not in the index.
    pub fn missing(&self) -> Option<u64> {
        self.missing
    }

    /// Takes an event.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Up { epoch } => {
                self.tried = true;
                if self.epoch != Some(epoch) {
                    self.epoch = Some(epoch);
                    self.forget_connection();
                }
            }
            Event::Down => {
                self.tried = true;
                self.epoch = None;
                self.forget_connection();
            }
            Event::Wake => {
                self.wake = true;
                self.unreported = true;
            }
            Event::CompareDue => {
                self.compare_due = true;
                self.standby_due = true;
            }
            Event::Lease(right) => self.allow(right),
            Event::Timer => {
                if matches!(self.step, Step::Waiting { .. }) {
                    self.step = Step::Rest;
                }
            }
            Event::Done(done) => {
                debug_assert!(self.running, "a result without a job");
                self.running = false;
                self.done(done);
            }
        }
    }

    fn allow(&mut self, right: Right) {
        let was_standby = self.right == Right::Standby;
        self.right = right;
        match right {
            Right::Standby => self.in_step = false,
            // What a standby has compared was another's doing: the new holder compares anew.
            Right::Granted(_) if was_standby => {
                self.comparison = None;
                self.wake = true;
                self.unreported = true;
            }
            _ => {}
        }
    }

    /// The grant of this connection, while it lasts.
    fn grant(&self, now_ms: u64) -> Option<Grant> {
        match self.right {
            Right::Granted(grant)
                if (Some(grant.epoch) == self.epoch
                    || broken::is(Broken::GrantOutlivesConnection))
                    && (now_ms < grant.until_ms || broken::is(Broken::LeaseCheckedOnce)) =>
            {
                Some(grant)
            }
            _ => None,
        }
    }

    /// Writes may start: the database is known, and the lease is ours under the token stored.
    fn may_write(&self, now_ms: u64) -> bool {
        self.opened.is_some()
            && self.grant(now_ms).is_some_and(|grant| grant.token == self.memory.token)
    }

    /// What to do now, on the boot-time clock of the lease. Asked again before the job is done, it
    /// says `Idle`.
    pub fn next_action(&mut self, now_ms: u64) -> Next {
        if self.running {
            return Next::Idle;
        }
        if let Step::Waiting { within_ms } = self.step {
            return Next::Wait { within_ms };
        }
        let Some(job) = self.job(now_ms) else {
            return match self.step {
                Step::Waiting { within_ms } => Next::Wait { within_ms },
                _ => Next::Idle,
            };
        };
        self.check(&job, now_ms);
        self.running = true;
        Next::Run(job)
    }

    /// Invariants that every job must keep; asserted in debug builds and in simulation.
    fn check(&self, job: &Job, now_ms: u64) {
        let writes = match job {
            Job::Call(Call::Prefer { .. } | Call::Read(_)) => false,
            Job::Call(_) | Job::Mark { .. } | Job::Report | Job::Sweep { .. } => true,
            _ => false,
        };
        if writes {
            debug_assert!(
                self.opened.is_some(),
                "no_write_to_a_stranger: the database has not shown who it is"
            );
            debug_assert!(
                self.may_write(now_ms),
                "no_write_without_lease: the lease is not ours, or has lapsed"
            );
        }
        if let Job::Mark { watermark } = job {
            debug_assert_eq!(
                self.memory.noted.as_ref(),
                Some(watermark),
                "a watermark is noted before it is written"
            );
        }
        if let Job::Pick { limit, .. } = job {
            debug_assert!(*limit <= self.bounds.batch_max, "queues_bounded");
        }
    }

    /// What a new or lost connection makes void. A job under way runs to its end.
    fn forget_connection(&mut self) {
        self.opened = None;
        self.in_step = false;
        self.failure = None;
        self.comparison = None;
        self.sweep = None;
        self.before = None;
        self.limit = self.bounds.batch_first;
        self.backoff.reset();
        self.refused_backoff.reset();
        if matches!(self.step, Step::Waiting { .. }) {
            self.step = Step::Rest;
        }
    }

    /// The job that the present step asks for.
    fn job(&mut self, now_ms: u64) -> Option<Job> {
        let may_write = self.may_write(now_ms);
        loop {
            match &mut self.step {
                Step::Rest => return self.choose(now_ms),
                Step::Noting(batch) => return Some(Job::Note { rows: batch.rows() }),
                Step::FinishNoting => return Some(Job::Note { rows: Vec::new() }),
                Step::Token(token) => return Some(Job::Token(*token)),
                Step::Met(token) => return Some(Job::Met(*token)),
                Step::Owing { identity, .. } => {
                    return Some(Job::Owe { identity: identity.clone() });
                }
                Step::Acknowledging { watermark, outcomes, .. } => {
                    let watermark = Some(watermark.clone());
                    return Some(Job::Acknowledge {
                        watermark,
                        outcomes: std::mem::take(outcomes),
                    });
                }
                Step::Found { findings, missing } => {
                    let (findings, missing) = (std::mem::take(findings), std::mem::take(missing));
                    return Some(Job::Found { findings, missing });
                }
                Step::Finishing(watermark) => {
                    let identity = self.memory.identity.clone().unwrap_or_default();
                    return Some(Job::Finish { identity, watermark: watermark.clone() });
                }
                Step::Recalling { watermark } => {
                    let watermark = Some(watermark.clone());
                    return Some(Job::Acknowledge { watermark, outcomes: Vec::new() });
                }
                Step::Calling(batch, _) if may_write => {
                    if let Some(call) = batch.next_call() {
                        return Some(Job::Call(call));
                    }
                    self.end_batch();
                }
                Step::Marking(_, watermark) | Step::FinishMarking(watermark) if may_write => {
                    return Some(Job::Mark { watermark: watermark.clone() });
                }
                // The connection or the lease went in the middle: what was sent stays pending, and is in doubt.
                _ => self.step = Step::Rest,
            }
        }
    }

    /// At rest: what is most urgent.
    fn choose(&mut self, now_ms: u64) -> Option<Job> {
        let epoch = self.epoch?;
        if self.opened.is_none() {
            self.step = Step::Opening(epoch);
            return Some(Job::Open);
        }
        if let Some(grant) = self.grant(now_ms)
            && grant.token != self.memory.token
        {
            return Some(self.take(grant));
        }
        if !self.may_write(now_ms) {
            let reads = self.right == Right::Standby && self.standby_due;
            return if reads { self.compare_as_standby(now_ms) } else { None };
        }
        // What is asked for during a comparison may be about what that one has passed already. Who the
        // database is, and whether its indexes are there, may have been changed by hand: asked anew.
        if self.compare_due && !self.memory.owed {
            self.step = Step::Opening(epoch);
            return Some(Job::Open);
        }
        let compares = self.memory.owed && !self.awaits_end_of_dispute(now_ms);
        self.turn = self.turn.wrapping_add(1);
        // Every second turn may be a report's, and of a long backlog every eighth the comparison's, so
        // that neither starves; where most is there already, comparing is faster than inserting.
        let alone = !self.wake && !compares;
        if self.unreported && (alone || self.turn.is_multiple_of(2)) {
            self.unreported = false;
            self.step = Step::Reporting;
            return Some(Job::Report);
        }
        let among =
            if self.mostly_there { !self.turn.is_multiple_of(4) } else { self.turn % 8 == 1 };
        if compares && (!self.wake || among) {
            return self.compare(true, now_ms);
        }
        if self.wake {
            self.wake = false;
            self.step = Step::Picking;
            return Some(Job::Pick {
                limit: self.limit,
                bytes_max: self.bounds.batch_bytes_max,
                before: self.before,
            });
        }
        None
    }

    /// A lease that was taken back from somebody who may still write: what is compared meanwhile is put
    /// right at once, but settles no debt. It goes to its last page, and begins anew when the other's time
    /// is over, so that this costs no more than that time.
    fn awaits_end_of_dispute(&mut self, now_ms: u64) -> bool {
        let Some(grant) = self.grant(now_ms) else { return false };
        if now_ms < grant.disputed_until_ms {
            return self.comparison.as_ref().is_some_and(|one| one.need() == Need::Nothing);
        }
        if self.comparison_ms < grant.disputed_until_ms {
            self.comparison = None;
            self.sweep = None;
        }
        false
    }

    /// A new token: what has to be stored before anything is written under it. The debt goes first,
    /// so that a crash between the two cannot forget it.
    fn take(&mut self, grant: Grant) -> Job {
        let compares = !grant.continuous && !broken::is(Broken::NewHolderDoesNotCompare);
        if compares && self.owed_under != Some(grant.token) {
            return self.owe(Some(grant.token));
        }
        self.step = Step::Token(grant.token);
        Job::Token(grant.token)
    }

    fn owe(&mut self, token: Option<i64>) -> Job {
        let identity = self.memory.identity.clone().unwrap_or_default();
        self.memory.owed = true;
        self.step = Step::Owing { identity: identity.clone(), token };
        Job::Owe { identity }
    }

    /// What a standby finds to be there is acknowledged without a watermark that would tell of a database
    /// rolled back to before it. So a comparison is owed from then on, also where the lease that follows
    /// continues our own.
    fn compare_as_standby(&mut self, now_ms: u64) -> Option<Job> {
        if self.memory.owed { self.compare(false, now_ms) } else { Some(self.owe(None)) }
    }

    /// The next step of a comparison; only its reading part where nothing may be written.
    fn compare(&mut self, may_write: bool, now_ms: u64) -> Option<Job> {
        let limit = self.bounds.page;
        if !may_write {
            self.sweep = None;
        }
        if let Some(after) = &self.sweep {
            let job = Job::Sweep { after: after.clone() };
            self.step = Step::Sweeping;
            return Some(job);
        }
        let comparison = self.comparison.get_or_insert_with(|| {
            self.comparison_ms = now_ms;
            Comparison::default()
        });
        self.compared = comparison.compared();
        match comparison.need() {
            Need::Page { after } => {
                self.step = Step::Paging;
                Some(Job::Page { after, limit })
            }
            Need::Rows { after, through } => {
                self.step = Step::Ranging;
                Some(Job::Rows { after, through, limit })
            }
            Need::Nothing => {
                self.missing = Some(comparison.missing());
                self.comparison = None;
                if !may_write {
                    self.standby_due = false;
                    if broken::is(Broken::NewHolderDoesNotCompare) {
                        self.memory.owed = false;
                    }
                    return None;
                }
                self.sweep = Some(None);
                self.step = Step::Sweeping;
                Some(Job::Sweep { after: None })
            }
        }
    }

    fn done(&mut self, done: Done) {
        let step = std::mem::replace(&mut self.step, Step::Rest);
        match (step, done) {
            (_, Done::IndexFailed(words)) => {
                self.wake = true;
                self.unreported = true;
                // What a page came to is not stored: the comparison begins again.
                self.comparison = None;
                self.fail(Failure::transient(format!("the index: {words}")));
            }
            // The database of another connection said it: this one may be another.
            (Step::Opening(epoch), Done::Opened(_)) if self.epoch != Some(epoch) => {}
            (Step::Opening(epoch), Done::Opened(Ok(stranger))) => self.meet(epoch, stranger),
            (Step::Opening(_), Done::Opened(Err(failure))) => {
                if failure.class == Class::RefusedClient {
                    // It was met before, and would not be now: nothing more is written.
                    self.opened = None;
                    self.in_step = false;
                }
                self.wake = true;
                self.unreported = true;
                self.fail(failure);
            }
            (Step::Picking, Done::Picked(items)) => self.picked(items),
            (Step::Noting(mut batch), Done::Noted { watermark, gone }) => {
                batch.leave(&gone);
                self.memory.noted = Some(watermark.clone());
                self.step = Step::Calling(batch, watermark);
            }
            (Step::Calling(batch, watermark), Done::Replied(reply)) => {
                self.replied(batch, watermark, reply);
            }
            (Step::Marking(batch, watermark), Done::Marked(Ok(()))) => {
                self.acknowledge(&batch, watermark);
            }
            (Step::Acknowledging { watermark, met, .. }, Done::Stored) => {
                self.remember(watermark);
                if let Some(met) = met {
                    self.step = Step::Met(met);
                } else if self.idle_rounds > 0 {
                    // Nothing moved: every recording of the batch is left as it was.
                    let failure = Failure::transient("the database answered for no recording");
                    self.fail(failure);
                }
            }
            (Step::Token(token), Done::Stored) => {
                self.memory.token = token;
                self.wake = true;
            }
            (Step::Met(_), Done::Stored) => self.wake = true,
            (Step::Owing { token, .. }, Done::Stored) => {
                self.owed_under = token;
                if token.is_some() {
                    // What was compared under an earlier token is no part of this debt.
                    self.comparison = None;
                    self.sweep = None;
                }
            }
            (Step::Recalling { watermark }, Done::Stored) => self.remember(watermark),
            (Step::Paging, Done::Page(Ok(page))) => {
                if let Some(comparison) = &mut self.comparison {
                    comparison.page(page);
                }
            }
            (Step::Ranging, Done::Rows(rows)) => self.compared_rows(rows),
            (Step::Found { .. }, Done::Stored) => self.wake = true,
            // A connection lost meanwhile has ended the sweep.
            (Step::Sweeping, Done::Swept(Ok(after))) if self.sweep.is_some() => match after {
                Some(after) => self.sweep = Some(Some(after)),
                None => self.step = Step::FinishNoting,
            },
            (Step::FinishNoting, Done::Noted { watermark, .. }) => {
                self.memory.noted = Some(watermark.clone());
                self.step = Step::FinishMarking(watermark);
            }
            (Step::FinishMarking(watermark), Done::Marked(Ok(()))) => {
                self.step = Step::Finishing(watermark);
            }
            (Step::Finishing(watermark), Done::Stored) => {
                self.memory.owed = false;
                self.comparisons += 1;
                self.sweep = None;
                self.remember(watermark);
            }
            (Step::Reporting, Done::Reported(Ok(count))) => self.unreported |= count > 0,
            (
                _,
                Done::Marked(Err(failure))
                | Done::Reported(Err(failure))
                | Done::Page(Err(failure))
                | Done::Swept(Err(failure)),
            ) => {
                self.wake = true;
                self.unreported = true;
                self.fail(failure);
            }
            _ => {}
        }
    }

    /// The database has shown who it is and what it remembers (contract 6).
    fn meet(&mut self, epoch: u64, stranger: OpenedCatalog) {
        self.opened = Some(epoch);
        self.succeed();
        self.wake = true;
        self.unreported = true;
        let asked = std::mem::take(&mut self.compare_due);
        let same = self.memory.identity.as_ref() == Some(&stranger.identity);
        let as_remembered = broken::is(Broken::WatermarkIgnored)
            || stranger.watermark.is_some()
                && (stranger.watermark == self.memory.remembered
                    || stranger.watermark == self.memory.noted);
        if !same || !as_remembered {
            self.memory.owed = true;
            self.memory.identity = Some(stranger.identity.clone());
            if broken::is(Broken::DebtNotStored) {
                return;
            }
            self.step = Step::Owing { identity: stranger.identity, token: None };
        } else if asked {
            self.memory.owed = true;
            self.step = Step::Owing { identity: stranger.identity, token: None };
        } else if stranger.watermark != self.memory.remembered
            && let Some(watermark) = stranger.watermark
        {
            self.step = Step::Recalling { watermark };
        }
    }

    fn remember(&mut self, watermark: String) {
        self.memory.remembered = Some(watermark);
        self.memory.noted = None;
    }

    fn picked(&mut self, items: Vec<Item>) {
        if items.is_empty() {
            if self.before.take().is_some() {
                // The end of a round past one that fails: begin again with the newest.
                self.wake = true;
                self.step = Step::Waiting { within_ms: self.backoff.failed() };
                return;
            }
            self.in_step |= self.opened.is_some();
            return;
        }
        self.wake = true;
        self.step = Step::Noting(Box::new(Batch::new(&self.root, self.memory.token, items)));
    }

    fn replied(&mut self, mut batch: Box<Batch>, watermark: String, reply: Result<Reply, Failure>) {
        match reply {
            Ok(reply) => {
                batch.replied(reply);
                self.step = Step::Calling(batch, watermark);
            }
            Err(failure) if batch.failed(&failure) => {
                self.step = Step::Calling(batch, watermark);
            }
            Err(failure) => {
                self.wake = true;
                if self.opened.is_some() && failure.class != Class::RefusedClient {
                    // Smaller next time; and past a recording that fails all alone.
                    if batch.len() == 1 {
                        self.before = batch.lowest_id();
                    }
                    self.limit = (batch.len() / 4).max(1);
                }
                self.fail(failure);
            }
        }
    }

    /// Every recording of the batch has its outcome.
    fn end_batch(&mut self) {
        let Step::Calling(batch, watermark) = std::mem::replace(&mut self.step, Step::Rest) else {
            return;
        };
        self.step = Step::Marking(batch, watermark);
    }

    fn acknowledge(&mut self, batch: &Batch, watermark: String) {
        let outcomes = batch.outcomes();
        let done = outcomes
            .iter()
            .filter(|(_, _, outcome)| matches!(outcome, Outcome::Acknowledged))
            .count();
        self.acknowledged += done as u64;
        self.mostly_there = done > 0 && batch.written() * 2 < done;
        if outcomes.iter().any(|(_, _, outcome)| matches!(outcome, Outcome::Removed)) {
            // What it has read of the catalog may name documents that are gone by now.
            self.comparison = None;
        }
        let moved = outcomes.iter().any(|(_, _, outcome)| !matches!(outcome, Outcome::Left));
        self.idle_rounds = if moved { 0 } else { self.idle_rounds.saturating_add(1) };
        if moved {
            self.succeed();
        }
        if batch.len() >= self.limit {
            self.limit = (self.limit * 2).min(self.bounds.batch_max);
        }
        self.step = Step::Acknowledging { watermark, outcomes, met: batch.token_met() };
    }

    /// The rows of a comparison's page, and what they came to.
    fn compared_rows(&mut self, rows: Page<Row>) {
        let Some(comparison) = &mut self.comparison else { return };
        let compared = comparison.rows(rows, self.memory.token);
        self.compared = comparison.compared();
        if !compared.findings.is_empty() || !compared.missing.is_empty() {
            let ComparedPage { findings, missing } = compared;
            self.step = Step::Found { findings, missing };
        }
    }

    fn succeed(&mut self) {
        self.failure = None;
        self.backoff.reset();
        self.refused_backoff.reset();
    }

    fn fail(&mut self, failure: Failure) {
        let within_ms = if failure.class == Class::RefusedClient {
            self.refused_backoff.failed()
        } else {
            self.backoff.failed()
        };
        self.failure = Some(failure);
        self.step = Step::Waiting { within_ms };
    }
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
