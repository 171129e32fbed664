//! The shell: it joins storage, index and catalog, and carries out what the core decides.

mod absence;
mod blocking;
mod changes;
mod driver;
mod inbox;
mod lease;
mod no_recovery;
mod observer;
mod outage;
mod pending;
mod root;
mod scan;
mod status;
mod unrecognised;
mod verify;
mod view;
mod watching;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use focus_catalog::embedded::EmbeddedCatalog;
use focus_catalog::mongo::{self, MongoCatalog, MongoSettings};
use focus_catalog::{Catalog, Reach, RootPlace};
use focus_core::reconcile::Phase;
use focus_index::{Index, Reader, RootId};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use changes::ChangeListener;
use driver::{Driver, Parts};
use focus_common::config::{Layout, Settings};
use focus_common::status::{RootStatus, Verifying};
use inbox::{Inbox, ScanAsked};
use lease::LeaseKeeper;
use outage::Outages;
use pending::IndexedPending;
use root::{IndexFault, ServedRoot};
use view::View;

pub use status::{Completeness, PassReport};
pub use verify::{Verification, VerifyError};

/// The index's file in the state folder.
pub const INDEX_FILE: &str = "index.db";

/// The embedded catalog's file in the state folder.
pub const CATALOG_FILE: &str = "catalog/catalog.db";

/// A pass ends without its result where the index cannot be used for so long.
const FAULT_LIMIT: Duration = Duration::from_secs(10);

/// The held deletions of one root.
#[derive(Clone, Debug)]
pub struct HeldRoot {
    /// Its row in the index.
    pub id: RootId,
    /// The id in its marker.
    pub marker: String,
    /// Its configured path.
    pub path: String,
    /// How many deletions are held.
    pub held: u64,
    /// The end of the set that is held now.
    pub through: i64,
}

/// A running Focus Server without its network side.
pub struct Engine {
    settings: Settings,
    /// The name under which leases are held.
    me: String,
    index: Index,
    reader: Reader,
    rebuilt: Option<String>,
    catalog: Arc<dyn Catalog>,
    roots: Vec<Arc<ServedRoot>>,
    views: Vec<Arc<Mutex<View>>>,
    phases: watch::Sender<u64>,
    index_fault: Arc<IndexFault>,
    outages: Arc<Outages>,
    /// Held while a verification goes on.
    verifying: tokio::sync::Mutex<()>,
    /// How far it has come.
    verify_progress: Mutex<Option<Verifying>>,
    verified: Mutex<Option<Verification>>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts everything. Absent roots and databases are states, not errors.
    ///
    /// # Errors
    /// The index cannot be opened, or the connection string is not one.
    pub async fn start(settings: Settings) -> anyhow::Result<Engine> {
        Engine::start_as(settings, true, None).await
    }

