//! What a holder has told people of a root, kept in the catalog for whoever takes the root over.

use std::sync::Arc;

use focus_catalog::{Reach, RootPlace};
use focus_core::answer::Failure;
use focus_core::lease::LastHolder;
use tokio::sync::watch;

use crate::engine::Engine;
use crate::served_root::ServedRoot;

/// A root that is known, and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootHolder {
    /// The marker's id.
    pub id: String,
    /// The configured path.
    pub path: String,
    /// Who held the lease last, as far as this server knows.
    pub holder: LastHolder,
    /// The token under which this server holds the lease now; none where it does not.
    pub token: Option<i64>,
    /// Another holder was seen to renew the lease in the present connection: what it has handed over is what it
    /// told.
    pub was_renewed: bool,
}

impl Engine {
    /// The roots that are known, each with its holder, in the order of the settings.
    pub fn holders(&self) -> Vec<RootHolder> {
        let known = |root: &Arc<ServedRoot>| {
            let id = root.memory.borrow().as_ref().map(|(marker, _)| marker.clone())?;
            let lease = root.lease();
            Some(RootHolder {
                id,
                path: root.path(),
                holder: root.last_holder(),
                token: lease.as_ref().and_then(|lease| lease.token_held()),
                was_renewed: lease.is_some_and(|lease| lease.was_renewed()),
            })
        };
        self.roots.iter().filter_map(known).collect()
    }

    /// Which database the catalog is, as it was met last; none where it never was.
    pub fn catalog_identity(&self) -> Option<String> {
        let met = self.views().find_map(|view| view.identity);
        met.or_else(|| self.reader.catalog_identity().ok().flatten())
    }

    /// Whether the catalog takes writes, with every change of it.
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.catalog.reach()
    }

    /// The name under which this server holds leases.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Writes what this server, the holder of a root under `token`, has told people.
    ///
    /// # Errors
    /// The catalog did not take it.
    pub async fn put_alerts(
        &self,
        root: &RootHolder,
        token: i64,
        text: String,
    ) -> Result<(), Failure> {
        let place = RootPlace { id: root.id.clone(), path: root.path.clone() };
        let catalog = Arc::clone(&self.catalog);
        whole(async move { catalog.put_alerts(&place, token, &text).await }).await
    }

    /// Reads what a holder of a root has told people; none where none has.
    ///
    /// # Errors
    /// The catalog did not answer.
    pub async fn alerts(&self, root: &RootHolder) -> Result<Option<String>, Failure> {
        let place = RootPlace { id: root.id.clone(), path: root.path.clone() };
        let catalog = Arc::clone(&self.catalog);
        whole(async move { catalog.alerts(&place).await }).await
    }
}

/// A call of a driver has to come to its end, also where nobody waits for it any more.
async fn whole<T: Send + 'static>(
    call: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(call).await.unwrap_or_else(|error| Err(Failure::transient(error.to_string())))
}
