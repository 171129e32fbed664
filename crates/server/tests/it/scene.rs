//! A site whose database can be taken away, changed behind its address, and brought back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use focus_testkit::mongo::MongoServer;
use focus_testkit::oracle::{self, OracleReport};
use focus_testkit::proxy::{Mode, Proxy};
use focus_testkit::tree::{Planted, Writing, write};
use focus_testkit::wait::until;
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::{LIMIT, Site};

/// Comparisons come this often where the test is about them.
pub(crate) const SOON: Duration = Duration::from_millis(1_500);

/// And this often where they must not help.
pub(crate) const NEVER: Duration = Duration::from_secs(86_400);

pub(crate) struct Scene {
    pub(crate) server: MongoServer,
    pub(crate) proxy: Proxy,
    pub(crate) site: Site,
    /// Documents that are in the catalog beside those of the recordings on storage.
    pub(crate) beside: BTreeSet<String>,
    _settings: TempDir,
}

impl Scene {
    /// A site with so many recordings, all in the catalog.
    pub(crate) async fn start(count: usize, compare: Duration) -> Scene {
        let server = MongoServer::start().await;
        let proxy = Proxy::start(server.port()).await;
        let folder = TempDir::new().expect("a folder");
        let settings = folder.path().join("focus.toml");
        let text = format!("compare_interval_ms = {}\n", compare.as_millis());
        fs::write(&settings, text).expect("settings");
        let mut args = server.args_through(&proxy.uri());
        args.extend(["--config".to_owned(), settings.display().to_string()]);
        let mut site = Site::new(&args.iter().map(String::as_str).collect::<Vec<_>>());
        site.land(count);
        site.focus.serve().await;
        let scene = Scene { server, proxy, site, beside: BTreeSet::new(), _settings: folder };
        scene.right().await;
        scene
    }

    /// The database goes, for the server.
    pub(crate) async fn away(&mut self) {
        self.proxy.set(Mode::Refuse);
        self.site.focus.until_status("catalog_state", "down", LIMIT).await;
    }

    /// It is there again.
    pub(crate) fn back(&mut self) {
        self.proxy.set(Mode::Pass);
    }

    /// Another store behind the address; the server does not reach it yet.
    pub(crate) async fn swapped(&mut self, change: impl FnOnce(&MongoServer)) {
        self.server.stop();
        change(&self.server);
        self.server.restart().await;
    }

    pub(crate) async fn nodes(&self) -> Collection<Document> {
        self.server.client().await.database(self.server.database()).collection("node4")
    }

    pub(crate) async fn document(&self, at: usize) -> Document {
        let filter = doc! { "uuid": &self.site.planted[at].uuid };
        self.nodes().await.find_one(filter).await.expect("read").expect("there")
    }

    pub(crate) async fn set(&self, at: usize, set: Document) {
        let filter = doc! { "uuid": &self.site.planted[at].uuid };
        let change = doc! { "$set": set };
        let changed = self.nodes().await.update_one(filter, change).await.expect("altered");
        assert_eq!(changed.modified_count, 1);
    }

    pub(crate) async fn verdict(&self) -> OracleReport {
        let client = self.server.client().await;
        let (marker, planted) = (&self.site.marker, &self.site.planted);
        let mut verdict =
            oracle::compare(&client, self.server.database(), "node4", marker, planted).await;
        verdict.extra.retain(|uuid| !self.beside.contains(uuid));
        verdict
    }

    /// Every document is as storage has it, and the server says so and rests.
    pub(crate) async fn right(&self) {
        until("the catalog is as storage", LIMIT, || async {
            let verdict = self.verdict().await;
            let count = verdict.missing.len() + verdict.wrong.len() + verdict.extra.len();
            let first: Vec<String> = [&verdict.missing, &verdict.duplicated, &verdict.extra]
                .iter()
                .filter_map(|list| list.first().cloned())
                .chain(verdict.wrong.first().map(|wrong| format!("{wrong:?}")))
                .collect();
            if verdict.is_good() {
                return Ok(());
            }
            let status = self.site.focus.status();
            Err(format!("{count} differ: {first:?}\n{status:#?}\n{}", self.site.focus.log()))
        })
        .await;
        self.rests().await;
        let verdict = self.verdict().await;
        assert!(verdict.is_good(), "{verdict:?}");
        self.is_unique().await;
    }

