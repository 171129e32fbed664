//! The last events, and the readers. Who publishes never waits; a reader takes what it has not read yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use focus_core::event_ring::{Event, EventKind, EventRing, Wanted};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Notify, watch};

/// Readers at the same time, at most.
pub const READERS_MAX: usize = 128;

/// The events of this run of the server.
#[derive(Debug)]
pub struct Events {
    /// Tells the ids of this run from those of another.
    boot: String,
    ring: Mutex<Fed>,
    /// The number of the last event.
    last: watch::Sender<u64>,
    readers: AtomicUsize,
    /// A reader has come: what is looked at for events is looked at.
    wanted: Notify,
    /// A reader has come that knows nothing yet.
    wants_status: AtomicBool,
}

#[derive(Debug, Default)]
struct Fed {
    ring: EventRing,
    /// Events are taken down: there are readers, or there were some a moment ago.
    is_fed: bool,
}

/// The place of a reader, until it is dropped.
#[derive(Debug)]
pub struct Place {
    events: Arc<Events>,
    last: watch::Receiver<u64>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.events.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Events {
    fn default() -> Events {
        let boot = uuid::Uuid::new_v4().simple().to_string();
        Events {
            boot: boot.get(..8).unwrap_or_default().to_owned(),
            ring: Mutex::default(),
            last: watch::Sender::new(0),
            readers: AtomicUsize::new(0),
            wanted: Notify::new(),
            wants_status: AtomicBool::new(false),
        }
    }
}

impl Events {
    /// Tells an event. Where nobody reads, it is only known that there was one.
    pub fn publish(&self, kind: EventKind, value: &Value) {
        let mut fed = self.ring.lock();
        if fed.is_fed {
            fed.ring.push(kind, value.to_string().into());
            self.last.send_replace(fed.ring.last());
        } else {
            fed.ring.skip();
        }
    }

    /// A place for a reader; none where all are taken.
    pub fn join(self: &Arc<Self>) -> Option<Place> {
        let taken = self.readers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |readers| {
            (readers < READERS_MAX).then_some(readers + 1)
        });
        taken.ok()?;
        let mut fed = self.ring.lock();
        if !std::mem::replace(&mut fed.is_fed, true) {
            // Nobody has looked for a while.
            fed.ring.skip();
            self.wanted.notify_one();
        }
        drop(fed);
        Some(Place { events: Arc::clone(self), last: self.last.subscribe() })
    }

    /// Whether there is a reader.
    pub(super) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// Waits until there are readers after there were none for long.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Whether a status is to be told, though it may be the one that was told last.
    pub(super) fn take_wants_status(&self) -> bool {
        self.wants_status.swap(false, Ordering::Relaxed)
    }

    /// Nothing is looked at any more, unless a reader has come by now. Returns whether none has.
    pub(crate) fn rest(&self) -> bool {
        let mut fed = self.ring.lock();
        if self.has_readers() {
            return false;
        }
        fed.is_fed = false;
        fed.ring.skip();
        true
    }

    /// The id of the event with this number.
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.boot)
    }
}

impl Place {
    /// Where a reader begins whose last event had this id: the number of the last event that it knows, and whether
    /// it may have missed some since the id that it names.
    pub fn begin(&self, last_id: Option<&str>) -> (u64, bool) {
        let ring = &self.events.ring.lock().ring;
        let number = last_id.and_then(|id| {
            let (boot, number) = id.rsplit_once('-')?;
            number.parse().ok().filter(|_| boot == self.events.boot)
        });
        match number.filter(|number| ring.can_resume(*number)) {
            Some(number) => (number, false),
            None => {
                self.events.wants_status.store(true, Ordering::Relaxed);
                (ring.last(), last_id.is_some())
            }
        }
    }

    /// What is after this number, and the number that was read to. None where it is not all here any more.
    pub fn read(&self, after: u64, wanted: &Wanted, bytes_max: usize) -> Option<(Vec<Event>, u64)> {
        self.events.ring.lock().ring.read(after, wanted, bytes_max)
    }

    /// Waits until there is something after this number.
    pub async fn changed(&mut self, after: u64) {
        // The sender lives as long as the place.
        let _ = self.last.wait_for(|last| *last > after).await;
    }

    /// The id of the event with this number.
    pub fn id(&self, number: u64) -> String {
        self.events.id(number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn while_nobody_reads_nothing_is_taken_down_and_who_comes_again_is_told() {
        let events = Arc::new(Events::default());
        events.publish(EventKind::Job, &json!(1));
        let place = events.join().expect("a place");
        let (after, is_reset) = place.begin(None);
        assert!(!is_reset, "it had asked for nothing");
        events.publish(EventKind::Job, &json!(2));
        let (read, last) = place.read(after, &Wanted::all(), 100).expect("here");
        assert_eq!((read.len(), read[0].text.as_deref()), (1, Some("2")));
        let id = events.id(last);
        // It comes again at once, and misses nothing.
        drop(place);
        events.publish(EventKind::Job, &json!(3));
        let place = events.join().expect("a place");
        assert_eq!(place.begin(Some(&id)), (last, false));
        // It comes again after a rest.
        drop(place);
        assert!(events.rest());
        let place = events.join().expect("a place");
        assert!(place.begin(Some(&id)).1);
        for id in ["", "x", "other-1", &events.id(u64::MAX), "-"] {
            assert!(place.begin(Some(id)).1, "{id}");
        }
        assert!(!events.rest(), "somebody reads");
    }

    #[test]
    fn there_are_so_many_places_and_one_that_is_left_is_free() {
        let events = Arc::new(Events::default());
        let mut places: Vec<Place> = (0..READERS_MAX).filter_map(|_| events.join()).collect();
        assert_eq!(places.len(), READERS_MAX);
        assert!(events.join().is_none());
        places.pop();
        assert!(events.join().is_some());
    }
}
