//! What follows from each result.

use std::collections::BTreeSet;

use super::changes::NAMED_MAX;
use super::comparing::Sweep;
use super::invariant::{self, Invariant};
use super::protocol::Done;
use super::step::{Findings, Step};
use super::{Reconciler, Violation};
use crate::answer::{Class, Failure};
use crate::batch::{Batch, ItemOutcome, Outcome, Picked, Reply};
use crate::broken::{self, Broken};
use crate::compare::{self, Claims, Page, Row, SpotCheck};
use crate::document::{OpenedCatalog, Stored};
use crate::entry::EntryId;
use crate::window::Window;

impl Reconciler {
    pub(super) fn done(&mut self, done: Done) {
        if !std::mem::take(&mut self.running) {
            let words = format!("the result {:?} came without a job", done.name());
            return self.stop(Violation::new(Invariant::ResultFitsStep, words));
        }
        let step = std::mem::replace(&mut self.step, Step::Rest);
        if self.stopped.is_some() {
            return self.stop_done(&done);
        }
        if let Done::IndexFailed(words) = done {
            self.beside.take_failed();
            return self.index_failed(&step, &words);
        }
        self.done_alone(step, done);
        if let Some(words) = self.beside.take_failed() {
            let step = std::mem::replace(&mut self.step, Step::Rest);
            self.index_failed(&step, &words);
        }
    }

    /// The result of a step that is neither a batch's nor a comparison's.
    fn done_alone(&mut self, step: Step, done: Done) {
        match (step, done) {
            (Step::Opening { epoch }, Done::Opened(answer)) => self.opened(epoch, answer),
            (Step::Owing { token, .. }, Done::Stored) => {
                self.owe_again = false;
                self.comparing.owed(token);
            }
            (Step::Recalling { watermark }, Done::Stored) => self.remember(watermark, None),
            (Step::StoringToken(token), Done::Stored) => {
                self.memory.token = token;
                self.backlog.look();
            }
            (Step::TellingLease(_), Done::Stored) => self.backlog.look(),
            (Step::Reporting, Done::Reported(Ok(0))) => {}
            (Step::Reporting, Done::Reported(Ok(_))) => self.backlog.more_to_report(),
            (Step::Reporting, Done::Reported(Err(failure))) => self.call_failed(failure),
            (step, done) => self.done_of_batch(step, done),
        }
    }

    /// The result of a step of a batch.
    fn done_of_batch(&mut self, step: Step, done: Done) {
        match (step, done) {
            (Step::Picking { limit, .. }, Done::Picked(picked)) => self.picked(limit, picked),
            (Step::Following { limit, epoch, .. }, Done::Picked(picked)) => {
                self.followed(limit, epoch, picked);
            }
            (Step::Noting(batch), Done::Noted { watermark, not_pending }) => {
                self.noted(batch, watermark, &not_pending);
            }
            (Step::Calling { batch, watermark }, Done::Replied(reply)) => {
                self.replied(batch, watermark, reply);
            }
            (Step::Marking { batch, watermark }, Done::Marked(Ok(()))) => {
                self.acknowledge(&batch, watermark);
            }
            (Step::Marking { .. }, Done::Marked(Err(failure))) => self.call_failed(failure),
            (Step::Acknowledging { watermark, token_met, moved, .. }, Done::Stored) => {
                self.batch_stored(watermark, token_met, moved);
            }
            (step, done) => self.done_of_comparison(step, done),
        }
    }

    /// The result of a step of a comparison, or of a spot check.
    fn done_of_comparison(&mut self, step: Step, done: Done) {
        match (step, done) {
            (Step::ReadingWindow { .. }, Done::Window(Ok(window))) => self.window_read(window),
            (Step::ReadingRows { .. }, Done::Rows(rows)) => self.rows_read(rows),
            (Step::StoringCompared(_), Done::Found { dropped }) => {
                self.backlog.look();
                if dropped > 0 {
                    self.comparing.dropped();
                }
            }
            (Step::SpotChecking { uuids, epoch, followed }, Done::SpotChecked(answer)) => {
                if self.connection.epoch() == Some(epoch) {
                    self.spot_checked(uuids.len(), followed, answer);
                } else {
                    self.changes.add(uuids, false);
                }
            }
            (Step::ReadingHeld { limit, epoch }, Done::Uuids(uuids)) => {
                self.look_up(limit, epoch, uuids);
            }
            (Step::StoringClaims(_), Done::Stored) => {}
            (Step::StoringSpotCheck(_, Some(claims)), Done::Found { .. }) => {
                self.store_claims(claims);
            }
            (Step::StoringSpotCheck(_, None), Done::Found { dropped }) => {
                self.backlog.look();
                if dropped > 0 {
                    self.changes.doubt_everything();
                }
            }
            (Step::Sweeping { .. }, Done::Swept(Ok(after))) => self.swept(after),
            (Step::ReadingWindow { .. }, Done::Window(Err(failure)))
            | (Step::Sweeping { .. }, Done::Swept(Err(failure))) => self.call_failed(failure),
            (step, done) => self.done_of_end(step, done),
        }
    }

