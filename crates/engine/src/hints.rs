//! What others do to the catalog, where its database tells of it: looked into within seconds, and not
//! with the next comparison alone.
//!
//! Documents that were changed are compared one by one. Where it is not told which (removed, dropped,
//! too many), a comparison is asked for: the first one at once, and then no more often than every third
//! of the time goes into them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use focus_catalog::{Catalog, ChangeHints, RootPlace};
use focus_core::compare;
use focus_core::reconcile::{Phase, Right};
use focus_index::{Index, RootId};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::driver::View;
use super::lease::LeaseKeeper;
use super::root::ServedRoot;
use focus_common::clock;

/// One change seldom comes alone.
const GATHER: Duration = Duration::from_millis(200);

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(250);

/// Between the end of a comparison and the next one that is asked for, at least.
const PAUSE_MIN: Duration = Duration::from_secs(2);

/// After a failure the changes are followed again no sooner and no later than this.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What the hints of one root need.
#[derive(Clone, Debug)]
pub(super) struct Hinting {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) index: Index,
    pub(super) id: RootId,
    pub(super) place: RootPlace,
    pub(super) lease: Arc<LeaseKeeper>,
    pub(super) view: Arc<Mutex<View>>,
    pub(super) side: Arc<ServedRoot>,
}

impl Hinting {
    /// Starts following the changes, and looking into them.
    pub(super) fn start(self, tasks: &mut JoinSet<()>) {
        let hints = Arc::new(ChangeHints::default());
        tasks.spawn(self.clone().follow(Arc::clone(&hints)));
        tasks.spawn(self.look_into(hints));
    }

    fn is_held(&self) -> bool {
        matches!(self.lease.right(), Right::Granted(_))
    }

    /// What was pending when the database came back is written: that goes before everything else.
    fn is_caught_up(&self) -> bool {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).phase == Phase::InStep
    }

    /// Follows the changes while the lease is ours: who stands by mends nothing.
    async fn follow(self, hints: Arc<ChangeHints>) {
        let (mut news, mut reach) = (self.lease.news(), self.catalog.reach());
        let mut wait = RETRY.0;
        loop {
            news.mark_unchanged();
            reach.mark_unchanged();
            if !self.is_held() || !self.is_caught_up() {
                tokio::select! {
                    _ = news.changed() => {}
                    () = sleep(LOOK) => {}
                }
                continue;
            }
            let lost = async { while news.changed().await.is_ok() && self.is_held() {} };
            let began = Instant::now();
            let followed = tokio::select! {
                followed = self.catalog.follow(&self.place, &hints) => followed,
                () = lost => continue,
            };
            match followed {
                Ok(true) => {
                    wait = RETRY.0;
                    sleep(GATHER).await;
                }
                // Asked again in the next connection: another server may be there.
                Ok(false) => {
                    if reach.changed().await.is_err() {
                        return;
                    }
                }
                Err(failure) => {
                    tracing::debug!("{}: changes are not told: {failure}", self.place.path);
                    if began.elapsed() > RETRY.1 {
                        wait = RETRY.0;
                    }
                    sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
    }

    async fn look_into(self, hints: Arc<ChangeHints>) {
        let mut everything = false;
        // When a comparison was asked for, and how many had been finished then.
        let mut asked: Option<(Instant, u64)> = None;
        let mut not_before = Instant::now();
        loop {
            let finished = self.view.lock().unwrap_or_else(PoisonError::into_inner).comparisons;
            if let Some((began, before)) = asked
                && finished > before
            {
                not_before = Instant::now() + (began.elapsed() * 2).max(PAUSE_MIN);
                asked = None;
            }
            if everything && asked.is_none() && Instant::now() >= not_before {
                tracing::info!(
                    "{}: others have changed the catalog: it is compared with storage",
                    self.place.path
                );
                everything = false;
                asked = Some((Instant::now(), finished));
                self.side.compare.notify_one();
            }
            let tick =
                if everything || asked.is_some() { LOOK } else { Duration::from_secs(3_600) };
            tokio::select! {
                hinted = hints.next() => {
                    everything |= hinted.everything;
                    sleep(GATHER).await;
                    if !hinted.uuids.is_empty() {
                        everything |= !self.compare(hinted.uuids).await;
                    }
                }
                () = sleep(tick) => {}
            }
        }
    }

    /// Compares single documents. False: that did not tell enough.
    async fn compare(&self, uuids: BTreeSet<String>) -> bool {
        let Right::Granted(grant) = self.lease.right() else { return false };
        let names: Vec<String> = uuids.into_iter().collect();
        let Ok(documents) = self.catalog.read(&self.place, &names).await else { return false };
        let (reader, id) = (self.index.reader(), self.id);
        let rows = tokio::task::spawn_blocking(move || reader.rows_of(id, names)).await;
        let Ok(Ok(rows)) = rows else { return false };
        let Some(findings) = compare::spot(&rows, &documents, &self.place.id, grant.token) else {
            return false;
        };
        match self.index.found(findings, clock::wall_ms()).await {
            Ok(gone) => {
                self.side.wake.notify_one();
                gone == 0
            }
            Err(error) => {
                self.side.index_fault.tell(&error);
                false
            }
        }
    }
}
