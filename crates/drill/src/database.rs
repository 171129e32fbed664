//! The drill's own view of the database: whether it takes writes, and what is in it.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{ClientOptions, FindOptions, ServerAddress};
use mongodb::{Client, Collection};

use super::plan::Address;

/// Calls of the drill end within this.
const LIMIT: Duration = Duration::from_secs(30);

/// Uuids asked for with one call.
pub const CHUNK: usize = 1_000;

/// Asks a database, over a connection of its own each time, whether it takes writes: a reused one could
/// hide what a fresh one would meet.
#[derive(Clone)]
pub struct Probe {
    options: ClientOptions,
    limit: Duration,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The options may hold a password.
        f.debug_struct("Probe").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe of this database; nothing is asked yet.
    ///
    /// # Errors
    /// The connection string is not one. The words do not hold it.
    pub async fn new(address: &Address) -> anyhow::Result<Probe> {
        let patience = Duration::from_millis(address.probe_timeout_ms);
        let mut options = options(&address.uri).await?;
        options.connect_timeout = Some(patience);
        options.server_selection_timeout = Some(patience + Duration::from_millis(200));
        options.heartbeat_freq = Some(Duration::from_millis(500));
        Ok(Probe { options, limit: patience * 2 + Duration::from_millis(300) })
    }

    /// The database is there, and is a primary that takes writes.
    pub async fn takes_writes(&self) -> bool {
        if !self.listens().await {
            return false;
        }
        let options = self.options.clone();
        let mut asking = tokio::spawn(async move {
            let client = Client::with_options(options)?;
            client.database("admin").run_command(doc! { "hello": 1 }).await
        });
        match tokio::time::timeout(self.limit, &mut asking).await {
            Ok(Ok(Ok(hello))) => hello.get_bool("isWritablePrimary").unwrap_or(false),
            Ok(_) => false,
            Err(_) => {
                // The client is this call's alone: nothing is left half done.
                asking.abort();
                false
            }
        }
    }
}

impl Probe {
    /// Some host takes connections. Where all refuse them the driver would go on trying for its whole
    /// patience.
    async fn listens(&self) -> bool {
        let mut trying = tokio::task::JoinSet::new();
        for host in &self.options.hosts {
            let ServerAddress::Tcp { host, port } = host else { return true };
            let (host, port) = (host.clone(), port.unwrap_or(27_017));
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let patience = self.limit;
            trying.spawn(async move {
                let taken = tokio::net::TcpStream::connect((host, port));
                matches!(tokio::time::timeout(patience, taken).await, Ok(Ok(_)))
            });
        }
        while let Some(taken) = trying.join_next().await {
            if taken.unwrap_or(false) {
                return true;
            }
        }
        false
    }
}

/// Options that the connection string gives.
async fn options(uri: &str) -> anyhow::Result<ClientOptions> {
    let mut options = ClientOptions::parse(uri).await.map_err(|error| {
        anyhow::anyhow!(redact(
            uri,
            &format!("the MongoDB connection string cannot be used: {}", error.kind)
        ))
    })?;
    options.app_name = Some("focus drill".to_owned());
    options.retry_reads = Some(false);
    options.retry_writes = Some(false);
    Ok(options)
}

/// Words without the credentials of the connection string.
fn redact(uri: &str, words: &str) -> String {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    match rest.rsplit_once('@') {
        Some((credentials, _)) if !credentials.is_empty() => words.replace(credentials, "***"),
        _ => words.to_owned(),
    }
}

/// Where a connection string leads, without credentials and options.
pub fn shown(address: &Address) -> String {
    let rest = address.uri.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    let hosts = rest.split(['/', '?']).next().unwrap_or_default();
    format!("mongodb://{hosts}/{}", address.name)
}

/// The database, for reading and cleaning up.
#[derive(Clone, Debug)]
pub struct Database {
    client: Client,
    address: Address,
}

impl Database {
    /// A client of the drill's own.
    ///
    /// # Errors
    /// The connection string is not one.
    pub async fn open(address: &Address) -> anyhow::Result<Database> {
        let mut options = options(&address.uri).await?;
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
        match tokio::time::timeout(LIMIT, tokio::spawn(work)).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => {
                Err(anyhow::anyhow!(redact(&self.address.uri, &error.kind.to_string())))
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

    /// A document of `focus_meta`.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn meta(&self, id: &str) -> anyhow::Result<Option<Document>> {
        let meta = self.collection::<Document>("focus_meta");
        let filter = doc! { "_id": id };
        self.call(async move { meta.find_one(filter).await }).await
    }

    /// Puts a document of `focus_meta` where none is; false where one is there.
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

    /// Changes the document of `focus_meta` that this filter meets; whether one was met.
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

    /// Removes the document of `focus_meta` that this filter meets.
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
            self.call(async move { rows.find_one(filter).sort(doc! { "_id": 1 }).await }).await?;
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

    /// Every document with one of these uuids, and every one that names this drill and starts within
    /// its time.
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
        let options = FindOptions::builder().projection(projection).build();
        self.call(async move {
            recordings.find(filter).with_options(options).await?.try_collect::<Vec<_>>().await
        })
        .await
    }

    /// Removes the documents with these uuids that name this drill; how many.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn remove(&self, drill: &str, uuids: &[String]) -> anyhow::Result<u64> {
        let mut removed = 0;
        for chunk in uuids.chunks(CHUNK) {
            let recordings = self.recordings::<Document>();
            let filter = doc! { "uuid": { "$in": chunk.to_vec() }, "metadata.focus_drill": drill };
            removed +=
                self.call(async move { recordings.delete_many(filter).await }).await?.deleted_count;
        }
        Ok(removed)
    }

    /// Every document, by uuid, a page at a time.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn each(
        &self,
        mut visit: impl FnMut(&RawDocumentBuf) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let recordings = self.recordings::<RawDocumentBuf>();
        let options = FindOptions::builder().sort(doc! { "uuid": 1 }).batch_size(1_000).build();
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

    /// The collections of the database, with their indexes, as texts.
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

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    use mongodb::error::{ErrorKind, WriteFailure};
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == 11_000,
        ErrorKind::Command(error) => error.code == 11_000,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_and_no_address_holds_credentials() {
        let uri = "mongodb://user:pa/ss@db.example:27018,other/admin?tls=true";
        let address = Address {
            uri: uri.to_owned(),
            name: "focus".into(),
            collection: "node4".into(),
            probe_timeout_ms: 500,
        };
        assert_eq!(shown(&address), "mongodb://db.example:27018,other/focus");
        assert_eq!(redact(uri, "no login as user:pa/ss here"), "no login as *** here");
        assert!(!format!("{address:?}").contains("pa/ss"));
    }
}
