//! What a drill plants leaves the catalog with its files: no tombstone, no hold, no count.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use mongodb::Collection;
use mongodb::bson::{Document, doc};

use crate::site::{LIMIT, Site, embedded_only, no_server_to_end};

/// A catalog of this site, and the files that a drill plants beside its recordings.
struct Drilled {
    site: Site,
    documents: Collection<Document>,
}

impl Drilled {
    /// A running server with `count` recordings of its own in the catalog.
    async fn begin(server: &MongoServer, count: usize, extra: &[&str]) -> Drilled {
        let mut site = Site::with(server, extra);
        site.land(count);
        site.focus.serve().await;
        site.focus.until_status("recordings", count, LIMIT).await;
        site.focus.until_status("pending", 0, LIMIT).await;
        let database = server.client().await.database(server.database());
        let mut name = "node4".to_owned();
        if extra.contains(&"base_paths") {
            let rows = database.collection::<Document>("base_paths");
            let row = rows.find_one(doc! {}).await.expect("an answer").expect("a row");
            row.get_str("guid").expect("a guid").clone_into(&mut name);
        }
        Drilled { site, documents: database.collection(&name) }
    }

    fn files(&self, at: usize) -> [PathBuf; 2] {
        let stem = self.site.tree.root().join(format!("drill/planted-{at:03}"));
        [stem.with_extension("dat"), stem.with_extension("json")]
    }

    fn plant(&self, count: usize) {
        fs::create_dir_all(self.site.tree.root().join("drill")).expect("a folder");
        for at in 0..count {
            let [data, sidecar] = self.files(at);
            fs::write(data, b"planted").expect("written");
            let start = 1_700_000_000 + at;
            let text = format!(
                r#"{{"start_time": {start}, "end_time": {start}, "focus_drill": "drill-1"}}"#
            );
            fs::write(sidecar, text).expect("written");
        }
    }

    fn clean_up(&self, count: usize) {
        for at in 0..count {
            for file in self.files(at) {
                fs::remove_file(file).expect("removed");
            }
        }
    }

    /// Waits until the catalog holds so many documents of the drill, whatever they say.
    async fn until_planted(&self, count: u64) {
        until(&format!("{count} of the drill are in the catalog"), LIMIT, || async {
            let mark = doc! { "metadata.focus_drill": { "$exists": true } };
            match self.documents.count_documents(mark).await {
                Ok(found) if found == count => Ok(()),
                found => Err(format!(
                    "{found:?}\n{:#}\n{}",
                    self.site.focus.status()?,
                    self.site.focus.log()
                )),
            }
        })
        .await;
    }

