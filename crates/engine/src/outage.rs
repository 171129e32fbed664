//! Outages of the catalog: when one began and ended, and how fast what it left was caught up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_catalog::Reach;
use focus_core::reconcile::Phase;
use focus_index::Reader;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::view::ReconcilerView;
use focus_common::metrics::counters;
use focus_common::status::{Outage, Recovery};
use focus_common::{clock, state_dir};

/// Causes of one outage that are logged at most.
const LOGGED_MAX: usize = 16;

/// The file of the outages in the state folder.
const FILE: &str = "outages.json";

/// What is known of outages. The beginning of one survives a restart of the server.
#[derive(Debug)]
pub(crate) struct Outages {
    known: Mutex<Known>,
    /// Where they are kept; none for an engine that only reads.
    file: Option<PathBuf>,
}

/// What the state folder has of outages.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The outage that goes on.
    now: Option<Began>,
    /// The last one that ended.
    last: Option<Outage>,
    /// How many there were.
    #[serde(default)]
    count: u64,
}

/// The beginning of an outage that goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Began {
    /// Milliseconds since 1970.
    began_ms: i64,
    reason: String,
}

#[derive(Debug, Default)]
struct Known {
    /// The outage that goes on.
    now: Option<CurrentOutage>,
    /// The last one that ended.
    last: Option<Outage>,
    /// What the last one left is being written.
    recovery: Option<CatchUp>,
    /// How many there were, with the one that goes on.
    count: u64,
}

/// An outage that goes on.
#[derive(Debug)]
struct CurrentOutage {
    /// When it began, milliseconds since 1970.
    began_ms: i64,
    /// Since when it is measured here.
    since: Instant,
    /// What it had lasted before: it began under an earlier server.
    before: Duration,
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

impl CurrentOutage {
    fn outage_ms(&self) -> u64 {
        u64::try_from((self.before + self.since.elapsed()).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Outages {
    /// With what an earlier server has kept in the state folder. A file that cannot be read says nothing.
    /// `keeps`: for the next server, too.
    pub(crate) fn of(state_dir: &Path, keeps: bool) -> Outages {
        let file = state_dir.join(FILE);
        let kept: Option<Kept> =
            std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Kept { now, last, count } = kept.unwrap_or_default();
        let now = now.map(|Began { began_ms, reason }| {
            let passed_ms = clock::wall_ms().saturating_sub(began_ms);
            CurrentOutage {
                began_ms,
                since: Instant::now(),
                before: Duration::from_millis(u64::try_from(passed_ms).unwrap_or(0)),
                reason,
                logged: Vec::new(),
            }
        });
        Outages {
            known: Mutex::new(Known { now, last, recovery: None, count }),
            file: keeps.then_some(file),
        }
    }

    /// Keeps what is known for the next server. Where the disk is full, only a restart forgets.
    fn keep(&self) {
        let Some(file) = &self.file else { return };
        let kept = {
            let known = self.lock();
            let now = known.now.as_ref();
            Kept {
                now: now.map(|now| Began { began_ms: now.began_ms, reason: now.reason.clone() }),
                last: known.last.clone(),
                count: known.count,
            }
        };
        let part = file.with_extension("part");
        let stored = serde_json::to_vec(&kept)
            .map_err(std::io::Error::from)
            .and_then(|bytes| state_dir::write_private(&part, &bytes))
            .and_then(|()| std::fs::rename(&part, file));
        if let Err(error) = stored {
            tracing::warn!("{} cannot be written: {error}", file.display());
        }
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// The outage that goes on now; `pending` is what it has left so far.
    pub(crate) fn now(&self, pending: u64) -> Option<Outage> {
        self.lock().now.as_ref().map(|current| Outage {
            began_at: clock::rfc3339(current.began_ms),
            ended_at: None,
            outage_ms: current.outage_ms(),
            reason: current.reason.clone(),
            pending,
            converge_ms: None,
        })
    }

    /// How many outages this state folder has seen, with the one that goes on.
    pub(crate) fn count(&self) -> u64 {
        self.lock().count
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
    last_answer: impl Fn() -> Option<Instant>,
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
                    Reach::Down { why, refused } => {
                        if begin(&outages, why, refused, last_answer()) {
                            keep(&outages).await;
                        }
                    }
                    Reach::Up { .. } => {
                        if end(&outages, &views, &reader).await {
                            keep(&outages).await;
                        }
                    }
                }
            }
            changed = phases.changed() => {
                if changed.is_err() {
                    return;
                }
                phases.borrow_and_update();
                if converge(&outages, &views) {
                    keep(&outages).await;
                }
            }
        }
    }
}

/// Keeps what is known, where waiting for a disk stops nothing else.
async fn keep(outages: &Arc<Outages>) {
    let outages = Arc::clone(outages);
    // A panic there has been told.
    let _ = tokio::task::spawn_blocking(move || outages.keep()).await;
}

/// True: something is to be kept.
fn begin(outages: &Outages, why: String, refused: bool, answered: Option<Instant>) -> bool {
    let mut known = outages.lock();
    known.recovery = None;
    let goes_on = known.now.is_some();
    if !goes_on {
        known.count += 1;
        if let Some(answered) = answered {
            counters().outage_detect.observe(answered.elapsed().as_secs_f64());
        }
    }
    let current = known.now.get_or_insert_with(|| CurrentOutage {
        began_ms: clock::wall_ms(),
        since: Instant::now(),
        before: Duration::ZERO,
        reason: String::new(),
        logged: Vec::new(),
    });
    current.reason.clone_from(&why);
    if current.logged.contains(&why) || current.logged.len() >= LOGGED_MAX {
        return !goes_on;
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
    true
}

/// True: something is to be kept.
async fn end(outages: &Outages, views: &[Arc<Mutex<ReconcilerView>>], reader: &Reader) -> bool {
    let (since, returned_ms) = (Instant::now(), clock::wall_ms());
    let reader = reader.clone();
    let totals = tokio::task::spawn_blocking(move || reader.totals()).await;
    let pending = totals.ok().and_then(Result::ok).map_or(0, |totals| totals.pending);
    let acknowledged_before = acknowledged(views);
    let mut known = outages.lock();
    let Some(current) = known.now.take() else { return false };
    known.last = Some(Outage {
        began_at: clock::rfc3339(current.began_ms),
        ended_at: Some(clock::rfc3339(returned_ms)),
        outage_ms: current.outage_ms(),
        reason: current.reason,
        pending,
        converge_ms: None,
    });
    known.recovery = Some(CatchUp { since, backlog: pending, acknowledged_before });
    drop(known);
    // It may all be caught up by now.
    converge(outages, views);
    true
}

/// True: something is to be kept.
fn converge(outages: &Outages, views: &[Arc<Mutex<ReconcilerView>>]) -> bool {
    let in_step = views.iter().all(|view| {
        let phase = view.lock().phase;
        matches!(phase, Phase::InStep | Phase::Standby)
    });
    if !in_step {
        return false;
    }
    let mut known = outages.lock();
    let Some(catch_up) = known.recovery.take() else { return false };
    let converge_ms = millis(catch_up.since);
    counters().outage_converge.observe(catch_up.since.elapsed().as_secs_f64());
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
    true
}

fn acknowledged(views: &[Arc<Mutex<ReconcilerView>>]) -> u64 {
    views.iter().map(|view| view.lock().acknowledged).sum()
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
