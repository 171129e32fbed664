//! The operating guide: every block of commands in `docs/operate.md`, run as it is written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use focus_testkit::focus::Focus;
use focus_testkit::tree::{Tree, Writing};
use focus_testkit::wait::until;
use tempfile::TempDir;

use crate::site::{BINARY, LIMIT, marker};

const GUIDE: &str = include_str!("../../../../docs/operate.md");

/// The blocks of commands below a heading, in their order.
fn blocks(heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = GUIDE.split_once(&format!("\n## {heading}\n")).expect("a heading");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    blocks
        .map(|block| {
            let (commands, _) = block.split_once("```").expect("the end of a block");
            commands.lines().map(str::to_owned).collect()
        })
        .collect()
}

/// An installation whose folders are below one of the test's own.
struct Installation {
    dir: TempDir,
    focus: Focus,
    /// What has landed, by the root's folder.
    trees: BTreeMap<String, Tree>,
}

impl Installation {
    /// With the root `/data/a`, which has so many recordings, all of them in the catalog.
    async fn new(recordings: usize) -> Installation {
        let dir = TempDir::new().expect("a folder");
        let place = |name: &str| dir.path().join(name);
        for folder in ["data/a", "etc", "backup", "bin"] {
            fs::create_dir_all(place(folder)).expect("a folder");
        }
        symlink(BINARY, place("bin/focus")).expect("a link");
        let (root, state) = (place("data/a"), place("state"));
        let settings = format!("roots = [{root:?}]\nstate_dir = {state:?}\nsettle_ms = 200\n");
        let config = place("etc/focus.toml");
        fs::write(&config, settings).expect("settings");
        let focus = Focus::with_args(BINARY, &state, &["--config", &config.display().to_string()]);
        assert!(focus.run(&["init"]).status.success());
        let mut installation = Installation { dir, focus, trees: BTreeMap::new() };
        installation.land("data/a", recordings);
        installation.focus.serve().await;
        installation.holds(recordings as u64).await;
        installation
    }

    fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn land(&mut self, root: &str, count: usize) {
        let folder = self.place(root);
        let first = 100_000 * self.trees.len() as u64;
        let tree =
            self.trees.entry(root.to_owned()).or_insert_with(|| Tree::beginning_at(&folder, first));
        tree.add(count, Writing::Moved);
    }

    /// Waits until the catalog has so many recordings, and nothing waits for it.
    async fn holds(&self, recordings: u64) {
        until("all are catalogued", LIMIT, || async {
            let status = self.focus.status()?;
            let good = status["recordings"] == recordings
                && status["pending"] == 0
                && status["unsettled"] == 0
                && status["catalog_state"] == "in_step";
            let count = self.catalogued();
            if good && count == i64::try_from(recordings).ok() {
                return Ok(());
            }
            Err(format!("{count:?} in the catalog, {status:#}\n{}", self.focus.log()))
        })
        .await;
    }

    /// Documents in the catalog that are not marked as deleted.
    fn catalogued(&self) -> Option<i64> {
        let catalog = rusqlite::Connection::open(self.place("state/catalog/catalog.db")).ok()?;
        let live = "SELECT count(*) FROM recordings WHERE deleted_at IS NULL";
        catalog.query_row(live, [], |row| row.get(0)).ok()
    }

    /// Runs the lines of a block. The three that speak to the service manager are carried out on the server
    /// of this test.
    async fn run(&mut self, block: &[String]) {
        for line in block {
            match line.as_str() {
                "systemctl stop focus" => assert_eq!(self.focus.stop(), Some(0)),
                "systemctl start focus" => self.focus.serve().await,
                "systemctl reload focus" => self.reload().await,
                line => self.shell(line),
            }
        }
    }

    async fn reload(&self) {
        let told = |log: &str| log.matches("the settings were read again").count();
        let before = told(&self.focus.log());
        self.focus.hang_up();
        until("the settings were read again", LIMIT, || async {
            let log = self.focus.log();
            if told(&log) > before { Ok(()) } else { Err(log) }
        })
        .await;
    }

    fn shell(&self, line: &str) {
        let here = self.dir.path().display();
        let line = ["/data", "/backup", "/etc/focus", "/var/lib/focus"]
            .into_iter()
            .zip(["/data", "/backup", "/etc", "/state"])
            .fold(line.to_owned(), |line, (from, to)| line.replace(from, &format!("{here}{to}")));
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-euc", &line])
            .env("PATH", format!("{here}/bin:{path}"))
            .env("FOCUS_CONFIG", self.place("etc/focus.toml"))
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{line}: {output:?}\n{}", self.focus.log());
    }

    /// Nothing is held, marked, or told apart from its root.
    fn is_in_order(&self) {
        let status = self.focus.status().expect("a status");
        for field in ["held", "deleted", "unrecognised"] {
            assert_eq!(status[field], 0, "{field}: {status:#}");
        }
    }
}

