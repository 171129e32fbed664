//! Links, names, sidecars and documents lead nowhere outside the root, and the state folder is closed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use focus_testkit::mongo::MongoServer;
use serde_json::Value;

use super::{PASSWORD, all_of, files_hold, modes};
use crate::site::{BINARY, LIMIT, Site, embedded_only};

#[tokio::test(flavor = "multi_thread")]
async fn links_names_and_uuids_lead_nowhere_outside_the_root() {
    let mut site = Site::new(&[]);
    let outside = site.dir.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    let secret = format!("{{\"start_time\":1,\"password\":\"{PASSWORD}\"}}");
    for (name, text) in [("other.json", &*secret), ("other.dat", "data"), ("lone.json", &*secret)] {
        std::fs::write(outside.join(name), text).expect("a file");
    }
    let before = listing(&outside);
    let root = site.tree.root().to_owned();
    let file = |name: &str, text: &str| std::fs::write(root.join(name), text).expect("a file");
    symlink(&outside, root.join("folder")).expect("a link to a folder");
    symlink("../outside", root.join("relative")).expect("a link to a folder");
    symlink(".", root.join("loop")).expect("a loop");
    symlink(outside.join("other.dat"), root.join("both.dat")).expect("a link");
    symlink(outside.join("other.json"), root.join("both.json")).expect("a link");
    file("side.dat", "data");
    symlink(outside.join("other.json"), root.join("side.json")).expect("a link");
    file("dangling.json", "{\"start_time\":1}");
    symlink("/nowhere/at/all", root.join("dangling.dat")).expect("a link");
    file("fifo.dat", "data");
    let made = Command::new("mkfifo").arg(root.join("fifo.json")).status().expect("mkfifo");
    assert!(made.success());
    file("folder-name.dat", "data");
    std::fs::create_dir(root.join("folder-name.json")).expect("a folder");
    for (n, uuid) in
        ["../../outside/other", "/etc/passwd", "../", "a/../../b", "%2e%2e%2f"].iter().enumerate()
    {
        file(&format!("uuid-{n}.dat"), "data");
        file(&format!("uuid-{n}.json"), &format!("{{\"start_time\":1,\"uuid\":\"{uuid}\"}}"));
    }
    file("...dat", "data");
    file("...json", "{\"start_time\":1}");
    site.focus.serve().await;
    site.focus.until_status("recordings", 6, LIMIT).await;
    site.focus.until_status("unrecognised", 5, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let verified = site.focus.post("/api/v1/verify", "{\"repair\":true}").expect("verified");
    let listed = site.focus.get("/api/v1/recordings").expect("an answer");
    let bad = site.focus.get("/api/v1/unrecognised").expect("an answer");
    for text in [&verified, &listed, &bad, &site.focus.log()] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    assert!(bad.contains("is a symbolic link, which is not followed"), "{bad}");
    assert!(bad.contains("is not a regular file"), "{bad}");
    assert!(!files_hold(&site.state(), PASSWORD), "what lies outside was read");
    assert_eq!(listing(&outside), before, "something outside was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_is_a_link_makes_no_root() {
    let site = Site::new(&[]);
    let marker = site.tree.root().join(".focus-root");
    let elsewhere = site.dir.path().join("marker");
    std::fs::rename(&marker, &elsewhere).expect("moved");
    symlink(&elsewhere, &marker).expect("a link");
    let output = site.focus.run(&["scan", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(all_of(&output).contains("is damaged"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_path_leads_outside_touches_nothing_there() {
    if embedded_only("a document whose path leads outside") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    site.land(5);
    let outside = site.dir.path().join("outside.dat");
    std::fs::write(&outside, "data").expect("a file");
    site.focus.serve().await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.converged(&server, "node4").await;
    let documents = server.client().await.database(server.database()).collection("node4");
    let date = mongodb::bson::DateTime::from_millis(1);
    for (n, path) in
        ["../outside.dat", "/etc/passwd", "a/../../outside.dat", "\0", ""].into_iter().enumerate()
    {
        let document = mongodb::bson::doc! {
            "uuid": format!("evil-{n}"), "root": &site.marker, "path": path, "start_time": date,
            "end_time": date, "deleted": false, "recording_id": "x", "size": 1_i64,
            "fingerprint": "x", "metadata": {}, "version": 1_i64,
        };
        documents.insert_one(document).await.expect("inserted");
    }
    let found = site.focus.post("/api/v1/verify", "{}").expect("verified");
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["counts"]["missing"], 5, "{found:#}");
    let repaired = site.focus.post("/api/v1/verify", "{\"repair\":true}").expect("verified");
    assert!(std::fs::read(&outside).is_ok_and(|bytes| bytes == b"data"), "{repaired}");
    assert_eq!(site.focus.get("/ack").as_deref(), Ok("{}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_are_taken_up_to_their_bounds_and_not_beyond() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    let plant = |name: &str, sidecar: &str| {
        std::fs::write(root.join(format!("{name}.dat")), "data").expect("a file");
        std::fs::write(root.join(format!("{name}.json")), sidecar).expect("a file");
    };
    let sized = |size: usize| {
        let head = "{\"start_time\":1,\"x\":\"";
        format!("{head}{}\"}}", "x".repeat(size - head.len() - 2))
    };
    let deep = |depth: usize| {
        let levels = depth - 1;
        format!("{{\"start_time\":1,\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    plant("size-good", &sized(1 << 20));
    plant("size-bad", &sized((1 << 20) + 1));
    plant("depth-good", &deep(64));
    plant("depth-bad", &deep(65));
    plant("depth-worse", &format!("{{\"x\":{}", "[".repeat(1_000_000)));
    plant("uuid-good", &format!("{{\"start_time\":1,\"uuid\":\"{}\"}}", "u".repeat(1_024)));
    plant("uuid-bad", &format!("{{\"start_time\":1,\"uuid\":\"{}\"}}", "u".repeat(1_025)));
    let keys: Vec<String> = (0..60_000).map(|n| format!("\"k{n}\":\n{n}")).collect();
    plant("keys-good", &format!("{{\"start_time\":1,{}}}", keys.join(",")));
    site.focus.serve().await;
    site.focus.until_status("recordings", 4, LIMIT).await;
    site.focus.until_status("/unrecognised_by_state/sidecar_invalid", 4, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_very_large_sidecars_are_never_all_in_memory() {
    let mut site = Site::new(&[]);
    // Small integers take the most memory for their bytes.
    let large = format!("{{\"start_time\":1,\"x\":[{}1]}}", "1,".repeat((1 << 19) - 20));
    for n in 0..48 {
        let root = site.tree.root();
        std::fs::write(root.join(format!("large-{n}.dat")), "data").expect("a file");
        std::fs::write(root.join(format!("large-{n}.json")), &large).expect("a file");
    }
    site.focus.serve().await;
    site.focus.until_status("recordings", 48, LIMIT).await;
    let pid = site.focus.pid().expect("a process");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let peak_kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .expect("its memory");
    println!("48 sidecars of 1 MiB: {} MiB at most", peak_kib / 1_024);
    // All at once they would take 48 * 17 MiB and more.
    assert!(peak_kib < 600 * 1_024, "{} MiB", peak_kib / 1_024);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_folder_is_its_users_alone() {
    let mut site = Site::new(&[]);
    let state = site.state();
    std::fs::create_dir_all(&state).expect("a folder");
    // Left over with wider rights.
    std::fs::write(state.join("index.db"), b"").expect("a file");
    let wide = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(state.join("index.db"), wide).expect("wider");
    site.land(3);
    site.focus.serve().await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    site.focus.post("/api/v1/verify", "{}").expect("verified");
    for (path, mode) in modes(&state) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        // The log is the test's own.
        if name.as_deref() != Some("serve.log") {
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
    }
    // A folder that the server makes is closed to others too.
    let fresh = site.dir.path().join("fresh");
    let root = site.tree.root().display().to_string();
    let output = Command::new(BINARY)
        .args(["scan", "--root", &root, "--state-dir", &fresh.display().to_string()])
        .output()
        .expect("the binary runs");
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    let mode = std::fs::metadata(&fresh).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Names and contents.
fn listing(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut listed: Vec<_> = entries
        .map(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    listed.sort();
    listed
}
