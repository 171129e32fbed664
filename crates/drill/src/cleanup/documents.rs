//! Sees to it that no document of a planted recording stays in the catalog. The server removes them by itself;
//! the drill removes what a dead server left, by uuid and `focus_drill` together.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cleaned::Cleaned;
use crate::database::client::Database;
use crate::plan::Plan;
use crate::server::Server;

/// The server removes the documents within this. After it, or where the server does not answer, the drill
/// does.
const SERVER_WITHIN: Duration = Duration::from_secs(15);

/// No document comes back for this long once all are gone.
const QUIET_FOR: Duration = Duration::from_millis(600);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until the documents of everything planted are gone, and removes them where the server does not.
///
/// # Errors
/// The database does not answer, or refuses.
pub(super) async fn remove(
    plan: &Plan,
    database: &Database,
    server: &Server,
) -> anyhow::Result<Cleaned> {
    let uuids = plan.uuids();
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
        sleep(LOOK_EVERY).await;
    }
    cleaned.left = database.which(&uuids).await?.len() as u64;
    Ok(cleaned)
}
