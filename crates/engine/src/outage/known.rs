//! What is known of outages while a server runs: the history, and the clocks.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use focus_common::clock;
use focus_common::status::{Outage, Recovery};
use focus_core::outage::{Curve, History, OutageRecord};
use focus_index::Totals;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::kept;

/// What is known of outages. It survives a restart of the server.
#[derive(Debug)]
pub(crate) struct Outages {
    known: Mutex<Known>,
    pub(super) state_dir: PathBuf,
    /// What is known is kept for the next server.
    pub(super) keeps: bool,
    /// Counts beginnings, ends and convergences.
    pub(super) changes: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct Known {
    pub(super) history: History,
    /// How long the outage goes on.
    pub(super) measured: Measured,
    /// The causes of the outage that goes on that the log has, so that two that take turns do not fill it.
    pub(super) logged: Vec<String>,
    /// What the last one left is being written.
    pub(super) recovery: Option<CatchUp>,
}

/// A time that began under this server, or under an earlier one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    since: Instant,
    /// What had passed before.
    before: Duration,
}

impl Measured {
    pub(super) fn now() -> Measured {
        Measured { since: Instant::now(), before: Duration::ZERO }
    }

    /// Since a time of the wall clock, milliseconds since 1970.
    pub(super) fn since_ms(at_ms: i64) -> Measured {
        let passed_ms = clock::wall_ms().saturating_sub(at_ms);
        let before = Duration::from_millis(u64::try_from(passed_ms).unwrap_or(0));
        Measured { before, ..Measured::now() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.before + self.since.elapsed()
    }

    pub(super) fn ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The writing of what an outage has left.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// Since the catalog came back.
    pub(super) measured: Measured,
    /// Recordings that were pending then.
    pub(super) backlog: u64,
    /// Recordings acknowledged since the start by then.
    pub(super) acknowledged_before: u64,
    pub(super) curve: Curve,
}

impl Outages {
    /// With what an earlier server has kept in the state folder. An outage that went on goes on, until the
    /// catalog is met. `keeps`: for the next server, too.
    pub(crate) fn of(state_dir: &Path, keeps: bool) -> Outages {
        let history = History::of(kept::read_all(state_dir));
        let measured = history
            .current()
            .map_or_else(Measured::now, |current| Measured::since_ms(current.began_ms));
        let recovery = history.catching_up().map(|last| CatchUp {
            measured: Measured::since_ms(last.ended_ms.unwrap_or(last.began_ms)),
            backlog: last.pending,
            acknowledged_before: 0,
            curve: Curve::of(&kept::read_curve(state_dir, last.id).unwrap_or_default()),
        });
        Outages {
            known: Mutex::new(Known { history, measured, logged: Vec::new(), recovery }),
            state_dir: state_dir.to_owned(),
            keeps,
            changes: watch::Sender::new(0),
        }
    }

    pub(super) fn lock(&self) -> parking_lot::MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// The outage that goes on now; `pending` is what it has left so far.
    pub(crate) fn now(&self, pending: u64) -> Option<Outage> {
        let known = self.lock();
        let outage_ms = known.measured.ms();
        known.history.current().map(|current| Outage { outage_ms, pending, ..told(current) })
    }

    /// How many outages this state folder has seen, with the one that goes on.
    pub(crate) fn count(&self) -> u64 {
        self.lock().history.count()
    }

    /// The last one that ended.
    pub(crate) fn last(&self) -> Option<Outage> {
        self.lock().history.last_ended().map(told)
    }

    /// Progress on what the last one left; `acknowledged` counts since the start.
    pub(crate) fn recovery(&self, pending: u64, acknowledged: u64) -> Option<Recovery> {
        let known = self.lock();
        let catch_up = known.recovery.as_ref()?;
        let written = acknowledged.saturating_sub(catch_up.acknowledged_before);
        let seconds = catch_up.measured.elapsed().as_secs_f64();
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

    /// All that are kept, the newest first; the one that goes on as it is now.
    pub(super) fn listed(&self, totals: &Totals) -> Vec<OutageRecord> {
        let known = self.lock();
        let outage_ms = known.measured.ms();
        let as_now = |record: &OutageRecord| match record.ended_ms {
            Some(_) => record.clone(),
            None => OutageRecord {
                outage_ms,
                landed: known_recordings(totals).saturating_sub(record.known_before),
                pending: totals.pending,
                ..record.clone()
            },
        };
        known.history.newest_first().map(as_now).collect()
    }

    /// How the backlog of one went down; none where there is no such outage.
    pub(super) fn curve(&self, id: u64) -> Option<Vec<(u64, u64)>> {
        let known = self.lock();
        let record = known.history.get(id)?;
        match &known.recovery {
            Some(catch_up) if known.history.catching_up() == Some(record) => {
                Some(catch_up.curve.points().to_vec())
            }
            _ => {
                let converge_ms = record.converge_ms;
                drop(known);
                let kept = kept::read_curve(&self.state_dir, id).unwrap_or_default();
                // What is told of it may be ahead of the file.
                let mut curve = Curve::of(&kept);
                if let Some(converge_ms) = converge_ms {
                    curve.last(converge_ms, 0);
                }
                Some(curve.points().to_vec())
            }
        }
    }
}

/// As the status tells it.
fn told(record: &OutageRecord) -> Outage {
    Outage {
        began_at: clock::rfc3339(record.began_ms),
        ended_at: record.ended_ms.map(clock::rfc3339),
        outage_ms: record.outage_ms,
        reason: record.reason.clone(),
        pending: record.pending,
        converge_ms: record.converge_ms,
    }
}

/// All recordings that the index has rows of.
pub(super) fn known_recordings(totals: &Totals) -> u64 {
    totals.recordings.saturating_add(totals.marked)
}
