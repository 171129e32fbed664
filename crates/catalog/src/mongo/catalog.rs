//! The interface of the catalog, carried out by the modules beside this one.

use std::sync::Arc;

use async_trait::async_trait;
use focus_core::answer::{Answer, Failure};
use focus_core::compare::Page;
use focus_core::lease::LeaseDoc;
use mongodb::error::ErrorKind;
use mongodb::options::{ConnectionString, HostInfo};
use tokio::sync::watch;

use super::settings::MongoSettings;
use super::state::MongoState;
use super::{
    changes, failure, lease, meta, open, pages, preview, recordings, supervisor, unrecognised,
};
use crate::{
    Backend, Catalog, ChangeHints, OpenedCatalog, Reach, RootPlace, Stored, UnrecognisedDoc,
    Versioned,
};

/// The catalog in MongoDB.
#[derive(Debug)]
pub struct MongoCatalog {
    state: Arc<MongoState>,
    supervisor: tokio::task::JoinHandle<()>,
}

impl MongoCatalog {
    /// Starts following the database; whether it is there now does not matter. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// The connection string is not one. The words do not hold it.
    pub fn start(settings: MongoSettings) -> Result<Arc<MongoCatalog>, Failure> {
        let parsed = ConnectionString::parse(&settings.uri).map_err(|error| {
            Failure::refused_client(failure::redact(
                &settings.uri,
                &format!("the MongoDB connection string cannot be used: {}", unusable(&error)),
            ))
        })?;
        #[expect(deprecated, reason = "the driver takes it here, and fails with it at every try")]
        let socket_timeout = parsed.socket_timeout;
        if socket_timeout.is_some() {
            return Err(Failure::refused_client(
                "the MongoDB connection string cannot be used: the option socketTimeoutMS is not supported. Remove it; every call has a bound of its own",
            ));
        }
        let hosts = match &parsed.host_info {
            HostInfo::HostIdentifiers(hosts) => {
                hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            }
            HostInfo::DnsRecord(host) => host.clone(),
            _ => "?".to_owned(),
        };
        let address = format!("mongodb://{hosts}/{}", settings.database);
        let state = Arc::new(MongoState::new(settings, address));
        let supervisor = tokio::spawn(supervisor::run(Arc::clone(&state)));
        Ok(Arc::new(MongoCatalog { state, supervisor }))
    }

    /// What an opening for this root would make, one phrase each; makes nothing.
    ///
    /// # Errors
    /// The opening would fail.
    pub async fn preview(&self, root: &RootPlace) -> Result<Vec<String>, Failure> {
        preview::preview(&self.state, root).await
    }

    /// Reads the documents with these uuids, whatever root they are of. Makes nothing.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn known(&self, uuids: &[String]) -> Result<Vec<Stored>, Failure> {
        recordings::known(&self.state, uuids).await
    }
}

/// Why a connection string cannot be used, in words that name the option to blame.
fn unusable(error: &mongodb::error::Error) -> String {
    let ErrorKind::InvalidArgument { message, .. } = error.kind.as_ref() else {
        return error.kind.to_string();
    };
    let Some((option, hint)) = message.split_once(" is an invalid option") else {
        return message.clone();
    };
    if option.eq_ignore_ascii_case("compressors") {
        // The driver knows it, and names it as similar to itself.
        return "the option compressors is not supported: compression is not built in. Remove it"
            .to_owned();
    }
    let similar = hint.rsplit_once(": ").map(|(_, name)| format!(" (a similar one is {name})"));
    format!("the option {option} is not known{}. Correct or remove it", similar.unwrap_or_default())
}

impl Drop for MongoCatalog {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

#[async_trait]
impl Catalog for MongoCatalog {
    fn kind(&self) -> Backend {
        Backend::Mongodb
    }

    fn address(&self) -> String {
        self.state.address.clone()
    }

    fn last_answer(&self) -> Option<std::time::Instant> {
        *self.state.answered.lock()
    }

