//! Which time is covered and which is not: over HTTP and on the command line, while the catalog is away, and after
//! everything that happens to files.

use std::fs;
use std::path::Path;

use focus_testkit::focus::Focus;
use serde_json::{Value, json};

use crate::site::{LIMIT, Site};

/// Writes a recording of 2024-05-01 that lasts from one minute of the day to another; none: it is live.
fn plant(root: &Path, name: &str, from: u32, to: Option<u32>) {
    let at = |minute: u32| format!("2024-05-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
    let sidecar = json!({ "start_time": at(from), "end_time": to.map(at) });
    fs::write(root.join(format!("{name}.dat")), "data").expect("data");
    fs::write(root.join(format!("{name}.json")), sidecar.to_string()).expect("a sidecar");
}

fn get(focus: &Focus, path: &str) -> Value {
    serde_json::from_str(&focus.get(path).expect("an answer")).expect("JSON")
}

const DAY: &str = "from=2024-05-01T00:00:00Z&to=2024-05-02T00:00:00Z";

fn of_hours(answer: &Value, field: &str) -> Vec<u64> {
    let buckets = answer["items"][0]["buckets"].as_array().expect("buckets");
    buckets.iter().map(|bucket| bucket[field].as_u64().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_overlaps_is_covered_once_and_what_is_deleted_is_not() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    plant(&root, "a", 60, Some(90));
    plant(&root, "b", 75, Some(150));
    plant(&root, "c", 600, Some(600));
    plant(&root, "d", 700, Some(760));
    for name in 0..20 {
        plant(&root, &format!("more{name}"), 1_000, Some(1_001));
    }
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    site.focus.until_status("recordings", 24, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let covered = get(&site.focus, &format!("/api/v1/coverage?{DAY}&buckets=24"));
    let minutes: Vec<u64> = of_hours(&covered, "covered_ms").iter().map(|ms| ms / 60_000).collect();
    let mut wanted = vec![0; 24];
    (wanted[1], wanted[2], wanted[11], wanted[12], wanted[16]) = (60, 30, 20, 40, 1);
    assert_eq!(minutes, wanted, "{covered:#}");
    assert_eq!(of_hours(&covered, "recordings")[..3], [0, 2, 1]);
    assert_eq!(of_hours(&covered, "recordings")[10], 1, "it covers nothing, and is there");
    let percent = covered["items"][0]["available_percent"].as_f64().expect("a number");
    assert!((percent - 151.0 * 100.0 / 1_440.0).abs() < 1e-9, "{percent}");
    for field in ["complete_through", "pending", "source"] {
        assert!(!covered[field].is_null(), "{field}: {covered:#}");
    }

    let gaps = get(&site.focus, &format!("/api/v1/gaps?{DAY}&limit=2"));
    assert_eq!(gaps["items"][0]["start"], "2024-05-01T00:00:00.000Z", "{gaps:#}");
    assert_eq!(gaps["items"][0]["end"], "2024-05-01T01:00:00.000Z");
    assert_eq!(gaps["items"][1]["start"], "2024-05-01T02:30:00.000Z");
    let cursor = gaps["next_cursor"].as_str().expect("more");
    let rest = get(&site.focus, &format!("/api/v1/gaps?{DAY}&limit=2&cursor={cursor}"));
    assert_eq!(rest["items"][0]["start"], "2024-05-01T12:40:00.000Z", "{rest:#}");
    assert_eq!(rest["items"][1]["end"], "2024-05-02T00:00:00.000Z");
    assert_eq!(rest["next_cursor"], Value::Null);

    // What goes is covered no more once it is marked, and what changes is as it is now.
    fs::remove_file(root.join("d.dat")).expect("removed");
    fs::remove_file(root.join("d.json")).expect("removed");
    plant(&root, "a", 0, Some(30));
    site.focus.until_status("deleted", 1, LIMIT).await;
    focus_testkit::wait::until("it is as it is now", LIMIT, || async {
        let covered = get(&site.focus, &format!("/api/v1/coverage?{DAY}&buckets=24"));
        let minutes: Vec<u64> =
            of_hours(&covered, "covered_ms").iter().map(|ms| ms / 60_000).collect();
        let mut wanted = vec![0; 24];
        (wanted[0], wanted[1], wanted[2], wanted[16]) = (30, 45, 30, 1);
        if minutes == wanted { Ok(()) } else { Err(format!("{minutes:?}")) }
    })
    .await;

    // Without the server, the index says the same.
    let path = format!("/api/v1/coverage?{DAY}&buckets=24");
    let by_server = get(&site.focus, &path);
    let command = ["coverage", "--from", "2024-05-01T00:00:00Z", "--to", "2024-05-02T00:00:00Z"];
    let shown = site.focus.run(&command);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains('▒') && shown.contains("GAP FROM"), "{shown}");
    assert_eq!(site.focus.stop(), Some(0));
    let json = site.focus.run(&[&command[..], &["--buckets", "24", "--json"]].concat());
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["coverage"]["items"], by_server["items"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_is_told_while_the_catalog_is_away_and_a_live_recording_lasts_until_now() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let catalog = site.state().join("catalog");
    fs::rename(&catalog, site.state().join("away")).expect("taken away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    plant(&root, "live", 0, None);
    site.focus.until_status("pending", 1, LIMIT).await;
    let covered = get(&site.focus, "/api/v1/coverage?buckets=1");
    let bucket = &covered["items"][0]["buckets"][0];
    assert_eq!((&bucket["recordings"], &bucket["pending"]), (&json!(1), &json!(1)), "{covered:#}");
    assert_eq!(covered["items"][0]["available_percent"], 100.0, "{covered:#}");
    assert_eq!(covered["to"], covered["complete_through"]);
    let gaps = get(&site.focus, "/api/v1/gaps?from=2024-04-30T00:00:00Z");
    assert_eq!(gaps["items"].as_array().map(Vec::len), Some(1), "{gaps:#}");
    assert_eq!(gaps["items"][0]["end"], "2024-05-01T00:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_about_coverage_names_the_field_and_what_to_do() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    for (path, field) in [
        ("/api/v1/coverage?buckets=0", "buckets"),
        ("/api/v1/coverage?buckets=2001", "buckets"),
        ("/api/v1/coverage?by=sensor", "by"),
        ("/api/v1/coverage?from=2024-05-02T00:00:00Z&to=2024-05-01T00:00:00Z", "to"),
        ("/api/v1/coverage?limit=1001", "limit"),
        ("/api/v1/coverage?from=yesterday", "from"),
        ("/api/v1/coverage?colour=red", "colour"),
        ("/api/v1/gaps?lane=/nowhere", "lane"),
        ("/api/v1/gaps?cursor=x", "cursor"),
        ("/api/v1/gaps?longer_than_ms=-1", "longer_than_ms"),
    ] {
        let answer = site.focus.ask("GET", path, "", false).expect("an answer");
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        let problem = answer.json();
        assert_eq!(problem["field"], field, "{path}: {problem:#}");
        assert!(problem["type"].is_string() && problem["detail"].is_string(), "{problem:#}");
    }
}
