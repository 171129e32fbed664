//! Held deletions at the command line: what is listed, and whose are approved.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use focus_testkit::wait::until;
use serde_json::Value;
use tempfile::TempDir;

use crate::site::{BINARY, LIMIT, Site};

/// Recordings of each root. All of so many are held when they go at once.
const COUNT: u64 = 12;

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A shell line on a terminal, with these keys typed.
fn on_terminal(line: &str, keys: &str) -> Output {
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script runs");
    child.stdin.take().expect("its input").write_all(keys.as_bytes()).expect("typed");
    child.wait_with_output().expect("its end")
}

/// A server whose recordings are all gone from storage.
pub(crate) async fn gone(count: usize) -> Site {
    let mut site = Site::new(&[]);
    site.land(count);
    site.focus.serve().await;
    site.focus.until_status("recordings", count as u64, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    for planted in &site.planted {
        let data = site.tree.root().join(&planted.path);
        fs::remove_file(data.with_extension("json")).expect("removed");
        fs::remove_file(data).expect("removed");
    }
    site.focus.until_status("held", count as u64, LIMIT).await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_listed_with_its_reason_with_a_server_and_without() {
    let mut site = gone(12).await;
    let listed = |site: &Site| {
        let output = site.focus.run(&["held", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        json(&output)
    };
    let by_server = listed(&site);
    let shown = site.focus.run(&["held"]);
    assert_eq!(site.focus.stop(), Some(0));
    assert_eq!(listed(&site), by_server);
    assert_eq!((&by_server["held"], &by_server["roots"][0]["held"]), (&12.into(), &12.into()));
    let rows = by_server["roots"][0]["deletions"].as_array().expect("rows");
    assert_eq!(rows.len(), 12, "{by_server}");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for planted in &site.planted {
        let row = rows.iter().find(|row| row["uuid"] == *planted.uuid);
        let row = row.unwrap_or_else(|| panic!("{} is not listed: {by_server}", planted.uuid));
        assert!(row["reason"].as_str().is_some_and(|reason| shown.contains(reason)), "{shown}");
        assert!(shown.contains(&planted.path), "{shown}");
    }
    assert!(shown.contains("focus approve --root"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_on_a_terminal_is_asked_for() {
    let site = gone(12).await;
    let (root, state) = (site.tree.root().display(), site.state());
    let line = format!("'{BINARY}' approve --root '{root}' --state-dir '{}'", state.display());
    let held = || site.focus.status().expect("a status")["held"].clone();

    let dry = site.focus.run(&["approve", "--dry-run", "--json"]);
    let said = json(&dry);
    assert_eq!((dry.status.code(), &said["dry_run"]), (Some(0), &true.into()), "{said}");
    assert_eq!(said["roots"][0]["deletions"].as_array().map(Vec::len), Some(12), "{said}");
    assert_eq!(held(), 12, "a dry run changes nothing");

    let refused = on_terminal(&line, "n\n");
    let shown = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!((refused.status.code(), held()), (Some(1), 12.into()), "{shown}");
    assert!(shown.contains("have 12 recordings marked as deleted?"), "{shown}");

    let agreed = on_terminal(&line, "y\n");
    assert_eq!(agreed.status.code(), Some(0), "{agreed:?}");
    site.focus.until_status("held", 0, LIMIT).await;
    site.focus.until_status("deleted", 12, LIMIT).await;
}

/// Two roots in a settings file, without a server.
struct Two {
    dir: TempDir,
    roots: [PathBuf; 2],
}

impl Two {
    fn start() -> Two {
        let dir = TempDir::new().expect("a folder");
        let roots = ["one", "two"].map(|name| dir.path().join(name));
        for root in &roots {
            fs::create_dir(root).expect("a root");
        }
        let text = format!(
            "roots = [{:?}, {:?}]\nstate_dir = {:?}\nsettle_ms = 0\n",
            roots[0],
            roots[1],
            dir.path().join("state")
        );
        fs::write(dir.path().join("focus.toml"), text).expect("settings");
        let two = Two { dir, roots };
        assert!(two.run(&["init"]).status.success());
        two
    }

    fn config(&self) -> String {
        self.dir.path().join("focus.toml").display().to_string()
    }

    fn run(&self, command: &[&str]) -> Output {
        Command::new(BINARY)
            .args(command)
            .args(["--config", &self.config()])
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs")
    }

    fn root(&self, at: usize) -> String {
        self.roots[at].display().to_string()
    }

    /// How many deletions are held of both.
    fn held(&self) -> Value {
        json(&self.run(&["status", "--json"]))["held"].clone()
    }

    async fn until_held(&self, count: u64) {
        until("deletions are held", LIMIT, || async {
            let said = json(&self.run(&["scan", "--json"]));
            if said["held"] == count { Ok(()) } else { Err(said.to_string()) }
        })
        .await;
    }
}

fn plant(root: &Path, name: &str) {
    let sidecar = br#"{"start_time":"2024-05-01T12:00:00Z","end_time":"2024-05-01T12:01:00Z"}"#;
    fs::write(root.join(name).with_extension("dat"), b"data").expect("written");
    fs::write(root.join(name).with_extension("json"), sidecar).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_with_several_roots_needs_the_one_that_is_meant() {
    let two = Two::start();
    let names = |at: usize| (0..COUNT).map(move |n| format!("rec-{at}-{n}"));
    for (at, root) in two.roots.iter().enumerate() {
        names(at).for_each(|name| plant(root, &name));
    }
    assert_eq!(two.run(&["scan"]).status.code(), Some(0));
    for (at, root) in two.roots.iter().enumerate() {
        for name in names(at) {
            for extension in ["dat", "json"] {
                fs::remove_file(root.join(&name).with_extension(extension)).expect("removed");
            }
        }
    }
    two.until_held(2 * COUNT).await;

    for command in [&["approve"][..], &["approve", "--yes"], &["approve", "--dry-run"]] {
        let refused = two.run(command);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{command:?}: {words}");
        for wanted in ["--root", &two.root(0), &two.root(1)] {
            assert!(words.contains(wanted), "{command:?} does not say {wanted:?}: {words}");
        }
    }
    let both = json(&two.run(&["held", "--json"]));
    assert_eq!(
        (&both["held"], &both["roots"][1]["held"]),
        (&(2 * COUNT).into(), &COUNT.into()),
        "{both}"
    );
    let dry = json(&two.run(&["approve", "--root", &two.root(0), "--dry-run", "--json"]));
    assert_eq!(dry["roots"][0]["deletions"].as_array().map(Vec::len), Some(12), "{dry}");
    assert_eq!(two.held(), 2 * COUNT, "nothing was approved");

    let one = two.run(&["approve", "--root", &two.root(0), "--json"]);
    assert_eq!((one.status.code(), &json(&one)["approved"]), (Some(0), &COUNT.into()), "{one:?}");
    assert_eq!(two.held(), COUNT, "the other root's are held still");
    let line =
        format!("'{BINARY}' approve --yes --root '{}' --config '{}'", two.root(1), two.config());
    let unasked = on_terminal(&line, "");
    assert_eq!((unasked.status.code(), two.held()), (Some(0), 0.into()), "{unasked:?}");
}
