//! A site: a root with recordings, a database, and the server between them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::oracle;
use focus_testkit::tree::{Planted, Tree, Writing};
use focus_testkit::wait::until;
use mongodb::bson::{Document, doc};
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_focus");

/// The contract's hard limit for what an outage left.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The database tests are left out, and this one says so.
pub(crate) fn embedded_only(test: &str) -> bool {
    let only = std::env::var("FOCUS_TEST_EMBEDDED_ONLY").is_ok_and(|value| !value.is_empty());
    if only {
        println!("left out, needs a database: {test}");
    }
    only
}

/// As `embedded_only`, for a test that ends or cripples its server.
pub(crate) fn no_server_to_end(test: &str) -> bool {
    embedded_only(test) || focus_testkit::mongo::deployment_only(test)
}

/// Long tests run too.
pub(crate) fn long() -> bool {
    std::env::var("FOCUS_TEST_LONG").is_ok_and(|value| !value.is_empty())
}

pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) tree: Tree,
    pub(crate) planted: Vec<Planted>,
    pub(crate) focus: Focus,
    pub(crate) marker: String,
}

impl Site {
    /// A marked root, and a server that is not started, with these arguments.
    pub(crate) fn new(extra: &[&str]) -> Site {
        let dir = TempDir::new().expect("a folder");
        let root = dir.path().join("root");
        std::fs::create_dir(&root).expect("a root");
        let mut args = vec!["--settle-ms", "200"];
        args.extend(extra);
        let focus = Focus::new(BINARY, &root, &dir.path().join("state"), &args);
        let init = focus.run(&["init", "--json"]);
        assert!(init.status.success(), "{init:?}");
        let marker = marker(&root);
        Site { tree: Tree::new(&root), planted: Vec::new(), focus, marker, dir }
    }

    /// As `new`, with the catalog in this server.
    pub(crate) fn with(server: &MongoServer, extra: &[&str]) -> Site {
        let args = server.args();
        let mut all: Vec<&str> = args.iter().map(String::as_str).collect();
        all.extend(extra);
        Site::new(&all)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn land(&mut self, count: usize) {
        let landed = self.tree.add(count, Writing::Moved);
        self.planted.extend(landed);
    }

    /// Waits until every document is as planted: where they were there before, and had to be changed.
    pub(crate) async fn becomes_right(&self, server: &MongoServer, collection: &str) {
        let client = server.client().await;
        until("the catalog is as storage", LIMIT, || async {
            let (marker, planted) = (&self.marker, &self.planted);
            let database = server.database();
            let verdict = oracle::compare(&client, database, collection, marker, planted).await;
            if verdict.is_good() {
                Ok(())
            } else {
                Err(format!("{verdict:?}\n{}", self.focus.log()))
            }
        })
        .await;
    }

    /// Waits until nothing is pending and the first comparison has finished: one that goes on may have read
    /// the catalog before a document was there, and make its recording pending once more.
    pub(crate) async fn in_step(&self) {
        until("everything is acknowledged and compared", LIMIT, || async {
            let status = self.focus.status()?;
            let good = status["pending"] == 0
                && status["catalog_state"] == "in_step"
                && status["comparison"].is_null()
                && !status["missing"].is_null();
            if good { Ok(()) } else { Err(format!("{status:#}\n{}", self.focus.log())) }
        })
        .await;
    }

    /// Waits until the catalog holds every planted recording, then compares every field of each.
    pub(crate) async fn converged(&self, server: &MongoServer, collection: &str) {
        let client = server.client().await;
        let documents = client.database(server.database()).collection::<Document>(collection);
        let wanted = self.planted.len() as u64;
        until("the catalog holds them all", LIMIT, || async {
            match documents.count_documents(doc! {}).await {
                Ok(count) if count >= wanted => Ok(()),
                Ok(count) => Err(format!(
                    "{count} of {wanted}\n{:?}\n{}",
                    self.focus.status(),
                    self.focus.log()
                )),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        let verdict =
            oracle::compare(&client, server.database(), collection, &self.marker, &self.planted)
                .await;
        assert!(verdict.is_good(), "{verdict:?}");
    }
}

pub(crate) fn marker(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join(".focus-root")).expect("a marker");
    let (_, id) = text.split_once("\"id\":\"").expect("an id");
    id.split('"').next().expect("an id").to_owned()
}
