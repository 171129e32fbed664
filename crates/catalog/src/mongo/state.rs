//! What the calls and the supervisor share: the connection, and what is known of the server.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use focus_core::answer::{Class, Failure};
use futures_util::future::BoxFuture;
use mongodb::bson::{DateTime, Document};
use mongodb::change_stream::event::ResumeToken;
use mongodb::options::Collation;
use mongodb::{Client, Database};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::diagnosis::Cause;
use super::pages::KeptCursors;
use super::settings::{Collections, Layout, MongoSettings};
use super::{collation, failure};
use crate::{Reach, RootPlace, cpu};

/// Readings end within this. A page of documents may be large, and the link slow.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(20);

/// What the calls, the supervisor and the interface share.
#[derive(Debug)]
pub(super) struct MongoState {
    pub(super) settings: MongoSettings,
    /// Where the database is, without credentials.
    pub(super) address: String,
    pub(super) reach: watch::Sender<Reach>,
    /// The connection; none while the database is away.
    pub(super) live: Mutex<Option<LiveConnection>>,
    /// Wakes the supervisor: a call failed in a way that passes.
    pub(super) doubt: Notify,
    started: Instant,
    /// Milliseconds since `started` of the last acknowledged write.
    acknowledged_ms: AtomicU64,
    /// When the database answered last.
    pub(super) answered: Arc<Mutex<Option<Instant>>>,
    /// Where the recordings of each root are, by the root's id; in the layout `base_paths` alone.
    pub(super) collections: Mutex<HashMap<String, Collections>>,
    /// The epoch in which the collections of each root were last found fit, by the root's id.
    pub(super) fit: Mutex<HashMap<String, u64>>,
    pub(super) remarks: Mutex<Vec<String>>,
    /// Why the database does not serve us, as the last look for the cause found it.
    pub(super) cause: Mutex<Option<Cause>>,
    /// What is known of the change streams of each collection, by its name.
    pub(super) stream_support: Mutex<HashMap<String, StreamSupport>>,
    /// Where the change stream of each root goes on, by the root's id.
    pub(super) resume_points: Mutex<HashMap<String, ResumePoint>>,
    /// What the next pages go on with.
    pub(super) kept_cursors: KeptCursors,
}

/// The connection of one epoch.
#[derive(Clone, Debug)]
pub(super) struct LiveConnection {
    pub(super) epoch: u64,
    /// Where the client goes.
    pub(super) hosts: Vec<String>,
    /// The client of all calls; the supervisor's probe has one of its own.
    pub(super) writer: Client,
    /// The database's time when it was connected, and ours.
    pub(super) clock: (DateTime, Instant),
    /// Majority and journaled, where the server takes that.
    pub(super) write_concern: Document,
    /// The server knows collations.
    pub(super) has_collations: bool,
}

/// Where the change stream of a root goes on.
#[derive(Clone, Debug)]
pub(super) enum ResumePoint {
    /// After the last change that was reported.
    After(ResumeToken),
    /// After the end of a collection that was dropped.
    AfterDrop(ResumeToken),
    /// Nowhere, because something was missed.
    Lost,
}

/// Whether a collection has change streams, and where one begins.
#[derive(Clone, Debug)]
pub(super) struct StreamSupport {
    /// The epoch of the connection in which it was asked.
    pub(super) epoch: u64,
    /// The server has change streams and lets us read them.
    pub(super) can: bool,
    /// Where a stream begins that misses nothing since it was asked.
    pub(super) from: Option<ResumeToken>,
}

impl LiveConnection {
    /// The collation that a call has to name. A server without collations has the simple one alone.
    pub(super) fn simple(&self) -> Option<Collation> {
        self.has_collations.then(collation::simple)
    }

    /// The database's time now: its time at the start of the connection, carried on by our own
    /// clock.
    pub(super) fn now(&self) -> DateTime {
        let passed = i64::try_from(self.clock.1.elapsed().as_millis()).unwrap_or(0);
        DateTime::from_millis(self.clock.0.timestamp_millis().saturating_add(passed))
    }
}

