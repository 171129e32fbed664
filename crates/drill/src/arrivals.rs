//! The arrivals of planted recordings in the catalog: which are there, and since when.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::database::client::Database;
use crate::plan::Plan;
use crate::watcher::Watcher;

/// Time between two looks at least.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks for the planted recordings until all are there, or until it is dropped.
#[derive(Debug)]
pub struct Arrivals {
    seen: Arc<Mutex<HashMap<String, Instant>>>,
    all: watch::Receiver<bool>,
    looking: JoinHandle<()>,
}

impl Arrivals {
    /// Begins to look.
    pub fn start(database: &Database, plan: &Plan, watcher: &Arc<Watcher>) -> Arrivals {
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let (sender, all) = watch::channel(false);
        let mut missing = plan.uuids();
        let (database, watcher, noted) = (database.clone(), Arc::clone(watcher), Arc::clone(&seen));
        let looking = tokio::spawn(async move {
            while !missing.is_empty() {
                let began = Instant::now();
                // A call that fails is made again: the database may have only just come back.
                let found = database.which(&missing).await.unwrap_or_default();
                if !found.is_empty() {
                    let now = Instant::now();
                    let mut seen = noted.lock();
                    for uuid in found {
                        seen.entry(uuid).or_insert(now);
                    }
                    missing.retain(|uuid| !seen.contains_key(uuid));
                    watcher.catalogued(seen.len() as u64);
                }
                tokio::time::sleep(LOOK_EVERY.max(began.elapsed())).await;
            }
            sender.send_replace(true);
        });
        Arrivals { seen, all, looking }
    }

    /// Waits until all are there; false where they are not within `limit`.
    pub async fn all(&self, limit: Duration) -> bool {
        let mut all = self.all.clone();
        let met = all.wait_for(|all| *all);
        matches!(tokio::time::timeout(limit, met).await, Ok(Ok(_)))
    }

    /// How many have arrived.
    pub fn seen(&self) -> usize {
        self.seen.lock().len()
    }

    /// When the last one arrived.
    pub fn last(&self) -> Option<Instant> {
        self.seen.lock().values().max().copied()
    }

    /// When this one arrived.
    pub fn when(&self, uuid: &str) -> Option<Instant> {
        self.seen.lock().get(uuid).copied()
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.looking.abort();
    }
}
