//! The interface of the catalog: every call is a transaction on the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use focus_core::answer::{Answer, Class, Failure};
use focus_core::compare::Page;
use focus_core::lease::LeaseDoc;
use tokio::sync::watch;

use super::file::CatalogFile;
use super::{calls, file, lease, prober};
use crate::cpu;
use crate::{
    Backend, Catalog, OpenedCatalog, Reach, RootPlace, Stored, UnrecognisedDoc, Versioned,
};

/// The embedded catalog.
#[derive(Debug)]
pub struct EmbeddedCatalog {
    file: Arc<CatalogFile>,
    prober: tokio::task::JoinHandle<()>,
}

impl EmbeddedCatalog {
    /// Starts following the file. A missing file is made only if `known` is false, that is, if no
    /// catalog was ever met there. Needs a tokio runtime.
    pub fn start(path: PathBuf, known: bool) -> Arc<EmbeddedCatalog> {
        let file = Arc::new(CatalogFile::new(path));
        let prober = tokio::spawn(prober::run(Arc::clone(&file), !known));
        Arc::new(EmbeddedCatalog { file, prober })
    }

    /// Reads the documents with these uuids from a catalog that is not started. Changes nothing.
    ///
    /// # Errors
    /// The file is not there, cannot be read, or is damaged.
    pub fn known(path: &Path, uuids: &[String]) -> Result<Vec<Stored>, Failure> {
        file::read_only(path, |tx| calls::read(tx, uuids))
    }

    /// Runs a transaction on the file, on a thread that may block.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let file = Arc::clone(&self.file);
        let done = tokio::task::spawn_blocking(move || cpu::counted(|| file.transact(work)))
            .await
            .map_err(|error| Failure::transient(error.to_string()))?;
        if done.as_ref().is_err_and(|failure| failure.class == Class::Transient) {
            self.file.doubt.notify_one();
        }
        done
    }
}

impl Drop for EmbeddedCatalog {
    fn drop(&mut self) {
        self.prober.abort();
    }
}

#[async_trait]
impl Catalog for EmbeddedCatalog {
    fn kind(&self) -> Backend {
        Backend::Embedded
    }

    fn address(&self) -> String {
        self.file.path.display().to_string()
    }

    fn last_answer(&self) -> Option<std::time::Instant> {
        self.file.last_answer()
    }

    fn reach(&self) -> watch::Receiver<Reach> {
        self.file.reach.subscribe()
    }

    fn doubt(&self) {
        self.file.doubt.notify_one();
    }

    async fn open(&self, root: &RootPlace) -> Result<OpenedCatalog, Failure> {
        let root = root.id.clone();
        self.call(move |tx| calls::meet(tx, &root)).await
    }

    async fn identify(&self, _: &RootPlace) -> Result<String, Failure> {
        self.call(|tx| Ok(calls::meta(tx, "identity")?.unwrap_or_default())).await
    }

    async fn insert(&self, _: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        let batch = batch.to_vec();
        self.call(move |tx| batch.iter().map(|document| calls::insert(tx, document)).collect())
            .await
    }

    async fn upsert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure> {
        let (root, batch) = (root.id.clone(), batch.to_vec());
        self.call(move |tx| {
            batch.iter().map(|document| calls::upsert(tx, &root, document)).collect()
        })
        .await
    }

    async fn adopt(&self, root: &RootPlace, document: &Versioned) -> Result<Answer, Failure> {
        let (root, document) = (root.id.clone(), document.clone());
        self.call(move |tx| calls::adopt(tx, &root, &document)).await
    }

    async fn take_over(
        &self,
        root: &RootPlace,
        document: &Versioned,
        from: &Stored,
    ) -> Result<Answer, Failure> {
        let (root, document, from) = (root.id.clone(), document.clone(), from.clone());
        self.call(move |tx| calls::take_over(tx, &root, &document, &from)).await
    }

    async fn remove_drilled(&self, root: &RootPlace, batch: &[Versioned]) -> Result<(), Failure> {
        let (root, batch) = (root.id.clone(), batch.to_vec());
        self.call(move |tx| calls::remove_drilled(tx, &root, &batch)).await
    }

    async fn read(&self, _: &RootPlace, uuids: &[String]) -> Result<Vec<Stored>, Failure> {
        let uuids = uuids.to_vec();
        self.call(move |tx| calls::read(tx, &uuids)).await
    }

    async fn page(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        through: Option<&str>,
        limit: usize,
    ) -> Result<Page<Stored>, Failure> {
        let (root, after) = (root.id.clone(), after.unwrap_or("").to_owned());
        let through = through.map(str::to_owned);
        self.call(move |tx| calls::page(tx, &root, &after, through.as_deref(), limit)).await
    }

    async fn mark(&self, root: &RootPlace, watermark: &str) -> Result<(), Failure> {
        let (key, watermark) = (format!("watermark:{}", root.id), watermark.to_owned());
        self.call(move |tx| calls::put_meta(tx, &key, &watermark)).await
    }

    async fn put_alerts(&self, root: &RootPlace, _: i64, text: &str) -> Result<(), Failure> {
        // The state folder that holds this catalog has one server.
        let (key, text) = (format!("alerts:{}", root.id), text.to_owned());
        self.call(move |tx| calls::put_meta(tx, &key, &text)).await
    }

    async fn alerts(&self, root: &RootPlace) -> Result<Option<String>, Failure> {
        let key = format!("alerts:{}", root.id);
        self.call(move |tx| calls::meta(tx, &key)).await
    }

    async fn lease(&self, root: &RootPlace) -> Result<Option<LeaseDoc>, Failure> {
        let root = root.id.clone();
        self.call(move |tx| lease::read(tx, &root)).await
    }

    async fn draw_token(&self, above: i64) -> Result<i64, Failure> {
        self.call(move |tx| lease::draw_token(tx, above)).await
    }

    async fn put_lease(
        &self,
        root: &RootPlace,
        expected: Option<&LeaseDoc>,
        new: &LeaseDoc,
    ) -> Result<bool, Failure> {
        let (root, expected, new) = (root.id.clone(), expected.cloned(), new.clone());
        self.call(move |tx| lease::put(tx, &root, expected.as_ref(), &new)).await
    }

    async fn put_unrecognised(
        &self,
        root: &RootPlace,
        batch: &[UnrecognisedDoc],
    ) -> Result<(), Failure> {
        let (root, batch) = (root.id.clone(), batch.to_vec());
        self.call(move |tx| calls::put_unrecognised(tx, &root, &batch)).await
    }

    async fn remove_unrecognised(
        &self,
        root: &RootPlace,
        folder_names: &[String],
    ) -> Result<(), Failure> {
        let (root, names) = (root.id.clone(), folder_names.to_vec());
        self.call(move |tx| calls::remove_unrecognised(tx, &root, &names)).await
    }

    async fn page_unrecognised(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UnrecognisedDoc>, Failure> {
        let (root, after) = (root.id.clone(), after.unwrap_or("").to_owned());
        self.call(move |tx| calls::page_unrecognised(tx, &root, &after, limit)).await
    }

    async fn count(&self, root: &RootPlace) -> Result<u64, Failure> {
        let root = root.id.clone();
        self.call(move |tx| calls::count(tx, &root)).await
    }

    async fn foreign(&self, roots: &[RootPlace]) -> Result<u64, Failure> {
        let roots: Vec<String> = roots.iter().map(|root| root.id.clone()).collect();
        self.call(move |tx| calls::foreign(tx, &roots)).await
    }

    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}