impl MongoState {
    /// Not connected yet.
    pub(super) fn new(settings: MongoSettings, address: String) -> MongoState {
        MongoState {
            settings,
            address,
            reach: watch::Sender::new(Reach::Connecting),
            live: Mutex::default(),
            doubt: Notify::new(),
            started: Instant::now(),
            acknowledged_ms: AtomicU64::new(0),
            answered: Arc::default(),
            collections: Mutex::default(),
            fit: Mutex::default(),
            remarks: Mutex::default(),
            cause: Mutex::default(),
            stream_support: Mutex::default(),
            resume_points: Mutex::default(),
            kept_cursors: KeptCursors::default(),
        }
    }

    /// The connection.
    ///
    /// # Errors
    /// The database is away.
    pub(super) fn live(&self) -> Result<LiveConnection, Failure> {
        self.live.lock().clone().ok_or_else(|| Failure::transient("the database cannot be reached"))
    }

    /// Runs a call within a bound. The driver's future is spawned and never dropped half way; a
    /// call that is given up may still do its work there, later.
    pub(super) async fn call<T, F>(
        &self,
        limit: Duration,
        call: impl FnOnce(LiveConnection, Database) -> F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, mongodb::error::Error>> + Send + 'static,
    {
        let live = self.live()?;
        let epoch = live.epoch;
        let database = live.writer.database(&self.settings.database);
        // A box, so that the compiler makes the task once for each answer and not for each call.
        let work: BoxFuture<'static, mongodb::error::Result<T>> = Box::pin(call(live, database));
        self.answer(limit, epoch, tokio::spawn(cpu::counted_future(work))).await
    }

    /// Waits for the answer of a call within a bound, as long as the connection lasts.
    async fn answer<T: Send + 'static>(
        &self,
        limit: Duration,
        epoch: u64,
        mut task: JoinHandle<mongodb::error::Result<T>>,
    ) -> Result<T, Failure> {
        let mut reach = self.reach.subscribe();
        let gone = async {
            // The sender lives as long as we do.
            let _ = reach.wait_for(|reach| *reach != Reach::Up { epoch }).await;
        };
        tokio::select! {
            biased;
            done = &mut task => match done {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => {
                    let failure = failure::of(&self.settings, &error);
                    if failure.class == Class::Transient {
                        self.doubt.notify_one();
                    }
                    Err(failure)
                }
                Err(error) => Err(Failure::transient(format!("the call ended: {error}"))),
            },
            () = gone => Err(Failure::transient("the connection was lost; whether the call was done is not known")),
            () = tokio::time::sleep(limit) => {
                self.doubt.notify_one();
                Err(Failure::transient(format!("no answer within {} ms", limit.as_millis())))
            }
        }
    }

    /// A write that has not been answered by then is in doubt.
    pub(super) fn write_limit(&self) -> Duration {
        Duration::from_millis(self.settings.write_timeout_ms)
    }

    /// Takes note that a write was acknowledged: the database is there.
    pub(super) fn acknowledged(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.acknowledged_ms.store(now, Ordering::Relaxed);
    }

    /// Time since the last acknowledged write.
    pub(super) fn since_acknowledged(&self) -> Duration {
        let at = Duration::from_millis(self.acknowledged_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(at)
    }

    /// Where the recordings of a root are.
    ///
    /// # Errors
    /// The root has not been opened in the catalog yet.
    pub(super) fn collections_of(&self, root: &RootPlace) -> Result<Collections, Failure> {
        if self.settings.layout == Layout::Collection {
            return Ok(self.settings.collections());
        }
        self.collections
            .lock()
            .get(&root.id)
            .cloned()
            .ok_or_else(|| Failure::transient("the root has not been opened in the catalog yet"))
    }

    /// Remembers what the server lacks, once.
    pub(super) fn remark(&self, words: &str) {
        let mut remarks = self.remarks.lock();
        if !remarks.iter().any(|known| known == words) {
            remarks.push(words.to_owned());
        }
    }
}

/// Runs a command with a client of the caller's, within a bound.
pub(super) async fn ask(
    state: &MongoState,
    client: &Client,
    database: &str,
    command: Document,
    limit: Duration,
) -> Result<Document, Failure> {
    let database = client.database(database);
    let task = tokio::spawn(async move { database.run_command(command).await });
    match timeout(limit, task).await {
        Ok(Ok(Ok(reply))) => Ok(reply),
        Ok(Ok(Err(error))) => Err(failure::of(&state.settings, &error)),
        Ok(Err(error)) => Err(Failure::transient(error.to_string())),
        Err(_) => Err(Failure::transient(format!(
            "it takes connections but does not answer within {} ms",
            limit.as_millis()
        ))),
    }
}
