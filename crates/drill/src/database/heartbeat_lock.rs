//! One drill at a time per database: a document of `focus_meta` with a counter that the drill raises every
//! second. Another drill takes the lock over once the counter has stood still for long enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::client::Database;

/// The id of the lock's document.
const ID: &str = "drill";

/// Time between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// A lock that has not beaten for this long belongs to a dead drill. No clock is trusted: the same beat is
/// read over the whole time. A drill that is about to cut itself off announces a longer silence.
const DEAD_AFTER_MS: u64 = 10_000;

/// Time between two looks at another drill's lock.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// No drill may announce a longer silence.
const SILENCE_MAX_MS: u64 = 49 * 3_600_000;

/// The lock of this drill. It beats until it is dropped; the document stays until it is released.
#[derive(Debug)]
pub struct HeartbeatLock {
    drill: String,
    lost: Arc<AtomicBool>,
    beating: JoinHandle<()>,
}

impl HeartbeatLock {
    /// Takes the lock. Where another drill has it, this waits until it beats, or until it is known to be dead.
    ///
    /// # Errors
    /// Another drill is under way (the inner error is its id), or the database does not answer.
    pub async fn take(
        database: &Database,
        drill: &str,
        say: &(dyn Fn(&str) + Sync),
    ) -> anyhow::Result<Result<HeartbeatLock, String>> {
        let document = doc! { "_id": ID, "drill": drill, "beat": 0_i64 };
        let mut rival: Option<(Document, Instant)> = None;
        while !database.put_meta(document.clone()).await? {
            let Some(found) = database.meta(ID).await? else { continue };
            match &rival {
                Some((before, _)) if *before != found => {
                    return Ok(Err(found.get_str("drill").unwrap_or("another").to_owned()));
                }
                Some((_, since)) if since.elapsed() < silence(&found) => {}
                Some(_) => {
                    if take_over(database, &found, drill).await? {
                        break;
                    }
                }
                None => {
                    tell_wait(&found, say);
                    rival = Some((found, Instant::now()));
                }
            }
            sleep(LOOK_EVERY).await;
        }
        let lost = Arc::new(AtomicBool::new(false));
        let beating = tokio::spawn(beat(database.clone(), drill.to_owned(), Arc::clone(&lost)));
        Ok(Ok(HeartbeatLock { drill: drill.to_owned(), lost, beating }))
    }

    /// Announces that the lock may not beat for this many milliseconds: others may reach the database while
    /// this drill does not. 0 takes the announcement back.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn announce(&self, database: &Database, silence_ms: u64) -> anyhow::Result<()> {
        let filter = doc! { "_id": ID, "drill": &self.drill };
        let silence_ms = i64::try_from(silence_ms).unwrap_or(i64::MAX);
        database.change_meta(filter, doc! { "silence_ms": silence_ms }).await.map(|_| ())
    }

    /// Whether another drill has taken the lock over, because this one seemed dead.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Asks the database whether this drill still has the lock.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn is_ours(&self, database: &Database) -> anyhow::Result<bool> {
        let found = database.meta(ID).await?;
        Ok(found.is_some_and(|found| found.get_str("drill").is_ok_and(|drill| drill == self.drill)))
    }
}

impl Drop for HeartbeatLock {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Takes a dead drill's lock over; false where it beat or went meanwhile.
async fn take_over(database: &Database, dead: &Document, drill: &str) -> anyhow::Result<bool> {
    let filter = doc! {
        "_id": ID,
        "drill": dead.get("drill").cloned().unwrap_or(Bson::Null),
        "beat": dead.get("beat").cloned().unwrap_or(Bson::Null),
    };
    let change = doc! { "drill": drill, "beat": 0_i64, "silence_ms": 0_i64 };
    database.change_meta(filter, change).await
}

/// Says why the drill waits, where that may be long.
fn tell_wait(other: &Document, say: &(dyn Fn(&str) + Sync)) {
    if silence(other) > Duration::from_millis(DEAD_AFTER_MS) {
        say(&format!(
            "waiting: the drill {} has announced an outage of up to {} s on this database; if it died, `focus drill recover` on its state folder is faster",
            other.get_str("drill").unwrap_or("?"),
            silence(other).as_secs()
        ));
    }
}

/// How long this lock may stand still before its drill counts as dead.
fn silence(lock: &Document) -> Duration {
    let announced = lock.get_i64("silence_ms").ok().and_then(|ms| u64::try_from(ms).ok());
    let ms = announced.unwrap_or(0).saturating_add(DEAD_AFTER_MS);
    Duration::from_millis(ms.min(SILENCE_MAX_MS))
}

/// Releases the lock of this drill, where the drill has it.
///
/// # Errors
/// The database does not answer, or refuses.
pub async fn release(database: &Database, drill: &str) -> anyhow::Result<()> {
    database.remove_meta(doc! { "_id": ID, "drill": drill }).await
}

async fn beat(database: Database, drill: String, lost: Arc<AtomicBool>) {
    let mut beat = 0_i64;
    loop {
        sleep(BEAT).await;
        beat += 1;
        let filter = doc! { "_id": ID, "drill": &drill };
        // While the database is away, nobody can take the lock either.
        if let Ok(false) = database.change_meta(filter, doc! { "beat": beat }).await {
            lost.store(true, Ordering::SeqCst);
        }
    }
}
