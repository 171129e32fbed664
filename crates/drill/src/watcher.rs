//! What is seen of database and server while a drill goes on. Two tasks look all the time: one at the database,
//! one at the server's status. What they see becomes the timeline, second by second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::database::probe::Probe;
use crate::report::{Queries, Second};
use crate::server::{CatalogState, Server};

/// Seconds of the timeline at most; it ends there where a drill takes longer.
const SECONDS_MAX: usize = 7_200;

/// Time between two looks while no change is timed.
const CALM: Duration = Duration::from_millis(250);

/// Time between two looks while the next change is timed.
const BRISK: Duration = Duration::from_millis(20);

/// The drill's own view of the database.
#[derive(Clone, Copy, Debug, Default)]
pub struct DrillView {
    /// Looks so far.
    pub looks: u64,
    /// Whether it takes writes.
    pub reachable: bool,
    /// How many looks in a row said the same.
    pub in_a_row: u64,
    /// When it last took writes: the beginning of that look.
    pub last_reached: Option<Instant>,
    /// When this run of looks that say the same had its first answer.
    pub since: Option<Instant>,
}

/// The server's own view of the database.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerView {
    /// Looks so far.
    pub looks: u64,
    /// The state of its catalog; none where the server did not answer.
    pub state: Option<CatalogState>,
    /// Recordings that the catalog has not acknowledged.
    pub pending: Option<u64>,
    /// When the present state was first seen.
    pub since: Option<Instant>,
}

impl ServerView {
    /// Whether the server says that its catalog is away.
    pub fn is_down(&self) -> bool {
        self.state == Some(CatalogState::Down)
    }

    /// Whether the server says that it reaches its catalog.
    pub fn is_reached(&self) -> bool {
        self.state.is_some_and(CatalogState::is_reached)
    }

    /// The state in a word, for messages.
    pub fn state_name(&self) -> &'static str {
        self.state.map_or("silent", CatalogState::name)
    }
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    drill: watch::Sender<DrillView>,
    server: watch::Sender<ServerView>,
    seconds: Mutex<Vec<Second>>,
    queries: Mutex<Queries>,
    landed: AtomicU64,
    catalogued: AtomicU64,
    /// The outage is proved and has to last.
    outage: AtomicBool,
    /// Looks that found the database there while the outage had to last.
    breaches: AtomicU64,
    brisk: AtomicBool,
    window_ms: (i64, i64),
}

