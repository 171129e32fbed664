//! The reconciler: what next, given this state and this event.
//!
//! One per root. It holds no clock, reads nothing and writes nothing: [`Reconciler::next_action`] says
//! what is to be done, the driver does it and hands the result to [`Reconciler::handle`]. At most
//! one job is under way, so nothing here can overtake anything else. While the documents of a long backlog
//! are written, the index has a job beside that one ([`Reconciler::next_beside`]).
//!
//! Recovery and everyday work are one path: whenever the database is there and has shown who it
//! is, pending recordings are picked, noted, written, marked and acknowledged, in this order.
//!
//! | module | holds |
//! |---|---|
//! | `protocol` | the words between reconciler and driver |
//! | `step` | where the reconciler stands, and which job each step asks for |
//! | `choose` | what is most urgent when nothing is under way |
//! | `results` | what follows from each result |
//! | `beside` | what the index does beside the documents of a batch |
//! | `connection`, `backlog`, `comparing`, `changes`, `following`, `trouble` | the state that these two read and change |
//! | `invariant` | what has to be true of every job and result |

mod backlog;
mod beside;
mod changes;
mod choose;
mod comparing;
mod connection;
mod following;
mod invariant;
mod protocol;
mod results;
mod step;
mod trouble;

use crate::answer::Failure;
use backlog::Backlog;
use beside::Beside;
use changes::Changes;
use comparing::Comparing;
use connection::Connection;
use following::Following;
use invariant::JobFacts;
use step::Step;
use trouble::Trouble;

pub use changes::NAMED_MAX;
pub use invariant::{Invariant, Violation};
pub use protocol::{Bounds, CatalogMemory, Done, Event, Job, Next, Phase, Right};

/// The state machine of one root.
#[derive(Clone, Debug)]
pub struct Reconciler {
    root: String,
    bounds: Bounds,
    /// What the index has stored.
    memory: CatalogMemory,
    connection: Connection,
    step: Step,
    /// The job of the present step has been handed out and is not done.
    running: bool,
    beside: Beside,
    trouble: Trouble,
    backlog: Backlog,
    comparing: Comparing,
    changes: Changes,
    following: Following,
    /// The index could not store that a comparison is owed: nothing is written before it has.
    owe_again: bool,
    /// Recordings acknowledged since the start.
    acknowledged: u64,
    /// A rule was about to be broken: nothing more is written.
    stopped: Option<Stopped>,
}

/// Why a reconciler has stopped itself.
#[derive(Clone, Debug)]
struct Stopped {
    violation: Violation,
    /// The index keeps that a comparison is owed.
    is_stored: bool,
}

impl Reconciler {
    /// A reconciler for this root, with what the index remembers.
    pub fn new(root: &str, memory: CatalogMemory, bounds: Bounds) -> Reconciler {
        Reconciler {
            root: root.to_owned(),
            bounds,
            memory,
            connection: Connection::new(),
            step: Step::Rest,
            running: false,
            beside: Beside::new(),
            trouble: Trouble::new(),
            backlog: Backlog::new(bounds),
            comparing: Comparing::new(),
            changes: Changes::default(),
            following: Following::default(),
            owe_again: false,
            acknowledged: 0,
            stopped: None,
        }
    }

    /// The catalog's life now.
    pub fn phase(&self) -> Phase {
        let connection = &self.connection;
        if self.stopped.is_some() {
            return Phase::Down;
        }
        match (connection.epoch(), connection.is_known()) {
            (None, _) if connection.is_heard_of() => Phase::Down,
            (None, _) => Phase::Unknown,
            (Some(_), false) if self.trouble.failure().is_some() => Phase::Down,
            (Some(_), false) => Phase::Connecting,
            (Some(_), true) if connection.is_standby() => Phase::Standby,
            (Some(_), true) if self.backlog.is_caught_up() => Phase::InStep,
            (Some(_), true) => Phase::Recovering,
        }
    }

    /// The last failure, until something succeeds.
    pub fn failure(&self) -> Option<&Failure> {
        self.trouble.failure()
    }

    /// The rule that was about to be broken, where the reconciler has stopped itself for that. It writes
    /// nothing more to the catalog; a new one, with what the index remembers, compares everything.
    pub fn violation(&self) -> Option<&Violation> {
        self.stopped.as_ref().map(|stopped| &stopped.violation)
    }

    /// Which database this is, once it was met; that of before while it is away.
    pub fn identity(&self) -> Option<&str> {
        self.memory.identity.as_deref()
    }