/// The block of a heading that has one.
fn block(heading: &str) -> Vec<String> {
    let blocks = blocks(heading);
    assert_eq!(blocks.len(), 1, "{heading}");
    blocks.into_iter().next().unwrap_or_default()
}

fn id(root: &Path) -> String {
    marker(root)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_is_backed_up_and_restored_by_the_guide() {
    let mut installation = Installation::new(20).await;
    installation.run(&block("Back up the catalog")).await;
    installation.land("data/a", 5);
    installation.holds(25).await;
    installation.run(&block("Restore the catalog")).await;
    installation.holds(25).await;
    installation.is_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_made_anew_by_the_guide() {
    let mut installation = Installation::new(20).await;
    installation.run(&block("Make the index anew")).await;
    installation.holds(20).await;
    installation.is_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_added_and_removed_by_the_guide() {
    let mut installation = Installation::new(10).await;
    installation.run(&block("Add a root")).await;
    installation.land("data/b", 7);
    installation.holds(17).await;
    installation.run(&block("Remove a root")).await;
    until("its recordings are in no count", LIMIT, || async {
        let status = installation.focus.status()?;
        let gone = status["recordings"] == 10 && status["removed_roots"] == serde_json::json!([]);
        if gone { Ok(()) } else { Err(format!("{status:#}")) }
    })
    .await;
    installation.is_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_renamed_by_the_guide() {
    let mut installation = Installation::new(20).await;
    let before = id(&installation.place("data/a"));
    installation.run(&block("Rename a root, or mount it elsewhere")).await;
    installation.holds(20).await;
    assert_eq!(id(&installation.place("data/renamed")), before);
    installation.is_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_moved_to_another_volume_by_the_guide_with_its_marker_and_without() {
    let blocks = blocks("Move a root to another volume");
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let mut installation = Installation::new(20).await;
        let before = id(&installation.place("data/a"));
        installation.run(&block).await;
        installation.holds(20).await;
        assert_eq!(id(&installation.place("data/new")), before);
        installation.is_in_order();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_moved_to_another_machine_by_the_guide() {
    let mut installation = Installation::new(20).await;
    installation.run(&block("Move the server to another machine")).await;
    let (state, copy) = (installation.place("state"), installation.place("backup/focus-state"));
    fs::remove_dir_all(&state).expect("the old machine");
    fs::rename(&copy, &state).expect("the new machine");
    installation.focus.serve().await;
    installation.holds(20).await;
    installation.is_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_decommissioned_by_the_guide_and_its_recordings_stay() {
    let mut installation = Installation::new(3).await;
    installation.run(&block("Decommission")).await;
    assert!(!installation.place("state").exists());
    let left = fs::read_dir(installation.place("data/a")).expect("a folder").count();
    assert!(left > 0 && !installation.place("data/a/.focus-root").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_a_newer_program_is_refused_with_what_to_do() {
    let mut installation = Installation::new(3).await;
    assert_eq!(installation.focus.stop(), Some(0));
    let index = rusqlite::Connection::open(installation.place("state/index.db")).expect("it");
    index.pragma_update(None, "user_version", 99).expect("written");
    drop(index);
    let output = installation.focus.run(&["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("schema version 99"), "{said}");
    installation.run(&block("Make the index anew")[1..]).await;
    installation.holds(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_constant_writes_is_of_one_moment_and_loses_nothing() {
    let mut installation = Installation::new(500).await;
    let copies = installation.place("backup");
    for turn in 0..5 {
        installation.land("data/a", 200);
        let file = copies.join(format!("{turn}.db"));
        let output = installation.focus.run(&["backup", &file.display().to_string(), "--json"]);
        assert!(output.status.success(), "{output:?}");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let copy = rusqlite::Connection::open(&file).expect("the copy");
        let count: i64 = copy
            .query_row("SELECT count(*) FROM recordings", [], |row| row.get(0))
            .expect("a count");
        assert_eq!(said["recordings"], count);
        assert!(count >= 500, "{count}");
    }
    installation.holds(1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_replaces_nothing_and_says_why_there_is_none() {
    let installation = Installation::new(1).await;
    let there = installation.place("backup/there.db");
    fs::write(&there, "precious").expect("a file");
    let run = |args: &[&str]| {
        let output = installation.focus.run(args);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["backup", &there.display().to_string()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(fs::read(&there).expect("it"), b"precious");
    let (code, said) = run(&["backup", "/dev/null/x"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = run(&["backup", "/tmp/x.db", "--mongodb-uri", "mongodb://127.0.0.1:9/"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("mongodump"), "{said}");
    let nowhere = installation.place("nowhere").display().to_string();
    let copy = installation.place("backup/none.db").display().to_string();
    let (code, said) = run(&["backup", &copy, "--state-dir", &nowhere]);
    assert_eq!(code, Some(3), "{said}");
    assert!(!Path::new(&copy).exists());
}
