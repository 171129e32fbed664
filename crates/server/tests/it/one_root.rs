//! Roots that are one: a copy, a link, a bind mount. They are refused at the start; one that turns out later
//! is told, and the other goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use focus_testkit::focus::Focus;
use serde_json::Value;
use tempfile::TempDir;

use crate::mounts::can_mount;
use crate::site::{BINARY, LIMIT, marker};

/// A folder with a marked root `a`, which has one recording, and room for a second root `b`.
struct Two {
    dir: TempDir,
    a: PathBuf,
    b: PathBuf,
}

fn land(root: &Path, name: &str) {
    fs::write(root.join(name).with_extension("dat"), "data").expect("written");
    let sidecar = r#"{"start_time": 1700000000, "end_time": 1700000060}"#;
    fs::write(root.join(name).with_extension("json"), sidecar).expect("written");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success());
}

impl Two {
    fn new() -> Two {
        let dir = TempDir::new().expect("a folder");
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&a).expect("a root");
        land(&a, "old");
        let two = Two { dir, a, b };
        assert!(two.init(&two.a, &[]).status.success());
        two
    }

    fn init(&self, root: &Path, more: &[&str]) -> Output {
        let state = self.dir.path().join("state");
        let mut command = Command::new(BINARY);
        command.args(["init", "--json", "--root"]).arg(root).arg("--state-dir").arg(state);
        command.args(more).output().expect("it runs")
    }

    /// A server of both roots.
    fn both(&self) -> Focus {
        let (state, b) = (self.dir.path().join("state"), self.b.display().to_string());
        Focus::new(BINARY, &self.a, &state, &["--root", &b, "--settle-ms", "200"])
    }

    /// Each command that would use both roots refuses, names both, and makes no catalog.
    fn is_refused(&self, words: &str) {
        let (both, listen) = (self.both(), ["--listen", "127.0.0.1:0"]);
        let commands: [&[&str]; 4] =
            [&["config", "check"], &["serve", listen[0], listen[1]], &["scan"], &["verify"]];
        for command in commands {
            let ended = both.run(command);
            let told = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
            assert_eq!(ended.status.code(), Some(2), "{command:?}: {told}");
            let named = [&self.a, &self.b].map(|path| path.display().to_string());
            let line = told.lines().find(|line| named.iter().all(|path| line.contains(path)));
            assert!(line.is_some_and(|line| line.contains(words)), "{command:?}: {told}");
        }
        assert!(!self.dir.path().join("state/catalog").exists(), "nothing is catalogued");
    }
}

fn root_of(focus: &Focus, at: usize) -> Value {
    focus.status().expect("a status")["roots"][at].clone()
}

/// What the catalog holds: uuid, path and whether it is deleted.
fn documents(two: &Two) -> Vec<(String, String, bool)> {
    let file = two.dir.path().join("state/catalog/catalog.db");
    let catalog = rusqlite::Connection::open(file).expect("open");
    let mut rows = catalog
        .prepare("SELECT uuid, path, deleted FROM recordings ORDER BY uuid")
        .expect("a query");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.expect("rows").collect::<Result<_, _>>().expect("documents")
}

