//! Recordings whose files are gone: marked, held, moved, or an outage of storage.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use mongodb::bson::{Document, doc};
use serde_json::Value;

use crate::site::{LIMIT, Site, embedded_only};

/// A site with this many catalogued recordings.
async fn begin(server: &MongoServer, count: usize) -> Site {
    let mut site = Site::with(server, &[]);
    site.land(count);
    site.focus.serve().await;
    site.converged(server, "node4").await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site
}

fn files(site: &Site, at: usize) -> [PathBuf; 2] {
    let data = site.tree.root().join(&site.planted[at].path);
    [data.with_extension("json"), data]
}

fn remove(site: &Site, at: usize) {
    for file in files(site, at) {
        fs::remove_file(file).expect("removed");
    }
}

async fn document(server: &MongoServer, uuid: &str) -> Document {
    let client = server.client().await;
    let nodes = client.database(server.database()).collection::<Document>("node4");
    nodes.find_one(doc! { "uuid": uuid }).await.expect("an answer").expect("a document")
}

async fn deleted(server: &MongoServer) -> u64 {
    let client = server.client().await;
    let nodes = client.database(server.database()).collection::<Document>("node4");
    nodes
        .count_documents(doc! { "deleted": true, "deleted_at": { "$type": "date" } })
        .await
        .expect("a count")
}

