//! Times as instruments write them, from the sidecar to the answer.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::site::BINARY;

/// Runs a command with these settings, and returns its result.
fn run(dir: &Path, settings: &str, command: &[&str]) -> Value {
    let file = dir.join("focus.toml");
    fs::write(&file, format!("settle_ms = 200\n{settings}\n")).expect("settings");
    let mut focus = Command::new(BINARY);
    focus.args(command).arg("--json").arg("--config").arg(&file);
    let Output { status, stdout, stderr } =
        focus.arg("--state-dir").arg(dir.join("state")).output().expect("it runs");
    let told = String::from_utf8_lossy(&stderr);
    assert!(status.code().is_some_and(|code| code < 2), "{command:?}: {told}");
    serde_json::from_slice(&stdout).expect("JSON")
}

#[test]
fn leap_seconds_other_forms_and_local_times_are_catalogued_as_the_instants_that_they_are() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("root");
    fs::create_dir(&root).expect("a root");
    for (name, start, end) in [
        ("leap", "2012-06-30T23:59:59.900Z", "2012-06-30T23:59:60.620Z"),
        ("basic", "20240501T120000Z", "2024-05-01 14:00:01+0200"),
        ("local", "2024-05-01 14:00:00", "20240501T140001"),
        ("twice", "2024-10-27 02:30:00", "2024-10-27 03:00:00"),
    ] {
        fs::write(root.join(name).with_extension("dat"), "data").expect("written");
        let sidecar = format!(r#"{{"start_time": "{start}", "end_time": "{end}"}}"#);
        fs::write(root.join(name).with_extension("json"), sidecar).expect("written");
    }
    let without = format!("roots = [{root:?}]");
    let berlin = format!("roots = [{{ path = {root:?}, time_zone = \"Europe/Berlin\" }}]");
    let spans = |settings: &str| {
        let listed = run(dir.path(), settings, &["query"]);
        let rows = listed["items"].as_array().cloned().unwrap_or_default();
        let mut spans: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {} {}", row["uuid"], row["start_time"], row["end_time"]))
            .map(|span| span.replace('"', ""))
            .collect();
        spans.sort();
        spans
    };
    let reason = |settings: &str, path: &str| {
        let listed = run(dir.path(), settings, &["unrecognised"]);
        let rows = listed["items"].as_array().cloned().unwrap_or_default();
        let row = rows.iter().find(|row| row["path"] == path).expect("unrecognised");
        assert_eq!(row["state"], "time_invalid");
        row["reason"].as_str().expect("a reason").to_owned()
    };
    run(dir.path(), &without, &["init"]);
    run(dir.path(), &without, &["scan"]);
    let certain = [
        "basic 2024-05-01T12:00:00.000Z 2024-05-01T12:00:01.000Z",
        "leap 2012-06-30T23:59:59.900Z 2012-07-01T00:00:00.620Z",
    ];
    assert_eq!(spans(&without), certain);
    let told = reason(&without, "local");
    assert!(told.contains("has no offset: add one") && told.contains("time_zone"), "{told}");

    run(dir.path(), &berlin, &["scan"]);
    let local = "local 2024-05-01T12:00:00.000Z 2024-05-01T12:00:01.000Z";
    assert_eq!(spans(&berlin), [certain[0], certain[1], local]);
    let told = reason(&berlin, "twice");
    assert!(told.contains("exists twice in Europe/Berlin"), "{told}");
}
