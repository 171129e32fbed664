//! The catalog in MongoDB, or in a server that speaks its protocol.

mod bson_value;
mod calls;
mod changes;
mod document;
mod failure;
mod lease;
mod open;
mod supervisor;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use focus_core::answer::{Answer, Failure};
use focus_core::compare::Page;
use focus_core::lease::LeaseDoc;
use mongodb::bson::Document;
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use tokio::sync::{Notify, watch};

use crate::{
    Catalog, ChangeHints, Kind, OpenedCatalog, Reach, RootPlace, Stored, UnrecognisedDoc, Versioned,
};

/// How recordings lie in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All roots in one collection.
    Collection,
    /// A collection per root, named by its row in `base_paths`.
    BasePaths,
}

/// Where the catalog is, and how patient its probe is.
#[derive(Clone)]
pub struct MongoSettings {
    /// A MongoDB connection string; may hold a password, so it is never shown.
    pub uri: String,
    /// The database.
    pub database: String,
    /// The collection, in the layout `collection`.
    pub collection: String,
    /// How recordings lie.
    pub layout: Layout,
    /// Silence of the database for longer than about twice this counts as an outage, milliseconds.
    pub probe_timeout_ms: u64,
    /// A write that has not been answered after so long is in doubt, milliseconds.
    pub write_timeout_ms: u64,
}

impl MongoSettings {
    /// Settings with the measured defaults.
    pub fn new(uri: &str, database: &str, collection: &str, layout: Layout) -> MongoSettings {
        MongoSettings {
            uri: uri.to_owned(),
            database: database.to_owned(),
            collection: collection.to_owned(),
            layout,
            probe_timeout_ms: 500,
            write_timeout_ms: 20_000,
        }
    }
}

impl std::fmt::Debug for MongoSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoSettings")
            .field("database", &self.database)
            .field("collection", &self.collection)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

/// The catalog in MongoDB.
#[derive(Debug)]
pub struct MongoCatalog {
    shared: Arc<Shared>,
    supervisor: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    settings: MongoSettings,
    address: String,
    reach: watch::Sender<Reach>,
    live: Mutex<Option<Live>>,
    doubt: Notify,
    started: Instant,
    /// Milliseconds since `started` of the last acknowledged write.
    acknowledged_ms: AtomicU64,
    places: Mutex<HashMap<String, Collections>>,
    remarks: Mutex<Vec<String>>,
    /// Whether each collection has change streams, as far as it was asked.
    follows: Mutex<HashMap<String, changes::StreamSupport>>,
    /// Where the change stream of a root goes on.
    resumes: Mutex<HashMap<String, changes::Resume>>,
}

/// The connection of one epoch.
#[derive(Clone, Debug)]
struct Live {
    epoch: u64,
    writer: Client,
    /// The database's time when it was connected, and ours.
    clock: (mongodb::bson::DateTime, Instant),
    write_concern: Document,
}

/// Where a root's recordings are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Collections {
    recordings: String,
    unrecognised: String,
    is_archive: bool,
}

/// The content of a document's bytes, understood like every document read back. None if the bytes
/// are no BSON, or the uuid is no text.
pub fn read_back(bytes: &[u8]) -> Option<Stored> {
    document::stored(mongodb::bson::raw::RawDocument::from_bytes(bytes).ok()?)
}

/// The document of a recording as bytes; none if BSON cannot hold it.
pub fn to_bytes(document: &Versioned) -> Option<Vec<u8>> {
    let now = mongodb::bson::DateTime::from_millis(0);
    document::whole(document, now).map(mongodb::bson::raw::RawDocumentBuf::into_bytes)
}

impl MongoCatalog {
    /// Starts following the database; whether it is there now does not matter. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// The connection string is not one. The words do not hold it.
    pub fn start(settings: MongoSettings) -> Result<Arc<MongoCatalog>, Failure> {
        let parsed = mongodb::options::ConnectionString::parse(&settings.uri).map_err(|error| {
            Failure::refused_client(failure::redact(
                &settings.uri,
                &format!("the MongoDB connection string cannot be used: {}", error.kind),
            ))
        })?;
        let hosts = match &parsed.host_info {
            mongodb::options::HostInfo::HostIdentifiers(hosts) => {
                hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            }
            mongodb::options::HostInfo::DnsRecord(host) => host.clone(),
            _ => "?".to_owned(),
        };
        let shared = Arc::new(Shared {
            address: format!("mongodb://{hosts}/{}", settings.database),
            settings,
            reach: watch::Sender::new(Reach::Connecting),
            live: Mutex::new(None),
            doubt: Notify::new(),
            started: Instant::now(),
            acknowledged_ms: AtomicU64::new(0),
            places: Mutex::new(HashMap::new()),
            remarks: Mutex::new(Vec::new()),
            follows: Mutex::new(HashMap::new()),
            resumes: Mutex::new(HashMap::new()),
        });
        let supervisor = tokio::spawn(supervisor::run(Arc::clone(&shared)));
        Ok(Arc::new(MongoCatalog { shared, supervisor }))
    }
}

impl Drop for MongoCatalog {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl Shared {
    fn live(&self) -> Result<Live, Failure> {
        lock(&self.live).clone().ok_or_else(|| Failure::transient("the database cannot be reached"))
    }