/// The two tasks, and what they saw. They end when it is dropped.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl Watcher {
    /// Begins to look. Queries ask for recordings within `window_ms`, milliseconds since 1970.
    pub fn start(probe: Probe, server: Server, window_ms: (i64, i64)) -> Watcher {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            drill: watch::Sender::default(),
            server: watch::Sender::default(),
            seconds: Mutex::default(),
            queries: Mutex::default(),
            landed: AtomicU64::new(0),
            catalogued: AtomicU64::new(0),
            outage: AtomicBool::new(false),
            breaches: AtomicU64::new(0),
            brisk: AtomicBool::new(false),
            window_ms,
        });
        let tasks = [
            tokio::spawn(watch_database(Arc::clone(&shared), probe)),
            tokio::spawn(watch_server(Arc::clone(&shared), server)),
        ];
        Watcher { shared, tasks }
    }

    /// Milliseconds since the drill began.
    pub fn elapsed_ms(&self) -> u64 {
        millis(self.shared.began.elapsed())
    }

    /// This instant, in milliseconds since the drill began.
    pub fn at_ms(&self, instant: Instant) -> u64 {
        millis(instant.saturating_duration_since(self.shared.began))
    }

    /// The drill's own view.
    pub fn drill(&self) -> DrillView {
        *self.shared.drill.borrow()
    }

    /// The server's own view.
    pub fn server(&self) -> ServerView {
        *self.shared.server.borrow()
    }

    /// Sets how often is looked from now on: every 20 ms, else every 250 ms.
    pub fn brisk(&self, brisk: bool) {
        self.shared.brisk.store(brisk, Ordering::Relaxed);
    }

    /// Says that the outage is proved and has to last from now on, or that it is being ended.
    pub fn outage(&self, on: bool) {
        self.shared.outage.store(on, Ordering::SeqCst);
    }

    /// Looks that found the database there while the outage had to last.
    pub fn breaches(&self) -> u64 {
        self.shared.breaches.load(Ordering::SeqCst)
    }

    /// Notes how many planted recordings have landed.
    pub fn landed(&self, count: u64) {
        self.shared.landed.store(count, Ordering::Relaxed);
    }

    /// Notes how many planted recordings were seen in the catalog.
    pub fn catalogued(&self, count: u64) {
        self.shared.catalogued.store(count, Ordering::Relaxed);
    }

    /// Waits until both views are as wanted; false where they are not within `limit`.
    pub async fn until(
        &self,
        limit: Duration,
        wanted: impl Fn(&DrillView, &ServerView) -> bool,
    ) -> bool {
        let (mut drill, mut server) =
            (self.shared.drill.subscribe(), self.shared.server.subscribe());
        let met = async {
            loop {
                let seen = {
                    let server = server.borrow_and_update();
                    wanted(&drill.borrow_and_update(), &server)
                };
                if seen {
                    return;
                }
                tokio::select! {
                    _ = drill.changed() => {}
                    _ = server.changed() => {}
                }
            }
        };
        tokio::time::timeout(limit, met).await.is_ok()
    }

    /// The timeline so far.
    pub fn timeline(&self) -> Vec<Second> {
        self.shared.seconds.lock().clone()
    }

    /// The queries of the outage.
    pub fn queries(&self) -> Queries {
        self.shared.queries.lock().clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn watch_database(shared: Arc<Shared>, probe: Probe) {
    loop {
        let began = Instant::now();
        let had_to_last = shared.outage.load(Ordering::SeqCst);
        let reachable = probe.takes_writes().await;
        if reachable && had_to_last && shared.outage.load(Ordering::SeqCst) {
            shared.breaches.fetch_add(1, Ordering::SeqCst);
        }
        shared.drill.send_modify(|view| {
            if view.reachable != reachable || view.looks == 0 {
                view.in_a_row = 0;
                view.since = Some(Instant::now());
            }
            view.looks += 1;
            view.in_a_row += 1;
            view.reachable = reachable;
            if reachable {
                view.last_reached = Some(began);
            }
        });
        sample(&shared);
        pause(&shared).await;
    }
}

async fn watch_server(shared: Arc<Shared>, server: Server) {
    let mut asked_at = Instant::now();
    loop {
        let had_to_last = shared.outage.load(Ordering::SeqCst);
        let status = server.status().await.ok();
        let state = status.as_ref().map(|status| status.catalog_state);
        let there = state.is_some_and(CatalogState::is_reached);
        if there && had_to_last && shared.outage.load(Ordering::SeqCst) {
            shared.breaches.fetch_add(1, Ordering::SeqCst);
        }
        shared.server.send_modify(|view| {
            if view.state != state || view.looks == 0 {
                view.since = Some(Instant::now());
            }
            view.looks += 1;
            view.pending = status.as_ref().and_then(|status| status.pending);
            view.state = state;
        });
        sample(&shared);
        if shared.outage.load(Ordering::SeqCst) && asked_at.elapsed() >= CALM {
            asked_at = Instant::now();
            ask(&shared, &server).await;
        }
        pause(&shared).await;
    }
}

/// Asks one query, as an application does, and notes whether and when the answer came.
async fn ask(shared: &Shared, server: &Server) {
    let (from_ms, to_ms) = shared.window_ms;
    let answer = server.query(from_ms, to_ms).await;
    let mut queries = shared.queries.lock();
    queries.asked += 1;
    if let Ok(took) = answer {
        queries.answered += 1;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        queries.slowest_us = queries.slowest_us.max(took_us);
    }
}

async fn pause(shared: &Shared) {
    // Woken a little later than asked for is no harm.
    let brisk = shared.brisk.load(Ordering::Relaxed);
    tokio::time::sleep(if brisk { BRISK } else { CALM }).await;
}

/// Notes what is seen now under the present second.
fn sample(shared: &Shared) {
    let at_ms = millis(shared.began.elapsed()) / 1_000 * 1_000;
    let server = *shared.server.borrow();
    let second = Second {
        at_ms,
        reachable: shared.drill.borrow().reachable,
        catalog_state: server.state,
        landed: shared.landed.load(Ordering::Relaxed),
        catalogued: shared.catalogued.load(Ordering::Relaxed),
        pending: server.pending,
    };
    let mut seconds = shared.seconds.lock();
    if let Some(last) = seconds.last_mut().filter(|last| last.at_ms == at_ms) {
        *last = second;
    } else if seconds.len() < SECONDS_MAX {
        seconds.push(second);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
