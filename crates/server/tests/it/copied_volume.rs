//! Two servers on different folders with one marker in one catalog: a volume that was copied to another
//! machine. One writes; the other stands by and says why.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use mongodb::bson::{Document, doc};

use crate::site::{BINARY, LIMIT, Site, embedded_only};

const LEASE_MS: u64 = 2_000;

/// A site whose recordings are catalogued, with a short lease; its server runs.
async fn catalogued(server: &MongoServer) -> Site {
    let mut site = Site::with(server, &[]);
    site.focus = on(server, &site, site.tree.root(), "state");
    site.land(12);
    site.focus.serve().await;
    site.converged(server, "node4").await;
    site.in_step().await;
    site
}

/// A server on this folder, with this state folder.
fn on(server: &MongoServer, site: &Site, root: &Path, state: &str) -> Focus {
    let settings = site.dir.path().join("focus.toml");
    fs::write(&settings, format!("lease_ms = {LEASE_MS}\n")).expect("settings");
    let settings = settings.display().to_string();
    let mut args = server.args();
    args.extend(["--settle-ms", "200", "--config", &settings].map(str::to_owned));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Focus::new(BINARY, root, &site.dir.path().join(state), &args)
}

/// A copy of the root, with its marker.
fn copied(site: &Site) -> PathBuf {
    let copy = site.dir.path().join("copy");
    let done = Command::new("cp").arg("-a").arg(site.tree.root()).arg(&copy).status();
    assert!(done.expect("cp runs").success());
    copy
}

async fn documents(server: &MongoServer) -> Vec<Document> {
    use futures_util::TryStreamExt;
    let client = server.client().await;
    let documents = client.database(server.database()).collection::<Document>("node4");
    let found = documents.find(doc! {}).sort(doc! { "uuid": 1 }).await.expect("documents");
    found.try_collect().await.expect("documents")
}

async fn lease(server: &MongoServer, site: &Site) -> Option<Document> {
    let client = server.client().await;
    let meta = client.database(server.database()).collection::<Document>("focus_meta");
    meta.find_one(doc! { "_id": format!("lease:{}", site.marker) }).await.expect("an answer")
}

