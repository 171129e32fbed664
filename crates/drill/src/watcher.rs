//! What is seen of database and server while a drill goes on: two eyes that never rest, and what they
//! saw, second by second.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::database::Probe;
use super::report::{Queries, Second};
use super::server::Server;

/// Seconds kept at most; a longer drill's timeline ends there.
const SECONDS_MAX: usize = 7_200;

/// Between two looks while nothing is waited for.
const CALM: Duration = Duration::from_millis(250);

/// Between two looks while the next change is timed.
const BRISK: Duration = Duration::from_millis(20);

/// The drill's own view of the database.
#[derive(Clone, Copy, Debug, Default)]
pub struct DrillView {
    /// Looks so far.
    pub looks: u64,
    /// It takes writes.
    pub reachable: bool,
    /// How many looks in a row said the same.
    pub in_a_row: u64,
    /// When it last took writes: the beginning of that look.
    pub last_reached: Option<Instant>,
    /// When this run of looks that say the same had its first answer.
    pub since: Option<Instant>,
}

/// The server's own view of the database.
#[derive(Clone, Debug, Default)]
pub struct ServerView {
    /// Looks so far.
    pub looks: u64,
    /// Its `catalog_state`; none where it did not answer.
    pub state: Option<String>,
    /// Its `pending`.
    pub pending: Option<u64>,
    /// When the present state was first seen.
    pub since: Option<Instant>,
}

impl ServerView {
    /// It says that its catalog is away.
    pub fn is_down(&self) -> bool {
        self.state.as_deref() == Some("down")
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
    window: Mutex<(i64, i64)>,
}

/// The two eyes.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl Watcher {
    /// Opens both eyes. Queries ask for recordings within `window`, milliseconds since 1970.
    pub fn start(probe: Probe, server: Server, window: (i64, i64)) -> Watcher {
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
            window: Mutex::new(window),
        });
        let tasks = [
            tokio::spawn(watch_database(Arc::clone(&shared), probe)),
            tokio::spawn(watch_server(Arc::clone(&shared), server)),
        ];
        Watcher { shared, tasks }
    }

    /// Since the drill began.
    pub fn elapsed_ms(&self) -> u64 {
        millis(self.shared.began.elapsed())
    }

    /// This instant, since the drill began.
    pub fn at_ms(&self, instant: Instant) -> u64 {
        millis(instant.saturating_duration_since(self.shared.began))
    }

    /// The drill's own view.
    pub fn drill(&self) -> DrillView {
        *self.shared.drill.borrow()
    }

    /// The server's own view.
    pub fn server(&self) -> ServerView {
        self.shared.server.borrow().clone()
    }

    /// Looks more often from now on, or less.
    pub fn brisk(&self, brisk: bool) {
        self.shared.brisk.store(brisk, Ordering::Relaxed);
    }

    /// The outage is proved and has to last from now on, or is being ended.
    pub fn outage(&self, on: bool) {
        self.shared.outage.store(on, Ordering::SeqCst);
    }

    /// Looks that found the database there while the outage had to last.
    pub fn breaches(&self) -> u64 {
        self.shared.breaches.load(Ordering::SeqCst)
    }

    /// How many planted recordings have landed.
    pub fn landed(&self, count: u64) {
        self.shared.landed.store(count, Ordering::Relaxed);
    }

    /// How many planted recordings were seen in the catalog.
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
        lock(&self.shared.seconds).clone()
    }

    /// The queries of the outage.
    pub fn queries(&self) -> Queries {
        lock(&self.shared.queries).clone()
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
        let text = |key: &str| status.as_ref().and_then(|status| status[key].as_str());
        let state = text("catalog_state").map(str::to_owned);
        let there = matches!(state.as_deref(), Some("in_step" | "recovering" | "standby"));
        if there && had_to_last && shared.outage.load(Ordering::SeqCst) {
            shared.breaches.fetch_add(1, Ordering::SeqCst);
        }
        shared.server.send_modify(|view| {
            if view.state != state || view.looks == 0 {
                view.since = Some(Instant::now());
            }
            view.looks += 1;
            view.pending = status.as_ref().and_then(|status| status["pending"].as_u64());
            view.state = state;
        });
        sample(&shared);
        if shared.outage.load(Ordering::SeqCst) && asked_at.elapsed() >= CALM {
            asked_at = Instant::now();
            let (from_ms, to_ms) = *lock(&shared.window);
            let answer = server.query(from_ms, to_ms).await;
            let mut queries = lock(&shared.queries);
            queries.asked += 1;
            if let Ok(took) = answer {
                queries.answered += 1;
                let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                queries.slowest_us = queries.slowest_us.max(took_us);
            }
        }
        pause(&shared).await;
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
    let server = shared.server.borrow().clone();
    let second = Second {
        at_ms,
        reachable: shared.drill.borrow().reachable,
        catalog_state: server.state,
        landed: shared.landed.load(Ordering::Relaxed),
        catalogued: shared.catalogued.load(Ordering::Relaxed),
        pending: server.pending,
    };
    let mut seconds = lock(&shared.seconds);
    if let Some(last) = seconds.last_mut().filter(|last| last.at_ms == at_ms) {
        *last = second;
    } else if seconds.len() < SECONDS_MAX {
        seconds.push(second);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
