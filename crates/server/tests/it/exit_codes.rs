//! What exit codes tell: how a site stands, and whether the output arrived.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use focus_testkit::wait::until;

use crate::site::{BINARY, LIMIT, Site};

/// The exit code of `focus status`, as text and as JSON.
fn status(site: &Site) -> i32 {
    let [text, json] = [&["status"][..], &["status", "--json"]].map(|command| {
        let output = site.focus.run(command);
        output.status.code().unwrap_or_else(|| panic!("{output:?}"))
    });
    assert_eq!(text, json);
    text
}

/// A served site whose recordings are in the catalog.
async fn served(count: usize) -> Site {
    let mut site = Site::new(&[]);
    site.land(count);
    site.focus.serve().await;
    site.focus.until_status("recordings", count as u64, LIMIT).await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_what_is_not_there_ends_with_3_and_of_what_is_in_order_with_0() {
    let mut site = served(3).await;
    assert_eq!(status(&site), 0);
    fs::write(site.tree.root().join("alone.dat"), b"data").expect("written");
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    assert_eq!(status(&site), 0, "an unrecognised recording is in order");

    let (catalog, away) = (site.state().join("catalog"), site.state().join("catalog.away"));
    fs::rename(&catalog, &away).expect("taken away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    assert_eq!(status(&site), 3, "the catalog is away");
    fs::rename(&away, &catalog).expect("brought back");
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    assert_eq!(status(&site), 0);

    let (root, away) = (site.tree.root().to_owned(), site.dir.path().join("away"));
    fs::rename(&root, &away).expect("taken away");
    site.focus.until_status("/roots/0/state", "absent", LIMIT).await;
    assert_eq!(status(&site), 3, "the root is away");
    assert_eq!(site.focus.run(&["verify"]).status.code(), Some(3), "it could not tell");
    fs::rename(&away, &root).expect("brought back");
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;

    assert_eq!(site.focus.stop(), Some(0));
    assert_eq!(status(&site), 3, "no server runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_held_deletions_and_of_drift_ends_with_1_and_says_what_to_do() {
    let site = served(12).await;
    for planted in &site.planted {
        fs::remove_file(site.tree.root().join(&planted.path)).expect("removed");
        let sidecar = site.tree.root().join(&planted.path).with_extension("json");
        fs::remove_file(sidecar).expect("removed");
    }
    site.focus.until_status("held", 12, LIMIT).await;
    assert_eq!(status(&site), 1);
    let shown = site.focus.run(&["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("focus approve --root"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_drift_until_a_verification_finds_none() {
    let site = served(4).await;
    let file = site.state().join("catalog/catalog.db");
    let changed = move |statement: &str| {
        let catalog = rusqlite::Connection::open(&file).expect("the catalog");
        catalog.execute(statement, []).expect("changed")
    };
    assert_eq!(changed("UPDATE recordings SET size = 77"), 4);
    assert_eq!(site.focus.run(&["verify"]).status.code(), Some(1));
    assert_eq!(status(&site), 1);
    let shown = site.focus.status().expect("a status");
    assert_eq!(shown["drift"], 4, "{shown:#}");
    assert_eq!(site.focus.run(&["verify", "--repair"]).status.code(), Some(0));
    assert_eq!(status(&site), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_output_cannot_be_written_does_not_end_with_0() {
    let site = served(3).await;
    let commands: [&[&str]; 15] = [
        &["query"],
        &["query", "--json"],
        &["status"],
        &["status", "--json"],
        &["unrecognised"],
        &["unrecognised", "--json"],
        &["config", "check"],
        &["config", "check", "--json"],
        &["verify", "--json"],
        &["scan"],
        &["man"],
        &["completions", "bash"],
        &["--help"],
        &["query", "--help"],
        &["--version"],
    ];
    let (root, state) = (site.tree.root().display().to_string(), site.state());
    for command in commands {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = Command::new(BINARY)
            .args(command)
            .env("FOCUS_ROOT", &root)
            .env("FOCUS_STATE_DIR", &state)
            .stdin(Stdio::null())
            .stdout(full)
            .output()
            .expect("the binary runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command:?}: {errors}");
        assert!(errors.contains("stdout cannot be written"), "{command:?}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_no_error_and_no_panic() {
    let site = served(200).await;
    let (root, state) = (site.tree.root().display().to_string(), site.state());
    for command in [&["query"][..], &["query", "--json"], &["status"], &["man"], &["--help"]] {
        let mut child = Command::new(BINARY)
            .args(command)
            .env("FOCUS_ROOT", &root)
            .env("FOCUS_STATE_DIR", &state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::with_capacity(16, out).read_line(&mut line).expect("a line");
        let output = child.wait_with_output().expect("its end");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{command:?}");
    }
    until("the server still answers", LIMIT, || async { site.focus.answers() }).await;
}
