use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use focus_catalog::memory::MemoryCatalog;
use focus_common::config::RootSettings;
use focus_core::batch::{Item, Pick, Picked};
use focus_core::entry::EntryId;
use focus_core::json::Value;
use focus_core::lease::LeaseState;
use focus_core::pair::PairForm;
use focus_core::reconcile::Phase;
use focus_core::recording::Recording;
use focus_index::IndexError;

use super::super::ingest::parts::Parts;
use super::super::lease;
use super::super::markers::Markers;
use super::*;

/// Hands out more recordings than were asked for, once it is told to.
struct TooMany(Arc<AtomicBool>);

#[async_trait]
impl PendingSource for TooMany {
    async fn pick(&mut self, pick: Pick) -> Result<Picked, IndexError> {
        let count = if self.0.load(Ordering::Relaxed) { pick.limit + 1 } else { 0 };
        Ok(Picked { items: vec![item(); count], more: false })
    }
}

fn item() -> Item {
    let recording = Recording {
        uuid: "u1".to_owned(),
        start_ms: 1,
        end_ms: None,
        deleted: false,
        deleted_at_ms: None,
        recording_id: "one".to_owned(),
        root: "marker".to_owned(),
        path: "one.dat".to_owned(),
        size: 1,
        fingerprint: String::new(),
        metadata: Value::Object(Vec::new()),
    };
    Item { id: EntryId(1), generation: 1, known: false, recording }
}

/// A root that was scanned once.
fn served(catalog: &Arc<dyn Catalog>) -> Arc<ServedRoot> {
    let settings = RootSettings::of("/recordings".into());
    let markers = Arc::new(Markers::new(&[]));
    let fault = Arc::new(IndexFault::default());
    let parts = Parts::new("", false);
    let form = PairForm::focus().clone();
    let served = ServedRoot::new(settings, form, Arc::clone(catalog), fault, markers, parts);
    served.scans.store(1, Ordering::Relaxed);
    Arc::new(served)
}

/// Asks again and again until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_breaks_a_rule_stops_writing_says_so_and_owes_a_comparison() {
    let dir = tempfile::tempdir().expect("a folder");
    let index = Index::open(&dir.path().join("index.db")).expect("an index").index;
    let remembered = async || {
        let known = index.root("marker".to_owned(), "/recordings".to_owned(), clock::boot_ms());
        known.await.expect("what the index remembers")
    };
    let memory = remembered().await;
    let catalog: Arc<dyn Catalog> = MemoryCatalog::start();
    let (place, served) =
        (RootPlace { id: "marker".to_owned(), path: "/recordings".to_owned() }, served(&catalog));
    let lease = LeaseKeeper::new("me", &memory, 10_000);
    let (keeper, keeps) = (Arc::clone(&lease), Arc::clone(&catalog));
    tokio::spawn(lease::keep(keeper, keeps, index.clone(), memory.id, place.clone()));
    let too_many = Arc::new(AtomicBool::new(false));
    let view = Arc::new(Mutex::new(ReconcilerView::default()));
    let (_told, changes) = mpsc::channel(1);
    let driver = Driver::new(DriverParts {
        catalog,
        index: index.clone(),
        place,
        memory,
        wake: Arc::clone(&served.wake),
        fault: Arc::clone(&served.index_fault),
        view: Arc::clone(&view),
        phases: watch::Sender::new(0),
        lease: Arc::clone(&lease),
        served: Arc::clone(&served),
        pending: Box::new(TooMany(Arc::clone(&too_many))),
        changes,
        compare_interval_ms: 3_600_000,
        refused_retry_ms: 30_000,
    });
    let driving = tokio::spawn(driver.run());
    let seen = || view.lock().clone();
    until("in step", async || seen().phase == Phase::InStep && !remembered().await.owed).await;

    too_many.store(true, Ordering::Relaxed);
    served.wake.notify_one();
    until("stopped", async || seen().stopped.is_some()).await;
    let stopped = seen();
    assert_eq!(stopped.phase, Phase::Down);
    let words = stopped.reason().expect("a reason");
    for part in ["/recordings", "queues_bounded", "Restart the server", "report"] {
        assert!(words.contains(part), "{part} in {words}");
    }
    until("what is owed is stored", async || remembered().await.owed).await;
    until("the lease is given up", async || lease.view().0 == LeaseState::Unknown).await;
    driving.abort();
}
