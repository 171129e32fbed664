//! What the index does beside the documents of a batch that is being written: it stores what the batch
//! before came to, and makes the next one ready.
//!
//! ```text
//! catalog   documents of A ─ mark A ─ documents of B ─ mark B ─ documents of C ...
//! index         pick B, note B ┘  acknowledge A, pick C, note C ┘  acknowledge B ...
//! ```
//!
//! The catalog sees the same calls in the same order as it would without this: all documents of a batch,
//! its watermark, then the next batch. Three rules hold besides. The next batch has no recording of the one
//! that is being written. Its watermark is noted by the transaction that acknowledges the batch before, so
//! one watermark at a time is in doubt. It is written to the catalog only after that transaction. Whatever
//! ends the batch that is being written also drops the one that was made ready: nothing of it was sent.

use super::protocol::{Done, Job};
use super::step::Step;
use super::{Invariant, Reconciler, Violation, invariant};
use crate::batch::{Batch, ItemOutcome, Pick, Picked};
use crate::broken::{self, Broken};
use crate::entry::EntryId;

/// The part of the index in the batches before and after the one that is being written.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    step: BesideStep,
    /// The job of the present step has been handed out and is not done.
    running: bool,
    /// The next batch was made ready, or could not be: not again before another batch is written.
    is_tried: bool,
    /// The batch before could not be stored: the one that is being written ends with its present job.
    failed: Option<String>,
}

/// What goes on beside a batch.
#[derive(Clone, Debug)]
enum BesideStep {
    /// Nothing.
    Rest,
    /// Waits for `Stored`: outcomes and watermark of the batch before, in one transaction.
    ///
    /// Where the index fails, that batch and the one that is being written stay pending.
    Acknowledging {
        /// In the catalog.
        watermark: String,
        /// Handed over with the job, and empty afterwards.
        outcomes: Vec<ItemOutcome>,
        /// The watermark of the batch that is being written.
        next: String,
    },
    /// Waits for `Picked`: the recordings of the next batch. Where the index fails, there is none.
    Picking {
        /// How many at most.
        limit: usize,
        /// The recordings of the batch that is being written.
        written: Vec<EntryId>,
    },
    /// Waits for `Noted`: the rows of the next batch. Where the index fails, there is none.
    Noting(Box<Batch>),
    /// The next batch can be sent.
    Ready {
        /// Nothing of it was sent.
        batch: Box<Batch>,
        /// Drawn, and not noted yet.
        watermark: String,
    },
    /// Waits for the result of a job that nobody needs any more.
    Dropped,
}

impl Beside {
    /// Nothing goes on.
    pub(super) fn new() -> Beside {
        Beside { step: BesideStep::Rest, running: false, is_tried: false, failed: None }
    }

    /// Something is to be done or to be heard before anything but the present batch goes on.
    pub(super) fn is_busy(&self) -> bool {
        match self.step {
            BesideStep::Rest | BesideStep::Ready { .. } => false,
            BesideStep::Acknowledging { .. }
            | BesideStep::Picking { .. }
            | BesideStep::Noting(_)
            | BesideStep::Dropped => true,
        }
    }

    /// The index has still to store the batch before.
    pub(super) fn acknowledges(&self) -> bool {
        matches!(self.step, BesideStep::Acknowledging { .. })
    }

    /// Another batch is written from now on: the next one may be made ready.
    pub(super) fn begin(&mut self) {
        self.is_tried = false;
    }

    /// Drops the next batch, as far as it is ready. What the catalog has acknowledged is stored all the same.
    pub(super) fn drop_next(&mut self) {
        match self.step {
            BesideStep::Picking { .. } | BesideStep::Noting(_) if self.running => {
                self.step = BesideStep::Dropped;
            }
            BesideStep::Picking { .. } | BesideStep::Noting(_) | BesideStep::Ready { .. } => {
                self.step = BesideStep::Rest;
            }
            BesideStep::Rest | BesideStep::Acknowledging { .. } | BesideStep::Dropped => {}
        }
    }

    /// Drops everything: nothing more is written.
    pub(super) fn stop(&mut self) {
        self.step = if self.running { BesideStep::Dropped } else { BesideStep::Rest };
        self.failed = None;
    }

    /// Why the batch that is being written ends with its present job; none where it goes on.
    pub(super) fn take_failed(&mut self) -> Option<String> {
        self.failed.take()
    }

    fn take_ready(&mut self) -> Option<(Box<Batch>, String)> {
        match std::mem::replace(&mut self.step, BesideStep::Rest) {
            BesideStep::Ready { batch, watermark } => Some((batch, watermark)),
            other => {
                self.step = other;
                None
            }
        }
    }

    fn job(&mut self, bytes_max: usize) -> Option<Job> {
        Some(match &mut self.step {
            BesideStep::Rest | BesideStep::Ready { .. } | BesideStep::Dropped => return None,
            BesideStep::Acknowledging { watermark, outcomes, next } => Job::Acknowledge {
                watermark: watermark.clone(),
                outcomes: std::mem::take(outcomes),
                next: Some(next.clone()),
            },
            BesideStep::Picking { limit, written } => {
                let shares = broken::is(Broken::BatchesInFlightShare);
                let but = if shares { Vec::new() } else { written.clone() };
                Job::Pick(Pick { limit: *limit, bytes_max, before: None, but })
            }
            BesideStep::Noting(batch) => Job::Note { ids: batch.ids(), ahead: true },
        })
    }

