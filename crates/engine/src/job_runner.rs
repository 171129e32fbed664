//! Carries out the jobs of a root's reconciler, on the catalog and on the index.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use focus_catalog::{Catalog, RootPlace, Stored};
use focus_common::clock;
use focus_core::answer::Class;
use focus_core::batch::{Call, ItemOutcome, Outcome, Reply};
use focus_core::compare::{Claims, ComparedEntry, SpotCheck};
use focus_core::reconcile::{Done, Job};
use focus_crash::{Point, Step, here};
use focus_index::{Ack, Answer, Index, IndexError, RootId, Watermarks};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::blocking::blocking;
use super::index_fault::IndexFault;
use super::lease::LeaseKeeper;
use super::pending::PendingSource;
use super::unrecognised::Unrecognised;
use super::{window, written};

/// What the jobs of one root need.
pub(crate) struct JobRunner {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) index: Index,
    pub(crate) id: RootId,
    pub(crate) place: RootPlace,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) fault: Arc<IndexFault>,
    pub(crate) pending: Mutex<Box<dyn PendingSource>>,
    pub(crate) retry_ms: u64,
}

impl JobRunner {
    /// How long it is until a recording that was refused is due; none where none waits.
    pub(crate) async fn next_retry(&self) -> Option<Duration> {
        let (reader, id) = (self.index.reader(), self.id);
        let due = tokio::task::spawn_blocking(move || reader.next_retry(id)).await;
        let due_ms = due.ok()?.ok()??;
        Some(Duration::from_millis(due_ms.saturating_sub(clock::boot_ms()).max(10)))
    }

    /// Carries out a job to its end.
    pub(crate) async fn carry_out(&self, job: Job) -> Done {
        let done = match job {
            Job::Open => return Done::Opened(self.catalog.open(&self.place).await),
            Job::Mark { watermark } => {
                here(Point::At(Step::BeforeMark));
                let marked = self.catalog.mark(&self.place, &watermark).await;
                here(Point::At(Step::AfterMark));
                return Done::Marked(marked);
            }
            Job::Met(token) => {
                self.lease.met(token);
                return Done::Stored;
            }
            Job::Call(call) => self.call(call).await,
            Job::Window { after, limit } => {
                let reader = self.index.reader();
                let root = (&self.place, &reader, self.id);
                let read = window::read(&*self.catalog, root, after.as_deref(), limit).await;
                read.map(Done::Window)
            }
            Job::Report => self.unrecognised().report().await,
            Job::Sweep { after } => self.unrecognised().sweep(after).await,
            Job::Pick(pick) => self.pending.lock().await.pick(pick).await.map(Done::Picked),
            Job::Note { ids, ahead } => {
                let watermark = uuid::Uuid::new_v4().to_string();
                let stored = (!ahead).then(|| watermark.clone());
                let noted = self.index.note(self.id, stored, ids).await;
                noted.map(|not_pending| Done::Noted { watermark, not_pending })
            }
            Job::Rows { after, through, limit } => {
                let (reader, id) = (self.index.reader(), self.id);
                blocking(move || reader.range(id, after.as_deref(), through.as_deref(), limit))
                    .await
                    .map(Done::Rows)
            }
            Job::Owe { identity } => self.index.owe(self.id, identity).await.map(|()| Done::Stored),
            Job::Token(token) => self.index.set_token(self.id, token).await.map(|()| Done::Stored),
            Job::SpotCheck { uuids } => self.spot_check(uuids).await,
            Job::Found { findings, missing } => self.found(findings, missing).await,
            Job::Held { limit } => self.held(limit).await,
            Job::Claims(claims) => self.claims(claims).await,
            Job::Finish { identity, watermark, again } => self
                .index
                .finish_comparison(self.id, identity, watermark, again)
                .await
                .map(|()| Done::Stored),
            Job::Acknowledge { watermark, outcomes, next } => {
                let both = Watermarks { remembered: watermark, noted: next };
                let stored = self.index.acknowledge(
                    self.id,
                    Some(both),
                    self.acks(outcomes),
                    clock::wall_ms(),
                );
                stored.await.map(|()| Done::Stored)
            }
        };
        done.unwrap_or_else(|error| {
            self.fault.tell(&error);
            Done::IndexFailed(error.to_string())
        })
    }

