//! The driver of a reconciler: it carries out what the core decides, one job at a time and one of the index
//! beside it.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use focus_catalog::{Catalog, ChangedDocuments, Reach, RootPlace};
use focus_common::clock;
use focus_core::reconcile::{Bounds, CatalogMemory, Done, Event, Job, Next, Reconciler};
use focus_index::{Index, RootMemory};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::comparison_cost::{ComparisonCost, Counting};
use super::index_fault::IndexFault;
use super::job_runner::JobRunner;
use super::lease::LeaseKeeper;
use super::pending::PendingSource;
use super::served_root::ServedRoot;
use super::step_log;
use super::view::ReconcilerView;

/// As good as never: whatever happens before wakes the driver, milliseconds.
const FAR_MS: u64 = 3_600_000;

/// The driver of one root.
pub(crate) struct Driver {
    runner: Arc<JobRunner>,
    core: Reconciler,
    /// The job under way beside the present one.
    beside: Option<Pin<Box<dyn Future<Output = Done> + Send>>>,
    reach: watch::Receiver<Reach>,
    wake: Arc<Notify>,
    view: Arc<Mutex<ReconcilerView>>,
    /// Tells of every change of phase.
    phases: watch::Sender<u64>,
    served: Arc<ServedRoot>,
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
            runner: Arc::new(JobRunner {
                catalog: parts.catalog,
                index: parts.index,
                id: parts.memory.id,
                place: parts.place,
                lease: parts.lease,
                fault: parts.fault,
                pending: tokio::sync::Mutex::new(parts.pending),
                retry_ms: parts.refused_retry_ms,
            }),
            beside: None,
            reach,
            wake: parts.wake,
            view: parts.view,
            phases: parts.phases,
            served: parts.served,
            changes: parts.changes,
            scans: 0,
            comparisons_for_changes: 0,
            asked: (0, 0),
            compared_for: 0,
            has_told_stop: false,
            cost: ComparisonCost::new(parts.compare_interval_ms),
        }
    }

    /// Runs until it is aborted; at every await the state of index and catalog is a good one.
    pub(crate) async fn run(mut self) {
        let mut news = self.runner.lease.news();
        loop {
            self.follow_reach();
            self.follow_scans();
            news.mark_unchanged();
            self.core.handle(Event::Lease(self.runner.lease.right()));
            while let Ok(changed) = self.changes.try_recv() {
                self.core.handle(changed_by_others(changed));
            }
            let next = self.core.next_action(clock::boot_ms());
            self.begin_beside();
            self.tell();
            match next {
                Next::Run(job) => self.run_job(job).await,
                Next::Wait { within_ms } => {
                    let until =
                        Instant::now() + Duration::from_millis(fastrand::u64(0..=within_ms));
                    tokio::select! {
                        () = sleep_until(until) => self.core.handle(Event::Timer),
                        done = of(&mut self.beside) => self.done_beside(done),
                        _ = self.reach.changed() => self.reach.mark_changed(),
                        _ = news.changed() => {}
                    }
                }
                Next::Idle { until_ms } => {
                    let retry = Instant::now()
                        + self.runner.next_retry().await.unwrap_or(Duration::from_millis(FAR_MS));
                    tokio::select! {
                        done = of(&mut self.beside) => self.done_beside(done),
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

    /// Carries out a job, and goes on with what the index does beside it.
    async fn run_job(&mut self, job: Job) {
        let counting = Counting::of(&job);
        let runner = Arc::clone(&self.runner);
        let mut work = pin!(counting.future(carried_out(runner, job)));
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                done = of(&mut self.beside) => {
                    self.done_beside(done);
                    self.begin_beside();
                }
            }
        };
        self.follow_reach();
        counting.work(|| self.core.handle(Event::Done(done)));
        self.cost.took(counting.cpu(), self.core.comparisons());
    }

    /// Begins what the index is to do beside the present job, where there is something.
    fn begin_beside(&mut self) {
        if self.beside.is_some() {
            return;
        }
        let job = self.core.next_beside(clock::boot_ms());
        let runner = Arc::clone(&self.runner);
        self.beside = job.map(|job| Box::pin(carried_out(runner, job)) as Pin<Box<_>>);
    }

    fn done_beside(&mut self, done: Done) {
        self.beside = None;
        self.follow_reach();
        self.core.handle(Event::DoneBeside(done));
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
        let mut view = ReconcilerView::of(&self.core, &self.runner.place.path);
        if self.core.comparisons() >= self.asked.1 {
            self.compared_for = self.asked.0;
        }
        view.compared_for = self.compared_for;
        if let Some(words) = &view.stopped
            && !std::mem::replace(&mut self.has_told_stop, true)
        {
            tracing::error!("{words}");
            // Whoever stands by need not wait for it.
            self.runner.lease.give_up();
        }
        let comparisons = self.core.comparisons_for_changes();
        if std::mem::replace(&mut self.comparisons_for_changes, comparisons) < comparisons {
            tracing::info!(
                "{}: others have changed the catalog: it is compared with storage",
                self.runner.place.path
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

    async fn retry(&mut self) {
        match self.runner.index.retry_due(self.runner.id, clock::boot_ms()).await {
            Ok(0) => {}
            Ok(_) => self.core.handle(Event::Wake),
            Err(error) => {
                self.runner.fault.tell(&error);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

/// Carries out a job, and logs what it came to.
async fn carried_out(runner: Arc<JobRunner>, job: Job) -> Done {
    let (name, began) = (job.name(), Instant::now());
    let done = runner.carry_out(job).await;
    tracing::debug!(
        root = runner.place.path,
        step = name,
        ms = began.elapsed().as_millis(),
        "{}",
        step_log::result(&done)
    );
    done
}

/// The result of the job under way beside; never, where there is none.
async fn of(beside: &mut Option<Pin<Box<dyn Future<Output = Done> + Send>>>) -> Done {
    match beside {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
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