async fn until_deleted(server: &MongoServer, site: &Site, count: u64) {
    until(&format!("{count} are marked as deleted"), LIMIT, || async {
        match deleted(server).await {
            found if found == count => Ok(()),
            found => Err(format!("{found}\n{:#}\n{}", site.focus.status()?, site.focus.log())),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_recording_is_marked_as_deleted_and_is_back_when_its_files_are() {
    if embedded_only("a removed recording") {
        return;
    }
    let server = MongoServer::start().await;
    let site = begin(&server, 20).await;
    let [sidecar, data] = files(&site, 3);
    let (kept, bytes) = (fs::read(&sidecar).expect("read"), fs::read(&data).expect("read"));
    let before = document(&server, &site.planted[3].uuid).await;
    remove(&site, 3);
    until_deleted(&server, &site, 1).await;
    let marked = document(&server, &site.planted[3].uuid).await;
    assert_eq!(marked.get_bool("deleted").ok(), Some(true));
    assert!(marked.get_datetime("deleted_at").is_ok(), "{marked}");
    assert_eq!(marked.get("path"), before.get("path"));
    assert!(marked.get_i64("version").ok() > before.get_i64("version").ok());
    site.focus.until_status("recordings", 19, LIMIT).await;
    let body = r#"{"start_time": 0, "end_time": 9999999999}"#;
    let answer = site.focus.post("/recordings_in_time_range", body).expect("an answer");
    let rows: Vec<Value> = serde_json::from_str(&answer).expect("rows");
    assert_eq!(rows.len(), 19, "what is deleted is left out");

    fs::write(&data, bytes).expect("written");
    fs::write(&sidecar, kept).expect("written");
    until_deleted(&server, &site, 0).await;
    let back = document(&server, &site.planted[3].uuid).await;
    assert_eq!(back.get_datetime("deleted_at").ok(), None, "{back}");
    site.focus.until_status("recordings", 20, LIMIT).await;
    // Some of the rows of index and catalog were written twice by now: each is as storage has it.
    let status = site.focus.status().expect("a status");
    assert_eq!((&status["held"], &status["deleted"]), (&0.into(), &0.into()), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_during_an_outage_and_a_restart_is_marked_once_the_catalog_is_back() {
    if crate::site::no_server_to_end("a deletion during an outage") {
        return;
    }
    let mut server = MongoServer::start().await;
    let mut site = begin(&server, 20).await;
    server.kill();
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    remove(&site, 1);
    site.focus.until_status("deleted", 1, LIMIT).await;
    site.focus.kill();
    remove(&site, 2);
    site.focus.serve().await;
    site.focus.until_status("deleted", 2, LIMIT).await;
    server.restart().await;
    until_deleted(&server, &site, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_folder_of_a_thousand_moves_and_deletes_nothing() {
    if embedded_only("a renamed folder") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    let root = site.tree.root().to_owned();
    fs::create_dir_all(root.join("one/deep")).expect("a folder");
    for at in 0..1_000 {
        let (name, start) = (format!("one/deep/r{at:04}"), 1_700_000_000 + at);
        fs::write(root.join(format!("{name}.dat")), b"data").expect("written");
        fs::write(
            root.join(format!("{name}.json")),
            format!(r#"{{"start_time": {start}, "end_time": {start}}}"#),
        )
        .expect("written");
    }
    site.focus.serve().await;
    let settled = |status: Value| {
        let at = |field: &str| status[field].as_u64();
        at("recordings") == Some(1_000) && at("pending") == Some(0) && at("vanished") == Some(0)
    };
    until("all are catalogued", LIMIT, || async {
        let status = site.focus.status()?;
        if settled(status.clone()) { Ok(()) } else { Err(format!("{status:#}")) }
    })
    .await;
    fs::rename(root.join("one"), root.join("two")).expect("renamed");
    let client = server.client().await;
    let nodes = client.database(server.database()).collection::<Document>("node4");
    until("all have moved", LIMIT, || async {
        let moved = nodes.count_documents(doc! { "path": { "$regex": "^two/" } }).await;
        match moved {
            Ok(1_000) => Ok(()),
            other => Err(format!("{other:?}\n{:#}", site.focus.status()?)),
        }
    })
    .await;
    // Longer than any second look takes.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let status = site.focus.status().expect("a status");
    assert!(settled(status.clone()), "{status:#}");
    assert_eq!((&status["held"], &status["deleted"]), (&0.into(), &0.into()), "{status:#}");
    assert_eq!(deleted(&server).await, 0);
    assert_eq!(nodes.count_documents(doc! {}).await.ok(), Some(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_max_vanished_is_held_until_it_is_approved_and_over_a_restart() {
    if embedded_only("held deletions") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = begin(&server, 180).await;
    (0..150).for_each(|at| remove(&site, at));
    site.focus.until_status("held", 150, LIMIT).await;
    assert_eq!(deleted(&server).await, 0);
    site.focus.kill();
    site.focus.serve().await;
    site.focus.until_status("held", 150, LIMIT).await;
    // The counts are the index's from the start on; the set is told once the root is there again.
    let held = || {
        let listed = site.focus.get("/api/v1/held")?;
        serde_json::from_str::<Value>(&listed).map_err(|error| error.to_string())
    };
    until("the set is listed", LIMIT, || async {
        let listed = held()?;
        if listed["items"][0]["held"] == 150 { Ok(()) } else { Err(listed.to_string()) }
    })
    .await;
    let listed = held().expect("an answer");
    assert!(site.focus.log().contains("deletions are held"), "{}", site.focus.log());
    pages_of_held_deletions(&site);

    // One that goes after the set was shown is held too, and is not part of it.
    let through = listed["items"][0]["through"].as_i64().expect("a set");
    remove(&site, 150);
    site.focus.until_status("held", 151, LIMIT).await;
    let body = format!(r#"{{"root": "{}", "through": {through}}}"#, site.marker);
    let path = "/api/v1/held/approve";
    assert_eq!(site.focus.ask("POST", path, &body, false).expect("an answer").status, 401);
    // A set that nobody was shown is nobody's to approve.
    let unseen = format!(r#"{{"root": "{}", "through": {}}}"#, site.marker, i64::MAX);
    let refused = site.focus.ask("POST", path, &unseen, true).expect("an answer");
    assert_eq!((refused.status, &refused.json()["field"]), (409, &"through".into()));
    let job = site.focus.job(path, &body).await.expect("a job");
    assert_eq!((&job["kind"], &job["state"]), (&"approve".into(), &"done".into()), "{job:#}");
    assert_eq!(job["result"]["approved"], 150, "{job:#}");
    until_deleted(&server, &site, 150).await;
    site.focus.until_status("held", 1, LIMIT).await;

    let output = site.focus.run(&["approve", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(said["approved"], 1, "{said}");
    until_deleted(&server, &site, 151).await;
    // What was approved counts no more.
    remove(&site, 151);
    until_deleted(&server, &site, 152).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_removal_is_held_once_it_is_too_much_within_the_hour() {
    if embedded_only("a slow removal") {
        return;
    }
    let server = MongoServer::start().await;
    let site = begin(&server, 150).await;
    for at in 0..60 {
        remove(&site, at);
    }
    until_deleted(&server, &site, 60).await;
    for at in 60..100 {
        remove(&site, at);
    }
    until_deleted(&server, &site, 100).await;
    for at in 100..103 {
        remove(&site, at);
    }
    site.focus.until_status("held", 3, LIMIT).await;
    assert_eq!(deleted(&server).await, 100);
    // Back on storage: no hold is left.
    drop(site);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_root_are_held_and_what_comes_back_is_held_no_more() {
    if embedded_only("all of a root") {
        return;
    }
    let server = MongoServer::start().await;
    let site = begin(&server, 12).await;
    let root = site.tree.root().to_owned();
    let aside = site.dir.path().join("aside");
    fs::create_dir(&aside).expect("a folder");
    let entries: Vec<_> = fs::read_dir(&root)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name != ".focus-root")
        .collect();
    for name in &entries {
        fs::rename(root.join(name), aside.join(name)).expect("moved");
    }
    site.focus.until_status("held", 12, LIMIT).await;
    for name in &entries {
        fs::rename(aside.join(name), root.join(name)).expect("moved");
    }
    site.focus.until_status("held", 0, LIMIT).await;
    site.focus.until_status("vanished", 0, LIMIT).await;
    assert_eq!(deleted(&server).await, 0);
    site.converged(&server, "node4").await;
}

/// The server in a mount namespace of its own, in which `sub` below the root is a file system.
async fn with_a_mount(server: &MongoServer) -> Site {
    let mut site = Site::with(server, &[]);
    fs::create_dir(site.tree.root().join("sub")).expect("a folder");
    site.focus.by =
        ["unshare", "-Urm", "sh", "-c", "mount -t tmpfs none \"$0\" && shift 0 && exec \"$@\""]
            .map(str::to_owned)
            .to_vec();
    site.focus.by.push(site.tree.root().join("sub").display().to_string());
    site
}

fn in_mounts(site: &Site, command: &[&str]) {
    let pid = site.focus.pid().expect("a server").to_string();
    let done = std::process::Command::new("nsenter")
        .args(["-t", &pid, "-U", "-m", "--preserve-credentials"])
        .args(command)
        .status()
        .expect("nsenter runs");
    assert!(done.success(), "{command:?}");
}

fn write_below(folder: &Path, count: usize) {
    for at in 0..count {
        let start = 1_700_000_000 + at;
        fs::write(folder.join(format!("m{at}.dat")), b"data").expect("written");
        fs::write(
            folder.join(format!("m{at}.json")),
            format!(r#"{{"start_time": {start}, "end_time": {start}}}"#),
        )
        .expect("written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_mount_that_disappears_deletes_nothing() {
    if embedded_only("a nested mount") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = with_a_mount(&server).await;
    site.land(30);
    site.focus.serve().await;
    let sub = site.tree.root().join("sub");
    write_below(&site.focus.seen(&sub), 5);
    site.focus.until_status("recordings", 35, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    in_mounts(&site, &["umount", &sub.display().to_string()]);
    site.focus.ask("POST", "/api/v1/scan", "", true).expect("a scan");
    site.focus.until_status("held", 5, LIMIT).await;
    let path = format!("/api/v1/held?root={}", site.marker);
    let listed: Value = serde_json::from_str(&site.focus.get(&path).expect("held")).expect("json");
    assert_eq!(listed["items"][0]["held_why"], "device", "{listed}");
    assert_eq!(deleted(&server).await, 0);
}

/// All 150 in two pages; a cursor goes on in the list that it is from, and nowhere else.
fn pages_of_held_deletions(site: &Site) {
    let page = |query: &str| site.focus.ask("GET", &format!("/api/v1/held?{query}"), "", false);
    let of_root = format!("root={}", site.marker);
    let first = page(&of_root).expect("an answer").json();
    let cursor = first["next_cursor"].as_str().expect("more").to_owned();
    let second = page(&format!("{of_root}&cursor={cursor}")).expect("an answer").json();
    let items = |page: &Value| page["items"].as_array().cloned().unwrap_or_default();
    assert_eq!((items(&first).len(), items(&second).len()), (100, 50));
    assert_eq!(second["next_cursor"], Value::Null);
    assert!(items(&first).iter().all(|one| !items(&second).contains(one)));
    assert_eq!(first["complete_through"].as_str().map(str::len), Some(24), "{first}");
    let elsewhere = page("root=/nowhere").expect("an answer");
    assert_eq!((elsewhere.status, &elsewhere.json()["field"]), (400, &"root".into()));
    for query in [format!("cursor={cursor}"), format!("{of_root}&cursor={}", &cursor[1..])] {
        let refused = page(&query).expect("an answer");
        assert_eq!((refused.status, &refused.json()["field"]), (400, &"cursor".into()), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_never_saw_is_marked_beside_its_neighbours_and_held_without_them() {
    if embedded_only("never seen") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    let root = site.tree.root().to_owned();
    for folder in ["kept", "gone"] {
        fs::create_dir(root.join(folder)).expect("a folder");
        for at in 0..3 {
            let name = format!("{folder}/{folder}{at}");
            fs::write(root.join(format!("{name}.dat")), b"data").expect("written");
            fs::write(root.join(format!("{name}.json")), r#"{"start_time": 1700000000}"#)
                .expect("written");
        }
    }
    site.focus.serve().await;
    site.focus.until_status("recordings", 6, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    // The index is lost, and files go before a new one has seen them.
    assert_eq!(site.focus.stop(), Some(0));
    for file in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = fs::remove_file(site.state().join(file));
    }
    fs::remove_file(root.join("kept/kept0.dat")).expect("removed");
    fs::remove_file(root.join("kept/kept0.json")).expect("removed");
    fs::remove_dir_all(root.join("gone")).expect("removed");
    site.focus.serve().await;
    site.focus.until_status("deleted", 1, LIMIT).await;
    site.focus.until_status("held", 3, LIMIT).await;
    until_deleted(&server, &site, 1).await;
    assert_eq!(document(&server, "kept0").await.get_bool("deleted").ok(), Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_unmounted_during_scans_deletes_nothing_and_its_return_is_noticed() {
    if embedded_only("a root unmounted") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    let root = site.tree.root().to_owned();
    let store = site.dir.path().join("store");
    write_below(&root, 2_000);
    fs::rename(&root, &store).expect("moved");
    fs::create_dir(&root).expect("a mount point");
    let (from, to) = (store.display().to_string(), root.display().to_string());
    let script = "mount --bind \"$0\" \"$1\" && shift 1 && exec \"$@\"";
    site.focus.by = ["unshare", "-Urm", "sh", "-c", script].map(str::to_owned).to_vec();
    site.focus.by.extend([from.clone(), to.clone()]);
    site.focus.serve().await;
    site.focus.until_status("recordings", 2_000, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    for round in 0..6_u64 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // The scan ends with the root; its answer does not matter.
                let _ = site.focus.ask("POST", "/api/v1/scan", "", true);
            });
            // At another moment of the scan every time.
            std::thread::park_timeout(Duration::from_millis(round * 3));
            in_mounts(&site, &["umount", "-l", &to]);
        });
        site.focus.until_status("/roots/0/state", "no_marker", LIMIT).await;
        in_mounts(&site, &["mount", "--bind", &from, &to]);
        site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    }
    site.focus.ask("POST", "/api/v1/scan", "", true).expect("a scan");
    let status = site.focus.status().expect("a status");
    for (field, wanted) in [("vanished", 0), ("held", 0), ("deleted", 0), ("recordings", 2_000)] {
        assert_eq!(status[field], wanted, "{field}: {status:#}");
    }
    assert_eq!(deleted(&server).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_archive_nothing_is_marked() {
    if embedded_only("an archive") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &["--layout", "base_paths"]);
    let client = server.client().await;
    let database = client.database(server.database());
    let row = doc! {
        "base_path": site.tree.root().display().to_string(), "guid": "archive", "is_archive": true,
    };
    database.collection("base_paths").insert_one(row).await.expect("a row");
    site.land(12);
    site.focus.serve().await;
    site.converged(&server, "archive").await;
    site.focus.until_status("pending", 0, LIMIT).await;
    remove(&site, 0);
    site.focus.until_status("vanished", 1, LIMIT).await;
    // Longer than any second look takes.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let status = site.focus.status().expect("a status");
    assert_eq!((&status["held"], &status["deleted"]), (&0.into(), &0.into()), "{status:#}");
    let marked = doc! { "deleted_at": { "$type": "date" } };
    let nodes = database.collection::<Document>("archive");
    assert_eq!(nodes.count_documents(marked).await.ok(), Some(0));
}
