//! Storage that is not what it was: another file system in the root's place, the same content on another
//! device, a marker that is missing for a while, a file where the root was. An outage, never a deletion.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::ledger;
use crate::site::{LIMIT, Site};

const COUNT: usize = 12;

/// Whether this machine lets a test have mounts of its own.
pub(crate) fn can_mount(test: &str) -> bool {
    let tried =
        Command::new("unshare").args(["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        println!("left out, needs unshare and user namespaces: {test}");
    }
    can
}

/// Runs a program among the server's mounts.
fn in_mounts(site: &Site, command: &[&str]) {
    let pid = site.focus.pid().expect("a server").to_string();
    let done = Command::new("nsenter")
        .args(["-t", &pid, "-U", "-m", "--preserve-credentials"])
        .args(command)
        .status()
        .expect("nsenter runs");
    assert!(done.success(), "{command:?}");
}

/// A server with mounts of its own, made by this script; `$0` is the root, `$1` the folder `store`.
async fn serve_with(site: &mut Site, script: &str) {
    let script = format!("{script} && shift 1 && exec \"$@\"");
    site.focus.by = ["unshare", "-Urm", "sh", "-c", &script].map(str::to_owned).to_vec();
    let store = site.dir.path().join("store");
    site.focus.by.extend([site.tree.root(), &store].map(|path| path.display().to_string()));
    site.focus.serve().await;
    ledger::settled(site, COUNT).await;
}

fn scan(site: &Site) {
    assert_eq!(site.focus.ask("POST", "/api/v1/scan", "", true).expect("a scan").status, 200);
}

/// Nothing is gone, held or marked.
fn nothing_is_gone(site: &Site) {
    let status = site.focus.status().expect("a status");
    for field in ["vanished", "held", "deleted"] {
        assert_eq!(status[field], 0, "{field}: {status:#}");
    }
    assert_eq!(status["recordings"], COUNT, "{status:#}");
}

fn remove(site: &Site, at: usize) -> String {
    let data = site.tree.root().join(&site.planted[at].path);
    fs::remove_file(data.with_extension("json")).expect("removed");
    fs::remove_file(data).expect("removed");
    site.planted[at].uuid.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_system_in_the_roots_place_deletes_nothing_and_catalogues_nothing() {
    if !can_mount("another file system in the root's place") {
        return;
    }
    let mut site = Site::new(&[]);
    site.land(COUNT);
    let store = site.dir.path().join("store");
    fs::create_dir(&store).expect("a folder");
    fs::write(store.join(".focus-root"), r#"{"format":1,"id":"another"}"#).expect("a marker");
    fs::write(store.join("theirs.dat"), "x").expect("written");
    fs::write(store.join("theirs.json"), r#"{"start_time": 1700000000}"#).expect("written");
    serve_with(&mut site, "true").await;
    let (from, to) = (store.display().to_string(), site.tree.root().display().to_string());
    for round in 0..3 {
        in_mounts(&site, &["mount", "--bind", &from, &to]);
        site.focus.until_status("/roots/0/state", "replaced", LIMIT).await;
        let status = site.focus.status().expect("a status");
        let reason = status["roots"][0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("another"), "{round}: {status:#}");
        let body = r#"{"start_time":0,"end_time":9999999999}"#;
        let rows = site.focus.post("/recordings_in_time_range", body).expect("an answer");
        let rows: Vec<Value> = serde_json::from_str(&rows).expect("rows");
        assert_eq!(rows.len(), COUNT, "queries go on");
        in_mounts(&site, &["umount", &to]);
        site.focus.until_status("/roots/0/state", "present", LIMIT).await;
        scan(&site);
        nothing_is_gone(&site);
    }
    ledger::settled(&site, COUNT).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_on_another_device_is_the_same_root() {
    if !can_mount("the same content on another device") {
        return;
    }
    let mut site = Site::new(&[]);
    site.land(COUNT);
    let copied = Command::new("cp")
        .arg("-a")
        .args([site.tree.root().to_owned(), site.dir.path().join("store")])
        .status();
    assert!(copied.expect("cp runs").success());
    serve_with(&mut site, "mount -t tmpfs none \"$0\" && cp -a \"$1/.\" \"$0/\"").await;
    let before = ledger::documents(&site);
    let root = site.tree.root().display().to_string();
    // Below the mount the same content lies on the test's own disk.
    in_mounts(&site, &["umount", "-l", &root]);
    scan(&site);
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    scan(&site);
    nothing_is_gone(&site);
    assert_eq!(ledger::documents(&site), before, "nothing is written anew");
    // The device that it is on now counts: what goes there is marked, and not held.
    let gone = remove(&site, 3);
    site.focus.until_status("deleted", 1, LIMIT).await;
    site.focus.until_status("held", 0, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[gone], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_changed_while_the_server_was_away_holds_only_what_is_gone() {
    if !can_mount("a device that changed meanwhile") {
        return;
    }
    let mut site = Site::new(&[]);
    site.land(COUNT);
    let copied = Command::new("cp")
        .arg("-a")
        .args([site.tree.root().to_owned(), site.dir.path().join("store")])
        .status();
    assert!(copied.expect("cp runs").success());
    serve_with(&mut site, "mount -t tmpfs none \"$0\" && cp -a \"$1/.\" \"$0/\"").await;
    assert_eq!(site.focus.stop(), Some(0));
    // Two of twelve are not on the other device: too few are found there for it to take the place.
    let _ = (remove(&site, 0), remove(&site, 5));
    site.focus.by.clear();
    site.focus.serve().await;
    site.focus.until_status("held", 2, LIMIT).await;
    let path = format!("/api/v1/held?root={}", site.marker);
    let listed: Value = serde_json::from_str(&site.focus.get(&path).expect("held")).expect("json");
    assert_eq!(listed["items"][0]["held_why"], "device", "{listed}");
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_on_a_mount_that_is_gone_is_held_although_its_mount_point_held_a_recording() {
    if !can_mount("a mount over a folder with a recording") {
        return;
    }
    let mut site = Site::new(&[]);
    site.land(COUNT);
    let nas = site.tree.root().join("nas");
    fs::create_dir(&nas).expect("a folder");
    land_at(&nas, "stray");
    site.focus.by = ["unshare", "-Urm"].map(str::to_owned).to_vec();
    site.focus.serve().await;
    in_catalog(&site, COUNT + 1).await;
    let nas = nas.display().to_string();
    in_mounts(&site, &["mount", "-t", "tmpfs", "none", &nas]);
    let land = "for at in 1 2 3 4 5; do printf data > $0/m$at.dat; printf '{\"start_time\": 1700000000, \"end_time\": 1700000060}' > $0/m$at.json; done; mkdir $0/below; cp $0/m1.dat $0/below/m6.dat; cp $0/m1.json $0/below/m6.json";
    in_mounts(&site, &["sh", "-c", land, &nas]);
    scan(&site);
    // The stray one lies below the mount now: it is not looked for there.
    site.focus.until_status("held", 1, LIMIT).await;
    site.focus.until_status("recordings", COUNT + 7, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    in_mounts(&site, &["umount", &nas]);
    scan(&site);
    // Six are held, and the stray one is there again.
    site.focus.until_status("held", 6, LIMIT).await;
    scan(&site);
    let status = site.focus.status().expect("a status");
    assert_eq!(
        (&status["held"], &status["deleted"]),
        (&Value::from(6), &Value::from(0)),
        "{status:#}"
    );
    let path = format!("/api/v1/held?root={}", site.marker);
    let listed: Value = serde_json::from_str(&site.focus.get(&path).expect("held")).expect("json");
    let held = listed["items"].as_array().expect("a list");
    assert!(held.iter().all(|one| one["held_why"] == "device"), "{listed}");
    // What was never on that mount is judged as ever.
    let gone = remove(&site, 3);
    site.focus.until_status("deleted", 1, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    assert_eq!(live(&site), COUNT - 1 + 7, "{gone} alone is deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bind_mount_of_the_same_disk_is_held_and_its_return_ends_that() {
    if !can_mount("a bind mount that is missing") {
        return;
    }
    let mut site = Site::new(&[]);
    site.land(COUNT);
    let other = site.dir.path().join("other");
    fs::create_dir(&other).expect("a folder");
    fs::create_dir(site.tree.root().join("bound")).expect("a mount point");
    (0..4).for_each(|at| land_at(&other, &format!("b{at}")));
    let bound = site.tree.root().join("bound").display().to_string();
    let script = format!("mount --bind {} {bound} && exec \"$@\"", other.display());
    site.focus.by = ["unshare", "-Urm", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
    site.focus.serve().await;
    in_catalog(&site, COUNT + 4).await;
    assert_eq!(site.focus.stop(), Some(0));
    // It is not mounted when the server starts again.
    site.focus.by.clear();
    site.focus.serve().await;
    site.focus.until_status("held", 4, LIMIT).await;
    assert_eq!(site.focus.status().expect("a status")["deleted"], 0);
    assert_eq!(site.focus.stop(), Some(0));
    site.focus.by = ["unshare", "-Urm", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
    site.focus.serve().await;
    site.focus.until_status("held", 0, LIMIT).await;
    in_catalog(&site, COUNT + 4).await;
    assert_eq!(site.focus.status().expect("a status")["deleted"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_comes_back_with_another_id_takes_the_place_of_the_old_one() {
    if !can_mount("a mount with another id") {
        return;
    }
    let mut site = Site::new(&[]);
    site.land(2);
    let nas = site.tree.root().join("nas");
    fs::create_dir(&nas).expect("a mount point");
    let kept = site.dir.path().join("kept");
    fs::create_dir(&kept).expect("a folder");
    (0..20).for_each(|at| land_at(&kept, &format!("n{at}")));
    // Each start has a file system of its own, with what is kept.
    let mount = format!(
        "mount -t tmpfs none {nas} && cp -a {kept}/. {nas}/ && exec \"$@\"",
        nas = nas.display(),
        kept = kept.display()
    );
    site.focus.by = ["unshare", "-Urm", "sh", "-c", &mount, "sh"].map(str::to_owned).to_vec();
    site.focus.serve().await;
    in_catalog(&site, 22).await;
    assert_eq!(site.focus.stop(), Some(0));
    for name in ["n3.dat", "n3.json"] {
        fs::remove_file(kept.join(name)).expect("removed");
    }
    site.focus.serve().await;
    site.focus.until_status("deleted", 1, LIMIT).await;
    site.focus.until_status("held", 0, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(live(&site), 21);
}

/// So many recordings are known, and none is pending.
async fn in_catalog(site: &Site, count: usize) {
    site.focus.until_status("recordings", count, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
}

/// How many documents of the embedded catalog are not marked as deleted.
fn live(site: &Site) -> usize {
    let live = ledger::number(site, "SELECT count(*) FROM recordings WHERE NOT deleted");
    usize::try_from(live).expect("a count")
}

/// A recording in a folder.
fn land_at(folder: &std::path::Path, name: &str) {
    fs::write(folder.join(format!("{name}.dat")), "data").expect("written");
    let sidecar = r#"{"start_time": 1700000000, "end_time": 1700000060}"#;
    fs::write(folder.join(format!("{name}.json")), sidecar).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_is_missing_for_a_while_deletes_nothing() {
    let mut site = Site::new(&[]);
    site.land(COUNT);
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    let root = site.tree.root().to_owned();
    let aside = site.dir.path().join("aside");
    fs::create_dir(&aside).expect("a folder");
    let names: Vec<_> = fs::read_dir(&root)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    // As an empty mount point: the marker goes first.
    for name in names.iter().filter(|name| *name == ".focus-root").chain(&names) {
        let _ = fs::rename(root.join(name), aside.join(name));
    }
    site.focus.until_status("/roots/0/state", "no_marker", LIMIT).await;
    // Longer than a second look takes.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    site.focus.until_status("recordings", COUNT, LIMIT).await;
    assert_eq!(site.focus.status().expect("a status")["held"], 0);
    for name in names.iter().filter(|name| *name != ".focus-root") {
        fs::rename(aside.join(name), root.join(name)).expect("moved");
    }
    fs::rename(aside.join(".focus-root"), root.join(".focus-root")).expect("moved");
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    scan(&site);
    nothing_is_gone(&site);
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_roots_place_deletes_nothing() {
    let mut site = Site::new(&[]);
    site.land(COUNT);
    site.focus.serve().await;
    ledger::settled(&site, COUNT).await;
    let root = site.tree.root().to_owned();
    let aside = site.dir.path().join("aside");
    for _ in 0..3 {
        fs::rename(&root, &aside).expect("moved");
        fs::write(&root, "not a folder").expect("written");
        site.focus.until_status("/roots/0/state", "absent", LIMIT).await;
        fs::remove_file(&root).expect("removed");
        fs::rename(&aside, &root).expect("moved");
        site.focus.until_status("/roots/0/state", "present", LIMIT).await;
        scan(&site);
        nothing_is_gone(&site);
    }
    site.land(3);
    ledger::settled(&site, COUNT + 3).await;
    assert_eq!(site.focus.stop(), Some(0));
    ledger::agrees(&site, &[], &[]);
}