    fn unrecognised(&self) -> Unrecognised<'_> {
        Unrecognised {
            catalog: &*self.catalog,
            index: &self.index,
            id: self.id,
            place: &self.place,
        }
    }

    /// Reads single documents, and then what the index has of them.
    async fn spot_check(&self, uuids: BTreeSet<String>) -> Result<Done, IndexError> {
        let names: Vec<String> = uuids.into_iter().collect();
        let documents = match self.catalog.read(&self.place, &names).await {
            Ok(documents) => documents,
            Err(failure) => return Ok(Done::SpotChecked(Err(failure))),
        };
        let (reader, id) = (self.index.reader(), self.id);
        let rows = blocking(move || reader.rows_of(id, names)).await?;
        Ok(Done::SpotChecked(Ok(SpotCheck { rows, documents })))
    }

    async fn found(
        &self,
        findings: Vec<ComparedEntry>,
        missing: Vec<Stored>,
    ) -> Result<Done, IndexError> {
        let now_ms = clock::wall_ms();
        let dropped =
            if findings.is_empty() { 0 } else { self.index.found(findings, now_ms).await? };
        if !missing.is_empty() {
            self.index.add_missing(self.id, missing, now_ms).await?;
        }
        Ok(Done::Found { dropped })
    }

    async fn held(&self, limit: usize) -> Result<Done, IndexError> {
        let (reader, id) = (self.index.reader(), self.id);
        let rows = blocking(move || reader.held(id, 0, limit)).await?;
        Ok(Done::Uuids(rows.into_iter().map(|row| row.uuid).collect()))
    }

    /// Stores which uuids the catalog has of other recordings, as a standby has read them.
    async fn claims(&self, claims: Claims) -> Result<Done, IndexError> {
        let Claims { refused, elsewhere } = claims;
        let now_ms = clock::wall_ms();
        if !refused.is_empty() {
            self.index.acknowledge(self.id, None, self.acks(refused), now_ms).await?;
        }
        for (uuid, path) in elsewhere {
            self.index.prefer(self.id, uuid, path, now_ms).await?;
        }
        Ok(Done::Stored)
    }

    fn acks(&self, outcomes: Vec<ItemOutcome>) -> Vec<Ack> {
        outcomes
            .into_iter()
            .filter_map(|ItemOutcome { id, generation, outcome }| {
                let answer = match outcome {
                    Outcome::Acknowledged => Answer::Acknowledged,
                    Outcome::Removed => Answer::Removed,
                    Outcome::Raise(generation) => Answer::Raise { generation },
                    Outcome::Refused(fault) => {
                        let retry_ms = clock::boot_ms().saturating_add(self.retry_ms);
                        Answer::Refused { fault, retry_ms }
                    }
                    Outcome::Left => return None,
                };
                Some(Ack { id, generation, answer })
            })
            .collect()
    }

    async fn call(&self, call: Call) -> Result<Done, IndexError> {
        let place = &self.place;
        let catalog = &self.catalog;
        let around = around(&call);
        around.map(|(before, _)| Point::At(before)).into_iter().for_each(here);
        let (sent, began) = (written::documents(&call), Instant::now());
        let reply = match call {
            Call::Insert(batch) => catalog.insert(place, &batch).await.map(Reply::Answers),
            Call::Upsert(batch) => catalog.upsert(place, &batch).await.map(Reply::Answers),
            Call::Remove(batch) => {
                catalog.remove_drilled(place, &batch).await.map(|()| Reply::Removed)
            }
            Call::Read(uuids) => catalog.read(place, &uuids).await.map(Reply::Documents),
            Call::Adopt(document) => {
                catalog.adopt(place, &document).await.map(|answer| Reply::Answers(vec![answer]))
            }
            Call::TakeOver(document, from) => catalog
                .take_over(place, &document, &from)
                .await
                .map(|answer| Reply::Answers(vec![answer])),
            Call::Prefer { uuid, path } => {
                let preferred = self.index.prefer(self.id, uuid, path, clock::wall_ms()).await?;
                Ok(Reply::Preferred(preferred))
            }
        };
        around.map(|(_, after)| Point::At(after)).into_iter().for_each(here);
        if let Some(sent) = sent {
            written::count_written(sent, began.elapsed(), &reply);
        }
        if let Err(failure) = &reply
            && matches!(failure.class, Class::Transient | Class::Unknown)
        {
            self.catalog.doubt();
        }
        Ok(Done::Replied(reply))
    }
}

/// The crash points before and after a call on the catalog.
fn around(call: &Call) -> Option<(Step, Step)> {
    Some(match call {
        Call::Insert(_) => (Step::BeforeInsert, Step::AfterInsert),
        Call::Upsert(_) => (Step::BeforeUpsert, Step::AfterUpsert),
        Call::Read(_) => (Step::BeforeRead, Step::AfterRead),
        Call::Adopt(_) => (Step::BeforeAdopt, Step::AfterAdopt),
        Call::TakeOver(..) => (Step::BeforeTakeOver, Step::AfterTakeOver),
        Call::Remove(_) => (Step::BeforeRemove, Step::AfterRemove),
        // A transaction of the index.
        Call::Prefer { .. } => return None,
    })
}