    /// As [`Engine::start`], with the index that was found to be damaged kept aside.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_anew(settings: Settings, why: String) -> anyhow::Result<Engine> {
        Engine::start_as(settings, true, Some(why)).await
    }

    /// As [`Engine::start`], but nothing is written to the catalog.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_reading(settings: Settings) -> anyhow::Result<Engine> {
        Engine::start_as(settings, false, None).await
    }

    async fn start_as(
        settings: Settings,
        writes: bool,
        damaged: Option<String>,
    ) -> anyhow::Result<Engine> {
        let me = focus_common::state_dir::identity(&settings.state_dir)?;
        let path = settings.state_dir.join(INDEX_FILE);
        let open = move || match damaged {
            Some(why) => Index::open_anew(&path, &why),
            None => Index::open(&path),
        };
        let opened = tokio::task::spawn_blocking(open).await??;
        if let Some(words) = &opened.rebuilt {
            tracing::warn!("{words}; a new index is made from storage, and nothing is lost");
        }
        let index = opened.index;
        let reader = index.reader();
        let known = reader.knows_a_catalog()?;
        let catalog = catalog(&settings, known)?;
        let index_fault = Arc::new(IndexFault::default());
        let phases = watch::Sender::new(0);
        let mut engine = Engine {
            outages: Arc::new(Outages::default()),
            rebuilt: opened.rebuilt,
            verifying: tokio::sync::Mutex::new(()),
            verify_progress: Mutex::new(None),
            verified: Mutex::new(verify::load(&settings.state_dir)),
            roots: Vec::new(),
            views: Vec::new(),
            threads: Mutex::new(Vec::new()),
            tasks: Mutex::new(Vec::new()),
            settings,
            me,
            index,
            reader,
            catalog,
            phases,
            index_fault,
        };
        engine.start_check()?;
        for root in engine.settings.roots.clone() {
            engine.start_root(root, writes)?;
        }
        let outages = outage::follow(
            Arc::clone(&engine.outages),
            engine.catalog.reach(),
            engine.phases.subscribe(),
            engine.views.clone(),
            engine.reader.clone(),
        );
        engine.tasks().push(tokio::spawn(outages));
        Ok(engine)
    }

    /// Looks beside everything else whether the index agrees with itself.
    fn start_check(&self) -> anyhow::Result<()> {
        let (reader, fault) = (self.reader.clone(), Arc::clone(&self.index_fault));
        let check = move || {
            if let Err(error) = reader.check() {
                fault.tell(&error);
            }
        };
        let thread = std::thread::Builder::new().name("check".to_owned()).spawn(check);
        let thread = thread.context("no thread for a check of the index")?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn start_root(
        &mut self,
        settings: focus_common::config::RootSettings,
        writes: bool,
    ) -> anyhow::Result<()> {
        let path = settings.path.display().to_string();
        let side = Arc::new(ServedRoot {
            inbox: Arc::new(Inbox::default()),
            wake: Arc::new(Notify::new()),
            status: Mutex::new(RootStatus { path: path.clone(), ..RootStatus::default() }),
            memory: watch::Sender::new(None),
            lease: Mutex::new(None),
            catalog: Arc::clone(&self.catalog),
            index_fault: Arc::clone(&self.index_fault),
            scans: 0.into(),
            complete_through_ms: Mutex::new(None),
            settings,
        });
        let view = Arc::new(Mutex::new(View::default()));
        let (thread_side, index, all) =
            (Arc::clone(&side), self.index.clone(), self.settings.clone());
        let thread = std::thread::Builder::new()
            .name("root".to_owned())
            .spawn(move || root::run(&thread_side, &index, &all))
            .context("no thread for a root")?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        if writes {
            let task = tokio::spawn(drive(
                Arc::clone(&side),
                self.index.clone(),
                Arc::clone(&self.catalog),
                Arc::clone(&view),
                self.phases.clone(),
                (self.me.clone(), self.settings.clone()),
                path,
            ));
            self.tasks().push(task);
        }
        self.roots.push(side);
        self.views.push(view);
        Ok(())
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the index.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// What is held of each root that was seen. Blocks for as long as a read takes.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn held_roots(&self) -> Result<Vec<HeldRoot>, focus_index::IndexError> {
        let mut roots = Vec::new();
        for side in &self.roots {
            let Some((marker, memory)) = side.memory.borrow().clone() else { continue };
            roots.push(HeldRoot {
                id: memory.id,
                marker,
                path: side.settings.path.display().to_string(),
                held: self.reader.root_totals(memory.id)?.held,
                through: self.reader.held_through(memory.id)?,
            });
        }
        Ok(roots)
    }

    /// Lets the held deletions of a root through, up to `through`; how many.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn approve(
        &self,
        root: RootId,
        through: i64,
    ) -> Result<u64, focus_index::IndexError> {
        let approved = self.index.approve(root, through, focus_common::clock::wall_ms()).await?;
        for side in &self.roots {
            side.wake.notify_one();
        }
        if approved > 0 {
            tracing::info!(approved, "{approved} held deletions were let through");
        }
        Ok(approved)
    }

    /// Something is gone from a root that is there, and it is not yet decided what becomes of it.
    fn is_deciding(&self) -> bool {
        self.roots.iter().any(|side| {
            let id = side.memory.borrow().as_ref().map(|(_, memory)| memory.id);
            side.is_present()
                && id.is_some_and(|id| self.reader.has_vanish_candidates(id).unwrap_or(false))
        })
    }

    /// How the index was found to be damaged, if it was.
    pub fn damage(&self) -> Option<String> {
        self.index_fault.damage()
    }

    /// Ends when the index is found to be damaged, and says how: start anew, and it is rebuilt.
    pub async fn damaged(&self) -> String {
        self.index_fault.damaged().await
    }

    /// Waits until all roots were scanned once more, nothing is unsettled or pending, or what is
    /// missing is not there.
    pub async fn pass(&self) -> PassReport {
        let before: Vec<u64> = self.roots.iter().map(|root| root.scans()).collect();
        for root in &self.roots {
            root.inbox.ask_scan(ScanAsked::Stat);
        }
        // A live recording's file may grow for ever: settling is waited for within a bound.
        let settle = Duration::from_millis(self.settings.settle_ms * 3 + 10_000);
        let mut settled_by = None;
        // Another server's lease is no outage, but it is not ours to write under: it may lapse.
        let mut faulty_since = None;
        let standby_by =
            tokio::time::Instant::now() + Duration::from_millis(self.settings.lease_ms + 3_000);
        loop {
            let scanned = self
                .roots
                .iter()
                .zip(&before)
                .all(|(root, before)| root.scans() > *before || !root.is_present());
            if scanned {
                let by = *settled_by.get_or_insert_with(|| tokio::time::Instant::now() + settle);
                let totals = self.reader.totals().unwrap_or_default();
                let over = tokio::time::Instant::now() >= by;
                let stood_by = self.is_standby() && tokio::time::Instant::now() >= standby_by;
                let reached = self.is_reached() && !stood_by;
                if (totals.unsettled == 0 && !self.is_deciding() || over)
                    && (totals.pending == 0 && self.is_in_step() || !reached)
                {
                    return self.pass_report(reached);
                }
            }
            if let Some((_, words)) = self.index_fault.get() {
                let since = *faulty_since.get_or_insert_with(tokio::time::Instant::now);
                if since.elapsed() >= FAULT_LIMIT {
                    let mut report = self.pass_report(self.is_reached());
                    report.problems.push(words);
                    return report;
                }
            } else {
                faulty_since = None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn is_in_step(&self) -> bool {
        self.views.iter().all(|view| {
            let view = view.lock().unwrap_or_else(PoisonError::into_inner);
            view.phase == Phase::InStep && !view.owed || view.phase == Phase::Unknown
        })
    }

    /// Another server has the lease of one of the roots.
    fn is_standby(&self) -> bool {
        self.views
            .iter()
            .any(|view| view.lock().unwrap_or_else(PoisonError::into_inner).phase == Phase::Standby)
    }

    /// False once the catalog is known not to be there, or to refuse us.
    fn is_reached(&self) -> bool {
        let down = matches!(*self.catalog.reach().borrow(), Reach::Down { .. });
        let refused = self
            .views
            .iter()
            .any(|view| view.lock().unwrap_or_else(PoisonError::into_inner).phase == Phase::Down);
        !down && !refused && self.lease_trouble().is_none()
    }

    /// Stops in order: what is under way ends or is given up, and the index is closed.
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
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let index = self.index.clone();
        let ended = tokio::task::spawn_blocking(move || {
            index.reader().rest();
            for thread in threads {
                // A panic there has been told.
                let _ = thread.join();
            }
            index.close();
        });
        if tokio::time::timeout(Duration::from_secs(7), ended).await.is_err() {
            tracing::warn!(
                "storage does not answer: stopped without waiting for it; nothing is lost"
            );
        }
    }
}

/// Waits until the root is known, then drives its reconciler.
async fn drive(
    side: Arc<ServedRoot>,
    index: Index,
    catalog: Arc<dyn Catalog>,
    view: Arc<Mutex<View>>,
    phases: watch::Sender<u64>,
    (me, settings): (String, Settings),
    path: String,
) {
    let mut known = side.memory.subscribe();
    let Ok(found) = known.wait_for(Option::is_some).await.map(|found| found.clone()) else {
        return;
    };
    let Some((marker, memory)) = found else { return };
    let place = RootPlace { id: marker, path };
    let lease = LeaseKeeper::new(&me, &memory, settings.lease_ms);
    *side.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&lease));
    // Not aborted with the driver: it gives the lease up at the end.
    tokio::spawn(lease::keep(
        Arc::clone(&lease),
        Arc::clone(&catalog),
        index.clone(),
        memory.id,
        place.clone(),
    ));
    // Ends with the driver.
    let mut beside = JoinSet::new();
    let changes = ChangeListener {
        catalog: Arc::clone(&catalog),
        place: place.clone(),
        lease: Arc::clone(&lease),
        view: Arc::clone(&view),
    }
    .start(&mut beside);
    let pending = Box::new(IndexedPending { reader: index.reader(), id: memory.id });
    let pending = no_recovery::unless_switched_off(pending, catalog.reach());
    let parts = Parts {
        catalog,
        index,
        place,
        memory,
        wake: Arc::clone(&side.wake),
        fault: Arc::clone(&side.index_fault),
        view,
        phases,
        lease,
        side: Arc::clone(&side),
        pending,
        changes,
        compare_interval_ms: settings.compare_interval_ms,
        refused_retry_ms: settings.refused_retry_ms,
    };
    Driver::new(parts).run().await;
}

fn catalog(settings: &Settings, known: bool) -> anyhow::Result<Arc<dyn Catalog>> {
    let Some(uri) = &settings.mongodb_uri else {
        return Ok(EmbeddedCatalog::start(settings.state_dir.join(CATALOG_FILE), known));
    };
    let layout = match settings.layout {
        Layout::Collection => mongo::Layout::Collection,
        Layout::BasePaths => mongo::Layout::BasePaths,
    };
    let mut mongo =
        MongoSettings::new(uri.expose(), &settings.database, &settings.collection, layout);
    mongo.probe_timeout_ms = settings.probe_timeout_ms;
    Ok(MongoCatalog::start(mongo)?)
}
