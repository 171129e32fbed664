//! The engine: what it is made of, how it starts, and how it stops.

use std::sync::Arc;
use std::time::Duration;

use focus_catalog::Catalog;
use focus_catalog::embedded::EmbeddedCatalog;
use focus_catalog::mongo::{self, MongoCatalog, MongoSettings};
use focus_common::config::{Layout, RootSettings, Settings};
use focus_common::memory_budget::MemoryBudget;
use focus_core::hint::WAITING_MAX;
use focus_index::{
    ConfiguredRoot, Doubts, Index, IndexBounds, IndexError, IndexedKey, Opened, Reader, TextIndexed,
};
use focus_storage::Pair;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::StartError;
use crate::fill::FirstFill;
use crate::hints::HintedRoot;
use crate::inbox::Inbox;
use crate::index_fault::IndexFault;
use crate::indexing::Indexing;
use crate::ingest::claims::Claims;
use crate::ingest::parts::Parts;
use crate::markers::Markers;
use crate::outage::{self, Outages};
use crate::root;
use crate::served_root::ServedRoot;
use crate::text_indexing::TextIndexing;
use crate::verify::state::Verifications;
use crate::view::ReconcilerView;
use crate::writing::RootWriter;

/// The index's file in the state folder.
pub const INDEX_FILE: &str = "index.db";

/// The embedded catalog's file in the state folder.
pub const CATALOG_FILE: &str = "catalog/catalog.db";

/// Storage that does not answer is waited for so long at the end. A process manager kills after ten
/// seconds, and the leases take some of them.
const STOP_LIMIT: Duration = Duration::from_secs(7);

