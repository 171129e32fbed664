//! The last hour of the numbers that the first page shows as lines, and since when each part of the server is in
//! its state. In memory: it begins at the start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use focus_alerts::Board;
use focus_common::clock;
use focus_common::status::{IndexState, Status};
use focus_engine::Engine;
use focus_hints::HintQueues;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(10);

/// Samples that are kept: an hour.
const SAMPLES_MAX: usize = 360;

/// Parts whose states are remembered, at most: three of each root, and some of the server.
const PARTS_MAX: usize = 1_024;

/// What was true at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Recordings that the catalog had not acknowledged.
    pub pending: u64,
    /// Age of the oldest of them; 0 without one.
    pub lag_ms: u64,
}

/// A part of the server that has a state of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The catalog.
    Catalog,
    /// The index.
    Index,
    /// The text index.
    TextIndex,
    /// Alerts.
    Alerts,
    /// The folder of the root with this path.
    Root(String),
    /// Its lease.
    Lease(String),
    /// Its watch.
    Watch(String),
    /// The queue of hints with this name.
    Hints(String),
}

/// Since when a part is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Since the server started, or before.
    Start(i64),
    /// Since this moment, milliseconds since 1970, or up to 10 s before it.
    Seen(i64),
}

/// The last hour.
#[derive(Debug, Default)]
pub struct History {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    samples: VecDeque<Sample>,
    states: BTreeMap<Part, (String, Since)>,
    has_begun: bool,
}

impl History {
    /// Takes what is true now.
    pub(crate) fn take(&self, status: &Status, now_ms: i64) {
        let mut kept = self.kept.lock();
        let sample = Sample { at_ms: now_ms, pending: status.pending, lag_ms: status.lag_ms };
        kept.samples.push_back(sample);
        while kept.samples.len() > SAMPLES_MAX {
            kept.samples.pop_front();
        }
        let has_begun = std::mem::replace(&mut kept.has_begun, true);
        let mut states = BTreeMap::new();
        for (part, state) in states_of(status).into_iter().take(PARTS_MAX) {
            let since = match kept.states.remove(&part) {
                Some((before, since)) if before == state => since,
                Some(_) => Since::Seen(now_ms),
                None if has_begun => Since::Seen(now_ms),
                None => Since::Start(now_ms),
            };
            states.insert(part, (state, since));
        }
        kept.states = states;
    }

    /// The samples, the oldest first.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.kept.lock().samples.iter().copied().collect()
    }

    /// Since when each part of this status is in its state; without those that changed since the last sample.
    pub(crate) fn since(&self, status: &Status) -> BTreeMap<Part, Since> {
        let kept = self.kept.lock();
        let known = states_of(status).into_iter().filter_map(|(part, state)| {
            let (before, since) = kept.states.get(&part)?;
            (*before == state).then_some((part, *since))
        });
        known.collect()
    }
}

/// The state of each part.
fn states_of(status: &Status) -> Vec<(Part, String)> {
    let text_index = status.text_index.done < status.text_index.of;
    let firing = status.alerts.as_ref().map_or(0, |alerts| alerts.firing);
    let mut states = vec![
        (Part::Catalog, status.catalog_state.name().to_owned()),
        (Part::Index, index(status.index_state).to_owned()),
        (Part::TextIndex, text_index.to_string()),
        (Part::Alerts, (firing > 0).to_string()),
    ];
    for root in &status.roots {
        states.push((Part::Root(root.path.clone()), root.state.name().to_owned()));
        states.push((Part::Lease(root.path.clone()), root.lease.name().to_owned()));
        states.push((Part::Watch(root.path.clone()), root.watch.name().to_owned()));
    }
    let hints = status.hints.iter();
    states.extend(hints.map(|one| (Part::Hints(one.name.clone()), one.state.name().to_owned())));
    states
}

/// An index that was made anew works.
fn index(state: IndexState) -> &'static str {
    if state == IndexState::Rebuilt { IndexState::Ok.name() } else { state.name() }
}

/// Takes samples until it is aborted.
pub async fn keep(
    history: Arc<History>,
    engines: watch::Receiver<Arc<Engine>>,
    hint_queues: Arc<HintQueues>,
    board: impl Fn() -> Arc<Board>,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let engine = Arc::clone(&engines.borrow());
        let read = tokio::task::spawn_blocking(move || engine.status());
        // A panic there has been told.
        let Ok(mut status) = read.await else { continue };
        status.hints = hint_queues.status();
        status.alerts = Some(board().status());
        history.take(&status, clock::wall_ms());
    }
}

#[cfg(test)]
mod tests {
    use focus_common::status::CatalogState;

    use super::*;

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let history = History::default();
        for n in 0..500 {
            let status = Status { pending: n, ..Status::default() };
            history.take(&status, n as i64 * 10_000);
        }
        let samples = history.samples();
        assert_eq!(samples.len(), SAMPLES_MAX);
        let last = samples.last().expect("samples");
        assert_eq!((last.pending, last.at_ms - samples[0].at_ms), (499, 3_590_000));
    }

    #[test]
    fn a_state_lasts_since_it_was_first_seen() {
        let history = History::default();
        let status = |catalog_state| Status { catalog_state, ..Status::default() };
        let since = |state| history.since(&status(state)).get(&Part::Catalog).copied();
        assert_eq!(since(CatalogState::InStep), None);
        history.take(&status(CatalogState::InStep), 10);
        history.take(&status(CatalogState::InStep), 20);
        assert_eq!(since(CatalogState::InStep), Some(Since::Start(10)));
        assert_eq!(since(CatalogState::Down), None, "it has changed a moment ago");
        history.take(&status(CatalogState::Down), 30);
        history.take(&status(CatalogState::Down), 40);
        assert_eq!(since(CatalogState::Down), Some(Since::Seen(30)));
    }
}
