//! Sidecars that change without a change of size and time: none is missed, and what did not change costs
//! no write.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use focus_testkit::wait::until;
use serde_json::Value;

use crate::site::{LIMIT, Site};

/// A sidecar whose recording starts at this hour of a day.
fn sidecar(hour: u32) -> String {
    format!(
        "{{\"start_time\":\"2024-05-01T{hour:02}:00:00Z\",\"end_time\":\"2024-05-01T{hour:02}:30:00Z\"}}\n"
    )
}

fn pair(root: &Path, name: &str, hour: u32) {
    fs::write(root.join(format!("{name}.dat")), "x\n").expect("a file");
    fs::write(root.join(format!("{name}.json")), sidecar(hour)).expect("a file");
}

fn sh(root: &Path, script: &str) {
    let ran = Command::new("sh").args(["-euc", script]).current_dir(root).status();
    assert!(ran.expect("a shell").success(), "{script}");
}

/// The hour at which the catalog has a recording start.
fn hour(site: &Site, name: &str) -> Option<i64> {
    let catalog = rusqlite::Connection::open(site.state().join("catalog/catalog.db")).ok()?;
    let start_ms: i64 = catalog
        .query_row("SELECT start_time FROM recordings WHERE recording_id = ?1", [name], |row| {
            row.get(0)
        })
        .ok()?;
    Some(start_ms / 3_600_000 % 24)
}

async fn becomes(site: &Site, name: &str, wanted: i64) {
    until(&format!("{name} starts at {wanted} h"), LIMIT, || async {
        match hour(site, name) {
            Some(found) if found == wanted => Ok(()),
            found => Err(format!("{found:?}\n{:#}\n{}", site.focus.status()?, site.focus.log())),
        }
    })
    .await;
}