#[test]
fn a_root_in_another_through_a_bind_mount_is_refused() {
    if !can_mount("a root in another through a bind mount") {
        return;
    }
    let two = Two::new();
    // The folder `shared` lies outside both; it is mounted in one, and the other is in it.
    let shared = two.dir.path().join("shared");
    fs::create_dir_all(shared.join("b")).expect("folders");
    fs::create_dir(two.a.join("mounted")).expect("a mount point");
    let inner = shared.join("b");
    land(&inner, "new");
    assert!(two.init(&inner, &[]).status.success());
    let (state, b) = (two.dir.path().join("state"), inner.display().to_string());
    let both = Focus::new(BINARY, &two.a, &state, &["--root", &b, "--settle-ms", "200"]);
    assert_eq!(both.run(&["config", "check"]).status.code(), Some(0), "nothing is mounted yet");
    let mount = format!(
        "mount --bind {} {} && exec \"$@\"",
        shared.display(),
        two.a.join("mounted").display()
    );
    let mounted = |command: &[&str]| {
        let roots = [&two.a, &inner, &state].map(|path| path.display().to_string());
        let [a, b, state] = &roots;
        Command::new("unshare")
            .args(["-Urm", "sh", "-c", &mount, "sh", BINARY])
            .args(command)
            .args(["--root", a, "--root", b, "--state-dir", state])
            .output()
            .expect("it runs")
    };
    for command in [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"], &["scan"]] {
        let ended = mounted(command);
        let told = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{command:?}: {told}");
        let named = [&two.a, &inner].map(|path| path.display().to_string());
        assert!(named.iter().all(|path| told.contains(path)), "{command:?}: {told}");
    }
}

#[test]
fn a_copy_of_a_root_is_refused_beside_it_by_every_command() {
    let two = Two::new();
    copy(&two.a, &two.b);
    land(&two.b, "n1");
    land(&two.b, "n2");
    two.is_refused("copy");
}

#[test]
fn a_link_to_a_root_is_refused_beside_it_marked_or_not() {
    let two = Two::new();
    std::os::unix::fs::symlink(&two.a, &two.b).expect("a link");
    two.is_refused("the same folder");
    fs::remove_file(two.a.join(".focus-root")).expect("removed");
    two.is_refused("the same folder");
}

#[test]
fn a_link_into_a_root_is_refused_beside_it() {
    let two = Two::new();
    fs::create_dir(two.a.join("below")).expect("a folder");
    std::os::unix::fs::symlink(two.a.join("below"), &two.b).expect("a link");
    two.is_refused("inside one another");
    assert!(two.init(&two.b, &[]).status.success());
    two.is_refused("inside one another");
}