    /// Runs a call within a bound. The driver's future is spawned and never dropped half way; a
    /// call that is given up may still do its work there, later.
    async fn call<T, F>(
        &self,
        limit: Duration,
        call: impl FnOnce(Live, Database) -> F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, mongodb::error::Error>> + Send + 'static,
    {
        let live = self.live()?;
        let epoch = live.epoch;
        let mut reach = self.reach.subscribe();
        let database = live.writer.database(&self.settings.database);
        let mut task = tokio::spawn(call(live, database));
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
                    if failure.class == focus_core::answer::Class::Transient {
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

    fn write_limit(&self) -> Duration {
        Duration::from_millis(self.settings.write_timeout_ms)
    }

    fn acknowledged(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.acknowledged_ms.store(now, Ordering::Relaxed);
    }

    fn since_acknowledged(&self) -> Duration {
        let at = Duration::from_millis(self.acknowledged_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(at)
    }

    fn place(&self, root: &RootPlace) -> Result<Collections, Failure> {
        if self.settings.layout == Layout::Collection {
            let recordings = self.settings.collection.clone();
            let unrecognised = format!("{recordings}-unrecognized_recordings");
            return Ok(Collections { recordings, unrecognised, is_archive: false });
        }
        lock(&self.places)
            .get(&root.id)
            .cloned()
            .ok_or_else(|| Failure::transient("the root has not been opened in the catalog yet"))
    }

    fn remark(&self, words: &str) {
        let mut remarks = lock(&self.remarks);
        if !remarks.iter().any(|known| known == words) {
            remarks.push(words.to_owned());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Catalog for MongoCatalog {
    fn kind(&self) -> Kind {
        Kind::Mongodb
    }

    fn address(&self) -> String {
        self.shared.address.clone()
    }

    fn reach(&self) -> watch::Receiver<Reach> {
        self.shared.reach.subscribe()
    }

    fn doubt(&self) {
        self.shared.doubt.notify_one();
    }

    async fn open(&self, root: &RootPlace) -> Result<OpenedCatalog, Failure> {
        open::open(&self.shared, root).await
    }

    async fn identify(&self, root: &RootPlace) -> Result<String, Failure> {
        open::identify(&self.shared, root).await
    }

    async fn insert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        calls::insert(&self.shared, root, batch).await
    }

    async fn upsert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        calls::upsert(&self.shared, root, batch).await
    }

    async fn adopt(&self, root: &RootPlace, document: &Versioned) -> Result<Answer, Failure> {
        calls::adopt(&self.shared, root, document).await
    }

    async fn take_over(
        &self,
        root: &RootPlace,
        document: &Versioned,
        from: &Stored,
    ) -> Result<Answer, Failure> {
        calls::take_over(&self.shared, root, document, from).await
    }

    async fn remove_drilled(&self, root: &RootPlace, batch: &[Versioned]) -> Result<(), Failure> {
        calls::remove_drilled(&self.shared, root, batch).await
    }

    async fn read(&self, root: &RootPlace, uuids: &[String]) -> Result<Vec<Stored>, Failure> {
        calls::read(&self.shared, root, uuids).await
    }

    async fn page(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Stored>, Failure> {
        calls::page(&self.shared, root, after, limit).await
    }

    async fn mark(&self, root: &RootPlace, watermark: &str) -> Result<(), Failure> {
        calls::mark(&self.shared, root, watermark).await
    }

    async fn lease(&self, root: &RootPlace) -> Result<Option<LeaseDoc>, Failure> {
        lease::read(&self.shared, root).await
    }

    async fn draw_token(&self, above: i64) -> Result<i64, Failure> {
        lease::draw_token(&self.shared, above).await
    }

    async fn put_lease(
        &self,
        root: &RootPlace,
        expected: Option<&LeaseDoc>,
        new: &LeaseDoc,
    ) -> Result<bool, Failure> {
        lease::put(&self.shared, root, expected, new).await
    }

    async fn put_unrecognised(
        &self,
        root: &RootPlace,
        batch: &[UnrecognisedDoc],
    ) -> Result<(), Failure> {
        calls::put_unrecognised(&self.shared, root, batch).await
    }

    async fn remove_unrecognised(
        &self,
        root: &RootPlace,
        folder_names: &[String],
    ) -> Result<(), Failure> {
        calls::remove_unrecognised(&self.shared, root, folder_names).await
    }

    async fn page_unrecognised(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UnrecognisedDoc>, Failure> {
        calls::page_unrecognised(&self.shared, root, after, limit).await
    }

    fn is_archive(&self, root: &RootPlace) -> Option<bool> {
        self.shared.place(root).ok().map(|place| place.is_archive)
    }

    async fn count(&self, root: &RootPlace) -> Result<u64, Failure> {
        calls::count(&self.shared, root).await
    }

    async fn foreign(&self, root: &RootPlace) -> Result<u64, Failure> {
        calls::foreign(&self.shared, root).await
    }

    async fn follow(&self, root: &RootPlace, hints: &Arc<ChangeHints>) -> Result<bool, Failure> {
        changes::follow(&self.shared, root, hints).await
    }

    fn remarks(&self) -> Vec<String> {
        lock(&self.shared.remarks).clone()
    }
}

/// The options of both clients: those of the connection string, within our bounds.
fn options(mut options: ClientOptions, connect: Duration) -> ClientOptions {
    let beat = Duration::from_millis(500);
    options.heartbeat_freq = Some(beat);
    options.connect_timeout = Some(connect);
    options.server_selection_timeout = Some(Duration::from_millis(1_500));
    // The reconciler repeats what is in doubt; a retry inside the driver would only hide it.
    options.retry_writes = Some(false);
    options.retry_reads = Some(false);
    options.app_name.get_or_insert_with(|| "focus".to_owned());
    options
}

/// Names in a set, for choosing what is missing.
fn names(documents: &[Document]) -> HashSet<String> {
    documents
        .iter()
        .filter_map(|document| document.get_str("name").ok().map(str::to_owned))
        .collect()
}
