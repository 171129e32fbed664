//! Waiting for the catalog: which planted recordings are in it, and since when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::database::Database;
use super::plan::Plan;
use super::watcher::Watcher;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Looks for the planted recordings until all are there.
#[derive(Debug)]
pub struct Converge {
    seen: Arc<Mutex<HashMap<String, Instant>>>,
    all: watch::Receiver<bool>,
    looking: JoinHandle<()>,
}

impl Converge {
    /// Begins to look.
    pub fn start(database: &Database, plan: &Plan, watcher: &Arc<Watcher>) -> Converge {
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let (sender, all) = watch::channel(false);
        let mut missing: Vec<String> =
            plan.planted.iter().map(|planted| planted.uuid.clone()).collect();
        let (database, watcher, noted) = (database.clone(), Arc::clone(watcher), Arc::clone(&seen));
        let looking = tokio::spawn(async move {
            while !missing.is_empty() {
                let began = Instant::now();
                // A call that fails is made again: the database may have only just come back.
                let found = database.which(&missing).await.unwrap_or_default();
                if !found.is_empty() {
                    let now = Instant::now();
                    let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    for uuid in found {
                        seen.entry(uuid).or_insert(now);
                    }
                    missing.retain(|uuid| !seen.contains_key(uuid));
                    watcher.catalogued(seen.len() as u64);
                }
                tokio::time::sleep(LOOK.max(began.elapsed())).await;
            }
            sender.send_replace(true);
        });
        Converge { seen, all, looking }
    }

    /// Waits until all are there; false where they are not within `limit`.
    pub async fn all(&self, limit: Duration) -> bool {
        let mut all = self.all.clone();
        let met = all.wait_for(|all| *all);
        matches!(tokio::time::timeout(limit, met).await, Ok(Ok(_)))
    }

    /// How many were seen.
    pub fn seen(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// When the last one was first seen.
    pub fn last(&self) -> Option<Instant> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().max().copied()
    }

    /// When this one was first seen.
    pub fn when(&self, uuid: &str) -> Option<Instant> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(uuid).copied()
    }
}

impl Drop for Converge {
    fn drop(&mut self) {
        self.looking.abort();
    }
}
