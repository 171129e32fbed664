//! Recordings by the values of indexed keys: queries, coverage and gaps, while a key is indexed, over a crash, and when
//! the setting changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use focus_crash::{Point, VARIABLE, Write};
use focus_testkit::focus::Focus;
use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::site::{BINARY, LIMIT, Site};

/// More than one step indexes, and more values than there are lanes.
const COUNT: usize = 1_200;

/// A site whose settings are in a file, and that file.
fn site(settings: &str) -> (Site, PathBuf) {
    let mut site = Site::new(&[]);
    let file = site.dir.path().join("focus.toml");
    fs::write(&file, settings).expect("settings");
    let config = file.display().to_string();
    let args = ["--settle-ms", "200", "--config", &config];
    site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &args);
    (site, file)
}

fn get(site: &Site, path: &str) -> Value {
    serde_json::from_str(&site.focus.get(path).expect("an answer")).expect("JSON")
}

fn json_of(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// How far the key is.
fn state(site: &Site, key: &str) -> Result<Value, String> {
    let keys = site.focus.status()?["indexed_metadata"].clone();
    let found = keys.as_array().and_then(|keys| keys.iter().find(|one| one["key"] == key)).cloned();
    Ok(found.unwrap_or(Value::Null))
}

async fn until_ready(site: &Site, key: &str) {
    until("the key is indexed", LIMIT, || async {
        let found = state(site, key)?;
        if found["state"] == "ready" {
            Ok(())
        } else {
            Err(format!("{found}\n{}", site.focus.log()))
        }
    })
    .await;
}

/// The uuids of a page.
fn uuids(page: &Value) -> BTreeSet<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().filter_map(|item| item["uuid"].as_str().map(str::to_owned)).collect()
}

/// What was planted at this station and is not deleted.
fn planted(site: &Site, station: &str) -> BTreeSet<String> {
    let at =
        |one: &&focus_testkit::tree::Planted| one.metadata["station"] == station && !one.deleted;
    site.planted.iter().filter(at).map(|one| one.uuid.clone()).collect()
}