    /// The result of a step that ends a comparison.
    fn done_of_end(&mut self, step: Step, done: Done) {
        match (step, done) {
            (Step::FinishNoting, Done::Noted { watermark, .. }) => {
                self.memory.noted = Some(watermark.clone());
                self.step = Step::FinishMarking { watermark };
            }
            (Step::FinishMarking { watermark }, Done::Marked(Ok(()))) => {
                let identity = self.memory.identity.clone().unwrap_or_default();
                let again = self.comparing.is_owed_again();
                self.step = Step::Finishing { identity, watermark, again };
            }
            (Step::FinishMarking { .. }, Done::Marked(Err(failure))) => self.call_failed(failure),
            (Step::Finishing { watermark, .. }, Done::Stored) => {
                // One that is owed again is asked for anew: at once, or after the scan.
                self.memory.owed = false;
                self.comparing.finish();
                self.remember(watermark, None);
            }
            (step, done) => self.misfit(step.name(), done.name()),
        }
    }

    /// A call on the catalog failed: the step is given up, and chosen again after a wait.
    fn call_failed(&mut self, failure: Failure) {
        self.backlog.look_at_all();
        self.fail(failure);
    }

    /// A result of another kind than the step waits for.
    pub(super) fn misfit(&mut self, step: &str, done: &str) {
        let words = format!("the result {done:?} came while {step}");
        self.stop(Violation::new(Invariant::ResultFitsStep, words));
    }

    /// The reconciler has stopped itself, and this came of storing that a comparison is owed.
    fn stop_done(&mut self, done: &Done) {
        let Some(stopped) = &mut self.stopped else { return };
        match done {
            Done::Stored => stopped.is_stored = true,
            Done::IndexFailed(words) => self.fail(Failure::transient(index_words(words))),
            _ => self.step = Step::Waiting { within_ms: self.trouble.pause() },
        }
    }

    pub(super) fn index_failed(&mut self, step: &Step, words: &str) {
        self.backlog.look_at_all();
        // What a page came to is not stored: the comparison begins again.
        self.comparing.restart();
        if matches!(
            step,
            Step::SpotChecking { followed: false, .. } | Step::StoringSpotCheck(_, None)
        ) {
            self.changes.doubt_everything();
        }
        self.owe_again |= matches!(step, Step::Owing { .. });
        self.following.failed();
        self.fail(Failure::transient(index_words(words)));
    }

    /// The database has answered who it is, or has not.
    fn opened(&mut self, epoch: u64, answer: Result<OpenedCatalog, Failure>) {
        if self.connection.epoch() != Some(epoch) {
            // The database of another connection said it: this one may be another.
            return;
        }
        match answer {
            Ok(opened) => self.meet(opened),
            Err(failure) => {
                if failure.class == Class::RefusedClient {
                    // It was met before, and would not be now: nothing more is written.
                    self.connection.forget_who();
                    self.backlog.set_caught_up(false);
                }
                self.backlog.look_at_all();
                self.fail(failure);
            }
        }
    }

