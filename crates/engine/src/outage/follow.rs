//! Follows the catalog's coming and going, and how a backlog goes down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_catalog::Reach;
use focus_common::clock;
use focus_common::metrics::counters;
use focus_core::outage::{Beginning, Curve, End, OutageRecord};
use focus_core::reconcile::Phase;
use focus_index::{IndexError, Reader, Totals};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::kept;
use super::known::{CatchUp, Known, Measured, Outages, known_recordings};
use crate::view::ReconcilerView;

/// Causes of one outage that are logged at most.
const LOGGED_MAX: usize = 16;

/// The curve of a recovery that goes on is kept so often.
const KEEP_CURVE: Duration = Duration::from_secs(30);

/// How long the index may take to count.
const INDEX_PATIENCE: Duration = Duration::from_secs(2);

/// What is looked at.
pub(crate) struct Followed<A> {
    pub(crate) reach: watch::Receiver<Reach>,
    /// Changes with each phase of a reconciler.
    pub(crate) phases: watch::Receiver<u64>,
    pub(crate) views: Vec<Arc<Mutex<ReconcilerView>>>,
    pub(crate) reader: Reader,
    /// When the database answered last.
    pub(crate) last_answer: A,
}

/// Follows the catalog's coming and going until it is aborted.
pub(crate) async fn follow<A: Fn() -> Option<Instant>>(
    outages: Arc<Outages>,
    mut followed: Followed<A>,
) {
    followed.reach.mark_changed();
    let mut kept_at = Instant::now();
    loop {
        let due = outages.point_due();
        tokio::select! {
            changed = followed.reach.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = followed.reach.borrow_and_update().clone();
                match now {
                    Reach::Connecting => {}
                    Reach::Down { why, refused } => {
                        begin(&outages, why, refused, &followed).await;
                    }
                    Reach::Up { .. } => end(&outages, &followed).await,
                }
            }
            changed = followed.phases.changed() => {
                if changed.is_err() {
                    return;
                }
                followed.phases.borrow_and_update();
                converge(&outages, &followed).await;
            }
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {
                add_point(&outages, &followed.reader).await;
                if kept_at.elapsed() >= KEEP_CURVE {
                    kept_at = Instant::now();
                    outages.keep_last().await;
                }
            }
        }
    }
}

impl Outages {
    /// How long it is until the next point of the curve; none while nothing is being caught up with.
    fn point_due(&self) -> Option<Duration> {
        let known = self.lock();
        let catch_up = known.recovery.as_ref()?;
        let left_ms = catch_up.curve.due_ms().saturating_sub(catch_up.measured.ms());
        // Never in a circle without rest, whatever the clock says.
        Some(Duration::from_millis(left_ms.max(1)))
    }

    /// Keeps the last outage, where waiting for a disk stops nothing else. Where the disk is full, only a
    /// restart forgets.
    async fn keep_last(self: &Arc<Self>) {
        if !self.keeps {
            return;
        }
        let (record, curve) = {
            let known = self.lock();
            let curve = known.recovery.as_ref().map(|catch_up| catch_up.curve.points().to_vec());
            (known.history.newest_first().next().cloned(), curve.unwrap_or_default())
        };
        if let Some(record) = record {
            self.keep(record, curve).await;
        }
    }

    async fn keep(self: &Arc<Self>, record: OutageRecord, curve: Vec<(u64, u64)>) {
        if !self.keeps {
            return;
        }
        let outages = Arc::clone(self);
        let work = move || {
            if let Err(error) = kept::write(&outages.state_dir, &record, &curve) {
                tracing::warn!("an outage cannot be kept in the state folder: {error}");
            }
        };
        // A panic there has been told.
        let _ = tokio::task::spawn_blocking(work).await;
    }