#[test]
fn a_bind_mount_of_a_root_is_refused_beside_it() {
    if !can_mount("a bind mount of a root") {
        return;
    }
    let two = Two::new();
    fs::create_dir(&two.b).expect("a folder");
    for command in [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"], &["scan"]] {
        let mut ended = Command::new("unshare");
        ended.args(["-Urm", "sh", "-c", "mount --bind \"$0\" \"$1\" && shift 1 && exec \"$@\""]);
        ended.args([&two.a, &two.b]).arg(BINARY).args(command).arg("--root").arg(&two.a);
        ended.arg("--root").arg(&two.b).arg("--state-dir").arg(two.dir.path().join("state"));
        let ended = ended.output().expect("it runs");
        let told = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{command:?}: {told}");
        assert!(told.contains("the same folder"), "{command:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_turns_up_later_is_told_and_the_other_root_goes_on() {
    let two = Two::new();
    let mut both = two.both();
    both.serve().await;
    both.until_status("/roots/0/state", "present", LIMIT).await;
    both.until_status("/roots/1/state", "absent", LIMIT).await;
    copy(&two.a, &two.b);
    land(&two.b, "n1");
    both.until_status("/roots/1/state", "duplicate_marker", LIMIT).await;
    let reason = root_of(&both, 1)["reason"].as_str().unwrap_or_default().to_owned();
    let command = format!("focus init --root {} --new", two.b.display());
    assert!(reason.contains(&command), "{reason}");
    assert!(reason.contains(&two.a.display().to_string()), "{reason}");
    // The other one goes on, and nothing of the copy counts.
    land(&two.a, "next");
    both.until_status("recordings", 2, LIMIT).await;
    both.until_status("catalog_state", "in_step", LIMIT).await;
    both.until_status("pending", 0, LIMIT).await;
    let paths = |two: &Two| documents(two).into_iter().map(|one| one.1).collect::<Vec<_>>();
    assert_eq!(paths(&two), ["next.dat", "old.dat"]);
    let status = both.status().expect("a status");
    assert_eq!((&status["unrecognised"], &status["vanished"]), (&0.into(), &0.into()));

    // Nor after a restart without the original, which the index knows by its path.
    assert_eq!(both.stop(), Some(0));
    let away = two.dir.path().join("away");
    fs::rename(&two.a, &away).expect("moved");
    both.serve().await;
    both.until_status("/roots/1/state", "duplicate_marker", LIMIT).await;
    fs::rename(&away, &two.a).expect("moved back");
    both.until_status("/roots/0/state", "present", LIMIT).await;
    both.until_status("/roots/1/state", "duplicate_marker", LIMIT).await;

    // What the reason says makes it a root of its own, without a restart.
    assert!(two.init(&two.b, &["--new"]).status.success());
    both.until_status("/roots/1/state", "present", LIMIT).await;
    both.until_status("recordings", 3, LIMIT).await;
    both.until_status("pending", 0, LIMIT).await;
    assert_eq!(paths(&two), ["n1.dat", "next.dat", "old.dat"]);
    both.until_status("/unrecognised_by_state/duplicate_id", 1, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_over_which_another_was_copied_while_serving_is_told_and_loses_nothing() {
    let two = Two::new();
    fs::create_dir(&two.b).expect("a folder");
    land(&two.b, "own");
    assert!(two.init(&two.b, &[]).status.success());
    let own = fs::read(two.b.join(".focus-root")).expect("a marker");
    let mut both = two.both();
    both.serve().await;
    both.until_status("recordings", 2, LIMIT).await;
    both.until_status("pending", 0, LIMIT).await;
    copy(&two.a.join("."), &two.b);
    fs::remove_file(two.b.join("own.dat")).expect("removed");
    both.until_status("/roots/1/state", "duplicate_marker", LIMIT).await;
    land(&two.a, "next");
    both.until_status("recordings", 3, LIMIT).await;
    both.until_status("pending", 0, LIMIT).await;
    let status = both.status().expect("a status");
    assert_eq!((&status["vanished"], &status["deleted"]), (&0.into(), &0.into()));
    assert!(documents(&two).iter().all(|(.., deleted)| !deleted));
    // Its own marker makes it itself again.
    fs::write(two.b.join(".focus-root"), own).expect("written");
    both.until_status("/roots/1/state", "present", LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_roots_that_have_changed_their_places_are_served_as_themselves() {
    let two = Two::new();
    fs::create_dir(&two.b).expect("a folder");
    land(&two.b, "own");
    assert!(two.init(&two.b, &[]).status.success());
    let mut both = two.both();
    both.serve().await;
    both.until_status("recordings", 2, LIMIT).await;
    both.until_status("pending", 0, LIMIT).await;
    assert_eq!(both.stop(), Some(0));
    let aside = two.dir.path().join("aside");
    fs::rename(&two.a, &aside).expect("moved");
    fs::rename(&two.b, &two.a).expect("moved");
    fs::rename(&aside, &two.b).expect("moved");
    both.serve().await;
    for at in 0..2 {
        both.until_status(&format!("/roots/{at}/state"), "present", LIMIT).await;
    }
    assert_eq!(root_of(&both, 0)["id"], marker(&two.a));
    both.until_status("recordings", 2, LIMIT).await;
    both.until_status("catalog_state", "in_step", LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_given_as_a_link_is_watched() {
    let two = Two::new();
    std::os::unix::fs::symlink(&two.a, &two.b).expect("a link");
    let state = two.dir.path().join("state");
    let slowly = ["--settle-ms", "200", "--scan-interval-ms", "3600000"];
    let mut linked = Focus::new(BINARY, &two.b, &state, &slowly);
    linked.serve().await;
    linked.until_status("recordings", 1, LIMIT).await;
    let root = root_of(&linked, 0);
    assert_eq!((&root["watch"], &root["watch_reason"]), (&"watching".into(), &Value::Null));
    let below = two.a.join("below");
    fs::create_dir(&below).expect("a folder");
    land(&two.a, "second");
    land(&below, "third");
    linked.until_status("recordings", 3, LIMIT).await;
}
