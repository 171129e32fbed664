//! `focus init`: a folder that has lost its marker is the root that it was, where index or catalog know it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::{MongoServer, free_port};
use focus_testkit::tree::{Tree, Writing};
use mongodb::bson::doc;
use serde_json::Value;

use crate::ledger;
use crate::site::{BINARY, LIMIT, Site, embedded_only, marker};

const COUNT: usize = 12;

fn init(root: &Path, state: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(["init", "--json", "--root"]).arg(root).arg("--state-dir").arg(state);
    command.args(more).output().expect("it runs")
}

/// What the command says of the one root.
fn told(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    all["roots"][0].clone()
}

fn ends_with(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    words.iter().for_each(|words| assert!(text.contains(words), "{words}: {text}"));
}

/// A site whose recordings are catalogued; its server runs.
async fn catalogued() -> Site {
    let mut site = Site::new(&[]);
    site.land(COUNT);
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    site
}

fn marked(root: &Path, id: &str) {
    let text = format!("{{\"format\":1,\"id\":\"{id}\"}}");
    fs::write(root.join(".focus-root"), text).expect("written");
}

fn lose_marker(site: &Site) {
    fs::remove_file(site.tree.root().join(".focus-root")).expect("removed");
}

/// Copies what `cp from/* to/` does: everything but names that begin with a dot.
fn copy_without_dotfiles(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let copied = Command::new("cp").arg("-a").arg(entry.path()).arg(to).status();
        assert!(copied.expect("cp runs").success());
    }
}