    fn reach(&self) -> watch::Receiver<Reach> {
        self.state.reach.subscribe()
    }

    fn doubt(&self) {
        self.state.doubt.notify_one();
    }

    async fn open(&self, root: &RootPlace) -> Result<OpenedCatalog, Failure> {
        open::open(&self.state, root).await
    }

    async fn identify(&self, root: &RootPlace) -> Result<String, Failure> {
        open::identify(&self.state, root).await
    }

    async fn insert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        recordings::insert(&self.state, root, batch).await
    }

    async fn upsert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        recordings::upsert(&self.state, root, batch).await
    }

    async fn adopt(&self, root: &RootPlace, document: &Versioned) -> Result<Answer, Failure> {
        recordings::adopt(&self.state, root, document).await
    }

    async fn take_over(
        &self,
        root: &RootPlace,
        document: &Versioned,
        from: &Stored,
    ) -> Result<Answer, Failure> {
        recordings::take_over(&self.state, root, document, from).await
    }

    async fn remove_drilled(&self, root: &RootPlace, batch: &[Versioned]) -> Result<(), Failure> {
        recordings::remove_drilled(&self.state, root, batch).await
    }

    async fn read(&self, root: &RootPlace, uuids: &[String]) -> Result<Vec<Stored>, Failure> {
        recordings::read(&self.state, root, uuids).await
    }

    async fn page(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        through: Option<&str>,
        limit: usize,
    ) -> Result<Page<Stored>, Failure> {
        pages::page(&self.state, root, (after, through), limit).await
    }

    async fn mark(&self, root: &RootPlace, watermark: &str) -> Result<(), Failure> {
        meta::mark(&self.state, root, watermark).await
    }

    async fn put_alerts(&self, root: &RootPlace, token: i64, text: &str) -> Result<(), Failure> {
        meta::put_alerts(&self.state, root, token, text).await
    }

    async fn alerts(&self, root: &RootPlace) -> Result<Option<String>, Failure> {
        meta::meta(&self.state, &format!("alerts:{}", root.id)).await
    }

    async fn lease(&self, root: &RootPlace) -> Result<Option<LeaseDoc>, Failure> {
        lease::read(&self.state, root).await
    }

    async fn draw_token(&self, above: i64) -> Result<i64, Failure> {
        lease::draw_token(&self.state, above).await
    }

    async fn put_lease(
        &self,
        root: &RootPlace,
        expected: Option<&LeaseDoc>,
        new: &LeaseDoc,
    ) -> Result<bool, Failure> {
        lease::put(&self.state, root, expected, new).await
    }

    async fn put_unrecognised(
        &self,
        root: &RootPlace,
        batch: &[UnrecognisedDoc],
    ) -> Result<(), Failure> {
        unrecognised::put(&self.state, root, batch).await
    }

    async fn remove_unrecognised(
        &self,
        root: &RootPlace,
        folder_names: &[String],
    ) -> Result<(), Failure> {
        unrecognised::remove(&self.state, root, folder_names).await
    }

    async fn page_unrecognised(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UnrecognisedDoc>, Failure> {
        unrecognised::page(&self.state, root, after, limit).await
    }

    fn is_archive(&self, root: &RootPlace) -> Option<bool> {
        self.state.collections_of(root).ok().map(|place| place.is_archive)
    }

    async fn count(&self, root: &RootPlace) -> Result<u64, Failure> {
        recordings::count(&self.state, root).await
    }

    async fn foreign(&self, roots: &[RootPlace]) -> Result<u64, Failure> {
        recordings::foreign(&self.state, roots).await
    }

    async fn follow(&self, root: &RootPlace, hints: &Arc<ChangeHints>) -> Result<bool, Failure> {
        changes::follow(&self.state, root, hints).await
    }

    fn hosts(&self) -> Vec<String> {
        self.state.live().map_or_else(|_| Vec::new(), |live| live.hosts)
    }

    fn remarks(&self) -> Vec<String> {
        self.state.remarks.lock().clone()
    }
}