async fn stands_by_as_copy(second: &Focus, site: &Site) {
    second.until_status("/roots/0/state", "duplicate_marker", LIMIT).await;
    second.until_status("catalog_state", "standby", LIMIT).await;
    let status = second.status().expect("a status");
    let reason = status["roots"][0]["reason"].as_str().unwrap_or_default().to_owned();
    for words in [&site.tree.root().display().to_string()[..], "--new", "deleteOne"] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

/// Longer than a challenge takes.
async fn three_leases() {
    tokio::time::sleep(Duration::from_millis(3 * LEASE_MS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_a_copied_volume_stands_by_and_says_why_whatever_happens_to_the_holder() {
    if embedded_only("a server on a copied volume") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = catalogued(&server).await;
    let copy = copied(&site);
    // The copy lacks recordings, and has one more.
    for planted in &site.planted[..3] {
        fs::remove_file(copy.join(&planted.path)).expect("removed");
        fs::remove_file(copy.join(&planted.path).with_extension("json")).expect("removed");
    }
    fs::write(copy.join("only-here.dat"), "x").expect("written");
    fs::write(copy.join("only-here.json"), r#"{"start_time": 1700000000}"#).expect("written");
    let doc = lease(&server, &site).await.expect("a lease");
    let marker = fs::metadata(site.tree.root().join(".focus-root")).expect("a marker");
    assert_eq!(doc.get_str("path").ok(), site.tree.root().to_str(), "{doc}");
    assert_eq!(doc.get_i64("marker_inode").ok(), Some(marker.ino().cast_signed()), "{doc}");
    let ctime_ns = marker.ctime() * 1_000_000_000 + marker.ctime_nsec();
    assert_eq!(doc.get_i64("marker_ctime_ns").ok(), Some(ctime_ns), "{doc}");
    assert!(doc.get_str("host").is_ok_and(|host| !host.is_empty()), "{doc}");

    let mut second = on(&server, &site, &copy, "second");
    second.serve().await;
    stands_by_as_copy(&second, &site).await;
    assert_eq!(second.run(&["status"]).status.code(), Some(3));
    // What is on the copy says nothing of the root.
    assert_eq!(second.run(&["verify"]).status.code(), Some(3));
    let before = documents(&server).await;

    // The holder dies: its own restart takes the lease again, and nobody before.
    site.focus.kill();
    three_leases().await;
    stands_by_as_copy(&second, &site).await;
    site.focus.serve().await;
    site.focus.until_status("/roots/0/lease", "held", LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    // It gives the lease up: also after a restart of the second, that is no invitation.
    assert_eq!(site.focus.stop(), Some(0));
    three_leases().await;
    stands_by_as_copy(&second, &site).await;
    assert_eq!(second.stop(), Some(0));
    second.serve().await;
    stands_by_as_copy(&second, &site).await;
    assert_eq!(documents(&server).await, before, "the copy has written nothing");
    site.land(2);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    stands_by_as_copy(&second, &site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_was_restored_elsewhere_is_resumed_by_its_own_state_folder() {
    if embedded_only("a volume that was restored elsewhere") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = catalogued(&server).await;
    let copy = copied(&site);
    site.focus.kill();
    fs::remove_dir_all(site.tree.root()).expect("gone");
    site.focus = on(&server, &site, &copy, "state");
    site.tree = focus_testkit::tree::Tree::new(&copy);
    site.focus.serve().await;
    site.focus.until_status("/roots/0/lease", "held", LIMIT).await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.converged(&server, "node4").await;
    // The lease says where the root is now.
    let doc = lease(&server, &site).await.expect("a lease");
    assert_eq!(doc.get_str("path").ok(), copy.to_str(), "{doc}");

    // In order, and with a new state folder: that is how a root moves to another machine.
    assert_eq!(site.focus.stop(), Some(0));
    let moved = site.dir.path().join("moved");
    let done = Command::new("cp").arg("-a").arg(&copy).arg(&moved).status();
    assert!(done.expect("cp runs").success());
    site.focus = on(&server, &site, &moved, "new");
    site.focus.serve().await;
    site.focus.until_status("/roots/0/lease", "held", LIMIT).await;
    site.converged(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_the_place_of_a_root_that_is_gone_once_a_person_has_removed_the_lease() {
    if embedded_only("a copy that takes the place of its original") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = catalogued(&server).await;
    let copy = copied(&site);
    site.focus.kill();
    let mut second = on(&server, &site, &copy, "second");
    second.serve().await;
    stands_by_as_copy(&second, &site).await;
    let client = server.client().await;
    let meta = client.database(server.database()).collection::<Document>("focus_meta");
    let removed = meta.delete_one(doc! { "_id": format!("lease:{}", site.marker) }).await;
    assert_eq!(removed.expect("an answer").deleted_count, 1);
    assert_eq!(second.stop(), Some(0));
    second.serve().await;
    second.until_status("/roots/0/lease", "held", LIMIT).await;
    second.until_status("/roots/0/state", "present", LIMIT).await;
    site.focus = second;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.converged(&server, "node4").await;
}

/// Runs a program; what it says, where it succeeds.
fn said(command: &[&str]) -> Option<String> {
    let output = Command::new(command[0]).args(&command[1..]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_on_a_clone_of_the_volume_tells_what_was_never_here() {
    if embedded_only("a standby on a clone of the volume") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    site.land(4);
    // A volume, and its clone by blocks: also the marker is the same file in both.
    let root = site.tree.root().display().to_string();
    let images = ["one", "two"].map(|name| site.dir.path().join(name).display().to_string());
    let [one, two] = &images;
    fs::File::create(one).and_then(|file| file.set_len(8 << 20)).expect("an image");
    let tried = ["unshare", "-m", "mount", "-o", "loop", one, &root];
    if said(&["mkfs.ext4", "-q", "-d", &root, one]).is_none() || said(&tried).is_none() {
        return println!("left out, needs root, loop devices and ext4: a clone of the volume");
    }
    fs::copy(one, two).expect("cloned");
    let mounts = |image: &str| {
        let script = "mount -o loop \"$0\" \"$1\" && shift 1 && exec \"$@\"";
        ["unshare", "-m", "sh", "-c", script, image, &root].map(str::to_owned).to_vec()
    };
    site.focus = on(&server, &site, site.tree.root(), "state");
    site.focus.by = mounts(one);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    site.in_step().await;
    let mut second = on(&server, &site, site.tree.root(), "second");
    second.by = mounts(two);
    second.serve().await;
    second.until_status("/roots/0/lease", "standby", LIMIT).await;
    second.until_status("pending", 0, LIMIT).await;
    let land = "printf data > $0/only.dat; printf '{\"start_time\": 1700000000}' > $0/only.json";
    let pid = site.focus.pid().expect("a server").to_string();
    assert!(said(&["nsenter", "-t", &pid, "-m", "sh", "-c", land, &root]).is_some());
    site.focus.until_status("recordings", 5, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    // The comparison at a start finds it, and so does the one that comes round.
    assert_eq!(second.stop(), Some(0));
    second.serve().await;
    second.until_status("deleted", 1, LIMIT).await;
    let reason = |focus: &Focus| focus.status().expect("a status")["roots"][0]["reason"].clone();
    assert!(reason(&second).is_null(), "not before ten minutes: {}", reason(&second));
    // Eleven minutes later.
    assert_eq!(second.stop(), Some(0));
    let index = rusqlite::Connection::open(site.dir.path().join("second/index.db")).expect("open");
    let earlier = "UPDATE recordings SET vanished_ms = vanished_ms - 660000 WHERE never_seen = 1";
    assert_eq!(index.execute(earlier, []).expect("changed"), 1);
    drop(index);
    second.serve().await;
    second.until_status("/roots/0/lease", "standby", LIMIT).await;
    let told = reason(&second);
    let told = told.as_str().expect("a reason");
    assert!(told.contains("only.dat") && told.contains("--new"), "{told}");
    assert!(reason(&site.focus).is_null(), "the holder has all of it: {}", reason(&site.focus));
}