/// A recording of 2024-05-01 that lasts from one minute of the day to another.
fn plant(root: &Path, name: &str, (from, to): (u32, u32), more: Value) {
    let at = |minute: u32| format!("2024-05-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
    let mut sidecar = json!({ "start_time": at(from), "end_time": at(to) });
    for (field, value) in more.as_object().expect("fields") {
        sidecar[field] = value.clone();
    }
    fs::write(root.join(format!("{name}.dat")), "data").expect("data");
    fs::write(root.join(format!("{name}.json")), sidecar.to_string()).expect("a sidecar");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_indexed_to_its_end_after_a_crash_and_queries_are_right_all_the_while() {
    let (mut site, file) = site("");
    site.land(COUNT);
    site.focus.serve().await;
    site.focus.until_status("recordings", COUNT as u64, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.status().expect("a status")["indexed_metadata"], json!([]));
    let wanted = planted(&site, "S007");
    let path = "/api/v1/recordings?meta.station=S007&limit=1000";
    assert_eq!(uuids(&get(&site, path)), wanted, "rows are read");
    assert_eq!(site.focus.stop(), Some(0));

    // It dies after its first step, of 1,000 entries: 333 rows.
    fs::write(&file, "indexed_metadata = ['station', 'count', '/gain']\n").expect("settings");
    let point = Point::Committed(Write::MetadataStep).name();
    site.focus.by = vec!["env".to_owned(), format!("{VARIABLE}={point}")];
    site.focus.spawn();
    until("it dies", LIMIT, || {
        let ended = site.focus.ended();
        let log = site.focus.log();
        async move { ended.map(drop).ok_or(log) }
    })
    .await;
    site.focus.by.clear();
    let status: Value =
        serde_json::from_slice(&site.focus.run(&["status", "--json"]).stdout).expect("JSON");
    let key = &status["indexed_metadata"][0];
    assert_eq!(
        (&key["key"], &key["state"], &key["done"], &key["of"]),
        (&json!("station"), &json!("indexing"), &json!(333), &json!(COUNT)),
        "{status:#}"
    );
    let query = ["query", "--json", "--meta", "station=S007"];
    assert_eq!(uuids(&json_of(&site.focus.run(&query))), wanted, "rows are read");
    let refused = site.focus.run(&["coverage", "--by", "station"]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("being indexed"), "{words}");

    site.focus.serve().await;
    until_ready(&site, "station").await;
    assert_eq!(uuids(&get(&site, path)), wanted);
    assert_eq!(uuids(&json_of(&site.focus.run(&query))), wanted);
    for (more, count) in
        [("&meta.count=7", 1), ("&meta.count=8", 0), ("&meta.%2Fgain=1.50", wanted.len())]
    {
        let found = get(&site, &format!("{path}{more}"));
        assert_eq!(uuids(&found).len(), count, "{more}: {found:#}");
    }
    let shown = String::from_utf8_lossy(&site.focus.run(&["status"]).stdout).into_owned();
    assert!(shown.contains("station ready"), "{shown}");
    // What lands from now on is in it.
    site.land(100);
    site.focus.until_status("recordings", COUNT as u64 + 100, LIMIT).await;
    assert_eq!(uuids(&get(&site, path)), planted(&site, "S007"));

    let covered = get(&site, "/api/v1/coverage?by=station&buckets=1");
    assert_eq!(covered["items"].as_array().map(Vec::len), Some(98), "two have only deleted ones");
    let answer = site.focus.ask("GET", "/api/v1/coverage?by=count", "", false).expect("an answer");
    let problem = answer.json();
    assert_eq!((answer.status, &problem["field"]), (400, &json!("by")), "{problem:#}");
    assert!(problem["detail"].as_str().is_some_and(|words| words.contains("over 1000 values")));
    assert_eq!(site.focus.stop(), Some(0));
    crate::ledger::index_is_sound(&site);
}

const DAY: &str = "from=2024-05-01T00:00:00Z&to=2024-05-02T00:00:00Z";

/// Name and covered minutes of each lane.
fn lanes(covered: &Value) -> Vec<(String, u64)> {
    let lanes = covered["items"].as_array().expect("lanes");
    lanes
        .iter()
        .map(|lane| {
            let buckets = lane["buckets"].as_array().expect("buckets");
            let all: u64 = buckets.iter().filter_map(|bucket| bucket["covered_ms"].as_u64()).sum();
            (lane["name"].as_str().expect("a name").to_owned(), all / 60_000)
        })
        .collect()
}

fn lane(name: &str, minutes: u64) -> (String, u64) {
    (name.to_owned(), minutes)
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_by_the_values_of_a_key_and_gaps_are_told_of_each() {
    let (mut site, _) = site("indexed_metadata = ['sensor', '/site/code']\n");
    let root = site.tree.root().to_owned();
    plant(&root, "a", (60, 90), json!({ "sensor": "north", "site": { "code": 7 } }));
    plant(&root, "b", (75, 150), json!({ "sensor": "north", "site": { "code": "7" } }));
    plant(&root, "c", (120, 180), json!({ "sensor": "south", "site": { "code": 7.0 } }));
    plant(&root, "d", (0, 1_439), json!({ "site": 7 }));
    site.focus.serve().await;
    site.focus.until_status("recordings", 4, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let covered = |by: &str| get(&site, &format!("/api/v1/coverage?{DAY}&buckets=48&by={by}"));
    assert_eq!(lanes(&covered("sensor")), [lane("north", 90), lane("south", 60)]);
    assert_eq!(lanes(&covered("%2Fsite%2Fcode")), [lane("7", 120)], "equal values are one lane");
    assert_eq!(covered("sensor")["items"][0]["root"], Value::Null);

    let gaps = get(&site, &format!("/api/v1/gaps?{DAY}&by=sensor&limit=3"));
    let told = |gaps: &Value| -> Vec<String> {
        let items = gaps["items"].as_array().expect("items");
        let text = |value: &Value| value.as_str().expect("a text").replace("2024-05-0", "");
        items
            .iter()
            .map(|gap| [&gap["lane"], &gap["start"], &gap["end"]].map(text).join(" "))
            .collect()
    };
    assert_eq!(
        told(&gaps),
        [
            "north 1T00:00:00.000Z 1T01:00:00.000Z",
            "north 1T02:30:00.000Z 2T00:00:00.000Z",
            "south 1T00:00:00.000Z 1T02:00:00.000Z"
        ]
    );
    let cursor = gaps["next_cursor"].as_str().expect("more");
    let rest = get(&site, &format!("/api/v1/gaps?{DAY}&by=sensor&limit=3&cursor={cursor}"));
    assert_eq!(told(&rest), ["south 1T03:00:00.000Z 2T00:00:00.000Z"]);
    let south =
        get(&site, &format!("/api/v1/gaps?{DAY}&by=sensor&lane=south&longer_than_ms=7200001"));
    assert_eq!(told(&south), ["south 1T03:00:00.000Z 2T00:00:00.000Z"]);

    let shown = site.focus.run(&["coverage", "--by", "sensor"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("\nnorth\n") && shown.contains("LANE"), "{shown}");
    for (path, field) in [
        ("/api/v1/coverage?by=colour", "by"),
        ("/api/v1/coverage?by=", "by"),
        ("/api/v1/coverage?by=%2Fa~2", "by"),
        ("/api/v1/gaps?by=colour", "by"),
        ("/api/v1/gaps?by=sensor&lane=west", "lane"),
        (&format!("/api/v1/gaps?{DAY}&by=%2Fsite%2Fcode&cursor={cursor}"), "cursor"),
    ] {
        let answer = site.focus.ask("GET", path, "", false).expect("an answer");
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (400, &json!(field)),
            "{path}: {answer:?}"
        );
    }

    // What goes has no lane any more, once it is marked.
    fs::remove_file(root.join("c.dat")).expect("removed");
    fs::remove_file(root.join("c.json")).expect("removed");
    site.focus.until_status("deleted", 1, LIMIT).await;
    assert_eq!(lanes(&covered("sensor")), [lane("north", 90)]);
    let by_server = covered("sensor");
    assert_eq!(site.focus.stop(), Some(0));
    let command = [
        "coverage",
        "--json",
        "--buckets",
        "48",
        "--by",
        "sensor",
        "--from",
        "2024-05-01T00:00:00Z",
        "--to",
        "2024-05-02T00:00:00Z",
    ];
    let json = json_of(&site.focus.run(&command));
    assert_eq!(json["coverage"]["items"], by_server["items"], "without the server too");
    let refused = site.focus.run(&["coverage", "--by", "colour"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    crate::ledger::index_is_sound(&site);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_list_of_keys_takes_effect_when_the_settings_are_read_again() {
    let (mut site, file) = site("indexed_metadata = ['station']\n");
    site.land(200);
    site.focus.serve().await;
    site.focus.until_status("recordings", 200, LIMIT).await;
    until_ready(&site, "station").await;
    fs::write(&file, "indexed_metadata = ['count']\n").expect("settings");
    site.focus.hang_up();
    until_ready(&site, "count").await;
    until("the other one is dropped", LIMIT, || async {
        let found = state(&site, "station")?;
        if found.is_null() { Ok(()) } else { Err(format!("{found}\n{}", site.focus.log())) }
    })
    .await;
    let answer =
        site.focus.ask("GET", "/api/v1/coverage?by=station", "", false).expect("an answer");
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(lanes(&get(&site, "/api/v1/coverage?by=count&limit=1000")).len(), 196);
    assert_eq!(site.focus.stop(), Some(0));
    crate::ledger::index_is_sound(&site);
}
