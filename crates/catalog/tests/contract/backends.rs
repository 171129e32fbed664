//! The backends under test. A test can take each away, bring it back, and add documents of others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use focus_catalog::embedded::EmbeddedCatalog;
use focus_catalog::memory::MemoryCatalog;
use focus_catalog::mongo::{Layout, MongoCatalog, MongoSettings};
use focus_catalog::{Catalog, Reach, Stored};
use focus_testkit::mongo::MongoServer;
use mongodb::bson::{Document, doc};
use mongodb::{Collection, Database};
use tempfile::TempDir;

/// One backend.
pub(crate) enum Backend {
    Memory(Arc<MemoryCatalog>),
    Embedded { catalog: Arc<EmbeddedCatalog>, dir: TempDir },
    Mongo { catalog: Arc<MongoCatalog>, server: Box<MongoServer>, layout: Layout },
}

/// The database tests are left out, and this one says so.
pub(crate) fn embedded_only(test: &str) -> bool {
    let only = std::env::var("FOCUS_TEST_EMBEDDED_ONLY").is_ok_and(|value| !value.is_empty());
    if only {
        println!("left out, needs a database: {test}");
    }
    only
}

/// The path that the root of these tests has.
pub(crate) const ROOT_PATH: &str = "/data";

impl Backend {
    /// All of them: memory, embedded, and MongoDB in both layouts where it is not left out.
    pub(crate) async fn all(test: &str) -> Vec<Backend> {
        let mut all = vec![Backend::Memory(MemoryCatalog::start()), Backend::embedded()];
        if !embedded_only(test) {
            all.push(Backend::mongo(Layout::Collection).await);
            all.push(Backend::mongo(Layout::BasePaths).await);
        }
        all
    }

    pub(crate) fn embedded() -> Backend {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalog/catalog.db");
        Backend::Embedded { catalog: EmbeddedCatalog::start(path, false), dir }
    }

    pub(crate) async fn mongo(layout: Layout) -> Backend {
        Backend::mongo_with(layout, |_| ()).await
    }

    pub(crate) async fn mongo_with(layout: Layout, change: impl Fn(&mut MongoSettings)) -> Backend {
        let server = Box::new(MongoServer::start().await);
        let mut settings = MongoSettings::new(&server.uri(), server.database(), "node4", layout);
        change(&mut settings);
        let catalog = MongoCatalog::start(settings).expect("a catalog");
        Backend::Mongo { catalog, server, layout }
    }

    pub(crate) fn catalog(&self) -> Arc<dyn Catalog> {
        match self {
            Backend::Memory(catalog) => Arc::clone(catalog) as Arc<dyn Catalog>,
            Backend::Embedded { catalog, .. } => Arc::clone(catalog) as Arc<dyn Catalog>,
            Backend::Mongo { catalog, .. } => Arc::clone(catalog) as Arc<dyn Catalog>,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Backend::Memory(_) => "memory",
            Backend::Embedded { .. } => "embedded",
            Backend::Mongo { layout: Layout::Collection, .. } => "mongodb, collection",
            Backend::Mongo { layout: Layout::BasePaths, .. } => "mongodb, base_paths",
        }
    }

    /// The file of the embedded catalog.
    pub(crate) fn file(&self) -> PathBuf {
        let Backend::Embedded { dir, .. } = self else { panic!("{} has no file", self.name()) };
        dir.path().join("catalog/catalog.db")
    }

    fn away(&self) -> PathBuf {
        self.file().with_extension("away")
    }

    /// Takes it away, and waits until it knows.
    pub(crate) async fn take_away(&mut self) {
        match self {
            Backend::Memory(catalog) => catalog.take_away(),
            Backend::Embedded { .. } => {
                std::fs::rename(self.file(), self.away()).expect("taken away");
            }
            Backend::Mongo { server, .. } => server.kill(),
        }
        self.until(|reach| matches!(reach, Reach::Down { .. })).await;
    }

    /// Brings it back; the new epoch.
    pub(crate) async fn bring_back(&mut self) -> u64 {
        match self {
            Backend::Memory(catalog) => catalog.bring_back(),
            Backend::Embedded { .. } => {
                std::fs::rename(self.away(), self.file()).expect("brought back");
            }
            Backend::Mongo { server, .. } => server.restart().await,
        }
        self.up().await
    }

    /// Waits until it is there; the epoch.
    pub(crate) async fn up(&self) -> u64 {
        match self.until(|reach| matches!(reach, Reach::Up { .. })).await {
            Reach::Up { epoch } => epoch,
            other => panic!("{other:?}"),
        }
    }

    async fn until(&self, is: impl Fn(&Reach) -> bool + Send) -> Reach {
        let mut reach = self.catalog().reach();
        let met = tokio::time::timeout(Duration::from_secs(30), reach.wait_for(|reach| is(reach)));
        let met =
            met.await.unwrap_or_else(|_| panic!("{}: {:?}", self.name(), self.catalog().reach()));
        met.expect("the catalog lives").clone()
    }

    pub(crate) async fn database(&self) -> Database {
        let Backend::Mongo { server, .. } = self else { panic!("{} has none", self.name()) };
        server.client().await.database(server.database())
    }

    /// The collection that holds the root's recordings, once it has been opened.
    pub(crate) async fn recordings(&self) -> Collection<Document> {
        let Backend::Mongo { layout, .. } = self else { panic!("{} has none", self.name()) };
        let database = self.database().await;
        if *layout == Layout::Collection {
            return database.collection("node4");
        }
        let rows = database.collection::<Document>("base_paths");
        let row = rows.find_one(doc! { "base_path": ROOT_PATH }).await.expect("read");
        database.collection(row.expect("a row").get_str("guid").expect("a guid"))
    }

    /// Somebody else puts a document there that says nothing but its uuid, and has no root.
    pub(crate) async fn put_foreign(&self, uuid: &str) {
        match self {
            Backend::Memory(catalog) => catalog.put(Stored {
                uuid: uuid.to_owned(),
                root: None,
                version: None,
                deleted: false,
                path: None,
                recording: None,
            }),
            Backend::Embedded { .. } => {
                let file = rusqlite::Connection::open(self.file()).expect("the file");
                let insert = "INSERT INTO recordings(uuid, deleted) VALUES(?1, 0)";
                file.execute(insert, [uuid]).expect("inserted");
            }
            Backend::Mongo { .. } => {
                let document = doc! { "uuid": uuid, "note": "of others", "version": 99_i64 << 32 };
                self.recordings().await.insert_one(document).await.expect("inserted");
            }
        }
    }
}
