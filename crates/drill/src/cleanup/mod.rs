//! Cleaning up after a drill: the planted files are removed from storage, then their documents from the
//! catalog, then the lock on the database is released. All of it may be repeated.

pub mod cleaned;
mod documents;
mod files;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::cleaned::Cleaned;
pub use self::files::leftovers;
use crate::database::client::Database;
use crate::database::heartbeat_lock;
use crate::plan::Plan;
use crate::server::Server;

/// What fails is tried again for this long: a database that has just come back may still end connections.
const RETRY_FOR: Duration = Duration::from_secs(30);

/// Time between two attempts.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Removes everything that the drill of this plan planted, and releases its lock on the database.
///
/// # Errors
/// The files cannot be removed, or the database does not allow the removal for 30 s. It may be repeated.
pub async fn remove_everything(
    plan: &Plan,
    database: &Database,
    server: &Server,
) -> anyhow::Result<Cleaned> {
    files::remove(plan)?;
    let began = Instant::now();
    loop {
        match remove_from_database(plan, database, server).await {
            Err(_) if began.elapsed() < RETRY_FOR => sleep(RETRY_EVERY).await,
            ended => return ended,
        }
    }
}

async fn remove_from_database(
    plan: &Plan,
    database: &Database,
    server: &Server,
) -> anyhow::Result<Cleaned> {
    let cleaned = documents::remove(plan, database, server).await?;
    heartbeat_lock::release(database, &plan.id).await?;
    Ok(cleaned)
}