fn remove(site: &Site, at: usize) -> String {
    let data = site.tree.root().join(&site.planted[at].path);
    fs::remove_file(data.with_extension("json")).expect("removed");
    fs::remove_file(data).expect("removed");
    site.planted[at].uuid.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_lost_its_marker_gets_its_id_again_while_its_server_runs() {
    let mut site = catalogued().await;
    lose_marker(&site);
    site.focus.until_status("/roots/0/state", "no_marker", LIMIT).await;
    let status = site.focus.status().expect("a status");
    let advice = format!("focus init --root {}", site.tree.root().display());
    assert!(status["roots"][0]["reason"].as_str().unwrap_or_default().contains(&advice));
    let told = told(&init(site.tree.root(), &site.state(), &[]));
    assert_eq!((&told["id"], &told["created"]), (&site.marker.as_str().into(), &true.into()));
    assert_eq!((&told["recognised"], &told["known"]), (&true.into(), &COUNT.into()));
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    let gone = remove(&site, 3);
    site.focus.until_status("deleted", 1, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.status().expect("a status")["unrecognised"], 0);
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[gone], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_was_copied_without_its_marker_to_a_new_volume_is_the_same_root() {
    let mut site = catalogued().await;
    assert_eq!(site.focus.stop(), Some(0));
    let (old, new) = (site.tree.root().to_owned(), site.dir.path().join("new"));
    copy_without_dotfiles(&old, &new);

    // While the old one is there, a person has to say which of both is meant.
    let (old_path, new_path) = (old.display().to_string(), new.display().to_string());
    let refused = init(&new, &site.state(), &[]);
    ends_with(&refused, 2, &[&format!("mv {old_path}/.focus-root {new_path}/"), "--new"]);
    assert!(!new.join(".focus-root").exists());

    fs::remove_dir_all(&old).expect("removed");
    let found = told(&init(&new, &site.state(), &[]));
    assert_eq!((&found["id"], &found["recognised"]), (&site.marker.as_str().into(), &true.into()));
    site.focus = Focus::new(BINARY, &new, &site.state(), &["--settle-ms", "200"]);
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    assert_eq!(site.focus.ask("POST", "/api/v1/scan", "", true).expect("a scan").status, 200);
    let status = site.focus.status().expect("a status");
    for field in ["unrecognised", "vanished", "held", "deleted"] {
        assert_eq!(status[field], 0, "{field}: {status:#}");
    }
    assert_eq!(status["roots"][0]["path"], new_path);
    assert_eq!(status["removed_roots"], serde_json::json!([]));
    site.tree = Tree::new(&new);
    let gone = remove(&site, 3);
    site.focus.until_status("deleted", 1, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[gone], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_recordings_known_is_the_root_again_and_less_is_a_new_one() {
    let mut site = catalogued().await;
    assert_eq!(site.focus.stop(), Some(0));
    lose_marker(&site);
    // As many again: half of them is known.
    let added = Tree::new(&site.tree.root().join("other")).add(2 * COUNT, Writing::Moved);
    let root = site.tree.root().to_owned();
    for (n, other) in added.iter().enumerate().skip(COUNT) {
        let sidecar = root.join("other").join(&other.path).with_extension("json");
        let unlike = format!("{{\"uuid\": \"unlike {n}\", \"start_time\": 1700000000}}");
        fs::write(sidecar, unlike).expect("written");
    }
    for other in &added[..COUNT] {
        fs::remove_file(root.join("other").join(&other.path)).expect("removed");
    }
    let found = told(&init(&root, &site.state(), &[]));
    assert_eq!((&found["looked_at"], &found["known"]), (&(2 * COUNT).into(), &COUNT.into()));
    assert_eq!(found["id"], site.marker);

    lose_marker(&site);
    let gone = remove(&site, 1);
    let found = told(&init(&root, &site.state(), &[]));
    assert_eq!((&found["created"], &found["recognised"]), (&true.into(), &false.into()), "{gone}");
    assert_ne!(found["id"], site.marker);
    let remark = found["remark"].as_str().unwrap_or_default();
    assert!(remark.contains(&format!("{} of {}", COUNT - 1, 2 * COUNT - 1)), "{remark}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_catalog_recognises_a_root_whose_index_is_lost_and_is_not_changed() {
    let mut site = catalogued().await;
    assert_eq!(site.focus.stop(), Some(0));
    lose_marker(&site);
    let (index, catalog) = (site.state().join("index.db"), site.state().join("catalog/catalog.db"));
    let aside = site.state().join("aside");
    // The catalog is away and the index does not know all of it: nobody can tell.
    let kept = fs::read(&index).expect("an index");
    rusqlite::Connection::open(&index)
        .and_then(|index| index.execute_batch("UPDATE recordings SET path = path || '.else'"))
        .expect("changed");
    fs::rename(&catalog, &aside).expect("moved");
    ends_with(&init(site.tree.root(), &site.state(), &[]), 3, &["catalog.db", "--new"]);
    assert!(!catalog.exists() && !site.tree.root().join(".focus-root").exists());
    fs::rename(&aside, &catalog).expect("moved");
    fs::write(&index, kept).expect("written");

    fs::remove_file(&index).expect("removed");
    let before = fs::read(&catalog).expect("a catalog");
    let names = || {
        let entries = fs::read_dir(site.state()).expect("a folder");
        let mut names: Vec<_> = entries.map(|one| one.expect("one").file_name()).collect();
        names.sort();
        names
    };
    let there = names();
    assert_eq!(told(&init(site.tree.root(), &site.state(), &[]))["id"], site.marker);
    assert_eq!((fs::read(&catalog).expect("a catalog"), names()), (before, there));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_recognises_a_root_in_both_layouts_and_nothing_is_made_in_it() {
    if embedded_only("a root that the database recognises") {
        return;
    }
    let server = MongoServer::start().await;
    for layout in ["collection", "base_paths"] {
        let database = format!("{}_{layout}", server.database());
        let args = ["--layout", layout, "--database", &database];
        let mut site = Site::with(&server, &args);
        site.land(COUNT);
        lose_marker(&site);
        let all: Vec<String> =
            server.args().into_iter().chain(args.iter().map(|arg| (*arg).to_owned())).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        // Nothing is there yet: a new root, and asking makes no database.
        let client = server.client().await;
        site.marker = told(&init(site.tree.root(), &site.state(), &all))["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let names = client.list_database_names().await.expect("names");
        assert!(!names.contains(&database), "{names:?}");

        site.focus.serve().await;
        site.focus.until_status("recordings", COUNT, LIMIT).await;
        site.in_step().await;
        assert_eq!(site.focus.stop(), Some(0));
        lose_marker(&site);
        // With another state folder, only the database knows, and the path may be another one.
        let (moved, empty) = (site.dir.path().join("moved"), site.dir.path().join("empty"));
        // Where the root is on this machine, the lease says.
        copy_without_dotfiles(site.tree.root(), &moved);
        marked(site.tree.root(), &site.marker);
        let there = site.tree.root().display().to_string();
        ends_with(&init(&moved, &empty, &all), 2, &[&there, "--new"]);
        lose_marker(&site);
        fs::remove_dir_all(&moved).expect("removed");
        fs::rename(site.tree.root(), &moved).expect("moved");
        let found = told(&init(&moved, &empty, &all));
        assert_eq!((&found["recognised"], &found["id"]), (&true.into(), &site.marker[..].into()));
        assert!(!empty.exists(), "asking makes no state folder");
        let lease = doc! { "_id": format!("lease:{}", site.marker) };
        let leases = client.database(&database).collection::<mongodb::bson::Document>("focus_meta");
        assert!(leases.find_one(lease).await.expect("an answer").is_some());
        client.database(&database).drop().await.expect("dropped");
    }
}

#[test]
fn a_catalog_that_cannot_be_asked_ends_with_3_and_new_does_not_ask() {
    let site = {
        let mut site = Site::new(&[]);
        site.land(COUNT);
        site
    };
    lose_marker(&site);
    let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", free_port());
    let away = ["--mongodb-uri", uri.as_str()];
    let (root, state) = (site.tree.root(), site.state());
    ends_with(&init(root, &state, &away), 3, &[&root.display().to_string(), "--new", "127.0.0.1"]);
    assert!(!root.join(".focus-root").exists());
    let new = told(&init(root, &state, &["--new", "--mongodb-uri", &uri]));
    assert_eq!((&new["created"], &new["recognised"]), (&true.into(), &false.into()));
    assert!(new["remark"].as_str().unwrap_or_default().contains("duplicate_id"), "{new}");
    // A state folder that cannot be looked into is not one that knows nothing.
    fs::remove_file(root.join(".focus-root")).expect("removed");
    let no_folder = site.dir.path().join("file");
    fs::write(&no_folder, "").expect("written");
    ends_with(&init(root, &no_folder, &[]), 3, &["catalog.db", "--new"]);
    assert!(!root.join(".focus-root").exists());
    // There is nothing to ask about in a folder without recordings.
    let empty = site.dir.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    assert_eq!(told(&init(&empty, &state, &away))["created"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_root_stays_as_it_is_and_new_makes_it_another() {
    let mut site = catalogued().await;
    assert_eq!(site.focus.stop(), Some(0));
    let path = site.tree.root().join(".focus-root");
    let file = || {
        let meta = fs::metadata(&path).expect("a marker");
        (meta.ino(), meta.ctime_nsec(), fs::read(&path).expect("a marker"))
    };
    let before = file();
    let again = told(&init(site.tree.root(), &site.state(), &[]));
    assert_eq!((&again["created"], &again["id"]), (&false.into(), &site.marker.as_str().into()));
    assert_eq!(file(), before);
    let new = told(&init(site.tree.root(), &site.state(), &["--new"]));
    assert_eq!((&new["created"], &new["recognised"]), (&true.into(), &false.into()));
    assert_eq!(new["id"], marker(site.tree.root()));
    assert_ne!(new["id"], site.marker);
    let names = fs::read_dir(site.tree.root()).expect("a folder");
    let names: Vec<_> = names.map(|one| one.expect("one").file_name()).collect();
    let markers = names.iter().filter(|name| name.to_string_lossy().contains("focus-root"));
    assert_eq!(markers.count(), 1, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_is_a_new_root_also_where_a_root_was() {
    let mut site = catalogued().await;
    assert_eq!(site.focus.stop(), Some(0));
    let aside = site.dir.path().join("aside");
    fs::rename(site.tree.root(), &aside).expect("moved");
    fs::create_dir(site.tree.root()).expect("a folder");
    let found = told(&init(site.tree.root(), &site.state(), &[]));
    assert_eq!((&found["created"], &found["looked_at"]), (&true.into(), &0.into()));
    assert_ne!(found["id"], site.marker);
}
