//! What `exclude` names is not there, and extensions count whatever their case: from files to documents.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use focus_testkit::focus::Focus;
use focus_testkit::wait::until;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::{BINARY, LIMIT};

/// A root with a settings file, and a server with the embedded catalog.
struct Settled {
    dir: TempDir,
    focus: Focus,
}

/// A document: path, `deleted` and version.
type Row = (String, bool, i64);

impl Settled {
    fn new() -> Settled {
        let dir = TempDir::new().expect("a folder");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("a root");
        let file = dir.path().join("focus.toml").display().to_string();
        let args = ["--settle-ms", "100", "--scan-interval-ms", "500", "--config", &file];
        let focus = Focus::new(BINARY, &root, &dir.path().join("state"), &args);
        let settled = Settled { dir, focus };
        settled.settings("");
        assert!(settled.focus.run(&["init"]).status.success());
        settled
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn settings(&self, text: &str) {
        fs::write(self.dir.path().join("focus.toml"), text).expect("settings");
    }

    /// Writes a recording, its files named like this below the root.
    fn land(&self, data: &str, sidecar: &str) {
        let uuid = Path::new(data).file_stem().expect("a name").to_string_lossy().into_owned();
        self.land_as(data, sidecar, &uuid);
    }

    fn land_as(&self, data: &str, sidecar: &str, uuid: &str) {
        let root = self.root();
        fs::create_dir_all(root.join(data).parent().expect("a folder")).expect("a folder");
        fs::write(root.join(data), "data").expect("written");
        let text = json!({ "uuid": uuid, "start_time": 1, "end_time": 2 });
        fs::write(root.join(sidecar), text.to_string()).expect("written");
    }

    /// All documents, by path.
    fn documents(&self) -> Vec<Row> {
        let file = self.dir.path().join("state/catalog/catalog.db");
        let Ok(file) = Connection::open(file) else { return Vec::new() };
        let Ok(mut rows) =
            file.prepare("SELECT path, deleted, version FROM recordings ORDER BY path")
        else {
            return Vec::new();
        };
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        rows.query_map([], row).expect("rows").filter_map(Result::ok).collect()
    }

    async fn until_documents(&self, wanted: &[(&str, bool)]) {
        until(&format!("{wanted:?}"), LIMIT, || async {
            let rows = self.documents();
            let found: Vec<(&str, bool)> = rows.iter().map(|row| (&*row.0, row.1)).collect();
            let status = self.focus.status()?;
            if found == wanted && status["pending"] == 0 {
                return Ok(());
            }
            Err(format!("{found:?}\n{status:#}\n{}", self.focus.log()))
        })
        .await;
    }

    fn unrecognised(&self) -> Vec<Value> {
        let listed = self.focus.get("/api/v1/unrecognised").expect("an answer");
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        listed["items"].as_array().cloned().expect("a list")
    }

    async fn until_unrecognised(&self, wanted: &[&str]) {
        until(&format!("{wanted:?} are unrecognised"), LIMIT, || async {
            let found = self.unrecognised();
            let mut paths: Vec<&str> =
                found.iter().filter_map(|one| one["path"].as_str()).collect();
            paths.sort_unstable();
            if paths == wanted { Ok(()) } else { Err(format!("{found:?}\n{}", self.focus.log())) }
        })
        .await;
    }

    /// Waits until everything that is on storage now has been scanned.
    async fn scanned(&self) {
        let scan = || self.focus.status().map(|status| status["roots"][0]["last_scan_at"].clone());
        for _ in 0..2 {
            let before = scan().expect("a status");
            until("another scan", LIMIT, || async {
                if scan()? == before { Err("none".to_owned()) } else { Ok(()) }
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_trash_are_not_there_and_what_moves_into_trash_is_deleted() {
    let mut site = Settled::new();
    for n in 0..3 {
        site.land(&format!("2024/05/r{n}.dat"), &format!("2024/05/r{n}.json"));
        let copy = format!(".snapshot/daily.0/2024/05/r{n}");
        site.land_as(&format!("{copy}.dat"), &format!("{copy}.json"), &format!("r{n}"));
        site.land(&format!("2024/05/._r{n}.dat"), &format!("2024/05/._r{n}.json"));
    }
    fs::create_dir_all(site.root().join(".Trash-1000/files")).expect("a folder");
    site.focus.serve().await;
    let paths = ["2024/05/r0.dat", "2024/05/r1.dat", "2024/05/r2.dat"];
    site.until_documents(&paths.map(|path| (path, false))).await;
    assert_eq!(site.unrecognised(), Vec::<Value>::new());
    // A copy that is made while the server runs is not there either.
    site.land_as(".snapshot/daily.1/r0.dat", ".snapshot/daily.1/r0.json", "r0");
    for name in ["r1.dat", "r1.json"] {
        let to = site.root().join(".Trash-1000/files").join(name);
        fs::rename(site.root().join("2024/05").join(name), to).expect("moved");
    }
    site.until_documents(&[(paths[0], false), (paths[1], true), (paths[2], false)]).await;
    site.scanned().await;
    assert_eq!(site.unrecognised(), Vec::<Value>::new());
    site.focus.until_status("recordings", 2, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_longer_exclude_hides_is_held_and_back_without_a_write_once_it_is_shorter() {
    let mut site = Settled::new();
    for n in 0..12 {
        let folder = if n < 2 { "kept" } else { "raw" };
        site.land(&format!("{folder}/r{n:02}.dat"), &format!("{folder}/r{n:02}.json"));
    }
    site.focus.serve().await;
    let before = |row: &Row| row.1;
    until("all are catalogued", LIMIT, || async {
        let rows = site.documents();
        if rows.len() == 12 { Ok(()) } else { Err(site.focus.log()) }
    })
    .await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let documents = site.documents();
    assert!(!documents.iter().any(before), "{documents:?}");

    // A new broken recording in the folder is not told of either, once the folder is hidden.
    fs::write(site.root().join("raw/alone.dat"), "data").expect("written");
    site.until_unrecognised(&["raw/alone"]).await;
    assert_eq!(site.focus.stop(), Some(0));
    site.settings("exclude_more = [\"raw\"]\n");
    site.focus.serve().await;
    site.focus.until_status("held", 10, LIMIT).await;
    site.until_unrecognised(&[]).await;
    assert_eq!(site.documents(), documents);
    let held = site.focus.run(&["held", "--json"]);
    let held: Value = serde_json::from_slice(&held.stdout).expect("JSON");
    let rows = held["roots"][0]["deletions"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["held_why"] == "excluded"), "{held:#}");

    // What is removed meanwhile is gone, as soon as somebody looks.
    for name in ["raw/r11.dat", "raw/r11.json"] {
        fs::remove_file(site.root().join(name)).expect("removed");
    }
    assert_eq!(site.focus.stop(), Some(0));
    site.settings("");
    site.focus.serve().await;
    site.focus.until_status("held", 0, LIMIT).await;
    until("one is deleted, and nothing else is written", LIMIT, || async {
        let now = site.documents();
        let others = now.iter().zip(&documents).filter(|(now, before)| now != before);
        let changed: Vec<&str> = others.map(|(now, _)| now.0.as_str()).collect();
        let one = changed == ["raw/r11.dat"] && now[11].1;
        if one { Ok(()) } else { Err(format!("{now:?}\n{}", site.focus.log())) }
    })
    .await;
    site.focus.until_status("recordings", 11, LIMIT).await;

    assert_eq!(site.focus.stop(), Some(0));
    site.settings("exclude = [\"raw/r0[2-4].*\", \"raw/**/x\"]\n");
    site.focus.serve().await;
    site.focus.until_status("held", 3, LIMIT).await;
    let approved = site.focus.run(&["approve", "--json", "--yes"]);
    assert_eq!(approved.status.code(), Some(0), "{approved:?}");
    until("three more are deleted", LIMIT, || async {
        let deleted: Vec<Row> = site.documents().into_iter().filter(|row| row.1).collect();
        let paths: Vec<&str> = deleted.iter().map(|row| row.0.as_str()).collect();
        let wanted = ["raw/r02.dat", "raw/r03.dat", "raw/r04.dat", "raw/r11.dat"];
        if paths == wanted { Ok(()) } else { Err(format!("{paths:?}\n{}", site.focus.log())) }
    })
    .await;
}

#[test]
fn a_wrong_glob_ends_the_server_with_its_file_line_and_field() {
    let site = Settled::new();
    site.settings("settle_ms = 5\nexclude = [\n  \".snapshot*\",\n  \"[a\",\n]\n");
    for command in [&["config", "check"][..], &["serve"], &["scan"]] {
        let file = site.dir.path().join("focus.toml");
        let mut focus = Command::new(BINARY);
        let told = focus.args(command).arg("--config").arg(&file).output().expect("it runs");
        let words = String::from_utf8_lossy(&told.stderr).into_owned()
            + &String::from_utf8_lossy(&told.stdout);
        assert_eq!(told.status.code(), Some(2), "{command:?}: {words}");
        assert!(words.contains("focus.toml, line 2, column 11: exclude: "), "{words}");
        assert!(words.contains("\"[a\""), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_count_whatever_their_case_and_the_path_has_the_real_one() {
    let mut site = Settled::new();
    site.land("CAM0001.DAT", "CAM0001.JSON");
    site.land("b.dat", "b.JSON");
    site.focus.serve().await;
    site.until_documents(&[("CAM0001.DAT", false), ("b.dat", false)]).await;
    site.land("card/CAM0002.DAT", "card/CAM0002.json");
    site.land("card/d.dAt", "card/d.JsOn");
    let all = ["CAM0001.DAT", "b.dat", "card/CAM0002.DAT", "card/d.dAt"];
    site.until_documents(&all.map(|path| (path, false))).await;
    site.scanned().await;
    assert_eq!(site.unrecognised(), Vec::<Value>::new());
    let missed = &site.focus.status().expect("a status")["roots"][0]["watch_missed"];
    assert_eq!(*missed, 0, "a scan finds nothing anew");
    let removed = ["card/CAM0002.DAT", "card/CAM0002.json"];
    removed.iter().for_each(|name| fs::remove_file(site.root().join(name)).expect("removed"));
    let deleted = |path: &'static str| (path, path == all[2]);
    site.until_documents(&all.map(deleted)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_extension_changes_its_case_is_no_deletion() {
    let mut site = Settled::new();
    site.land("a.dat", "a.json");
    site.focus.serve().await;
    site.until_documents(&[("a.dat", false)]).await;
    let before = site.documents();
    let root = site.root();
    fs::rename(root.join("a.json"), root.join("a.JSON")).expect("renamed");
    site.scanned().await;
    assert_eq!(site.documents(), before, "the sidecar says what it said");
    fs::rename(root.join("a.dat"), root.join("a.DAT")).expect("renamed");
    site.until_documents(&[("a.DAT", false)]).await;
    site.scanned().await;
    assert_eq!(site.unrecognised(), Vec::<Value>::new());
    let status = site.focus.status().expect("a status");
    assert_eq!((&status["recordings"], &status["vanished"]), (&1.into(), &0.into()), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_spellings_of_an_extension_the_small_letters_count_and_the_other_is_told() {
    let mut site = Settled::new();
    let root = site.root();
    // Before the start: found by the scan.
    site.land("a.dat", "a.json");
    fs::write(root.join("a.JSON"), r#"{"start_time": 7, "end_time": 8}"#).expect("written");
    fs::write(root.join("a.DAT"), "other data").expect("written");
    site.focus.serve().await;
    site.until_documents(&[("a.dat", false)]).await;
    site.until_unrecognised(&["a.DAT", "a.JSON"]).await;
    for one in site.unrecognised() {
        let reason = one["reason"].as_str().expect("a reason");
        assert!(reason.contains("is not read, because"), "{one}");
    }
    // While it runs: told of by the watch. The recording goes over to the small letters.
    site.land("b.DAT", "b.JSON");
    site.until_documents(&[("a.dat", false), ("b.DAT", false)]).await;
    site.land_as("b.dat", "b.json", "b");
    site.until_documents(&[("a.dat", false), ("b.dat", false)]).await;
    site.until_unrecognised(&["a.DAT", "a.JSON", "b.DAT", "b.JSON"]).await;
    // One of the two goes: the other counts, or is told of no more.
    fs::remove_file(root.join("a.JSON")).expect("removed");
    fs::remove_file(root.join("a.dat")).expect("removed");
    fs::remove_file(root.join("b.DAT")).expect("removed");
    fs::rename(root.join("b.JSON"), root.join("b.text")).expect("renamed");
    site.until_documents(&[("a.DAT", false), ("b.dat", false)]).await;
    site.until_unrecognised(&[]).await;
}