    /// The database has shown who it is and which watermark it has.
    ///
    /// Where both are as the index remembers them, or as noted for the batch in doubt, only what is
    /// pending has to be written. Everything else leads to a comparison, and that it is owed is
    /// stored before anything is written.
    fn meet(&mut self, opened: OpenedCatalog) {
        let OpenedCatalog { identity, watermark } = opened;
        self.connection.meet();
        self.trouble.clear();
        self.backlog.look_at_all();
        let asked = self.comparing.take_asked();
        let same = self.memory.identity.as_ref() == Some(&identity);
        let as_remembered = broken::is(Broken::WatermarkIgnored)
            || watermark.is_some()
                && (watermark == self.memory.remembered || watermark == self.memory.noted);
        if !same || !as_remembered {
            self.memory.owed = true;
            self.memory.identity = Some(identity.clone());
            if broken::is(Broken::OwedComparisonNotStored) {
                return;
            }
            self.step = Step::Owing { identity, token: None };
        } else if asked {
            self.memory.owed = true;
            self.step = Step::Owing { identity, token: None };
        } else if watermark != self.memory.remembered
            && let Some(watermark) = watermark
        {
            self.step = Step::Recalling { watermark };
        }
    }

    /// The index has stored this watermark as remembered, and the `next` one as noted. An earlier one that
    /// arrives late in the catalog is neither: everything is compared.
    pub(super) fn remember(&mut self, watermark: String, next: Option<String>) {
        self.memory.remembered = Some(watermark);
        self.memory.noted = next;
    }

    fn picked(&mut self, limit: usize, picked: Picked) {
        let Picked { items, more } = picked;
        if let Err(violation) = invariant::check_count("a batch", items.len(), limit) {
            return self.stop(violation);
        }
        self.backlog.picked(more);
        if !items.is_empty() {
            self.backlog.look();
            self.beside.begin();
            self.step = Step::Noting(Box::new(Batch::new(&self.root, self.memory.token, items)));
        } else if self.backlog.ended_round() {
            self.backlog.look();
            self.step = Step::Waiting { within_ms: self.trouble.pause() };
        } else if self.connection.is_known() {
            self.backlog.set_caught_up(true);
        }
    }

    /// What is pending with a standby is looked up in the catalog.
    fn followed(&mut self, limit: usize, epoch: u64, picked: Picked) {
        let items = picked.items;
        if let Err(violation) = invariant::check_count("a page", items.len(), limit) {
            return self.stop(violation);
        }
        let lowest = items.iter().map(|item| item.id).min();
        self.following.picked(items.len(), limit, lowest);
        let uuids = items.into_iter().map(|item| item.recording.uuid).collect();
        self.look_up(limit, epoch, uuids);
    }

    /// Documents are read on the connection on which the standby was asked for them.
    fn look_up(&mut self, limit: usize, epoch: u64, uuids: BTreeSet<String>) {
        if let Err(violation) = invariant::check_count("a page", uuids.len(), limit) {
            return self.stop(violation);
        }
        if !uuids.is_empty() && self.connection.epoch() == Some(epoch) {
            self.step = Step::SpotChecking { uuids, epoch, followed: true };
        }
    }

    fn store_claims(&mut self, claims: Claims) {
        if !claims.is_empty() {
            self.step = Step::StoringClaims(claims);
        }
    }

    fn noted(&mut self, mut batch: Box<Batch>, watermark: String, not_pending: &[EntryId]) {
        batch.leave(not_pending);
        self.memory.noted = Some(watermark.clone());
        self.step = call_or_mark(batch, watermark);
    }

    fn replied(&mut self, mut batch: Box<Batch>, watermark: String, reply: Result<Reply, Failure>) {
        match reply {
            Ok(reply) if !batch.awaits(&reply) => {
                self.misfit("calling", &format!("replied: {}", reply.name()));
            }
            Ok(reply) => {
                batch.replied(reply);
                self.step = call_or_mark(batch, watermark);
            }
            Err(failure) if batch.failed(&failure) => {
                self.step = call_or_mark(batch, watermark);
            }
            Err(failure) => {
                self.backlog.look();
                if self.connection.is_known() && failure.class != Class::RefusedClient {
                    self.backlog.batch_failed(batch.len(), batch.lowest_id());
                }
                self.fail(failure);
            }
        }
    }