    fn tell_change(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The counts of the index, and how many of the recordings that landed since `since_ms` have never been
/// acknowledged. None where the index does not answer: it says so itself, and an outage is told nevertheless.
async fn counts(reader: &Reader, since_ms: Option<i64>) -> Option<(Totals, u64)> {
    let reader = reader.clone();
    let read = move || {
        let landed = since_ms.map_or(Ok(0), |since_ms| reader.landed_since(since_ms))?;
        Ok::<_, IndexError>((reader.totals()?, landed))
    };
    let read = tokio::time::timeout(INDEX_PATIENCE, tokio::task::spawn_blocking(read));
    read.await.ok()?.ok()?.ok()
}

async fn begin<A: Fn() -> Option<Instant>>(
    outages: &Arc<Outages>,
    why: String,
    refused: bool,
    followed: &Followed<A>,
) {
    let at_ms = clock::wall_ms();
    let goes_on = outages.lock().history.current().is_some();
    let mut beginning =
        Beginning { at_ms, detected_after_ms: None, reason: why.clone(), known_before: u64::MAX };
    if !goes_on {
        let silent = (followed.last_answer)().map(|answered| answered.elapsed());
        if let Some(silent) = silent {
            counters().outage_detect.observe(silent.as_secs_f64());
        }
        beginning.detected_after_ms =
            silent.map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
        // What has landed since the database's last answer landed in the outage.
        let silent_ms = beginning.detected_after_ms.and_then(|ms| i64::try_from(ms).ok());
        let since_ms = silent_ms.map(|ms| at_ms.saturating_sub(ms));
        if let Some((totals, landed)) = counts(&followed.reader, since_ms).await {
            beginning.known_before = known_recordings(&totals).saturating_sub(landed);
        }
    }
    let is_new = {
        let mut known = outages.lock();
        known.recovery = None;
        let (begun, forgotten) = known.history.begin(beginning);
        if begun {
            known.measured = Measured::now();
            known.logged.clear();
        }
        let is_new = known.tell(why, refused, begun);
        drop(known);
        if let Some(id) = forgotten.filter(|_| outages.keeps) {
            kept::remove(&outages.state_dir, id);
        }
        if begun {
            outages.tell_change();
        }
        begun || is_new
    };
    if is_new {
        outages.keep_last().await;
    }
}

impl Known {
    /// Logs the cause, unless the log has it. True where it is a new one.
    fn tell(&mut self, why: String, refused: bool, begun: bool) -> bool {
        if self.logged.contains(&why) || self.logged.len() >= LOGGED_MAX {
            return false;
        }
        if refused {
            tracing::error!("the catalog refuses us: {why}");
        } else if begun {
            tracing::warn!(
                "outage of the catalog begun: {why}. New recordings are kept, and queries answered from the index"
            );
        } else {
            tracing::warn!("the outage of the catalog goes on: {why}");
        }
        self.logged.push(why);
        true
    }
}

async fn end<A>(outages: &Arc<Outages>, followed: &Followed<A>) {
    if outages.lock().history.current().is_none() {
        return;
    }
    let (measured, at_ms) = (Measured::now(), clock::wall_ms());
    let outage_ms = outages.lock().measured.ms();
    let (totals, _) = counts(&followed.reader, None).await.unwrap_or_default();
    let pending = totals.pending;
    let end = End { at_ms, outage_ms, known: known_recordings(&totals), pending };
    let mut curve = Curve::default();
    curve.add(0, pending);
    let acknowledged_before = acknowledged(&followed.views);
    {
        let mut known = outages.lock();
        if known.history.end(end).is_none() {
            return;
        }
        known.recovery = Some(CatchUp { measured, backlog: pending, acknowledged_before, curve });
    }
    outages.tell_change();
    outages.keep_last().await;
    // It may all be caught up by now.
    converge(outages, followed).await;
}

/// Adds a point to the curve of what is being caught up with.
async fn add_point(outages: &Outages, reader: &Reader) {
    let Some((totals, _)) = counts(reader, None).await else { return };
    if let Some(catch_up) = &mut outages.lock().recovery {
        let at_ms = catch_up.measured.ms();
        catch_up.curve.add(at_ms, totals.pending);
    }
}

async fn converge<A>(outages: &Arc<Outages>, followed: &Followed<A>) {
    let in_step = followed.views.iter().all(|view| {
        let phase = view.lock().phase;
        matches!(phase, Phase::InStep | Phase::Standby)
    });
    if !in_step {
        return;
    }
    let Some((converge_ms, lasted)) = outages
        .lock()
        .recovery
        .as_ref()
        .map(|catch_up| (catch_up.measured.ms(), catch_up.measured))
    else {
        return;
    };
    counters().outage_converge.observe(lasted.elapsed().as_secs_f64());
    let (totals, _) = counts(&followed.reader, None).await.unwrap_or_default();
    let ended = {
        let mut known = outages.lock();
        let Some(mut catch_up) = known.recovery.take() else { return };
        catch_up.curve.last(converge_ms, totals.pending);
        let ended = known.history.converge(converge_ms).cloned();
        ended.map(|record| (record, catch_up.curve.points().to_vec()))
    };
    let Some((record, curve)) = ended else { return };
    tracing::info!(
        outage_ms = record.outage_ms,
        pending = record.pending,
        converge_ms,
        "outage of the catalog ended: {} recordings were pending, all catalogued {converge_ms} ms after its return",
        record.pending,
    );
    outages.tell_change();
    outages.keep(record, curve).await;
}

fn acknowledged(views: &[Arc<Mutex<ReconcilerView>>]) -> u64 {
    views.iter().map(|view| view.lock().acknowledged).sum()
}
