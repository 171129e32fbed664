//! The driver of a reconciler: it carries out what the core decides, one job at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use focus_catalog::{Catalog, Reach, RootPlace, Stored, UnrecognisedDoc};
use focus_core::answer::{Class, Failure};
use focus_core::batch::{Call, Item, Outcome, Reply};
use focus_core::compare::Compared;
use focus_core::reconcile::{Bounds, CatalogMemory, Done, Event, Job, Next, Phase, Reconciler};
use focus_core::state::State;
use focus_crash::{Point, Step, here};
use focus_index::{Ack, AckOutcome, Index, IndexError, RootId, RootMemory};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::lease::LeaseKeeper;
use super::root::{IndexFault, ServedRoot};
use focus_common::clock;

/// Unrecognised places brought in step with one call.
const REPORTS: usize = 500;

/// What the status shows of a reconciler.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) phase: Phase,
    pub(crate) failure: Option<Failure>,
    pub(crate) acknowledged: u64,
    pub(crate) comparing: Option<u64>,
    pub(crate) owed: bool,
    /// Comparisons finished.
    pub(crate) comparisons: u64,
    pub(crate) missing: Option<u64>,
}

impl Default for View {
    fn default() -> View {
        View {
            phase: Phase::Unknown,
            failure: None,
            acknowledged: 0,
            comparing: None,
            owed: false,
            comparisons: 0,
            missing: None,
        }
    }
}

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
    view: Arc<Mutex<View>>,
    /// Tells of every change of phase.
    phases: watch::Sender<u64>,
    lease: Arc<LeaseKeeper>,
    side: Arc<ServedRoot>,
    /// The catalog names recordings that the index did not know, before the first scan had finished.
    compare_after_scan: bool,
    /// Rows were dropped between being compared and the result.
    compare_once_more: bool,
    compare: Duration,
    retry_ms: u64,
    /// For drills that must fail; none in every other server.
    no_recovery: Option<NoRecovery>,
}

/// The hidden setting with which a server never writes what was pending when its database came back: a
/// drill against it has to find out.
#[derive(Clone, Copy, Debug, Default)]
struct NoRecovery {
    /// The database has been there before.
    met: bool,
    /// It has come back, and nothing was picked since.
    returned: bool,
    /// Rows up to this one are not written any more.
    through: i64,
}

impl NoRecovery {
    const VARIABLE: &str = "FOCUS_UNSAFE_NO_RECOVERY";

    fn from_environment() -> Option<NoRecovery> {
        let value = std::env::var(NoRecovery::VARIABLE).unwrap_or_default();
        if value != "yes-lose-recordings" {
            return None;
        }
        tracing::error!(
            "{} is set: what lands while the database is away is NEVER catalogued. This is for drills that must fail; unset it everywhere else",
            NoRecovery::VARIABLE
        );
        Some(NoRecovery::default())
    }
}

/// What a driver is made of.
pub(crate) struct Parts {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) index: Index,
    pub(crate) place: RootPlace,
    pub(crate) memory: RootMemory,
    pub(crate) wake: Arc<Notify>,
    pub(crate) fault: Arc<IndexFault>,
    pub(crate) view: Arc<Mutex<View>>,
    pub(crate) phases: watch::Sender<u64>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) side: Arc<ServedRoot>,
    pub(crate) compare_interval_ms: u64,
    pub(crate) refused_retry_ms: u64,
}

