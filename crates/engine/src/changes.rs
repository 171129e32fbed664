//! What others do to the catalog, where its database tells of it.
//!
//! The holder of a lease follows the changes and hands them to its reconciler, which decides what to
//! compare, and when.

use std::sync::Arc;
use std::time::Duration;

use focus_catalog::{Catalog, ChangeHints, ChangedDocuments, RootPlace};
use focus_core::reconcile::{Phase, Right};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::lease::LeaseKeeper;
use super::view::ReconcilerView;

/// One change seldom comes alone.
const GATHER: Duration = Duration::from_millis(200);

/// Between two looks at whether the changes are to be followed.
const LOOK: Duration = Duration::from_millis(250);

/// After a failure the changes are followed again no sooner and no later than this.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Follows the changes of one root's documents.
#[derive(Clone, Debug)]
pub(super) struct ChangeListener {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) place: RootPlace,
    pub(super) lease: Arc<LeaseKeeper>,
    pub(super) view: Arc<Mutex<ReconcilerView>>,
}

impl ChangeListener {
    /// Starts following the changes. What they come to is received here; while nobody receives it,
    /// later changes gather in [`ChangeHints`], which is bounded.
    pub(super) fn start(self, tasks: &mut JoinSet<()>) -> mpsc::Receiver<ChangedDocuments> {
        let hints = Arc::new(ChangeHints::default());
        let (told, changes) = mpsc::channel(1);
        tasks.spawn(gather(Arc::clone(&hints), told));
        tasks.spawn(self.follow(hints));
        changes
    }

    fn is_held(&self) -> bool {
        matches!(self.lease.right(), Right::Granted(_))
    }

    /// What was pending when the database came back is written: that goes before everything else.
    fn is_caught_up(&self) -> bool {
        self.view.lock().phase == Phase::InStep
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
}

/// Hands the changes to the driver, those of a while together.
async fn gather(hints: Arc<ChangeHints>, told: mpsc::Sender<ChangedDocuments>) {
    loop {
        let changed = hints.next().await;
        sleep(GATHER).await;
        if told.send(changed).await.is_err() {
            return;
        }
    }
}
