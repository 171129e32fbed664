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
/// same beat is read over the whole time. A drill that is about to cut itself off announces a longer
/// silence.
const DEAD_AFTER_MS: u64 = 10_000;

/// Nobody may announce a longer silence.
const SILENCE_MAX_MS: u64 = 49 * 3_600_000;

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
    pub async fn take(
        database: &Database,
        drill: &str,
        say: &(dyn Fn(&str) + Sync),
    ) -> anyhow::Result<Result<Mark, String>> {
        let document = doc! { "_id": ID, "drill": drill, "beat": 0_i64 };
        let mut seen: Option<(Document, tokio::time::Instant)> = None;
        loop {
            if database.put_meta(document.clone()).await? {
                break;
            }
            let Some(found) = database.meta(ID).await? else { continue };
            match &seen {
                Some((before, since)) if *before == found => {
                    if since.elapsed() >= silence(&found) {
                        let filter = doc! {
                            "_id": ID,
                            "drill": found.get("drill").cloned().unwrap_or(Bson::Null),
                            "beat": found.get("beat").cloned().unwrap_or(Bson::Null),
                        };
                        let change = doc! { "drill": drill, "beat": 0_i64, "silence_ms": 0_i64 };
                        if database.change_meta(filter, change).await? {
                            break;
                        }
                    }
                }
                Some(_) => {
                    let other = found.get_str("drill").unwrap_or("another").to_owned();
                    return Ok(Err(other));
                }
                None => {
                    if silence(&found) > Duration::from_millis(DEAD_AFTER_MS) {
                        say(&format!(
                            "waiting: the drill {} has announced an outage of up to {} s on this database; if it died, `focus drill recover` on its state folder is faster",
                            found.get_str("drill").unwrap_or("?"),
                            silence(&found).as_secs()
                        ));
                    }
                    seen = Some((found, tokio::time::Instant::now()));
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let lost = Arc::new(AtomicBool::new(false));
        let beating = tokio::spawn(beat(database.clone(), drill.to_owned(), Arc::clone(&lost)));
        Ok(Ok(Mark { drill: drill.to_owned(), lost, beating }))
    }

    /// Announces that there may be no sign of life for so long: others may reach the database while
    /// this drill does not. 0 takes it back.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn announce(&self, database: &Database, silence_ms: u64) -> anyhow::Result<()> {
        let filter = doc! { "_id": ID, "drill": &self.drill };
        let silence_ms = i64::try_from(silence_ms).unwrap_or(i64::MAX);
        database.change_meta(filter, doc! { "silence_ms": silence_ms }).await.map(|_| ())
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

/// How long this mark may stand still before its drill is dead.
fn silence(mark: &Document) -> Duration {
    let announced = mark.get_i64("silence_ms").ok().and_then(|ms| u64::try_from(ms).ok());
    let ms = announced.unwrap_or(0).saturating_add(DEAD_AFTER_MS);
    Duration::from_millis(ms.min(SILENCE_MAX_MS))
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
