//! Looks at engine and alerts while there are readers, and publishes what has changed. Without readers it waits, and
//! nothing is looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_alerts::Board;
use focus_common::alerts::ListedAlert;
use focus_common::clock;
use focus_common::config::Alerts;
use focus_core::event_ring::{ChangeCounts, ChangeWindow, EventKind};
use focus_core::recording_state::RecordingState;
use focus_engine::Engine;
use focus_index::{Changes, Listed};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::bus::Events;
use crate::api::{Recording, outage_item};

/// Time between two looks, and so between two events with a status.
const LOOK: Duration = Duration::from_millis(250);

/// Where only what flows in the status has changed, it is told so often.
const FLOW: Duration = Duration::from_secs(1);

/// Looks between two looks at the alerts, which are judged once a second.
const LOOKS_PER_ALERTS: u32 = 4;

/// After the last reader has left, it is looked on for so long: it may come again.
const LINGER: Duration = Duration::from_secs(60);

/// Outages that are looked at: one may end and the next begin between two looks.
const OUTAGES: usize = 3;

/// States of recordings that are remembered, so that none is told twice.
const STATES_MAX: usize = 1_024;

/// Fields of the status that flow: they change all the time while something goes on.
const FLOWING: [&str; 6] = ["lag_ms", "outage", "recovery", "fill", "comparison", "verification"];

/// What alerts are raised, and the settings of alerts.
type Alerting = watch::Receiver<(Arc<Board>, Arc<Alerts>)>;

/// Feeds the readers of events until it is aborted.
pub async fn feed(events: Arc<Events>, engines: watch::Receiver<Arc<Engine>>, alerting: Alerting) {
    loop {
        events.wanted().await;
        let mut source = Source::begin(Arc::clone(&events), engines.clone(), alerting.clone());
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut read_at = Instant::now();
        loop {
            ticks.tick().await;
            source.look().await;
            if events.has_readers() {
                read_at = Instant::now();
            } else if read_at.elapsed() > LINGER && events.rest() {
                break;
            }
        }
        source.engine.change_tap().open(false);
    }
}

/// What was told last.
struct Source {
    events: Arc<Events>,
    engines: watch::Receiver<Arc<Engine>>,
    alerting: Alerting,
    engine: Arc<Engine>,
    outage_changes: watch::Receiver<u64>,
    looks: u32,
    status: Value,
    status_at: Option<Instant>,
    /// By id; none before the first look.
    outages: Option<BTreeMap<u64, Value>>,
    /// The alerts that fire: rule, root, since when. None before the first look.
    alerts: Option<BTreeSet<(String, Option<String>, String)>>,
    window: ChangeWindow,
    acknowledged: u64,
    states: HashMap<String, RecordingState>,
}

/// What was seen in one look.
struct Seen {
    status: Value,
    outages: Option<Vec<(u64, Value)>>,
    changed: Vec<Listed>,
    counts: Option<(ChangeCounts, u64, u64)>,
}

impl Source {
    fn begin(
        events: Arc<Events>,
        engines: watch::Receiver<Arc<Engine>>,
        alerting: Alerting,
    ) -> Source {
        let engine = Arc::clone(&engines.borrow());
        engine.change_tap().open(true);
        let mut outage_changes = engine.outage_changes();
        outage_changes.mark_changed();
        Source {
            events,
            engines,
            alerting,
            acknowledged: engine.acknowledged(),
            engine,
            outage_changes,
            looks: 0,
            status: Value::Null,
            status_at: None,
            outages: None,
            alerts: None,
            window: ChangeWindow::default(),
            states: HashMap::new(),
        }
    }

    async fn look(&mut self) {
        let engine = Arc::clone(&self.engines.borrow());
        if !Arc::ptr_eq(&engine, &self.engine) {
            engine.change_tap().open(true);
            self.outage_changes = engine.outage_changes();
            self.outage_changes.mark_changed();
            self.acknowledged = engine.acknowledged();
            self.engine = engine;
        }
        if self.looks.is_multiple_of(LOOKS_PER_ALERTS) {
            self.tell_alerts();
        }
        self.looks = self.looks.wrapping_add(1);
        let (rows, counts) = self.changes();
        let wants_outages = self.outage_changes.has_changed().unwrap_or(false);
        self.outage_changes.mark_unchanged();
        let engine = Arc::clone(&self.engine);
        let look = move || see(&engine, wants_outages, &rows, counts);
        // A panic there has been told.
        let Ok(seen) = tokio::task::spawn_blocking(look).await else { return };
        self.tell_recordings(seen.changed, seen.counts);
        if let Some(outages) = seen.outages {
            self.tell_outages(outages);
        }
        self.tell_status(seen.status);
    }

