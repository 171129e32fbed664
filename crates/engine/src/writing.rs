//! The tasks that write one root to the catalog: its lease, its driver, and the listener for what
//! others change there.

use std::sync::Arc;

use focus_catalog::{Catalog, RootPlace};
use focus_common::config::Settings;
use focus_index::{Index, RootMemory};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::changes::ChangeListener;
use crate::driver::{Driver, DriverParts};
use crate::lease::{self, LeaseKeeper};
use crate::no_recovery;
use crate::pending::IndexedPending;
use crate::served_root::ServedRoot;
use crate::view::ReconcilerView;

/// What writing one root to the catalog needs.
pub(crate) struct RootWriter {
    pub(crate) served: Arc<ServedRoot>,
    pub(crate) index: Index,
    pub(crate) catalog: Arc<dyn Catalog>,
    /// What the status shows of the root's reconciler.
    pub(crate) view: Arc<Mutex<ReconcilerView>>,
    /// Counts the changes of any reconciler's phase.
    pub(crate) phases: watch::Sender<u64>,
    /// The name under which leases are held.
    pub(crate) identity: String,
    pub(crate) settings: Settings,
}

impl RootWriter {
    /// Waits until the root is known, then drives its reconciler until the task is aborted.
    pub(crate) async fn run(self) {
        let mut memory = self.served.memory.subscribe();
        let Ok(known) = memory.wait_for(Option::is_some).await.map(|known| known.clone()) else {
            return;
        };
        let Some((marker, memory)) = known else { return };
        let place = RootPlace { id: marker, path: self.served.path() };
        let lease = self.keep_lease(&memory, &place);
        // Ends with the driver.
        let mut beside = JoinSet::new();
        let changes = ChangeListener {
            catalog: Arc::clone(&self.catalog),
            place: place.clone(),
            lease: Arc::clone(&lease),
            view: Arc::clone(&self.view),
        }
        .start(&mut beside);
        let pending = Box::new(IndexedPending { reader: self.index.reader(), id: memory.id });
        let pending = no_recovery::unless_switched_off(pending, self.catalog.reach());
        let driver = Driver::new(DriverParts {
            catalog: self.catalog,
            index: self.index,
            place,
            memory,
            wake: Arc::clone(&self.served.wake),
            fault: Arc::clone(&self.served.index_fault),
            view: self.view,
            phases: self.phases,
            lease,
            served: self.served,
            pending,
            changes,
            compare_interval_ms: self.settings.compare_interval_ms,
            refused_retry_ms: self.settings.refused_retry_ms,
        });
        driver.run().await;
    }

    /// Starts keeping the lease. The keeper is not aborted with the driver: it gives the lease up at the
    /// end.
    fn keep_lease(&self, memory: &RootMemory, place: &RootPlace) -> Arc<LeaseKeeper> {
        let lease = LeaseKeeper::new(&self.identity, memory, self.settings.lease_ms);
        *self.served.lease.lock() = Some(Arc::clone(&lease));
        // Seen before the root was known. What is seen from now on, the root's thread tells the lease.
        if let Some(at) = self.served.marker_place.lock().clone() {
            lease.set_place(at);
        }
        tokio::spawn(lease::keep(
            Arc::clone(&lease),
            Arc::clone(&self.catalog),
            self.index.clone(),
            memory.id,
            place.clone(),
        ));
        lease
    }
}
