//! The driver of a reconciler: it carries out what the core decides, one job at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use focus_catalog::{Catalog, ChangedDocuments, Reach, RootPlace, Stored};
use focus_common::clock;
use focus_core::answer::Class;
use focus_core::batch::{Call, ItemOutcome, Outcome, Reply};
use focus_core::compare::{Claims, ComparedEntry, SpotCheck};
use focus_core::reconcile::{Bounds, CatalogMemory, Done, Event, Job, Next, Reconciler};
use focus_crash::{Point, Step, here};
use focus_index::{Ack, Answer, Index, IndexError, RootId, RootMemory};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::blocking::blocking;
use super::comparison_cost::{ComparisonCost, Counting};
use super::index_fault::IndexFault;
use super::lease::LeaseKeeper;
use super::pending::PendingSource;
use super::served_root::ServedRoot;
use super::step_log;
use super::unrecognised::Unrecognised;
use super::view::ReconcilerView;
use super::{window, written};

/// As good as never: whatever happens before wakes the driver, milliseconds.
const FAR_MS: u64 = 3_600_000;

/// The driver of one root.
pub(crate) struct Driver {
    catalog: Arc<dyn Catalog>,
    index: Index,
    id: RootId,
    place: RootPlace,
    core: Reconciler,
    reach: watch::Receiver<Reach>,
    wake: Arc<Notify>,
    fault: Arc<IndexFault>,
    view: Arc<Mutex<ReconcilerView>>,
    /// Tells of every change of phase.
    phases: watch::Sender<u64>,
    lease: Arc<LeaseKeeper>,
    served: Arc<ServedRoot>,
    pending: Box<dyn PendingSource>,
    /// What others did to the catalog, as its database tells.
    changes: mpsc::Receiver<ChangedDocuments>,
    /// Finished scans that the reconciler has heard of.
    scans: u64,
    /// Comparisons that others' changes led to, and that the log has told of.
    comparisons_for_changes: u64,
    /// The comparison that somebody asked for: its number, and how many have finished by its end.
    asked: (u64, u64),
    /// The number of the last one that has finished.
    compared_for: u64,
    /// That the reconciler has stopped itself is told.
    has_told_stop: bool,
    cost: ComparisonCost,
    retry_ms: u64,
}

/// What a driver is made of.
pub(crate) struct DriverParts {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) index: Index,
    pub(crate) place: RootPlace,
    pub(crate) memory: RootMemory,
    pub(crate) wake: Arc<Notify>,
    pub(crate) fault: Arc<IndexFault>,
    pub(crate) view: Arc<Mutex<ReconcilerView>>,
    pub(crate) phases: watch::Sender<u64>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) served: Arc<ServedRoot>,
    pub(crate) pending: Box<dyn PendingSource>,
    pub(crate) changes: mpsc::Receiver<ChangedDocuments>,
    pub(crate) compare_interval_ms: u64,
    pub(crate) refused_retry_ms: u64,
}

impl Driver {
    /// A driver with what the index remembers.
    pub(crate) fn new(parts: DriverParts) -> Driver {
        let memory = CatalogMemory {
            identity: parts.memory.identity,
            remembered: parts.memory.remembered,
            noted: parts.memory.noted,
            owed: parts.memory.owed,
            token: parts.memory.token,
        };
        let mut reach = parts.catalog.reach();
        reach.mark_changed();
        Driver {
            core: Reconciler::new(&parts.place.id, memory, Bounds::default()),
            catalog: parts.catalog,
            index: parts.index,
            id: parts.memory.id,
            place: parts.place,
            reach,
            wake: parts.wake,
            fault: parts.fault,
            view: parts.view,
            phases: parts.phases,
            lease: parts.lease,
            served: parts.served,
            pending: parts.pending,
            changes: parts.changes,
            scans: 0,
            comparisons_for_changes: 0,
            asked: (0, 0),
            compared_for: 0,
            has_told_stop: false,
            cost: ComparisonCost::new(parts.compare_interval_ms),
            retry_ms: parts.refused_retry_ms,
        }
    }

