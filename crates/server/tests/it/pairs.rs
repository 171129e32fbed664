//! Pairs of other fields, from the files that their tools write to the catalog, and through the whole promise.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use focus_testkit::fields::{Field, uuid_of_path};
use focus_testkit::mongo::{MongoServer, tools};
use focus_testkit::tree::{Planted, Writing};
use focus_testkit::wait::until;
use mongodb::bson::{Document, doc};
use serde_json::Value;
use tempfile::TempDir;

use crate::site::{BINARY, LIMIT, Site, long, no_server_to_end};

/// A site whose root has pairs of a field.
struct Fielded {
    site: Site,
    field: Field,
    made: u64,
    settings: TempDir,
}

impl Fielded {
    /// A marked root without recordings, whose table has these keys, and a server that is not started.
    fn new(server: Option<&MongoServer>, field: Field, keys: &str) -> Fielded {
        let settings = TempDir::new().expect("a folder");
        let file = settings.path().join("focus.toml");
        fs::write(&file, "").expect("settings");
        let mut args = vec!["--config".to_owned(), file.display().to_string()];
        args.extend(server.map(MongoServer::args).unwrap_or_default());
        let site = Site::new(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let fielded = Fielded { site, field, made: 0, settings };
        fielded.set(keys);
        fielded
    }

    /// Gives the root's table these keys.
    fn set(&self, keys: &str) {
        let root = self.site.tree.root().display().to_string();
        let text = format!("[[roots]]\npath = {root:?}\n{keys}\n");
        fs::write(self.settings.path().join("focus.toml"), text).expect("settings");
    }

    fn land(&mut self, count: u64) {
        for _ in 0..count {
            let (root, marker) = (self.site.tree.root(), &self.site.marker);
            self.site.planted.push(self.field.add(root, marker, self.made, Writing::Moved));
            self.made += 1;
        }
    }

    /// Both files of a recording.
    fn files(&self, planted: &Planted) -> [std::path::PathBuf; 2] {
        let data = self.site.tree.root().join(&planted.path);
        [data.with_extension(self.field.extensions().1), data]
    }

    fn command(&self, command: &[&str]) -> Value {
        let output = self.site.focus.run(command);
        json(&output)
    }
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

async fn until_deleted(server: &MongoServer, site: &Site, uuids: &[&str]) {
    let client = server.client().await;
    let nodes = client.database(server.database()).collection::<Document>("node4");
    until("they are marked as deleted", LIMIT, || async {
        let marked = doc! { "deleted": true, "uuid": { "$in": uuids.to_vec() } };
        let (marked, all) =
            (nodes.count_documents(marked).await, nodes.count_documents(doc! { "deleted": true }));
        match (marked, all.await) {
            (Ok(marked), Ok(all)) if marked == uuids.len() as u64 && all == marked => Ok(()),
            other => Err(format!("{other:?}\n{}", site.focus.log())),
        }
    })
    .await;
}

/// The reference scenario, a verification, deletions and a rename.
async fn whole_promise(name: &str, field: Field, keys: &str) {
    if no_server_to_end(name) {
        return;
    }
    let mut server = MongoServer::start().await;
    let mut fielded = Fielded::new(Some(&server), field, keys);
    fielded.land(20);
    fielded.site.focus.serve().await;
    fielded.site.converged(&server, "node4").await;
    fielded.site.in_step().await;

    server.kill();
    fielded.site.focus.until_status("catalog_state", "down", LIMIT).await;
    fielded.land(15);
    fielded.site.focus.until_status("pending", 15, LIMIT).await;
    server.restart().await;
    fielded.site.converged(&server, "node4").await;
    fielded.site.in_step().await;
    let verified = fielded.command(&["verify", "--json"]);
    assert_eq!(verified["in_order"], true, "{verified:#}");

    // One is gone, and one is there by another name: that is another recording where the path tells them apart.
    let gone = fielded.site.planted.remove(3);
    for file in fielded.files(&gone) {
        fs::remove_file(file).expect("removed");
    }
    let renamed = &fielded.site.planted[4];
    for file in fielded.files(renamed) {
        let extension = file.extension().expect("an extension").to_owned();
        let mut new = file.with_file_name("renamed");
        new.set_extension(extension);
        fs::rename(file, new).expect("renamed");
    }
    let before = renamed.uuid.clone();
    let (folder, extension) = ("station-", field.extensions().0);
    let folder = &renamed.path[..folder.len() + 1];
    let now = Planted {
        uuid: uuid_of_path(&fielded.site.marker, &format!("{folder}/renamed")),
        path: format!("{folder}/renamed.{extension}"),
        recording_id: "renamed".to_owned(),
        ..renamed.clone()
    };
    fielded.site.planted[4] = now;
    until_deleted(&server, &fielded.site, &[&gone.uuid, &before]).await;
    fielded.site.focus.until_status("recordings", 34, LIMIT).await;
    fielded.site.in_step().await;
    let client = server.client().await;
    let nodes = client.database(server.database()).collection::<Document>("node4");
    nodes.delete_many(doc! { "uuid": { "$in": [&gone.uuid, &before] } }).await.expect("removed");
    fielded.site.becomes_right(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_sigmf_go_through_the_whole_promise() {
    whole_promise("sigmf", Field::Sigmf, "preset = \"sigmf\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_trunk_recorder_go_through_the_whole_promise() {
    whole_promise("trunk-recorder", Field::TrunkRecorder, "preset = \"trunk-recorder\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_repeat_in_other_folders_are_told_apart_by_their_path() {
    whole_promise("uuids by path", Field::Own, "uuid = \"path\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_audio_is_encoded_anew_stays_the_same_recording() {
    let mut fielded = Fielded::new(None, Field::TrunkRecorder, "preset = \"trunk-recorder\"");
    fielded.land(1);
    fielded.site.focus.serve().await;
    fielded.site.focus.until_status("recordings", 1, LIMIT).await;
    fielded.site.focus.until_status("pending", 0, LIMIT).await;
    let planted = fielded.site.planted[0].clone();
    let [_, wav] = fielded.files(&planted);
    let m4a = wav.with_extension("m4a");
    let recording = || {
        let text = fielded.site.focus.get(&format!("/api/v1/recordings/{}", planted.uuid));
        serde_json::from_str::<Value>(&text.expect("an answer")).expect("JSON")
    };
    fs::write(&m4a, "encoded").expect("written");
    fielded.command(&["scan", "--json"]);
    assert_eq!(recording()["path"], planted.path, "of two data files the first extension counts");
    fs::remove_file(&wav).expect("removed");
    until("the other file is its data", LIMIT, || {
        let recording = recording();
        let is_it = recording["path"].as_str().is_some_and(|path| path.ends_with(".m4a"))
            && recording["state"] == "catalogued"
            && recording["size"] == 7;
        async move { if is_it { Ok(()) } else { Err(recording.to_string()) } }
    })
    .await;
    let status = fielded.site.focus.status().expect("a status");
    assert_eq!((&status["recordings"], &status["deleted"]), (&1.into(), &0.into()), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_of_other_fields_are_never_taken_for_ours() {
    let fields = [Field::Sigmf, Field::TrunkRecorder];
    for (preset, own, alone) in [("focus", None, 1), ("sigmf", Some(Field::Sigmf), 0)] {
        let keys = format!("preset = \"{preset}\"");
        let mut fielded = Fielded::new(None, own.unwrap_or(Field::Own), &keys);
        for field in fields.into_iter().filter(|field| Some(*field) != own) {
            field.add(fielded.site.tree.root(), &fielded.site.marker, 7, Writing::Moved);
        }
        if own.is_some() {
            fielded.land(2);
        } else {
            fielded.site.land(2);
        }
        let pass = fielded.site.focus.run(&["scan", "--json"]);
        let pass: Value = serde_json::from_slice(&pass.stdout).expect("JSON");
        assert_eq!(pass["recordings"], 2, "{pass:#}");
        let listed = fielded.command(&["unrecognised", "--json"]);
        let items = listed["items"].as_array().expect("items");
        // A call's `.json` beside its `.wav` is a sidecar without data, and says so.
        assert_eq!(items.len(), alone, "{listed:#}");
        for item in items {
            assert_eq!(item["state"], "sidecar_without_data", "{listed:#}");
            let reason = item["reason"].as_str().expect("a reason");
            assert!(reason.contains("add \"wav\" to data_extensions"), "{reason}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_form_does_not_see_is_held_and_is_back_with_the_earlier_one() {
    let mut fielded = Fielded::new(None, Field::Own, "");
    fielded.site.land(3);
    fielded.site.focus.serve().await;
    fielded.site.focus.until_status("recordings", 3, LIMIT).await;
    fielded.site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(fielded.site.focus.stop(), Some(0));
    let before = crate::ledger::documents(&fielded.site);

    fielded.set("preset = \"sigmf\"");
    fielded.site.focus.serve().await;
    fielded.site.focus.until_status("held", 3, LIMIT).await;
    let held = fielded.command(&["held", "--json"]);
    let deletions = held["roots"][0]["deletions"].as_array().expect("deletions");
    assert!(deletions.iter().all(|row| row["held_why"] == "excluded"), "{held:#}");
    assert_eq!(fielded.site.focus.stop(), Some(0));
    assert_eq!(crate::ledger::documents(&fielded.site), before, "nothing is marked");

    fielded.set("");
    fielded.site.focus.serve().await;
    fielded.site.focus.until_status("held", 0, LIMIT).await;
    fielded.site.focus.until_status("recordings", 3, LIMIT).await;
    fielded.site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(fielded.site.focus.stop(), Some(0));
    crate::ledger::agrees(&fielded.site, &[], &[]);
    crate::ledger::index_is_sound(&fielded.site);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_another_meaning_every_sidecar_is_read_again() {
    let mut fielded = Fielded::new(None, Field::TrunkRecorder, "preset = \"trunk-recorder\"");
    fielded.land(12);
    fielded.site.focus.serve().await;
    fielded.site.focus.until_status("recordings", 12, LIMIT).await;
    fielded.site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(fielded.site.focus.stop(), Some(0));
    fielded.set("preset = \"trunk-recorder\"\nend_time = { duration_s = \"/freqList/0/len\" }");
    for planted in &mut fielded.site.planted {
        planted.metadata["stop_time"] = (planted.end_ms.expect("an end") / 1_000).into();
        planted.end_ms = Some(planted.start_ms + 3_420);
    }
    fielded.site.focus.serve().await;
    crate::ledger::settled(&fielded.site, 12).await;
    assert_eq!(fielded.site.focus.stop(), Some(0));
    crate::ledger::agrees(&fielded.site, &[], &[]);
    // The form is known by now: another start reads nothing again.
    fielded.site.focus.serve().await;
    crate::ledger::settled(&fielded.site, 12).await;
    let said = fielded.site.focus.log();
    assert_eq!(said.matches("all sidecars are read again").count(), 1, "{said}");
    assert_eq!(fielded.site.focus.stop(), Some(0));
    crate::ledger::index_is_sound(&fielded.site);
}

#[test]
fn a_root_that_has_lost_its_marker_is_recognised_by_its_paths() {
    let mut fielded = Fielded::new(None, Field::Sigmf, "preset = \"sigmf\"");
    fielded.land(12);
    fielded.command(&["scan", "--json"]);
    let marker = fielded.site.tree.root().join(".focus-root");
    fs::remove_file(&marker).expect("lost");
    let made = fielded.command(&["init", "--json"]);
    assert_eq!(made["roots"][0]["recognised"], true, "{made:#}");
    assert_eq!(crate::site::marker(fielded.site.tree.root()), fielded.site.marker);
    fs::remove_file(&marker).expect("lost");
    fs::remove_dir_all(fielded.site.state()).expect("lost");
    let made = fielded.command(&["init", "--json"]);
    assert_eq!(made["roots"][0]["recognised"], false, "nobody knows its id: {made:#}");
}

/// Writes recordings with the library of SigMF, and prints when they began and ended by what it says of them.
const WRITES_SIGMF: &str = r#"
import json, sys, os
from datetime import datetime, timezone
import numpy as np
import sigmf
from sigmf import SigMFFile

root = sys.argv[1]
written = []

def record(name, datatype, values, rate, captures, channels=1):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    values.tofile(path + ".sigmf-data")
    meta = SigMFFile(data_file=path + ".sigmf-data", global_info={
        SigMFFile.DATATYPE_KEY: datatype,
        SigMFFile.SAMPLE_RATE_KEY: rate,
        SigMFFile.NUM_CHANNELS_KEY: channels,
        SigMFFile.AUTHOR_KEY: "a.person@example.org",
        SigMFFile.DESCRIPTION_KEY: "written by a test",
    })
    for start, date in captures:
        told = {SigMFFile.FREQUENCY_KEY: 915e6}
        if date:
            told[SigMFFile.DATETIME_KEY] = date
        meta.add_capture(start, metadata=told)
    meta.add_annotation(0, length=1, metadata={SigMFFile.LABEL_KEY: "burst"})
    meta.validate()
    meta.tofile(path + ".sigmf-meta")
    read = sigmf.sigmffile.fromfile(path + ".sigmf-meta")
    dated = [c for c in read.get_captures() if SigMFFile.DATETIME_KEY in c]
    def ms(capture):
        date = capture[SigMFFile.DATETIME_KEY].replace("Z", "+00:00")
        since = datetime.fromisoformat(date) - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return since.days * 86400000 + since.seconds * 1000 + since.microseconds // 1000
    end = None
    if dated:
        after = read.sample_count - dated[-1][SigMFFile.START_INDEX_KEY]
        end = ms(dated[-1]) + after * 1000 // int(rate)
    written.append({"path": name + ".sigmf-data", "start": ms(dated[0]) if dated else None, "end": end})

record("a/one", "cf32_le", np.zeros(250_000, np.complex64), 1e6, [(0, "2024-05-01T12:00:00.250000Z")])
record("a/two", "ci16_le", np.zeros(2 * 48_000, np.int16), 48_000, [(0, None), (1_000, "2024-05-01T13:00:00Z"), (24_000, "2024-05-01T13:30:00Z")])
record("b/one", "ri16_le", np.zeros(4 * 8_000, np.int16), 8_000, [(0, "2024-05-01T14:00:00Z")], channels=4)
record("b/real", "rf32_le", np.zeros(12_345, np.float32), 1_000, [(0, "2024-05-01T15:00:00.5Z")])
record("b/bytes", "ru8", np.zeros(5_000, np.uint8), 1_000, [(0, "2024-05-01T16:00:00Z")])
record("undated", "cf32_le", np.zeros(10, np.complex64), 1e6, [(0, None)])
print(json.dumps(written))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn files_that_the_library_of_sigmf_writes_are_catalogued_with_its_times() {
    let python = tools().join("python/bin/python3");
    if !long() {
        return println!(
            "left out, needs sigmf (`cargo xtask test --all`): files that its library writes"
        );
    }
    assert!(python.is_file(), "`cargo xtask test --all` installs it");
    let fielded = Fielded::new(None, Field::Sigmf, "preset = \"sigmf\"");
    let wrote = Command::new(python)
        .args(["-c", WRITES_SIGMF])
        .arg(fielded.site.tree.root())
        .output()
        .expect("it runs");
    let written = json(&wrote);
    let pass = fielded.site.focus.run(&["scan", "--json"]);
    let pass: Value = serde_json::from_slice(&pass.stdout).expect("JSON");
    assert_eq!(pass["recordings"], 5, "{pass:#}");
    assert_eq!(pass["unrecognised"]["time_invalid"], 1, "{pass:#}");
    let documents = crate::ledger::documents(&fielded.site);
    for wanted in written.as_array().expect("recordings") {
        let document =
            documents.iter().find(|one| one.get_str("path").ok() == wanted["path"].as_str());
        let Some(document) = document else {
            assert!(wanted["start"].is_null(), "{wanted} is not there");
            continue;
        };
        let ms = |field: &str| document.get_datetime(field).map(|date| date.timestamp_millis());
        assert_eq!(ms("start_time").ok(), wanted["start"].as_i64(), "{wanted}");
        assert_eq!(ms("end_time").ok(), wanted["end"].as_i64(), "{wanted}");
        let metadata = document.get_document("metadata").expect("metadata");
        let global = metadata.get_document("global").expect("global");
        assert_eq!(global.get_str("core:author").ok(), Some("a.person@example.org"));
    }
    let listed = fielded.command(&["unrecognised", "--json"]);
    let item = &listed["items"][0];
    assert_eq!((&item["state"], &item["path"]), (&"time_invalid".into(), &"undated".into()));
}

#[test]
fn a_check_of_the_configuration_shows_what_would_be_catalogued() {
    let dir = TempDir::new().expect("a folder");
    let (sdr, calls, none) =
        (dir.path().join("sdr"), dir.path().join("calls"), dir.path().join("none"));
    for folder in [&sdr, &calls, &none] {
        fs::create_dir(folder).expect("a root");
    }
    for n in 0..9 {
        Field::Sigmf.add(&sdr, "", n, Writing::Moved);
    }
    Field::TrunkRecorder.add(&calls, "", 1, Writing::Moved);
    fs::write(calls.join("101-1714564800_155.wav"), "audio").expect("written");
    fs::write(calls.join("broken.json"), "{\n  \"start_time\": }").expect("written");
    fs::write(calls.join("broken.m4a"), "audio").expect("written");
    fs::write(calls.join("backwards.json"), r#"{"start_time": 9, "stop_time": 1}"#)
        .expect("written");
    fs::write(calls.join("backwards.wav"), "audio").expect("written");
    let settings = dir.path().join("focus.toml");
    let text = format!(
        "state_dir = {:?}\nroots = [{{ path = {sdr:?}, preset = \"sigmf\" }}, {{ path = {calls:?}, preset = \"trunk-recorder\", uuid = \"/id\" }}, {none:?}]\n",
        dir.path().join("state")
    );
    fs::write(&settings, text).expect("settings");
    let check = |json: bool| {
        let mut focus = Command::new(BINARY);
        focus.args(["config", "check", "--config"]).arg(&settings);
        if json {
            focus.arg("--json");
        }
        focus.output().expect("it runs")
    };
    let names = |dir: &Path| dir.display().to_string();
    let folder = names(dir.path());
    crate::golden::is_golden(
        "config-check-pairs",
        &crate::golden::printed(&check(false), &[(folder.as_str(), "DIR")]),
    );
    let value: Value = serde_json::from_slice(&check(true).stdout).expect("JSON");
    let pairs = value["pairs"].as_array().expect("pairs");
    let counts: Vec<_> =
        pairs.iter().map(|root| root["items"].as_array().expect("items").len()).collect();
    assert_eq!(counts, [5, 4, 0], "{value:#}");
    assert!(pairs[0]["items"][0]["uuid"].is_null(), "it depends on a marker: {value:#}");
    assert!(pairs[0]["items"][0]["metadata"]["global"]["core:hw"].is_string(), "{value:#}");
    assert!(!dir.path().join("state").exists(), "nothing is written");
}