/// A running Focus Server without its network side.
pub struct Engine {
    pub(crate) settings: Settings,
    /// The name under which leases are held.
    pub(crate) identity: String,
    pub(crate) index: Index,
    pub(crate) reader: Reader,
    /// Why the index was made anew at the start; none where it was not.
    pub(crate) rebuilt: Option<String>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) roots: Vec<Arc<ServedRoot>>,
    /// The same roots, as hints from outside name them.
    pub(crate) hinted: Vec<HintedRoot>,
    /// What the status shows of the reconciler of each root, in the order of `roots`.
    pub(crate) views: Vec<Arc<Mutex<ReconcilerView>>>,
    /// Counts the changes of any reconciler's phase.
    phases: watch::Sender<u64>,
    pub(crate) index_fault: Arc<IndexFault>,
    pub(crate) outages: Arc<Outages>,
    pub(crate) fill: FirstFill,
    /// What the status shows of indexed keys.
    pub(crate) indexed_keys: Arc<Mutex<Vec<IndexedKey>>>,
    /// How far the text index is.
    pub(crate) text_indexed: Arc<Mutex<TextIndexed>>,
    pub(crate) verifications: Verifications,
    /// Paths and uuids that are being handed over.
    pub(crate) claims: Arc<Claims>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts everything. A root or a database that is not there is a state, not an error.
    ///
    /// # Errors
    /// The index cannot be opened, or the connection string cannot be used.
    pub async fn start(settings: Settings) -> Result<Engine, StartError> {
        Engine::start_as(settings, true, None).await
    }

    /// Starts as [`Engine::start`] does, with a new index: the one that was found to be damaged is kept
    /// aside. `damage` says how it was damaged.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_anew(settings: Settings, damage: String) -> Result<Engine, StartError> {
        Engine::start_as(settings, true, Some(damage)).await
    }

    /// Starts as [`Engine::start`] does, but writes nothing to the catalog.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_reading(settings: Settings) -> Result<Engine, StartError> {
        Engine::start_as(settings, false, None).await
    }

    async fn start_as(
        settings: Settings,
        writes: bool,
        damage: Option<String>,
    ) -> Result<Engine, StartError> {
        let identity = focus_common::state_dir::identity(&settings.state_dir)?;
        let opened = open_index(&settings, damage).await?;
        let reader = opened.index.reader();
        let catalog = catalog(&settings, reader.knows_a_catalog()?)?;
        let mut engine = Engine {
            identity,
            rebuilt: opened.rebuilt,
            verifications: Verifications::of(&settings.state_dir),
            outages: Arc::new(Outages::of(&settings.state_dir, writes)),
            fill: FirstFill::begin(),
            claims: Arc::default(),
            indexed_keys: Arc::default(),
            text_indexed: Arc::default(),
            roots: Vec::new(),
            hinted: Vec::new(),
            views: Vec::new(),
            threads: Mutex::default(),
            tasks: Mutex::default(),
            phases: watch::Sender::new(0),
            index_fault: Arc::default(),
            index: opened.index,
            settings,
            reader,
            catalog,
        };
        let configured = engine.settings.roots.iter();
        engine.reader.answer_for(
            configured
                .map(|root| ConfiguredRoot { path: root.path.display().to_string(), marker: None })
                .collect(),
        );
        let is_set = !writes || engine.set_indexed_keys().await;
        engine.start_check()?;
        let markers = Arc::new(Markers::new(&engine.settings.roots));
        for root in engine.settings.roots.clone() {
            engine.start_root(root, &markers, writes)?;
        }
        engine.start_outages();
        if writes {
            engine.start_indexing(is_set);
            engine.start_text_indexing();
        }
        Ok(engine)
    }

    /// The codes by which recordings are known to seismologists; none where the settings have none.
    pub fn fdsn_codes(&self) -> Option<&focus_common::config::Codes> {
        self.settings.fdsn.codes.as_ref()
    }

    /// The state folder.
    pub fn state_dir(&self) -> &std::path::Path {
        &self.settings.state_dir
    }

    /// Checks, beside everything else, whether the index agrees with itself.
    fn start_check(&self) -> Result<(), StartError> {
        let (reader, fault) = (self.reader.clone(), Arc::clone(&self.index_fault));
        let index = self.index.clone();
        self.spawn("check", "a check of the index", move || {
            let repaired = reader.check().and_then(|doubts| mend(&index, &doubts));
            if let Err(error) = repaired {
                fault.tell(&error);
            }
        })
    }

    fn start_root(
        &mut self,
        settings: RootSettings,
        markers: &Arc<Markers>,
        writes: bool,
    ) -> Result<(), StartError> {
        let (catalog, fault) = (Arc::clone(&self.catalog), Arc::clone(&self.index_fault));
        let form = self.settings.form_of(&settings);
        // Who only reads removes nothing either.
        let parts = Parts::new(&self.identity, writes);
        let pair = Pair::of(form.clone());
        let mut served =
            ServedRoot::new(settings, form, catalog, fault, Arc::clone(markers), parts);
        served.inbox = Arc::new(Inbox::new(WAITING_MAX / self.settings.roots.len().max(1)));
        let served = Arc::new(served);
        let exclude = self.settings.exclude_of(&served.settings);
        self.hinted.push(HintedRoot::new(Arc::clone(&served), exclude, pair));
        let view = Arc::new(Mutex::new(ReconcilerView::default()));
        let (root, index, all) = (Arc::clone(&served), self.index.clone(), self.settings.clone());
        self.spawn("root", "a root", move || root::run(&root, &index, &all))?;
        if writes {
            let writer = RootWriter {
                served: Arc::clone(&served),
                index: self.index.clone(),
                catalog: Arc::clone(&self.catalog),
                view: Arc::clone(&view),
                phases: self.phases.clone(),
                identity: self.identity.clone(),
                settings: self.settings.clone(),
            };
            self.tasks().push(tokio::spawn(writer.run()));
        }
        self.roots.push(served);
        self.views.push(view);
        Ok(())
    }

    /// Starts following the catalog's coming and going.
    fn start_outages(&self) {
        let catalog = Arc::clone(&self.catalog);
        let followed = outage::Followed {
            reach: self.catalog.reach(),
            phases: self.phases.subscribe(),
            views: self.views.clone(),
            reader: self.reader.clone(),
            last_answer: move || catalog.last_answer(),
        };
        let outages = outage::follow(Arc::clone(&self.outages), followed);
        self.tasks().push(tokio::spawn(outages));
    }

    /// Tells the index which keys are indexed, before anything lands. False: it cannot take it now.
    async fn set_indexed_keys(&self) -> bool {
        let set = self.index.index_metadata(self.settings.indexed_metadata.to_vec()).await;
        set.inspect_err(|error| self.index_fault.tell(error)).is_ok()
    }

    /// Starts following the setting of indexed keys.
    fn start_indexing(&self, is_set: bool) {
        let indexing = Indexing {
            index: self.index.clone(),
            reader: self.reader.clone(),
            fault: Arc::clone(&self.index_fault),
            keys: self.settings.indexed_metadata.to_vec(),
            is_set,
            view: Arc::clone(&self.indexed_keys),
        };
        self.tasks().push(tokio::spawn(indexing.run()));
    }

    /// Starts following the recordings with the text index.
    fn start_text_indexing(&self) {
        let indexing = TextIndexing {
            index: self.index.clone(),
            reader: self.reader.clone(),
            fault: Arc::clone(&self.index_fault),
            view: Arc::clone(&self.text_indexed),
        };
        self.tasks().push(tokio::spawn(indexing.run()));
    }

    /// Starts a thread that [`Engine::stop`] waits for.
    fn spawn(
        &self,
        name: &str,
        purpose: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), StartError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|source| StartError::Thread { purpose, source })?;
        self.threads().push(thread);
        Ok(())
    }

    fn threads(&self) -> MutexGuard<'_, Vec<std::thread::JoinHandle<()>>> {
        self.threads.lock()
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.tasks.lock()
    }

    /// A reader of the index.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Tells which recordings change, while somebody looks on.
    pub fn change_tap(&self) -> &focus_index::ChangeTap {
        self.index.tap()
    }

    /// Recordings that the catalog has acknowledged since the start.
    pub fn acknowledged(&self) -> u64 {
        self.views.iter().map(|view| view.lock().acknowledged).sum()
    }

    /// How the index was found to be damaged; none where it was not.
    pub fn damage(&self) -> Option<String> {
        self.index_fault.damage()
    }

    /// Waits until the index is found to be damaged, and says how. [`Engine::start_anew`] then makes a
    /// new one from storage.
    pub async fn damaged(&self) -> String {
        self.index_fault.damaged().await
    }

    /// Stops in order: the tasks end, the leases are given up, the threads end, and the index is closed.
    /// What is under way is completed or is given up, and nothing is lost.
    pub async fn stop(&self) {
        for root in &self.roots {
            root.inbox.close();
        }
        let tasks = std::mem::take(&mut *self.tasks());
        for task in tasks {
            task.abort();
            // Aborted, or at its end: nothing more is sent.
            let _ = task.await;
        }
        let leases: Vec<_> = self.roots.iter().filter_map(|root| root.lease()).collect();
        futures_util::future::join_all(leases.iter().map(|lease| lease.release())).await;
        let threads = std::mem::take(&mut *self.threads());
        let index = self.index.clone();
        let ended = tokio::task::spawn_blocking(move || {
            index.reader().rest();
            for thread in threads {
                // A panic there has been told.
                let _ = thread.join();
            }
            index.close();
        });
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!(
                "storage does not answer: stopped without waiting for it; nothing is lost"
            );
        }
    }
}

