//! What is in the database: read, compared and cleaned up with a client of the drill's own, so that nothing
//! depends on what the server believes.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Collation, FindOptions};
use mongodb::{Client, Collection};

use super::address::Address;

/// Calls of the drill end within this.
const LIMIT: Duration = Duration::from_secs(30);

/// Uuids asked for with one call.
const CHUNK: usize = 1_000;

/// A client of the database, for reading and for removing what was planted.
#[derive(Clone, Debug)]
pub struct Database {
    client: Client,
    address: Address,
}

impl Database {
    /// A new client. The first call connects.
    ///
    /// # Errors
    /// The connection string cannot be used.
    pub async fn open(address: &Address) -> anyhow::Result<Database> {
        let mut options = address.client_options().await?;
        options.connect_timeout = Some(Duration::from_secs(2));
        options.server_selection_timeout = Some(Duration::from_secs(5));
        options.heartbeat_freq = Some(Duration::from_millis(500));
        Ok(Database { client: Client::with_options(options)?, address: address.clone() })
    }

    /// Runs a call within a bound. The driver's future is spawned and never dropped half way.
    async fn call<T, F>(&self, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        // A box, so that the compiler makes the task once for each answer and not for each call.
        let work: BoxFuture<'static, mongodb::error::Result<T>> = Box::pin(work);
        match tokio::time::timeout(LIMIT, tokio::spawn(work)).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => {
                Err(anyhow::anyhow!(self.address.redacted(&error.kind.to_string())))
                    .context("the database")
            }
            Ok(Err(error)) => Err(error).context("the call ended"),
            Err(_) => anyhow::bail!("the database does not answer within {} s", LIMIT.as_secs()),
        }
    }

    fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.client.database(&self.address.name).collection(name)
    }

    fn recordings<T: Send + Sync>(&self) -> Collection<T> {
        self.collection(&self.address.collection)
    }

    /// Reads a document of `focus_meta`; none where there is none with this id.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn meta(&self, id: &str) -> anyhow::Result<Option<Document>> {
        let meta = self.collection::<Document>("focus_meta");
        let filter = doc! { "_id": id };
        self.call(async move { meta.find_one(filter).await }).await
    }

    /// Whether somebody has said that this deployment may be drilled: `{_id: "drillable", value: true}` in
    /// `focus_meta`.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn is_drillable(&self) -> anyhow::Result<bool> {
        let found = self.meta("drillable").await?;
        Ok(found.is_some_and(|found| found.get_bool("value").unwrap_or(false)))
    }

    /// Inserts a document into `focus_meta`; false where one with its id is there.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn put_meta(&self, document: Document) -> anyhow::Result<bool> {
        let meta = self.collection::<Document>("focus_meta");
        self.call(async move {
            match meta.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Changes the document of `focus_meta` that matches this filter; false where none does.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn change_meta(&self, filter: Document, change: Document) -> anyhow::Result<bool> {
        let meta = self.collection::<Document>("focus_meta");
        self.call(async move {
            meta.update_one(filter, doc! { "$set": change })
                .await
                .map(|done| done.matched_count > 0)
        })
        .await
    }

    /// Removes the document of `focus_meta` that matches this filter.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn remove_meta(&self, filter: Document) -> anyhow::Result<()> {
        let meta = self.collection::<Document>("focus_meta");
        self.call(async move { meta.delete_one(filter).await.map(|_| ()) }).await
    }

    /// The collection of a root in the layout `base_paths`; none where the root has no row.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn base_path(&self, root: &str) -> anyhow::Result<Option<String>> {
        let rows = self.collection::<Document>("base_paths");
        let filter = doc! { "base_path": root };
        let row =
            self.call(async move {
                rows.find_one(filter).collation(simple()).sort(doc! { "_id": 1 }).await
            })
            .await?;
        Ok(row.and_then(|row| row.get_str("guid").ok().map(str::to_owned)))
    }

    /// Which of these uuids have a document.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn which(&self, uuids: &[String]) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for chunk in uuids.chunks(CHUNK) {
            let documents = self.find(doc! { "uuid": { "$in": chunk.to_vec() } }, true).await?;
            found.extend(
                documents.iter().filter_map(|found| found.get_str("uuid").ok().map(str::to_owned)),
            );
        }
        Ok(found)
    }

    /// Every document with one of these uuids, and every document that names this drill and starts within the
    /// window (milliseconds since 1970, both ends included).
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn planted(
        &self,
        drill: &str,
        uuids: &[String],
        window_ms: (i64, i64),
    ) -> anyhow::Result<Vec<Document>> {
        let date = mongodb::bson::DateTime::from_millis;
        let mut found = Vec::new();
        for chunk in uuids.chunks(CHUNK) {
            found.extend(self.find(doc! { "uuid": { "$in": chunk.to_vec() } }, false).await?);
        }
        let named = doc! {
            "start_time": { "$gte": date(window_ms.0), "$lte": date(window_ms.1) },
            "metadata.focus_drill": drill,
        };
        found.extend(self.find(named, false).await?);
        let mut met = HashSet::new();
        found.retain(|document| met.insert(format!("{:?}", document.get("_id"))));
        Ok(found)
    }

    async fn find(&self, filter: Document, uuids_only: bool) -> anyhow::Result<Vec<Document>> {
        let recordings = self.recordings::<Document>();
        let projection = uuids_only.then(|| doc! { "uuid": 1 });
        let options = FindOptions::builder().projection(projection).collation(simple()).build();
        self.call(async move {
            recordings.find(filter).with_options(options).await?.try_collect::<Vec<_>>().await
        })
        .await
    }

    /// Removes the documents with these uuids that name this drill, and returns how many.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn remove(&self, drill: &str, uuids: &[String]) -> anyhow::Result<u64> {
        let mut removed = 0;
        for chunk in uuids.chunks(CHUNK) {
            let recordings = self.recordings::<Document>();
            let filter = doc! { "uuid": { "$in": chunk.to_vec() }, "metadata.focus_drill": drill };
            removed += self
                .call(async move { recordings.delete_many(filter).collation(simple()).await })
                .await?
                .deleted_count;
        }
        Ok(removed)
    }

    /// Visits every document of the root's collection in the order of the uuids, a page at a time.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn each(
        &self,
        mut visit: impl FnMut(&RawDocumentBuf) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let recordings = self.recordings::<RawDocumentBuf>();
        let options = FindOptions::builder()
            .sort(doc! { "uuid": 1 })
            .collation(simple())
            .batch_size(1_000)
            .build();
        let mut cursor =
            self.call(async move { recordings.find(doc! {}).with_options(options).await }).await?;
        loop {
            let (document, rest) = self
                .call(async move {
                    let next = cursor.try_next().await?;
                    Ok((next, cursor))
                })
                .await?;
            cursor = rest;
            match document {
                Some(document) => visit(&document)?,
                None => return Ok(()),
            }
        }
    }

    /// The collections of the database with their indexes, as texts in alphabetical order.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn shape(&self) -> anyhow::Result<Vec<(String, Vec<String>)>> {
        let database = self.client.database(&self.address.name);
        let mut names = self.call(async move { database.list_collection_names().await }).await?;
        names.sort();
        let mut shape = Vec::new();
        for name in names.into_iter().filter(|name| !name.starts_with("system.")) {
            let collection = self.collection::<Document>(&name);
            let listed = self
                .call(async move { collection.list_indexes().await?.try_collect::<Vec<_>>().await })
                .await;
            // A view, or one that was dropped meanwhile, has none.
            let mut indexes: Vec<String> = listed
                .unwrap_or_default()
                .into_iter()
                .map(|index| {
                    let unique = index.options.and_then(|options| options.unique).unwrap_or(false);
                    format!("{}{}", index.keys, if unique { " unique" } else { "" })
                })
                .collect();
            indexes.sort();
            shape.push((name, indexes));
        }
        Ok(shape)
    }
}

/// Texts by their bytes, whatever the default collation of the collection is.
fn simple() -> Collation {
    Collation::builder().locale("simple").build()
}

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    use mongodb::error::{ErrorKind, WriteFailure};
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == 11_000,
        ErrorKind::Command(error) => error.code == 11_000,
        _ => false,
    }
}