    /// The rows of recordings that are told one by one, and the counts of a second that had too many.
    fn changes(&mut self) -> (Vec<i64>, Option<ChangeCounts>) {
        let Changes { rows, has_more, landed } = self.engine.change_tap().take();
        let acknowledged = self.engine.acknowledged();
        let catalogued = acknowledged.saturating_sub(self.acknowledged);
        self.acknowledged = acknowledged;
        let counts = ChangeCounts { landed, catalogued };
        self.window.take(clock::boot_ms(), rows, has_more, counts)
    }

    fn tell_recordings(&mut self, changed: Vec<Listed>, counts: Option<(ChangeCounts, u64, u64)>) {
        if let Some((counts, recordings, pending)) = counts {
            self.states.clear();
            let value = json!({
                "landed": counts.landed,
                "catalogued": counts.catalogued,
                "recordings": recordings,
                "pending": pending,
            });
            self.events.publish(EventKind::Recordings, &value);
        }
        for one in changed {
            if self.states.len() >= STATES_MAX {
                self.states.clear();
            }
            if self.states.insert(one.uuid.clone(), one.state) == Some(one.state) {
                continue;
            }
            let value = json!(Recording::of(&one));
            self.events.publish(EventKind::Recording, &value);
        }
    }

    fn tell_outages(&mut self, outages: Vec<(u64, Value)>) {
        let now: BTreeMap<u64, Value> = outages.into_iter().collect();
        if let Some(before) = &self.outages {
            for (id, outage) in &now {
                if before.get(id) != Some(outage) {
                    self.events.publish(EventKind::Outage, outage);
                }
            }
        }
        self.outages = Some(now);
    }

    fn tell_alerts(&mut self) {
        let (board, settings) = self.alerting.borrow().clone();
        let (firing, over): (Vec<ListedAlert>, Vec<ListedAlert>) =
            board.listed(&settings).items.into_iter().partition(ListedAlert::is_firing);
        let key =
            |alert: &ListedAlert| (alert.rule.clone(), alert.root.clone(), alert.since.clone());
        let now: BTreeSet<_> = firing.iter().map(key).collect();
        if let Some(before) = &self.alerts {
            for alert in firing.iter().filter(|alert| !before.contains(&key(alert))) {
                self.events.publish(EventKind::Alert, &json!(alert));
            }
            let ended =
                |alert: &&ListedAlert| before.contains(&key(alert)) && !now.contains(&key(alert));
            for alert in over.iter().filter(ended) {
                self.events.publish(EventKind::Alert, &json!(alert));
            }
        }
        self.alerts = Some(now);
    }

    fn tell_status(&mut self, status: Value) {
        let is_wanted = self.events.take_wants_status();
        let flows = self.status_at.is_none_or(|at| at.elapsed() >= FLOW) && status != self.status;
        if is_wanted || flows || !is_alike(&status, &self.status) {
            self.events.publish(EventKind::Status, &status);
            self.status_at = Some(Instant::now());
            self.status = status;
        }
    }
}

/// Everything that blocks in a look.
fn see(engine: &Engine, wants_outages: bool, rows: &[i64], counts: Option<ChangeCounts>) -> Seen {
    let status = engine.status();
    let outages = wants_outages.then(|| engine.outages().ok()).flatten().map(|outages| {
        outages.iter().take(OUTAGES).map(|outage| (outage.id, outage_item(outage))).collect()
    });
    let changed = match rows {
        [] => Vec::new(),
        rows => engine.reader().changed(rows).unwrap_or_default(),
    };
    let counts = counts.map(|counts| (counts, status.recordings, status.pending));
    Seen { status: json!(status), outages, changed, counts }
}

/// Whether two statuses are the same but for what flows.
fn is_alike(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return one == other;
    };
    one.len() == other.len()
        && one.iter().all(|(name, value)| {
            let there = other.get(name);
            if FLOWING.contains(&name.as_str()) {
                // That it began or ended is news; how far it is flows.
                there.is_some_and(|there| there.is_null() == value.is_null())
            } else {
                there == Some(value)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flows_in_a_status_is_no_news_and_its_beginning_and_end_are() {
        let status = |pending: u64, outage: Value, lag_ms: u64| json!({ "pending": pending, "outage": outage, "lag_ms": lag_ms });
        let goes_on = |ms: u64| status(1, json!({ "outage_ms": ms }), ms);
        assert!(is_alike(&goes_on(1), &goes_on(2)));
        assert!(!is_alike(&goes_on(1), &status(2, json!({ "outage_ms": 1 }), 1)));
        assert!(!is_alike(&goes_on(1), &status(1, Value::Null, 1)));
        assert!(!is_alike(&goes_on(1), &Value::Null));
    }
}
