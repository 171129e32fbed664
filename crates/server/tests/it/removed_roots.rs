//! A root that was taken out of the settings: in no answer, named once, and forgotten on request.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use focus_testkit::focus::Focus;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::{BINARY, LIMIT};

/// Two roots that one server has catalogued, three recordings in the first and two in the second, with
/// one more that cannot be catalogued.
struct Two {
    dir: TempDir,
    stays: PathBuf,
    goes: PathBuf,
}

fn land(root: &Path, name: &str) {
    fs::write(root.join(name).with_extension("dat"), "data").expect("written");
    let sidecar = r#"{"start_time": 1700000000, "end_time": 1700000060}"#;
    fs::write(root.join(name).with_extension("json"), sidecar).expect("written");
}

impl Two {
    async fn catalogued() -> Two {
        let dir = TempDir::new().expect("a folder");
        let (stays, goes) = (dir.path().join("stays"), dir.path().join("goes"));
        fs::create_dir_all(&stays).expect("a root");
        fs::create_dir_all(&goes).expect("a root");
        ["r1", "r2", "r3"].iter().for_each(|name| land(&stays, name));
        ["r4", "r5"].iter().for_each(|name| land(&goes, name));
        fs::write(goes.join("lonely.dat"), "data").expect("written");
        let two = Two { dir, stays, goes };
        let mut both = two.both();
        assert!(both.run(&["init"]).status.success());
        both.serve().await;
        both.until_status("recordings", 5, LIMIT).await;
        both.until_status("unrecognised", 1, LIMIT).await;
        both.until_status("catalog_state", "in_step", LIMIT).await;
        both.until_status("pending", 0, LIMIT).await;
        assert_eq!(both.stop(), Some(0));
        two
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn both(&self) -> Focus {
        let goes = self.goes.display().to_string();
        Focus::new(BINARY, &self.stays, &self.state(), &["--root", &goes, "--settle-ms", "200"])
    }

    fn one(&self) -> Focus {
        Focus::new(BINARY, &self.stays, &self.state(), &["--settle-ms", "200"])
    }

    fn forget(&self, root: &Path, more: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(["forget", "--json", "--root"]).arg(root);
        command.arg("--state-dir").arg(self.state()).args(more);
        command.output().expect("it runs")
    }

    fn documents(&self) -> i64 {
        let catalog =
            rusqlite::Connection::open(self.state().join("catalog/catalog.db")).expect("open");
        let count = "SELECT count(*) FROM recordings WHERE deleted = 0";
        catalog.query_row(count, [], |row| row.get(0)).expect("a count")
    }

    fn is_named_once(&self, status: &Value) {
        let removed = status["removed_roots"].as_array().expect("a list");
        assert_eq!(removed.len(), 1, "{status:#}");
        assert_eq!(removed[0]["path"], self.goes.display().to_string());
        assert_eq!(removed[0]["recordings"], 2);
        let remark = removed[0]["remark"].as_str().unwrap_or_default();
        assert!(remark.contains("focus forget --root"), "{remark}");
    }
}

fn said(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn is_refused(output: &Output, words: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(told.contains(words), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_root_is_in_no_answer_and_no_count_and_status_names_it_once() {
    let two = Two::catalogued().await;
    let mut one = two.one();
    let listed = said(&one.run(&["query", "--json"]));
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(3), "{listed:#}");
    let listed = said(&one.run(&["unrecognised", "--json"]));
    assert_eq!(listed["items"], json!([]));

    one.serve().await;
    one.until_status("catalog_state", "in_step", LIMIT).await;
    let status = one.status().expect("a status");
    assert_eq!((&status["recordings"], &status["unrecognised"]), (&3.into(), &0.into()));
    two.is_named_once(&status);
    let told = one.run(&["status"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(
        told.matches(&two.goes.display().to_string()).count(),
        2,
        "path and command: {told}"
    );
    let list = |path: &str, key: &str| {
        let answer: Value = serde_json::from_str(&one.get(path).expect(path)).expect("JSON");
        answer[key].as_array().map(Vec::len)
    };
    assert_eq!(list("/api/v1/recordings", "items"), Some(3));
    assert_eq!(list("/api/v1/recordings?text=r4", "items"), Some(0));
    assert_eq!(list("/api/v1/unrecognised", "items"), Some(0));
    let window = r#"{"start_time": 1700000000, "end_time": 1700000060}"#;
    let spans = one.post("/recordings_in_time_range", window).expect("an answer");
    let spans: Value = serde_json::from_str(&spans).expect("JSON");
    assert_eq!(spans.as_array().map(Vec::len), Some(3), "{spans}");
    assert_eq!(one.stop(), Some(0));

    // Configured again, it is in the answers again.
    let mut both = two.both();
    both.serve().await;
    both.until_status("recordings", 5, LIMIT).await;
    assert_eq!(both.status().expect("a status")["removed_roots"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_away_at_a_start_stays_in_the_answers() {
    let two = Two::catalogued().await;
    let away = two.dir.path().join("away");
    fs::rename(&two.goes, &away).expect("away");
    let mut both = two.both();
    both.serve().await;
    both.until_status("/roots/1/state", "absent", LIMIT).await;
    let status = both.status().expect("a status");
    assert_eq!((&status["recordings"], &status["removed_roots"]), (&5.into(), &json!([])));
    is_refused(&two.forget(&two.goes, &[]), "is configured");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_root_is_forgotten_through_the_server_and_the_catalog_keeps_its_documents() {
    let two = Two::catalogued().await;
    let mut one = two.one();
    one.serve().await;
    one.until_status("/roots/0/state", "present", LIMIT).await;
    is_refused(&two.forget(&two.stays, &[]), "is configured");
    is_refused(&two.forget(&two.dir.path().join("never"), &[]), "the index knows no root");
    let refused = one.ask("POST", "/api/v1/roots/forget", r#"{"root": "x"}"#, false);
    assert_eq!(refused.expect("an answer").status, 401);

    let forgotten = said(&two.forget(&two.goes, &[]));
    assert_eq!(forgotten["roots"][0]["forgotten"], 2, "{forgotten:#}");
    let status = one.status().expect("a status");
    assert_eq!((&status["removed_roots"], &status["recordings"]), (&json!([]), &3.into()));
    is_refused(&two.forget(&two.goes, &[]), "the index knows no root");
    assert_eq!(two.documents(), 5);
    assert_eq!(one.stop(), Some(0));

    // A root that was forgotten is learned again, and its documents are its own.
    let mut both = two.both();
    both.serve().await;
    both.until_status("recordings", 5, LIMIT).await;
    both.until_status("catalog_state", "in_step", LIMIT).await;
    both.until_status("pending", 0, LIMIT).await;
    both.until_status("unrecognised", 1, LIMIT).await;
    assert_eq!(two.documents(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_root_is_forgotten_without_a_server_unless_the_settings_have_it() {
    let two = Two::catalogued().await;
    let file = two.dir.path().join("focus.toml");
    fs::write(&file, format!("roots = [{:?}]\n", two.stays)).expect("settings");
    let config = ["--config", &file.display().to_string()];
    is_refused(&two.forget(&two.stays, &config), "is configured");
    is_refused(&two.forget(&two.dir.path().join("never"), &config), "the index knows no root");
    assert_eq!(said(&two.forget(&two.goes, &config))["roots"][0]["forgotten"], 2);
    let told = two.one().run(&["status", "--json"]);
    assert_eq!(told.status.code(), Some(3), "no server runs: {told:?}");
    let status: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!((&status["removed_roots"], &status["recordings"]), (&json!([]), &3.into()));
    assert_eq!(two.documents(), 5);

    let mut command = Command::new(BINARY);
    command.args(["forget", "--config"]).arg(&file).arg("--state-dir").arg(two.state());
    is_refused(&command.output().expect("it runs"), "which root?");
}