    /// Runs until it is aborted; at every await the state of index and catalog is a good one.
    pub(crate) async fn run(mut self) {
        let mut news = self.lease.news();
        loop {
            self.follow_reach();
            self.follow_scans();
            news.mark_unchanged();
            self.core.handle(Event::Lease(self.lease.right()));
            while let Ok(changed) = self.changes.try_recv() {
                self.core.handle(changed_by_others(changed));
            }
            let next = self.core.next_action(clock::boot_ms());
            self.tell();
            match next {
                Next::Run(job) => {
                    let (name, began) = (job.name(), Instant::now());
                    let counting = Counting::of(&job);
                    let done = counting.future(self.carry_out(job)).await;
                    tracing::debug!(
                        root = self.place.path,
                        step = name,
                        ms = began.elapsed().as_millis(),
                        "{}",
                        step_log::result(&done)
                    );
                    self.follow_reach();
                    counting.work(|| self.core.handle(Event::Done(done)));
                    self.cost.took(counting.cpu(), self.core.comparisons());
                }
                Next::Wait { within_ms } => {
                    let until =
                        Instant::now() + Duration::from_millis(fastrand::u64(0..=within_ms));
                    tokio::select! {
                        () = sleep_until(until) => self.core.handle(Event::Timer),
                        _ = self.reach.changed() => self.reach.mark_changed(),
                        _ = news.changed() => {}
                    }
                }
                Next::Idle { until_ms } => {
                    let retry = self.next_retry().await;
                    tokio::select! {
                        _ = self.reach.changed() => self.reach.mark_changed(),
                        _ = news.changed() => {}
                        () = self.wake.notified() => self.core.handle(Event::Wake),
                        Some(changed) = self.changes.recv() => {
                            self.core.handle(changed_by_others(changed));
                        }
                        number = self.served.comparisons.due() => self.compare(number),
                        () = sleep_until(instant(until_ms)) => {}
                        () = sleep_until(retry) => {
                            self.retry().await;
                        }
                        () = sleep_until(self.cost.next()) => {
                            self.cost.asked();
                            self.core.handle(Event::CompareDue);
                        }
                    }
                }
            }
        }
    }

    /// Somebody asks for a comparison: one that goes on has begun too early.
    fn compare(&mut self, number: u64) {
        let goes_on = u64::from(self.core.comparing().is_some());
        self.asked = (number, self.core.comparisons() + goes_on + 1);
        self.core.handle(Event::CompareDue);
    }

    fn follow_reach(&mut self) {
        if !self.reach.has_changed().unwrap_or(false) {
            return;
        }
        let reach = self.reach.borrow_and_update().clone();
        match reach {
            Reach::Connecting => {}
            Reach::Up { epoch } => self.core.handle(Event::Up { epoch }),
            Reach::Down { .. } => self.core.handle(Event::Down),
        }
    }

    fn follow_scans(&mut self) {
        let scans = self.served.scans();
        if std::mem::replace(&mut self.scans, scans) < scans {
            self.core.handle(Event::Scanned);
        }
    }

    /// Tells the status and the log what has become of the reconciler.
    fn tell(&mut self) {
        let mut view = ReconcilerView::of(&self.core, &self.place.path);
        if self.core.comparisons() >= self.asked.1 {
            self.compared_for = self.asked.0;
        }
        view.compared_for = self.compared_for;
        if let Some(words) = &view.stopped
            && !std::mem::replace(&mut self.has_told_stop, true)
        {
            tracing::error!("{words}");
            // Whoever stands by need not wait for it.
            self.lease.give_up();
        }
        let comparisons = self.core.comparisons_for_changes();
        if std::mem::replace(&mut self.comparisons_for_changes, comparisons) < comparisons {
            tracing::info!(
                "{}: others have changed the catalog: it is compared with storage",
                self.place.path
            );
        }
        let mut shared = self.view.lock();
        let news = shared.phase != view.phase;
        *shared = view;
        drop(shared);
        if news {
            self.phases.send_modify(|count| *count += 1);
        }
    }

    /// When a recording that was refused is due; far away where none is.
    async fn next_retry(&self) -> Instant {
        let (reader, id) = (self.index.reader(), self.id);
        let due = tokio::task::spawn_blocking(move || reader.next_retry(id)).await;
        let wait_ms = match due {
            Ok(Ok(Some(due_ms))) => due_ms.saturating_sub(clock::boot_ms()).max(10),
            _ => FAR_MS,
        };
        Instant::now() + Duration::from_millis(wait_ms)
    }

    async fn retry(&mut self) {
        match self.index.retry_due(self.id, clock::boot_ms()).await {
            Ok(0) => {}
            Ok(_) => self.core.handle(Event::Wake),
            Err(error) => {
                self.fault.tell(&error);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    async fn carry_out(&mut self, job: Job) -> Done {
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
            Job::Pick { limit, bytes_max, before } => {
                self.pending.pick(limit, bytes_max, before).await.map(Done::Picked)
            }
            Job::Note { ids } => {
                let watermark = uuid::Uuid::new_v4().to_string();
                let noted = self.index.note(self.id, watermark.clone(), ids).await;
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
            Job::Acknowledge { watermark, outcomes } => self
                .index
                .acknowledge(self.id, Some(watermark), self.acks(outcomes), clock::wall_ms())
                .await
                .map(|()| Done::Stored),
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

fn changed_by_others(changed: ChangedDocuments) -> Event {
    let ChangedDocuments { uuids, everything } = changed;
    Event::ChangedByOthers { uuids, everything }
}

/// This time of the boot-time clock; far away where none is given.
fn instant(boot_ms: Option<u64>) -> Instant {
    let wait_ms = boot_ms.map_or(FAR_MS, |at_ms| at_ms.saturating_sub(clock::boot_ms()));
    Instant::now() + Duration::from_millis(wait_ms)
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