/// Every version in the catalog, which grows with each write of a document.
fn versions(site: &Site) -> Vec<(String, i64)> {
    let catalog = rusqlite::Connection::open(site.state().join("catalog/catalog.db"));
    let catalog = catalog.expect("the catalog");
    let mut statement =
        catalog.prepare("SELECT uuid, version FROM recordings ORDER BY uuid").expect("columns");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

/// A setting without a flag, in a file.
fn with_settings(text: &str) -> Site {
    let site = Site::new(&[]);
    let file = site.dir.path().join("focus.toml");
    fs::write(&file, text).expect("settings");
    let config = file.display().to_string();
    let args = ["--settle-ms", "200", "--config", &config];
    let focus = focus_testkit::focus::Focus::new(
        crate::site::BINARY,
        site.tree.root(),
        &site.state(),
        &args,
    );
    Site { focus, ..site }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_replaced_by_one_of_equal_size_and_time_is_read() {
    let mut site = Site::new(&[]);
    pair(site.tree.root(), "a", 12);
    site.focus.serve().await;
    becomes(&site, "a", 12).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let script = "sed s/T12/T11/g a.json >t; touch -r a.json t; mv t a.json";
    sh(site.tree.root(), script);
    becomes(&site, "a", 11).await;
    let verified = site.focus.run(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_while_no_server_ran_is_found_by_the_scan_of_the_next_start() {
    let mut site = Site::new(&[]);
    for (name, hour) in [("a", 12), ("b", 13)] {
        pair(site.tree.root(), name, hour);
    }
    site.focus.serve().await;
    becomes(&site, "a", 12).await;
    becomes(&site, "b", 13).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    let root = site.tree.root();
    sh(root, "sed s/T12/T11/g a.json >t; touch -r a.json t; mv t a.json");
    // In place, with the time put back: the inode is the same.
    sh(
        root,
        "touch -r b.json r; sed s/T13/T10/g b.json >t; cat t >b.json; touch -r r b.json; rm t r",
    );
    site.focus.serve().await;
    becomes(&site, "a", 11).await;
    becomes(&site, "b", 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_watch_tells_is_found_by_the_scan_with_times() {
    let mut site = with_settings("stat_interval_ms = 1000\nscan_interval_ms = 1000\n");
    pair(site.tree.root(), "a", 12);
    site.focus.serve().await;
    becomes(&site, "a", 12).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    // A writer that keeps the file open is not told of by the watch.
    let held = fs::OpenOptions::new().write(true).open(site.tree.root().join("a.json"));
    let held = held.expect("the sidecar");
    let times = fs::metadata(site.tree.root().join("a.json")).and_then(|meta| meta.modified());
    std::os::unix::fs::FileExt::write_at(&held, sidecar(11).as_bytes(), 0).expect("written");
    held.set_modified(times.expect("a time")).expect("put back");
    becomes(&site, "a", 11).await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_with_whole_seconds_that_are_rotated_hold_what_they_hold() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    for slot in 1..=5 {
        pair(&root, &slot.to_string(), slot);
    }
    sh(&root, "touch -d '2024-05-01T00:00:00Z' *.dat *.json");
    site.focus.serve().await;
    for slot in 1..=5 {
        becomes(&site, &slot.to_string(), i64::from(slot)).await;
    }
    site.focus.until_status("pending", 0, LIMIT).await;
    sh(
        &root,
        "rm 1.*; for n in 2 3 4 5; do for e in dat json; do mv $n.$e $((n-1)).$e; done; done",
    );
    for slot in 1..=4 {
        becomes(&site, &slot.to_string(), i64::from(slot) + 1).await;
    }
    until("the last slot is marked", LIMIT, || async {
        let status = site.focus.status()?;
        if status["deleted"] == 1 { Ok(()) } else { Err(format!("{status:#}")) }
    })
    .await;
    assert_eq!(site.focus.run(&["verify"]).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_after_2262_are_told_apart() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    pair(&root, "a", 12);
    sh(&root, "touch -d '2300-01-01T00:00:00Z' a.json");
    site.focus.serve().await;
    becomes(&site, "a", 12).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    sh(
        &root,
        "sed s/T12/T11/g a.json >t; cat t >a.json; rm t; touch -d '2301-01-01T00:00:00Z' a.json",
    );
    site.focus.serve().await;
    becomes(&site, "a", 11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_links_that_change_are_read_again_and_cost_no_write() {
    let mut site = with_settings("stat_interval_ms = 500\nscan_interval_ms = 500\n");
    let root = site.tree.root().to_owned();
    let count = if crate::site::long() { 20_000 } else { 500 };
    for n in 0..count {
        pair(&root, &format!("r{n}"), n % 23);
    }
    site.focus.serve().await;
    site.focus.until_status("recordings", count, Duration::from_secs(300)).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.focus.until_status("unsettled", 0, LIMIT).await;
    site.in_step().await;
    let before = versions(&site);
    for n in 0..count {
        let file = root.join(format!("r{n}.json"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("rights");
        if n % 2 == 0 {
            fs::hard_link(&file, site.dir.path().join(format!("backup-{n}"))).expect("a link");
        }
    }
    // The index knows the new times of change once it has read them all again.
    let index = rusqlite::Connection::open(site.state().join("index.db")).expect("the index");
    until("all were read again", Duration::from_secs(300), || async {
        let known: i64 = index
            .query_row(
                "SELECT count(*) FROM files WHERE side_counts_ms = 0 AND due_ms IS NULL AND settled",
                [],
                |row| row.get(0),
            )
            .map_err(|error| error.to_string())?;
        let file = fs::metadata(root.join("r0.json")).map_err(|error| error.to_string())?;
        let ctime = std::os::unix::fs::MetadataExt::ctime(&file) * 1_000_000_000
            + std::os::unix::fs::MetadataExt::ctime_nsec(&file);
        let last: i64 = index
            .query_row("SELECT count(*) FROM files WHERE side_ctime_ns >= ?1", [ctime], |row| {
                row.get(0)
            })
            .map_err(|error| error.to_string())?;
        if known == i64::from(count) && last == i64::from(count) {
            Ok(())
        } else {
            Err(format!("{known} known, {last} read again of {count}"))
        }
    })
    .await;
    let status: Value = site.focus.status().expect("a status");
    assert_eq!((&status["pending"], &status["unsettled"]), (&0.into(), &0.into()), "{status:#}");
    assert_eq!(versions(&site), before);
}

/// Changes a sidecar so that nothing but its content tells: the index is told what the file looks like now,
/// as if the file system had not kept the change.
fn change_unseen(site: &Site, name: &str, hour: u32) {
    let file = site.tree.root().join(format!("{name}.json"));
    let times = fs::metadata(&file).and_then(|meta| meta.modified()).expect("a time");
    let written = fs::OpenOptions::new().write(true).open(&file).expect("the sidecar");
    std::os::unix::fs::FileExt::write_at(&written, sidecar(hour).as_bytes(), 0).expect("written");
    written.set_modified(times).expect("put back");
    drop(written);
    let meta = fs::metadata(&file).expect("the sidecar");
    let ctime_ns = std::os::unix::fs::MetadataExt::ctime(&meta) * 1_000_000_000
        + std::os::unix::fs::MetadataExt::ctime_nsec(&meta);
    let index = rusqlite::Connection::open(site.state().join("index.db")).expect("the index");
    let changed = index.execute(
        "UPDATE files SET side_ctime_ns = ?2, due_ms = NULL, side_counts_ms = 0 WHERE stem = ?1",
        rusqlite::params![name.as_bytes(), ctime_ns],
    );
    assert_eq!(changed.expect("changed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_no_time_tells_is_drift_for_a_verification_that_reads_and_none_for_a_quick_one()
 {
    let mut site = Site::new(&[]);
    pair(site.tree.root(), "a", 12);
    pair(site.tree.root(), "b", 15);
    site.focus.serve().await;
    becomes(&site, "a", 12).await;
    becomes(&site, "b", 15).await;
    site.in_step().await;
    assert_eq!(site.focus.stop(), Some(0));
    change_unseen(&site, "a", 11);
    let verify = |args: &[&str]| {
        let output = site.focus.run(&[&["verify", "--json"], args].concat());
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), said)
    };
    let (code, said) = verify(&["--quick"]);
    assert_eq!(code, Some(0), "{said:#}");
    // Without a server, and nothing is written to the catalog.
    let (code, said) = verify(&[]);
    assert_eq!(code, Some(1), "{said:#}");
    assert_eq!(said["counts"]["mismatch"], 1, "{said:#}");
    let fields = said["findings"][0]["fields"].as_array().cloned().unwrap_or_default();
    let named = |name: &str| fields.iter().any(|field| field["field"] == name);
    assert!(named("start_time") && named("fingerprint"), "{said:#}");
    assert_eq!(hour(&site, "a"), Some(12));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_verification_through_the_server_read_is_mended_and_true_from_then_on() {
    let mut site = Site::new(&[]);
    pair(site.tree.root(), "a", 12);
    site.focus.serve().await;
    becomes(&site, "a", 12).await;
    site.in_step().await;
    assert_eq!(site.focus.stop(), Some(0));
    change_unseen(&site, "a", 11);
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    assert_eq!(site.focus.run(&["verify", "--quick"]).status.code(), Some(0));
    assert_eq!(hour(&site, "a"), Some(12));
    let verified = site.focus.run(&["verify", "--repair"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    becomes(&site, "a", 11).await;
    let verified = site.focus.run(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}
