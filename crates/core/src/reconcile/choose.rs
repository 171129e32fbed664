//! What is most urgent when nothing is under way.

use super::Reconciler;
use super::backlog::NextTurn;
use super::comparing::Compare;
use super::protocol::Job;
use super::step::Step;
use crate::broken::{self, Broken};
use crate::compare::Need;
use crate::lease::Grant;

impl Reconciler {
    /// The job of the present step, or of the step that is chosen where none is under way.
    pub(super) fn job(&mut self, now_ms: u64) -> Option<Job> {
        if self.step.needs_right() && !self.may_write(now_ms) {
            // The connection or the lease went in the middle: what was sent stays pending, and is in doubt.
            self.step = Step::Rest;
        }
        if self.awaits_beside(now_ms) {
            return None;
        }
        if matches!(self.step, Step::Rest) {
            self.step = self.choose(now_ms);
        }
        self.step.job(self.bounds)
    }

    /// The index has something to do or to tell beside, before the present step goes on. Where it has made
    /// the next batch ready, that is the present step from now on.
    fn awaits_beside(&mut self, now_ms: u64) -> bool {
        match self.step {
            Step::Calling { .. } => false,
            // Its watermark is noted with the acknowledgement of the batch before.
            Step::Marking { .. } => {
                self.beside.acknowledges() && !broken::is(Broken::MarkedBeforeAcknowledged)
            }
            Step::Acknowledging { .. } => {
                if self.beside.is_busy() {
                    return true;
                }
                self.send_ready(now_ms);
                matches!(self.step, Step::Marking { .. })
            }
            _ => {
                self.beside.drop_next();
                self.beside.is_busy()
            }
        }
    }

    /// Nothing is more urgent than the backlog, which may be written.
    pub(super) fn goes_on_writing(&mut self, now_ms: u64) -> bool {
        self.ask_for_changes(now_ms);
        self.may_write(now_ms)
            && !self.owe_again
            && (!self.comparing.is_asked() || self.memory.owed)
            && !(self.backlog.is_caught_up() && self.changes.has_named())
            && self.backlog.next_turn(self.memory.owed) == NextTurn::Backlog
    }

    /// Others' changes may ask for a comparison.
    fn ask_for_changes(&mut self, now_ms: u64) {
        if self.changes.take_comparison(now_ms, self.comparing.finished()) {
            self.comparing.ask();
        }
    }

    fn choose(&mut self, now_ms: u64) -> Step {
        if let Some(stopped) = &self.stopped {
            return if stopped.is_stored { Step::Rest } else { self.stopping() };
        }
        self.ask_for_changes(now_ms);
        let Some(epoch) = self.connection.epoch() else { return Step::Rest };
        if !self.connection.is_known() {
            return Step::Opening { epoch };
        }
        if self.owe_again {
            return self.owe(None);
        }
        let Some(grant) = self.connection.grant(now_ms) else {
            return self.without_grant(now_ms, epoch);
        };
        if grant.token != self.memory.token {
            return self.take(grant);
        }
        // What is asked for during a comparison may be about what that one has passed already. Who the
        // database is, and whether its indexes are there, may have been changed by hand: asked anew.
        if self.comparing.is_asked() && !self.memory.owed {
            return Step::Opening { epoch };
        }
        // What was pending at the database's return goes before what others did.
        if self.backlog.is_caught_up()
            && let Some(uuids) = self.changes.take_named()
        {
            return Step::SpotChecking { uuids, epoch, followed: false };
        }
        let compares = self.memory.owed && !self.comparing.awaits_end_of_dispute(grant, now_ms);
        match self.backlog.take_turn(compares) {
            NextTurn::Report => Step::Reporting,
            NextTurn::Comparison => self.compare(true, now_ms),
            NextTurn::Backlog => {
                Step::Picking { limit: self.backlog.limit(), before: self.backlog.before() }
            }
            NextTurn::Nobody => Step::Rest,
        }
    }

    fn stopping(&self) -> Step {
        Step::Stopping { identity: self.memory.identity.clone().unwrap_or_default() }
    }

    /// Nothing may be written: a standby compares, and looks up what is pending or held with it, which the
    /// holder of the lease writes and approves.
    ///
    /// What it finds to be there is acknowledged without a watermark that would tell of a database
    /// rolled back to before it. So a comparison is owed from then on, also where the lease that follows
    /// continues our own.
    fn without_grant(&mut self, now_ms: u64, epoch: u64) -> Step {
        if !self.connection.is_standby() {
            return Step::Rest;
        }
        if let Some(before) = self.following.take_page(now_ms) {
            return Step::Following { limit: self.bounds.page, before, epoch };
        }
        if self.following.take_held(now_ms) {
            return Step::ReadingHeld { limit: self.bounds.page, epoch };
        }
        if !self.comparing.is_standby_due() {
            return Step::Rest;
        }
        if self.memory.owed { self.compare(false, now_ms) } else { self.owe(None) }
    }

    /// A new token: what has to be stored before anything is written under it. That a comparison is owed
    /// is stored first, so that a crash between the two cannot forget it.
    fn take(&mut self, grant: Grant) -> Step {
        let compares = !grant.continuous && !broken::is(Broken::NewHolderDoesNotCompare);
        if compares && !self.comparing.is_owed_under(grant.token) {
            return self.owe(Some(grant.token));
        }
        Step::StoringToken(grant.token)
    }

    pub(super) fn owe(&mut self, token: Option<i64>) -> Step {
        self.memory.owed = true;
        Step::Owing { identity: self.memory.identity.clone().unwrap_or_default(), token }
    }

    /// The next step of a comparison; only its reading part where nothing may be written.
    fn compare(&mut self, may_write: bool, now_ms: u64) -> Step {
        match self.comparing.next(may_write, now_ms) {
            Compare::Read(Need::Window { after }) => Step::ReadingWindow { after },
            Compare::Read(Need::Rows { after, through }) => Step::ReadingRows { after, through },
            Compare::Sweep { after } => Step::Sweeping { after },
            Compare::Read(Need::Nothing) => Step::Rest,
            Compare::StandbyDone => {
                if broken::is(Broken::NewHolderDoesNotCompare) {
                    self.memory.owed = false;
                }
                Step::Rest
            }
        }
    }
}