impl Driver {
    /// A driver with what the index remembers.
    pub(crate) fn new(parts: Parts) -> Driver {
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
            side: parts.side,
            compare_after_scan: false,
            compare_once_more: false,
            compare: Duration::from_millis(parts.compare_interval_ms),
            retry_ms: parts.refused_retry_ms,
            no_recovery: NoRecovery::from_environment(),
        }
    }

    /// Runs until it is aborted; at every await the state of index and catalog is a good one.
    pub(crate) async fn run(mut self) {
        let mut compare_at = Instant::now() + self.compare;
        let mut news = self.lease.news();
        loop {
            self.follow_reach();
            news.mark_unchanged();
            self.core.handle(Event::Lease(self.lease.right()));
            let next = self.core.next_action(clock::boot_ms());
            self.publish();
            match next {
                Next::Run(job) => {
                    let done = self.carry_out(job).await;
                    self.follow_reach();
                    self.core.handle(Event::Done(done));
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
                Next::Idle => {
                    let retry = self.next_retry().await;
                    tokio::select! {
                        _ = self.reach.changed() => self.reach.mark_changed(),
                        _ = news.changed() => {}
                        () = self.wake.notified() => {
                            self.core.handle(Event::Wake);
                            if self.compare_after_scan && self.side.scans() > 0 {
                                self.compare_after_scan = false;
                                self.core.handle(Event::CompareDue);
                            }
                        }
                        () = self.side.compare.notified() => {
                            self.core.handle(Event::CompareDue);
                        }
                        () = sleep_until(retry) => {
                            self.retry().await;
                        }
                        () = sleep_until(compare_at) => {
                            compare_at = Instant::now() + self.compare;
                            self.core.handle(Event::CompareDue);
                        }
                    }
                }
            }
        }
    }

    fn follow_reach(&mut self) {
        if !self.reach.has_changed().unwrap_or(false) {
            return;
        }
        let reach = self.reach.borrow_and_update().clone();
        match reach {
            Reach::Connecting => {}
            Reach::Up { epoch } => {
                if let Some(off) = &mut self.no_recovery {
                    off.returned |= std::mem::replace(&mut off.met, true);
                }
                self.core.handle(Event::Up { epoch });
            }
            Reach::Down { .. } => self.core.handle(Event::Down),
        }
    }

    fn publish(&self) {
        let view = View {
            phase: self.core.phase(),
            failure: self.core.failure().cloned(),
            acknowledged: self.core.acknowledged(),
            comparing: self.core.comparing(),
            owed: self.core.owed(),
            comparisons: self.core.comparisons(),
            missing: self.core.missing(),
        };
        let mut shared = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let news = shared.phase != view.phase;
        *shared = view;
        drop(shared);
        if news {
            self.phases.send_modify(|count| *count += 1);
        }
    }

    /// When a recording that was set aside is due; far away where none is.
    async fn next_retry(&self) -> Instant {
        let (reader, id) = (self.index.reader(), self.id);
        let due = tokio::task::spawn_blocking(move || reader.next_retry(id)).await;
        let wait_ms = match due {
            Ok(Ok(Some(due_ms))) => due_ms.saturating_sub(clock::boot_ms()).max(10),
            _ => 3_600_000,
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
            Job::Page { after, limit } => {
                return Done::Page(self.catalog.page(&self.place, after.as_deref(), limit).await);
            }
            Job::Met(token) => {
                self.lease.met(token);
                return Done::Stored;
            }
            Job::Call(call) => self.call(call).await,
            Job::Report => self.report().await,
            Job::Sweep { after } => self.sweep(after).await,
            Job::Pick { limit, bytes_max, before } => self.pick(limit, bytes_max, before).await,
            Job::Note { rows } => {
                let watermark = uuid::Uuid::new_v4().to_string();
                let noted = self.index.note(self.id, watermark.clone(), rows).await;
                noted.map(|gone| Done::Noted { watermark, gone })
            }
            Job::Rows { after, through, limit } => {
                let (reader, id) = (self.index.reader(), self.id);
                blocking(move || reader.range(id, after.as_deref(), through.as_deref(), limit))
                    .await
                    .map(Done::Rows)
            }
            Job::Owe { identity } => self.index.owe(self.id, identity).await.map(|()| Done::Stored),
            Job::Token(token) => self.index.set_token(self.id, token).await.map(|()| Done::Stored),
            Job::Found { findings, missing } => self.found(findings, missing).await,
            Job::Finish { identity, watermark } => self.finish(identity, watermark).await,
            Job::Acknowledge { watermark, outcomes } => self
                .index
                .acknowledge(self.id, watermark, self.acks(outcomes), clock::wall_ms())
                .await
                .map(|()| Done::Stored),
        };
        done.unwrap_or_else(|error| {
            self.fault.tell(&error);
            Done::IndexFailed(error.to_string())
        })
    }

    async fn found(
        &mut self,
        findings: Vec<(i64, i64, Compared)>,
        missing: Vec<Stored>,
    ) -> Result<Done, IndexError> {
        if !findings.is_empty() && self.index.found(findings, clock::wall_ms()).await? > 0 {
            // The catalog has documents of theirs, and the index forgot them: found as missing ones.
            self.compare_once_more = true;
            self.core.handle(Event::CompareDue);
        }
        if missing.is_empty() {
        } else if self.side.scans() == 0 {
            // Before the first scan the index may know little of storage: compared again after it.
            self.compare_after_scan = true;
        } else {
            self.index.add_missing(self.id, missing, clock::wall_ms()).await?;
        }
        Ok(Done::Stored)
    }

    async fn finish(&mut self, identity: String, watermark: String) -> Result<Done, IndexError> {
        let again = self.compare_after_scan || self.compare_once_more;
        self.index.finish_comparison(self.id, identity, watermark, again).await?;
        self.compare_once_more = false;
        Ok(Done::Stored)
    }

    fn acks(&self, outcomes: Vec<(i64, i64, Outcome)>) -> Vec<Ack> {
        outcomes
            .into_iter()
            .filter_map(|(id, generation, outcome)| {
                let outcome = match outcome {
                    Outcome::Acknowledged => AckOutcome::Acknowledged,
                    Outcome::Removed => AckOutcome::Removed,
                    Outcome::Raise(generation) => AckOutcome::Raise { generation },
                    Outcome::SetAside(fault) => {
                        let retry_ms = clock::boot_ms().saturating_add(self.retry_ms);
                        AckOutcome::SetAside { fault, retry_ms }
                    }
                    Outcome::Left => return None,
                };
                Some(Ack { id, generation, outcome })
            })
            .collect()
    }

    async fn pick(
        &mut self,
        limit: usize,
        bytes_max: usize,
        before: Option<i64>,
    ) -> Result<Done, IndexError> {
        let (reader, id) = (self.index.reader(), self.id);
        let picked = blocking(move || reader.pick(id, limit, bytes_max, before)).await?;
        if let Some(off) = &mut self.no_recovery
            && std::mem::take(&mut off.returned)
        {
            // Newest first.
            off.through = picked.first().map_or(off.through, |newest| newest.id);
        }
        let through = self.no_recovery.map_or(i64::MIN, |off| off.through);
        let items = picked
            .into_iter()
            .filter(|pending| pending.id > through)
            .map(|pending| Item {
                id: pending.id,
                generation: pending.generation,
                acknowledged: pending.acknowledged,
                recording: pending.recording,
            })
            .collect();
        Ok(Done::Picked(items))
    }

    async fn call(&self, call: Call) -> Result<Done, IndexError> {
        let place = &self.place;
        let catalog = &self.catalog;
        let around = around(&call);
        around.map(|(before, _)| Point::At(before)).into_iter().for_each(here);
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
        if let Err(failure) = &reply
            && matches!(failure.class, Class::Transient | Class::Unknown)
        {
            self.catalog.doubt();
        }
        Ok(Done::Replied(reply))
    }

    /// Tells the unrecognised collection what has changed.
    async fn report(&self) -> Result<Done, IndexError> {
        let (reader, id) = (self.index.reader(), self.id);
        let reports = blocking(move || reader.unreported(id, REPORTS)).await?;
        let (mut put, mut remove, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for report in reports {
            told.push((report.file, report.seq));
            match report.doc {
                None => remove.push(report.folder_name),
                Some(doc) => put.push(UnrecognisedDoc {
                    folder_name: report.folder_name,
                    file_count: doc.file_count,
                    update_time_ms: doc.since_ms,
                    state: State::from_name(&doc.state).unwrap_or(State::Unreadable),
                    reason: doc.reason,
                }),
            }
        }
        if told.is_empty() {
            return Ok(Done::Reported(Ok(0)));
        }
        here(Point::At(Step::BeforeReport));
        let sent = async {
            if !put.is_empty() {
                self.catalog.put_unrecognised(&self.place, &put).await?;
            }
            if !remove.is_empty() {
                self.catalog.remove_unrecognised(&self.place, &remove).await?;
            }
            Ok(())
        };
        if let Err(failure) = sent.await {
            return Ok(Done::Reported(Err(failure)));
        }
        here(Point::At(Step::AfterReport));
        let count = told.len() as u64;
        self.index.reported(told).await?;
        Ok(Done::Reported(Ok(count)))
    }

    /// Removes a page's worth of what is not unrecognised any more.
    async fn sweep(&self, after: Option<String>) -> Result<Done, IndexError> {
        let page = self.catalog.page_unrecognised(&self.place, after.as_deref(), REPORTS).await;
        let page = match page {
            Ok(page) => page,
            Err(failure) => return Ok(Done::Swept(Err(failure))),
        };
        let last = page.last().map(|doc| doc.folder_name.clone());
        let full = page.len() >= REPORTS;
        let names: Vec<String> = page.into_iter().map(|doc| doc.folder_name).collect();
        let (reader, id, asked) = (self.index.reader(), self.id, names.clone());
        let still = blocking(move || reader.still_unrecognised(id, &asked)).await?;
        let gone: Vec<String> = names
            .into_iter()
            .zip(still)
            .filter(|(_, still)| !still)
            .map(|(name, _)| name)
            .collect();
        if !gone.is_empty() {
            here(Point::At(Step::BeforeSweep));
            if let Err(failure) = self.catalog.remove_unrecognised(&self.place, &gone).await {
                return Ok(Done::Swept(Err(failure)));
            }
            here(Point::At(Step::AfterSweep));
        }
        Ok(Done::Swept(Ok(last.filter(|_| full))))
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

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    tokio::task::spawn_blocking(read).await.map_err(|_| IndexError::Closed)?
}
