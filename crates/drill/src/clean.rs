//! Cleaning up after a drill: what was planted is removed from storage, then its documents, then the
//! mark. It may be done again at any time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::database::Database;
use super::plan::Plan;
use super::server::Server;
use super::{mark, planting};

/// The server removes the documents by itself within this; then, or where it does not answer, the
/// drill does.
const SERVER_WITHIN: Duration = Duration::from_secs(15);

/// No document comes back within this after all were removed.
const QUIET_FOR: Duration = Duration::from_millis(600);

/// What fails is tried again for so long.
const AGAIN_FOR: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(100);

/// What cleaning up came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Documents that the drill had to remove itself.
    pub removed: u64,
    /// Documents that are there all the same.
    pub left: u64,
}

/// Removes everything of this drill.
///
/// # Errors
/// Storage or database do not allow it for half a minute; it may be done again.
pub async fn up(plan: &Plan, database: &Database, server: &Server) -> anyhow::Result<Cleaned> {
    planting::remove(plan)?;
    let began = Instant::now();
    loop {
        // A database that has just come back may still end connections.
        match documents(plan, database, server).await {
            Err(_) if began.elapsed() < AGAIN_FOR => sleep(LOOK).await,
            ended => return ended,
        }
    }
}

async fn documents(plan: &Plan, database: &Database, server: &Server) -> anyhow::Result<Cleaned> {
    let uuids: Vec<String> = plan.planted.iter().map(|planted| planted.uuid.clone()).collect();
    let mut cleaned = Cleaned::default();
    let began = Instant::now();
    let mut quiet_since: Option<Instant> = None;
    loop {
        let left = database.which(&uuids).await?;
        if left.is_empty() {
            let since = *quiet_since.get_or_insert_with(Instant::now);
            // What the server had under way may still arrive.
            if since.elapsed() >= QUIET_FOR {
                break;
            }
        } else {
            quiet_since = None;
            let waited = began.elapsed() >= SERVER_WITHIN;
            if waited || server.status().await.is_err() {
                let removed = database.remove(&plan.id, &uuids).await?;
                cleaned.removed += removed;
                // What does not name this drill is not the drill's to remove.
                if removed == 0 || began.elapsed() >= SERVER_WITHIN * 2 {
                    break;
                }
            }
        }
        sleep(LOOK).await;
    }
    cleaned.left = database.which(&uuids).await?.len() as u64;
    mark::release(database, &plan.id).await?;
    Ok(cleaned)
}