    /// The watermark is written, after every recording of the batch had its outcome.
    fn acknowledge(&mut self, batch: &Batch, watermark: String) {
        let outcomes = batch.outcomes();
        let any = |is: fn(&Outcome) -> bool| outcomes.iter().any(|one| is(&one.outcome));
        let is_acknowledged = |one: &&ItemOutcome| one.outcome == Outcome::Acknowledged;
        let acknowledged = outcomes.iter().filter(is_acknowledged).count();
        let moved = any(|outcome| !matches!(outcome, Outcome::Left));
        if any(|outcome| matches!(outcome, Outcome::Removed)) {
            // What it has read of the catalog may name documents that are gone by now.
            self.comparing.restart();
        }
        self.acknowledged += acknowledged as u64;
        if moved {
            self.trouble.clear();
        }
        self.backlog.batch_ended(batch.len(), batch.written(), acknowledged, self.bounds.batch_max);
        let token_met = batch.token_met();
        self.step = Step::Acknowledging { watermark, outcomes, token_met, moved };
    }

    fn batch_stored(&mut self, watermark: String, token_met: Option<i64>, moved: bool) {
        self.remember(watermark, None);
        if let Some(token) = token_met {
            self.step = Step::TellingLease(token);
        } else if !moved {
            self.fail(Failure::transient("the database answered for no recording"));
        }
    }

    fn window_read(&mut self, window: Window) {
        let count = window.documents.len();
        if let Err(violation) = invariant::check_count("a page", count, self.bounds.page) {
            return self.stop(violation);
        }
        // A comparison that was given up meanwhile takes nothing.
        if let Some(comparison) = self.comparing.under_way() {
            comparison.window(window);
        }
    }

    /// The index's side of a window, and what the comparison says of both.
    fn rows_read(&mut self, rows: Page<Row>) {
        if let Err(violation) = invariant::check_count("a page", rows.items.len(), self.bounds.page)
        {
            return self.stop(violation);
        }
        let found = self.comparing.rows(rows, self.memory.token);
        if !found.is_empty() {
            self.step = Step::StoringCompared(found);
        }
    }

    /// The documents of `asked` uuids, and what the index has of them. `followed`: a standby has read them.
    fn spot_checked(&mut self, asked: usize, followed: bool, answer: Result<SpotCheck, Failure>) {
        let checked = match answer {
            Ok(checked) => checked,
            Err(failure) if followed => {
                self.following.failed();
                return self.fail(failure);
            }
            Err(failure) => {
                self.changes.doubt_everything();
                self.backlog.look_at_all();
                return self.fail(failure);
            }
        };
        let SpotCheck { rows, documents } = checked;
        if let Err(violation) = invariant::check_count("a spot check", rows.len(), asked) {
            return self.stop(violation);
        }
        if followed {
            return self.looked_up(&rows, &documents);
        }
        if documents.len() > NAMED_MAX {
            // The database has several of one uuid: what that means, a comparison of everything tells.
            return self.changes.doubt_everything();
        }
        match compare::spot(&rows, &documents, &self.root, self.memory.token) {
            Some(findings) => {
                let found = Findings { findings, missing: Vec::new() };
                if !found.is_empty() {
                    self.step = Step::StoringSpotCheck(found, None);
                }
            }
            None => self.changes.doubt_everything(),
        }
    }

    /// What a standby has read of the uuids that are pending or held with it. What this leaves open, the
    /// comparison of the next holder tells; and who has the lease by now finds out by writing.
    fn looked_up(&mut self, rows: &[Row], documents: &[Stored]) {
        if !self.connection.is_standby() || documents.len() > NAMED_MAX {
            return;
        }
        let Some(findings) = compare::spot(rows, documents, &self.root, self.memory.token) else {
            return;
        };
        let claims = compare::claims(rows, documents, &self.root);
        let found = Findings { findings, missing: Vec::new() };
        if found.is_empty() {
            self.store_claims(claims);
        } else if self.memory.owed {
            self.step = Step::StoringSpotCheck(found, Some(claims));
        } else {
            // It is looked up once more when that is stored.
            self.following.failed();
            self.step = self.owe(None);
        }
    }

    fn swept(&mut self, after: Option<String>) {
        // A connection lost meanwhile has ended the sweep.
        if let Some(sweep) = self.comparing.sweep() {
            match after {
                Some(after) => *sweep = Sweep { after: Some(after) },
                None => self.step = Step::FinishNoting,
            }
        }
    }
}

/// The next call of the batch; its watermark, where every recording has its outcome.
pub(super) fn call_or_mark(batch: Box<Batch>, watermark: String) -> Step {
    if batch.is_over() {
        Step::Marking { batch, watermark }
    } else {
        Step::Calling { batch, watermark }
    }
}

fn index_words(words: &str) -> String {
    format!("the index: {words}")
}