    /// Recordings acknowledged since the start.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many recordings the comparison under way has compared; none where there is none.
    pub fn comparing(&self) -> Option<u64> {
        self.comparing.progress()
    }

    /// Comparisons finished since the start.
    pub fn comparisons(&self) -> u64 {
        self.comparing.finished()
    }

    /// Comparisons asked for since the start because others had changed the catalog.
    pub fn comparisons_for_changes(&self) -> u64 {
        self.changes.comparisons()
    }

    /// A comparison is owed.
    pub fn owed(&self) -> bool {
        self.memory.owed
    }

    /// What the last finished comparison found in the catalog and not in the index.
    pub fn missing(&self) -> Option<u64> {
        self.comparing.missing()
    }

    /// Takes an event.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Up { epoch } => {
                if self.connection.up(epoch) {
                    self.reconnected();
                }
            }
            Event::Down => {
                self.connection.down();
                self.reconnected();
            }
            Event::Lease(right) => self.allow(right),
            Event::Wake => {
                self.backlog.look_at_all();
                self.following.wake();
            }
            Event::Scanned => self.comparing.scanned(),
            Event::CompareDue => self.comparing.ask(),
            Event::ChangedByOthers { uuids, everything } => self.changes.add(uuids, everything),
            Event::Timer => self.end_wait(),
            Event::Done(done) => self.done(done),
            Event::DoneBeside(done) => self.done_beside(done),
        }
    }

    /// What to do now, on the boot-time clock of the lease. Asked again before the job is done, it
    /// says `Idle`.
    pub fn next_action(&mut self, now_ms: u64) -> Next {
        if self.running {
            return Next::Idle { until_ms: None };
        }
        let job = match self.job(now_ms) {
            Some(job) => job,
            None => return self.rest(),
        };
        if let Err(violation) = invariant::check_job(&job, self.facts(now_ms)) {
            self.stop(violation);
            return self.next_action(now_ms);
        }
        self.running = true;
        Next::Run(job)
    }

    /// What to wait for where there is nothing to do.
    fn rest(&self) -> Next {
        match self.step {
            Step::Waiting { within_ms } => Next::Wait { within_ms },
            // Nothing is compared any more.
            _ if self.stopped.is_some() => Next::Idle { until_ms: None },
            _ => {
                let followed_ms = self.following.due_ms().filter(|_| self.connection.is_standby());
                let until_ms = self.changes.comparison_at_ms().into_iter().chain(followed_ms).min();
                Next::Idle { until_ms }
            }
        }
    }

    fn facts(&self, now_ms: u64) -> JobFacts<'_> {
        JobFacts {
            is_known: self.connection.is_known(),
            may_write: self.may_write(now_ms),
            noted: self.memory.noted.as_deref(),
            bounds: self.bounds,
        }
    }

    fn may_write(&self, now_ms: u64) -> bool {
        self.connection.may_write(now_ms, self.memory.token)
    }

    fn allow(&mut self, right: Right) {
        let was_standby = self.connection.allow(right) == Right::Standby;
        match right {
            Right::Standby => {
                self.backlog.set_caught_up(false);
                if !was_standby {
                    self.following.failed();
                }
            }
            // What a standby has compared was another's doing: the new holder compares anew.
            Right::Granted(_) if was_standby => {
                self.comparing.restart();
                self.backlog.look_at_all();
            }
            Right::Granted(_) | Right::Unknown => {}
        }
    }

    /// What a new or lost connection makes void. A job under way runs to its end.
    fn reconnected(&mut self) {
        self.comparing.abandon();
        self.following.failed();
        self.backlog.reconnected(self.bounds);
        self.trouble.clear();
        self.end_wait();
    }

    fn end_wait(&mut self) {
        if matches!(self.step, Step::Waiting { .. }) {
            self.step = Step::Rest;
        }
    }

    /// Gives the present step up, and chooses anew after a wait.
    fn fail(&mut self, failure: Failure) {
        let within_ms = self.trouble.fail(failure);
        self.step = Step::Waiting { within_ms };
    }

    /// A rule was about to be broken. What is under way stays pending, and nothing more is written.
    fn stop(&mut self, violation: Violation) {
        self.step = Step::Rest;
        self.memory.owed = true;
        self.comparing.abandon();
        self.beside.stop();
        self.stopped.get_or_insert(Stopped { violation, is_stored: false });
    }
}

#[cfg(test)]
mod tests;