    /// Nothing is left to be done.
    pub(crate) async fn rests(&self) {
        let focus = &self.site.focus;
        until("nothing is pending, compared or down", LIMIT, || async {
            let status = focus.status()?;
            let rests = status["catalog_state"] == "in_step"
                && status["pending"] == 0
                && status["comparison"] == Value::Null;
            if rests { Ok(()) } else { Err(format!("{status:#}\n{}", focus.log())) }
        })
        .await;
    }

    /// The indexes are there, also where the collection was made anew.
    pub(crate) async fn is_unique(&self) {
        let indexes = self.nodes().await.list_indexes().await.expect("indexes");
        let indexes: Vec<_> = indexes.try_collect().await.expect("indexes");
        let there = |field: &str, unique: bool| {
            indexes.iter().any(|index| {
                let options = index.options.as_ref();
                let is_unique = options.and_then(|options| options.unique).unwrap_or(false);
                index.keys.len() == 1 && index.keys.contains_key(field) && (is_unique || !unique)
            })
        };
        assert!(there("uuid", true), "{indexes:?}");
        for field in ["start_time", "end_time", "deleted"] {
            assert!(there(field, false), "{field}: {indexes:?}");
        }
    }

    /// The sidecar of a recording says something else.
    pub(crate) fn rewrite(&mut self, at: usize) {
        let planted = &mut self.site.planted[at];
        let sidecar = self.site.tree.root().join(&planted.path).with_extension("json");
        let text = fs::read_to_string(&sidecar).expect("a sidecar");
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        value["gain"] = json!(2.5);
        planted.metadata["gain"] = json!(2.5);
        let name = sidecar.file_name().and_then(|name| name.to_str()).expect("a name");
        let folder = sidecar.parent().expect("a folder");
        write(folder, name, value.to_string().as_bytes(), Writing::Moved);
    }

    /// A recording is removed from storage: its document is to be marked, and is not looked at by `right`.
    pub(crate) fn remove(&mut self, at: usize) -> Planted {
        let planted = self.site.planted.remove(at);
        let data = self.site.tree.root().join(&planted.path);
        fs::remove_file(data.with_extension("json")).expect("removed");
        fs::remove_file(data).expect("removed");
        self.beside.insert(planted.uuid.clone());
        planted
    }

    /// Waits until the document of a recording that was removed is marked.
    pub(crate) async fn is_marked(&self, planted: &Planted) {
        let nodes = self.nodes().await;
        until("it is marked as deleted", LIMIT, || async {
            let found = nodes.find_one(doc! { "uuid": &planted.uuid }).await.expect("read");
            let marked = found.as_ref().is_some_and(|document| {
                document.get_bool("deleted").is_ok_and(|deleted| deleted)
                    && document.get_datetime("deleted_at").is_ok()
            });
            if marked { Ok(()) } else { Err(format!("{found:?}\n{}", self.site.focus.log())) }
        })
        .await;
    }

    /// The `_id`s of the documents of these recordings: a process draws them in order, so they tell
    /// what was inserted before what.
    pub(crate) async fn ids(&self, planted: &[Planted]) -> Vec<Bson> {
        let uuids: Vec<&str> = planted.iter().map(|one| one.uuid.as_str()).collect();
        let filter = doc! { "uuid": { "$in": uuids } };
        let found = self.nodes().await.find(filter).sort(doc! { "_id": 1 }).await.expect("read");
        let found: Vec<Document> = found.try_collect().await.expect("read");
        assert_eq!(found.len(), planted.len());
        found.iter().filter_map(|document| document.get("_id").cloned()).collect()
    }

    /// The copies of the database lie here.
    pub(crate) fn copies(&self) -> &Path {
        self.site.dir.path()
    }
}