    /// Nothing of the site's own was touched, and nothing is left of the drill.
    async fn is_as_before(&self) {
        let focus = &self.site.focus;
        focus.until_status("pending", 0, LIMIT).await;
        let own = self.site.planted.len();
        let status = focus.status().expect("a status");
        for (field, wanted) in [("recordings", own), ("vanished", 0), ("held", 0), ("deleted", 0)] {
            assert_eq!(status[field], wanted, "{field}: {status:#}");
        }
        let there = self.documents.count_documents(doc! {}).await.expect("a count");
        assert_eq!(there, own as u64);
        let dated = doc! { "deleted_at": { "$type": "date" } };
        assert_eq!(self.documents.count_documents(dated).await.ok(), Some(0));
        let mut listed = Vec::new();
        focus.run(&["unrecognised", "--json"]).stdout.clone_into(&mut listed);
        let listed = String::from_utf8(listed).expect("text");
        assert!(!listed.contains("planted"), "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drills_documents_go_with_its_files_however_many_and_in_either_layout() {
    if embedded_only("a drill's documents") {
        return;
    }
    let server = MongoServer::start().await;
    for layout in ["collection", "base_paths"] {
        // More than max_vanished allows, and far more than the site has of its own.
        let drill = Drilled::begin(&server, 3, &["--layout", layout]).await;
        drill.plant(150);
        drill.until_planted(150).await;
        drill.clean_up(150);
        drill.until_planted(0).await;
        drill.is_as_before().await;
        // The same again: what comes back is catalogued again, and goes again.
        drill.plant(2);
        drill.until_planted(2).await;
        drill.clean_up(2);
        drill.until_planted(0).await;
        drill.is_as_before().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_with_a_drills_mark_whose_files_are_there_is_an_ordinary_one() {
    if embedded_only("an ordinary recording with a drill's mark") {
        return;
    }
    let server = MongoServer::start().await;
    let mut drill = Drilled::begin(&server, 3, &[]).await;
    drill.plant(3);
    drill.until_planted(3).await;
    let found = drill.documents.find_one(doc! { "uuid": "planted-001" }).await;
    let before = found.expect("an answer").expect("a document");
    // An index without memory, a scan and a comparison leave it as it is.
    assert_eq!(drill.site.focus.stop(), Some(0));
    fs::remove_file(drill.site.state().join("index.db")).expect("removed");
    drill.site.focus.serve().await;
    drill.site.focus.until_status("recordings", 6, LIMIT).await;
    drill.site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    drill.site.focus.until_status("pending", 0, LIMIT).await;
    let verified = drill.site.focus.run(&["verify", "--json"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let found = drill.documents.find_one(doc! { "uuid": "planted-001" }).await;
    assert_eq!(found.expect("an answer"), Some(before));
    // Renamed: a move, never a removal.
    let root = drill.site.tree.root().to_owned();
    fs::rename(root.join("drill"), root.join("renamed")).expect("renamed");
    until("all are at their new path", LIMIT, || async {
        let moved = doc! { "path": { "$regex": "^renamed/" } };
        match drill.documents.count_documents(moved).await {
            Ok(3) => Ok(()),
            found => Err(format!("{found:?}\n{}", drill.site.focus.log())),
        }
    })
    .await;
    drill.until_planted(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_drill_left_during_an_outage_and_a_crash_goes_once_the_catalog_is_back() {
    if no_server_to_end("a drill's documents during an outage") {
        return;
    }
    let mut server = MongoServer::start().await;
    let mut drill = Drilled::begin(&server, 3, &[]).await;
    drill.plant(20);
    drill.until_planted(20).await;
    server.kill();
    drill.site.focus.until_status("catalog_state", "down", LIMIT).await;
    drill.clean_up(20);
    // Proved to be gone, and to be removed as soon as there is a catalog.
    drill.site.focus.until_status("pending", 20, LIMIT).await;
    drill.site.focus.until_status("recordings", 3, LIMIT).await;
    drill.site.focus.kill();
    drill.site.focus.serve().await;
    drill.site.focus.until_status("pending", 20, LIMIT).await;
    server.restart().await;
    drill.until_planted(0).await;
    drill.is_as_before().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_index_planted_goes_by_the_comparison_alone() {
    if embedded_only("a drill's documents, index lost") {
        return;
    }
    let server = MongoServer::start().await;
    let mut drill = Drilled::begin(&server, 3, &[]).await;
    drill.plant(15);
    drill.until_planted(15).await;
    assert_eq!(drill.site.focus.stop(), Some(0));
    drill.clean_up(15);
    fs::remove_dir(drill.site.tree.root().join("drill")).expect("removed");
    fs::remove_file(drill.site.state().join("index.db")).expect("removed");
    // Also where somebody has marked one.
    let one = doc! { "uuid": "planted-001" };
    let marked = doc! { "$set": { "deleted": true } };
    drill.documents.update_one(one, marked).await.expect("altered");
    drill.site.focus.serve().await;
    drill.until_planted(0).await;
    drill.is_as_before().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_others_with_a_drills_mark_are_not_touched() {
    if embedded_only("others' documents with a drill's mark") {
        return;
    }
    let server = MongoServer::start().await;
    let drill = Drilled::begin(&server, 3, &[]).await;
    let foreign = [
        doc! { "uuid": "foreign", "metadata": { "focus_drill": "theirs" } },
        doc! { "uuid": "another", "root": "another root", "deleted": false, "path": "x.dat", "metadata": { "focus_drill": "theirs" } },
    ];
    drill.documents.insert_many(foreign).await.expect("inserted");
    drill.plant(2);
    drill.until_planted(4).await;
    drill.clean_up(2);
    drill.until_planted(2).await;
    let verified = drill.site.focus.run(&["verify", "--repair", "--json"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    drill.until_planted(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drills_documents_go_from_the_embedded_catalog_too() {
    let mut site = Site::new(&[]);
    site.land(3);
    site.focus.serve().await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    let file = site.tree.root().join("planted");
    let plant = || {
        fs::write(file.with_extension("dat"), b"planted").expect("written");
        let text = r#"{"start_time": 1700000000, "focus_drill": "drill-1"}"#;
        fs::write(file.with_extension("json"), text).expect("written");
    };
    plant();
    site.focus.until_status("recordings", 4, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    // Its removal waits for the catalog, like everything else.
    let (here, away) = (site.state().join("catalog"), site.state().join("catalog.away"));
    fs::rename(&here, &away).expect("taken away");
    site.focus.until_status("catalog_state", "down", Duration::from_secs(5)).await;
    fs::remove_file(file.with_extension("dat")).expect("removed");
    fs::remove_file(file.with_extension("json")).expect("removed");
    site.focus.until_status("pending", 1, LIMIT).await;
    fs::rename(&away, &here).expect("brought back");
    site.focus.until_status("pending", 0, LIMIT).await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    let catalog = rusqlite::Connection::open(here.join("catalog.db")).expect("the catalog");
    let uuids: i64 = catalog
        .query_row("SELECT count(*) FROM recordings", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(uuids, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_not_remove_tells_so_and_goes_on_writing() {
    if no_server_to_end("a server that may not remove") {
        return;
    }
    let server = MongoServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("focus.toml");
    fs::write(&settings, "refused_retry_ms = 300\n").expect("settings");
    let settings = settings.display().to_string();
    let mut drill = Drilled::begin(&server, 3, &["--config", &settings]).await;
    drill.plant(2);
    drill.until_planted(2).await;
    let refusal = doc! { "failCommands": ["delete"], "errorCode": 13 };
    server.fail_command("alwaysOn", refusal.clone()).await;
    drill.clean_up(2);
    drill.site.focus.until_status("/unrecognised", 2, LIMIT).await;
    let listed = drill.site.focus.run(&["unrecognised", "--json"]);
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert!(listed.contains("catalog_refused") && listed.contains("cannot be removed"), "{listed}");
    // Nothing waits for it.
    drill.site.land(20);
    drill.site.focus.until_status("recordings", 23, LIMIT).await;
    drill.site.focus.until_status("pending", 0, LIMIT).await;
    server.fail_command("off", refusal).await;
    drill.until_planted(0).await;
    drill.site.focus.until_status("/unrecognised", 0, LIMIT).await;
    drill.is_as_before().await;
}
