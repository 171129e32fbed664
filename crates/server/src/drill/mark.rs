//! One drill at a time per database: a mark in `focus_meta`, kept alive while the drill goes on, and
//! taken over from one that has died.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use tokio::task::JoinHandle;

use super::database::Database;

/// The mark's name.
const ID: &str = "drill";

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);

/// A mark that has shown no sign of life for so long is a dead drill's. Nobody's clock is trusted: the
/// same beat is read over the whole time.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// The mark of this drill, held until it is dropped or released.
#[derive(Debug)]
pub struct Mark {
    drill: String,
    lost: Arc<AtomicBool>,
    beating: JoinHandle<()>,
}

/// Whether this deployment is marked as drillable: `{_id: "drillable", value: true}` in `focus_meta`.
///
/// # Errors
/// The database does not answer, or refuses.
pub async fn drillable(database: &Database) -> anyhow::Result<bool> {
    let found = database.meta("drillable").await?;
    Ok(found.is_some_and(|found| found.get_bool("value").unwrap_or(false)))
}

impl Mark {
    /// Takes the mark; waits as long as it has to, to tell a dead drill's from a living one's.
    ///
    /// # Errors
    /// Another drill is under way (the inner words), or the database does not answer.
    pub async fn take(database: &Database, drill: &str) -> anyhow::Result<Result<Mark, String>> {
        let document = doc! { "_id": ID, "drill": drill, "beat": 0_i64 };
        let mut seen: Option<(Document, tokio::time::Instant)> = None;
        loop {
            if database.put_meta(document.clone()).await? {
                break;
            }
            let Some(found) = database.meta(ID).await? else { continue };
            match &seen {
                Some((before, since)) if *before == found => {
                    if since.elapsed() >= DEAD_AFTER {
                        let filter = doc! {
                            "_id": ID,
                            "drill": found.get("drill").cloned().unwrap_or(Bson::Null),
                            "beat": found.get("beat").cloned().unwrap_or(Bson::Null),
                        };
                        let change = doc! { "drill": drill, "beat": 0_i64 };
                        if database.change_meta(filter, change).await? {
                            break;
                        }
                    }
                }
                Some(_) => {
                    let other = found.get_str("drill").unwrap_or("another").to_owned();
                    return Ok(Err(other));
                }
                None => seen = Some((found, tokio::time::Instant::now())),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let lost = Arc::new(AtomicBool::new(false));
        let beating = tokio::spawn(beat(database.clone(), drill.to_owned(), Arc::clone(&lost)));
        Ok(Ok(Mark { drill: drill.to_owned(), lost, beating }))
    }

    /// Another drill has taken it: ours seemed dead.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Asks the database whether it is still ours.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn is_ours(&self, database: &Database) -> anyhow::Result<bool> {
        let found = database.meta(ID).await?;
        Ok(found.is_some_and(|found| found.get_str("drill").is_ok_and(|drill| drill == self.drill)))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Removes the mark of this drill, if it has one.
///
/// # Errors
/// The database does not answer, or refuses.
pub async fn release(database: &Database, drill: &str) -> anyhow::Result<()> {
    database.remove_meta(doc! { "_id": ID, "drill": drill }).await
}

async fn beat(database: Database, drill: String, lost: Arc<AtomicBool>) {
    let mut beat = 0_i64;
    loop {
        tokio::time::sleep(BEAT).await;
        beat += 1;
        let filter = doc! { "_id": ID, "drill": &drill };
        // While the database is away nobody can take the mark either.
        if let Ok(false) = database.change_meta(filter, doc! { "beat": beat }).await {
            lost.store(true, Ordering::SeqCst);
        }
    }
}