/// Makes anew what the index keeps besides its rows, where that does not agree with them.
fn mend(index: &Index, doubts: &Doubts) -> Result<(), IndexError> {
    if let Some(words) = &doubts.coverage {
        tracing::warn!("what is covered is summed up anew from the index: {words}");
        index.repair_coverage()?;
    }
    if let Some(words) = &doubts.metadata {
        tracing::warn!("recordings are indexed by their metadata anew: {words}");
        index.repair_metadata()?;
    }
    if let Some(words) = &doubts.text {
        tracing::warn!("the text index is made anew: {words}");
        index.repair_text()?;
    }
    Ok(())
}

/// What the index may keep of the memory that the server may take.
fn index_bounds(budget: MemoryBudget) -> IndexBounds {
    IndexBounds {
        writer_kib: budget.index_writer_kib(),
        reader_kib: budget.index_reader_kib(),
        log_bytes: budget.index_log_bytes(),
    }
}

/// Opens the index, or makes a new one in place of one that was found to be damaged.
async fn open_index(settings: &Settings, damage: Option<String>) -> Result<Opened, StartError> {
    let path = settings.state_dir.join(INDEX_FILE);
    let open = move || match damage {
        Some(words) => Index::open_anew(&path, &words),
        None => Index::open(&path),
    };
    let opened = tokio::task::spawn_blocking(open).await??;
    if let Some(words) = &opened.rebuilt {
        tracing::warn!("{words}; a new index is made from storage, and nothing is lost");
    }
    opened.index.bound(index_bounds(MemoryBudget::of_mib(settings.memory_budget_mib)))?;
    Ok(opened)
}

/// The catalog that the settings name. `known`: one was met before, so that an embedded one that is
/// missing is an outage, and is not made anew.
fn catalog(settings: &Settings, known: bool) -> Result<Arc<dyn Catalog>, StartError> {
    let Some(mongo) = mongo_settings(settings) else {
        return Ok(EmbeddedCatalog::start(settings.state_dir.join(CATALOG_FILE), known));
    };
    Ok(MongoCatalog::start(mongo)?)
}

/// Where the database is; none where the catalog is embedded.
pub(crate) fn mongo_settings(settings: &Settings) -> Option<MongoSettings> {
    let uri = settings.mongodb_uri.as_ref()?;
    let layout = match settings.layout {
        Layout::Collection => mongo::Layout::Collection,
        Layout::BasePaths => mongo::Layout::BasePaths,
    };
    let mut mongo =
        MongoSettings::new(uri.expose(), &settings.database, &settings.collection, layout);
    mongo.probe_timeout_ms = settings.probe_timeout_ms;
    Some(mongo)
}
