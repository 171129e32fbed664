//! Outages of the catalog: when one began and ended, and how fast what it left was caught up.

use std::sync::Arc;
use std::time::Instant;

use focus_catalog::Reach;
use focus_core::reconcile::Phase;
use focus_index::Reader;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::view::ReconcilerView;
use focus_common::clock;
use focus_common::status::{Outage, Recovery};

/// Causes of one outage that are logged at most.
const LOGGED_MAX: usize = 16;

/// What is known of outages.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The outage that goes on.
    now: Option<CurrentOutage>,
    /// The last one that ended.
    last: Option<Outage>,
    /// What the last one left is being written.
    recovery: Option<CatchUp>,
}

/// An outage that goes on.
#[derive(Debug)]
struct CurrentOutage {
    /// When it began, milliseconds since 1970.
    began_ms: i64,
    /// When it began, for measuring.
    began: Instant,
    /// Its cause, as last known.
    reason: String,
    /// The causes that the log has, so that two that take turns do not fill it.
    logged: Vec<String>,
}

/// The writing of what an outage has left.
#[derive(Debug)]
struct CatchUp {
    /// When the catalog came back.
    since: Instant,
    /// Recordings that were pending then.
    backlog: u64,
    /// Recordings acknowledged since the start by then.
    acknowledged_before: u64,
}

impl Outages {
    fn lock(&self) -> parking_lot::MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// The outage that goes on now; `pending` is what it has left so far.
    pub(crate) fn now(&self, pending: u64) -> Option<Outage> {
        self.lock().now.as_ref().map(|current| Outage {
            began_at: clock::rfc3339(current.began_ms),
            ended_at: None,
            outage_ms: millis(current.began),
            reason: current.reason.clone(),
            pending,
            converge_ms: None,
        })
    }

    /// The last one that ended.
    pub(crate) fn last(&self) -> Option<Outage> {
        self.lock().last.clone()
    }

    /// Progress on what the last one left; `acknowledged` counts since the start.
    pub(crate) fn recovery(&self, pending: u64, acknowledged: u64) -> Option<Recovery> {
        let known = self.lock();
        let catch_up = known.recovery.as_ref()?;
        let written = acknowledged.saturating_sub(catch_up.acknowledged_before);
        let seconds = catch_up.since.elapsed().as_secs_f64();
        let rate_per_s = if seconds > 0.0 { written as f64 / seconds } else { 0.0 };
        let left_ms = (rate_per_s > 0.0).then(|| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an estimate for people"
            )]
            let ms = (pending as f64 / rate_per_s * 1_000.0) as u64;
            ms
        });
        Some(Recovery { backlog: catch_up.backlog, written, rate_per_s, left_ms })
    }
}

/// Follows the catalog's coming and going until it is aborted.
pub(crate) async fn follow(
    outages: Arc<Outages>,
    mut reach: watch::Receiver<Reach>,
    mut phases: watch::Receiver<u64>,
    views: Vec<Arc<Mutex<ReconcilerView>>>,
    reader: Reader,
) {
    reach.mark_changed();
    loop {
        tokio::select! {
            changed = reach.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = reach.borrow_and_update().clone();
                match now {
                    Reach::Connecting => {}
                    Reach::Down { why, refused } => begin(&outages, why, refused),
                    Reach::Up { .. } => end(&outages, &views, &reader).await,
                }
            }
            changed = phases.changed() => {
                if changed.is_err() {
                    return;
                }
                phases.borrow_and_update();
                converge(&outages, &views);
            }
        }
    }
}

fn begin(outages: &Outages, why: String, refused: bool) {
    let mut known = outages.lock();
    known.recovery = None;
    let goes_on = known.now.is_some();
    let current = known.now.get_or_insert_with(|| CurrentOutage {
        began_ms: clock::wall_ms(),
        began: Instant::now(),
        reason: String::new(),
        logged: Vec::new(),
    });
    current.reason.clone_from(&why);
    if current.logged.contains(&why) || current.logged.len() >= LOGGED_MAX {
        return;
    }
    if refused {
        tracing::error!("the catalog refuses us: {why}");
    } else if goes_on {
        tracing::warn!("the outage of the catalog goes on: {why}");
    } else {
        tracing::warn!(
            "outage of the catalog begun: {why}. New recordings are kept, and queries answered from the index"
        );
    }
    current.logged.push(why);
}

async fn end(outages: &Outages, views: &[Arc<Mutex<ReconcilerView>>], reader: &Reader) {
    let (since, returned_ms) = (Instant::now(), clock::wall_ms());
    let reader = reader.clone();
    let totals = tokio::task::spawn_blocking(move || reader.totals()).await;
    let pending = totals.ok().and_then(Result::ok).map_or(0, |totals| totals.pending);
    let acknowledged_before = acknowledged(views);
    let mut known = outages.lock();
    let Some(current) = known.now.take() else { return };
    known.last = Some(Outage {
        began_at: clock::rfc3339(current.began_ms),
        ended_at: Some(clock::rfc3339(returned_ms)),
        outage_ms: u64::try_from(since.duration_since(current.began).as_millis())
            .unwrap_or(u64::MAX),
        reason: current.reason,
        pending,
        converge_ms: None,
    });
    known.recovery = Some(CatchUp { since, backlog: pending, acknowledged_before });
    drop(known);
    // It may all be caught up by now.
    converge(outages, views);
}

fn converge(outages: &Outages, views: &[Arc<Mutex<ReconcilerView>>]) {
    let in_step = views.iter().all(|view| {
        let phase = view.lock().phase;
        matches!(phase, Phase::InStep | Phase::Standby)
    });
    if !in_step {
        return;
    }
    let mut known = outages.lock();
    let Some(catch_up) = known.recovery.take() else { return };
    let converge_ms = millis(catch_up.since);
    if let Some(last) = &mut known.last {
        last.converge_ms = Some(converge_ms);
        tracing::info!(
            outage_ms = last.outage_ms,
            pending = last.pending,
            converge_ms,
            "outage of the catalog ended: {} recordings were pending, all catalogued {converge_ms} ms after its return",
            last.pending,
        );
    }
}

fn acknowledged(views: &[Arc<Mutex<ReconcilerView>>]) -> u64 {
    views.iter().map(|view| view.lock().acknowledged).sum()
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
