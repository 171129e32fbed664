//! The machine itself in trouble: a full disk, folders that cannot be read or written, a database
//! that does not let us in. Each is a state that is told, never an end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use mongodb::bson::doc;
use serde_json::Value;

use crate::site::{BINARY, LIMIT, Site, marker, no_server_to_end};

/// Words that run a program with a small disk of its own at `dir`, of so many MiB; none where this machine
/// does not let a test have one.
fn small_disk(dir: &std::path::Path, size_mib: u32, test: &str) -> Option<Vec<String>> {
    let can =
        Command::new("unshare").args(["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        println!("left out, needs unshare and user namespaces: {test}");
        return None;
    }
    fs::create_dir_all(dir).expect("a folder");
    let mount = format!("mount -t tmpfs -o size={size_mib}m none {} && exec \"$@\"", dir.display());
    Some(["unshare", "-Urm", "sh", "-c", &mount, "sh"].map(str::to_owned).to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_whose_index_finds_no_room_ends_and_says_so() {
    let mut site = Site::new(&[]);
    let state = site.state();
    let Some(by) = small_disk(&state, 1, "a pass without room") else { return };
    site.land(3_000);
    let both = "for command in scan approve; do
        \"$0\" $command --json \"$@\"; echo \"$command ended with $?\"; done";
    let passes = Command::new(&by[0])
        .args(&by[1..])
        .args(["sh", "-c", both, BINARY, "--settle-ms", "200", "--root"])
        .arg(site.tree.root())
        .arg("--state-dir")
        .arg(&state)
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&[passes.stdout, passes.stderr].concat()).into_owned();
    for command in ["scan", "approve"] {
        assert!(words.contains(&format!("{command} ended with 3\n")), "{words}");
    }
    assert_eq!(words.matches("is full: make room there").count(), 2, "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_index_is_told_and_got_over() {
    let mut site = Site::new(&[]);
    let state = site.state();
    let Some(by) = small_disk(&state, 4, "a full disk under the index") else { return };
    site.focus.by = by;
    site.land(20);
    site.focus.serve().await;
    site.focus.until_status("recordings", 20, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let filler = site.focus.seen(&state.join("filler"));
    // Larger than what is left: the copy ends where the disk does.
    let full = fs::write(&filler, vec![7_u8; 8 << 20]);
    assert!(full.is_err(), "the disk is full");
    site.land(400);
    let told = || async {
        let status = site.focus.status()?;
        let words = status.to_string();
        if words.contains("full") { Ok(()) } else { Err(format!("{status:#}")) }
    };
    until("the full disk is told", LIMIT, told).await;
    assert!(site.focus.get("/ack").is_ok());
    fs::remove_file(&filler).expect("room again");
    site.focus.until_status("recordings", 420, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let status = site.focus.status().expect("a status");
    assert!(!status.to_string().contains("full"), "{status:#}");
    assert_eq!(site.focus.stop(), Some(0));
}

/// Everything is open to the user nobody, whose server this becomes.
pub(crate) fn as_nobody(site: &mut Site) -> bool {
    if !rustix::process::getuid().is_root() {
        // Whoever runs this has no power over permissions to give up.
        return true;
    }
    let folders = [site.dir.path(), site.tree.root()];
    for folder in folders {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("permissions");
    }
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    site.focus.by = words.map(str::to_owned).to_vec();
    let can = Command::new("setpriv")
        .args(&words[1..])
        .arg(crate::site::BINARY)
        .arg("--version")
        .output();
    let can = can.is_ok_and(|output| output.status.success());
    if !can {
        println!("left out, needs setpriv and a binary that everybody can run");
    }
    can
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_and_hides_nothing_else() {
    let mut site = Site::new(&[]);
    if !as_nobody(&mut site) {
        return;
    }
    fs::create_dir_all(site.state()).expect("a state folder");
    fs::set_permissions(site.state(), fs::Permissions::from_mode(0o777)).expect("permissions");
    site.land(10);
    let root = site.tree.root().to_owned();
    let set = |path: &str, mode| {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode))
            .expect("permissions");
    };
    fs::create_dir(root.join("shut")).expect("a folder");
    for name in ["shut/inside", "sealed"] {
        fs::write(root.join(format!("{name}.dat")), b"x").expect("written");
        fs::write(root.join(format!("{name}.json")), br#"{"start_time":1700000000}"#).expect("it");
    }
    set("shut", 0o000);
    set("sealed.json", 0o000);
    site.focus.serve().await;
    site.focus.until_status("recordings", 10, LIMIT).await;
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    let told: Value =
        serde_json::from_str(&site.focus.get("/api/v1/unrecognised").expect("a page"))
            .expect("JSON");
    assert_eq!(told["items"][0]["state"], "unreadable", "{told}");
    let shut = || async {
        let status = site.focus.status()?;
        if status["roots"][0]["unreadable_folders"] == 1 {
            Ok(())
        } else {
            Err(format!("{status:#}"))
        }
    };
    until("the folder is told", LIMIT, shut).await;
    set("shut", 0o755);
    set("sealed.json", 0o644);
    assert_eq!(site.focus.ask("POST", "/api/v1/scan", "", true).expect("a scan").status, 200);
    site.focus.until_status("recordings", 12, LIMIT).await;
    site.focus.until_status("unrecognised", 0, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_cannot_be_written_is_wrong_use() {
    let mut site = Site::new(&[]);
    if !as_nobody(&mut site) {
        return;
    }
    fs::create_dir_all(site.state()).expect("a state folder");
    fs::set_permissions(site.state(), fs::Permissions::from_mode(0o555)).expect("permissions");
    let mut words = site.focus.by.clone();
    words.push(crate::site::BINARY.to_owned());
    let root = site.tree.root().display().to_string();
    let state = site.state().display().to_string();
    let output = Command::new(&words[0])
        .args(&words[1..])
        .args(["serve", "--root", &root, "--state-dir", &state, "--listen", "127.0.0.1:0"])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(&state) && told.contains("--state-dir"), "{told}");
    fs::set_permissions(site.state(), fs::Permissions::from_mode(0o755)).expect("permissions");
    assert!(!marker(site.tree.root()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_us_is_told_with_what_to_grant_and_tried_again() {
    if no_server_to_end("a_database_that_refuses_us_is_told_with_what_to_grant_and_tried_again") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    site.land(5);
    let refused = doc! { "failCommands": ["insert", "update", "findAndModify"], "errorCode": 13 };
    server.fail_command("alwaysOn", refused).await;
    site.focus.serve().await;
    let told = || async {
        let status = site.focus.status()?;
        let words = status["catalog_reason"].as_str().unwrap_or_default().to_owned();
        if words.contains("Grant the user the role") { Ok(()) } else { Err(format!("{status:#}")) }
    };
    until("the refusal is told", LIMIT, told).await;
    site.focus.until_status("pending", 5, LIMIT).await;
    server.fail_command("off", doc! {}).await;
    site.converged(&server, "node4").await;
}