    fn name(&self) -> &'static str {
        match self.step {
            BesideStep::Rest => "rest",
            BesideStep::Acknowledging { .. } => "acknowledging the batch before",
            BesideStep::Picking { .. } => "picking the next batch",
            BesideStep::Noting(_) => "noting the next batch",
            BesideStep::Ready { .. } => "the next batch is ready",
            BesideStep::Dropped => "a job that is needed no more",
        }
    }
}

impl Reconciler {
    /// What the index is to do beside the job under way, on the boot-time clock of the lease; none where there
    /// is nothing, or the job beside is not done. The result is [`super::Event::DoneBeside`].
    pub fn next_beside(&mut self, now_ms: u64) -> Option<Job> {
        if self.beside.running || self.stopped.is_some() {
            return None;
        }
        if self.makes_ready(now_ms) {
            let Step::Calling { batch, .. } = &self.step else { return None };
            let (limit, written) = (self.backlog.limit(), batch.ids());
            self.beside.step = BesideStep::Picking { limit, written };
            self.beside.is_tried = true;
        }
        let job = self.beside.job(self.bounds.batch_bytes_max)?;
        if let Err(violation) = invariant::check_job(&job, self.facts(now_ms)) {
            self.stop(violation);
            return None;
        }
        self.beside.running = true;
        Some(job)
    }

    /// The next batch is to be picked now: documents are being written, more waits than their batch holds,
    /// and nothing is more urgent.
    fn makes_ready(&mut self, now_ms: u64) -> bool {
        matches!(self.beside.step, BesideStep::Rest)
            && !self.beside.is_tried
            && self.running
            && matches!(self.step, Step::Calling { .. })
            && self.backlog.has_more()
            && self.goes_on_writing(now_ms)
    }

    /// The batch that was made ready is sent, where one was and nothing is more urgent. What the batch before
    /// came to is stored beside it.
    pub(super) fn send_ready(&mut self, now_ms: u64) {
        let Step::Acknowledging { watermark, outcomes, token_met: None, moved: true } =
            &mut self.step
        else {
            return self.beside.drop_next();
        };
        let (watermark, outcomes) = (watermark.clone(), std::mem::take(outcomes));
        let ready = if self.goes_on_writing(now_ms) { self.beside.take_ready() } else { None };
        let Some((batch, next)) = ready else {
            self.step = Step::Acknowledging { watermark, outcomes, token_met: None, moved: true };
            return self.beside.drop_next();
        };
        self.backlog.take_turn(self.memory.owed);
        self.backlog.look();
        self.beside.step = BesideStep::Acknowledging { watermark, outcomes, next: next.clone() };
        self.beside.begin();
        self.step = super::results::call_or_mark(batch, next);
    }

    /// The job beside is done.
    pub(super) fn done_beside(&mut self, done: Done) {
        if !std::mem::take(&mut self.beside.running) {
            let words = format!("the result {:?} came without a job beside", done.name());
            return self.stop(Violation::new(Invariant::ResultFitsStep, words));
        }
        let name = self.beside.name();
        match (std::mem::replace(&mut self.beside.step, BesideStep::Rest), done) {
            (BesideStep::Dropped, _) => {}
            (BesideStep::Acknowledging { watermark, next, .. }, Done::Stored) => {
                self.remember(watermark, Some(next));
            }
            (BesideStep::Acknowledging { .. }, Done::IndexFailed(words)) => {
                self.before_not_stored(words);
            }
            (BesideStep::Picking { limit, written }, Done::Picked(picked)) => {
                self.picked_next(limit, &written, picked);
            }
            (BesideStep::Noting(mut batch), Done::Noted { watermark, not_pending }) => {
                batch.leave(&not_pending);
                self.beside.step = BesideStep::Ready { batch, watermark };
            }
            // There is no next batch: what the index cannot do shows when the next one is picked.
            (BesideStep::Picking { .. } | BesideStep::Noting(_), Done::IndexFailed(_)) => {}
            (_, done) => self.misfit(name, done.name()),
        }
    }

    /// The index could not store the batch before, nor note the watermark of the one that is being written:
    /// both stay pending.
    fn before_not_stored(&mut self, words: String) {
        if self.running {
            self.beside.failed = Some(words);
        } else {
            let step = std::mem::replace(&mut self.step, Step::Rest);
            self.index_failed(&step, &words);
        }
    }

    fn picked_next(&mut self, limit: usize, written: &[EntryId], picked: Picked) {
        let Picked { items, more } = picked;
        let checked = invariant::check_count("a batch", items.len(), limit)
            .and_then(|()| invariant::check_apart(&items, written));
        if let Err(violation) = checked {
            return self.stop(violation);
        }
        self.backlog.picked(more);
        if !items.is_empty() {
            let batch = Batch::new(&self.root, self.memory.token, items);
            self.beside.step = BesideStep::Noting(Box::new(batch));
        }
    }
}
