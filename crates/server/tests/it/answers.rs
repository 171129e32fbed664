//! The HTTP API as its callers see it, with the catalog there and away.

use focus_testkit::focus::Answer;
use serde_json::{Value, json};

use crate::site::{LIMIT, Site};

const START_MS: i64 = 1_700_000_000_000;

fn plant(site: &Site, name: &str, sidecar: &Value) {
    let root = site.tree.root();
    std::fs::write(root.join(format!("{name}.dat")), b"data").expect("written");
    std::fs::write(root.join(format!("{name}.json")), sidecar.to_string()).expect("written");
}

/// One recording of each kind: past, live, deleted, and one that cannot be read.
async fn served() -> Site {
    let mut site = Site::new(&[]);
    let end = START_MS + 1_500;
    plant(&site, "past", &json!({ "start_time": START_MS, "end_time": end }));
    plant(&site, "live", &json!({ "start_time": START_MS + 10_000 }));
    plant(&site, "gone", &json!({ "start_time": START_MS, "end_time": end, "deleted": true }));
    plant(&site, "bad", &json!({ "start_time": "yesterday" }));
    site.focus.serve().await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let scanned = || async {
        let status = site.focus.status()?;
        if status["complete_through"].is_string() { Ok(()) } else { Err(format!("{status:#}")) }
    };
    focus_testkit::wait::until("a scan has finished", LIMIT, scanned).await;
    site
}

fn in_range(site: &Site, start: &Value, end: &Value) -> Answer {
    let body = json!({ "start_time": start, "end_time": end }).to_string();
    site.focus.ask("POST", "/recordings_in_time_range", &body, false).expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_answered_in_its_own_unit_with_its_completeness() {
    let site = served().await;
    let (from, to) = (START_MS, START_MS + 20_000);
    for (scale, start, end, live) in [
        (
            "s",
            json!(from / 1_000),
            json!(to / 1_000),
            "[[1700000000,1700000001.5],[1700000010,null]]",
        ),
        ("ms", json!(from), json!(to), "[[1700000000000,1700000001500],[1700000010000,null]]"),
        (
            "us",
            json!(from * 1_000),
            json!(to * 1_000),
            "[[1700000000000000,1700000001500000],[1700000010000000,null]]",
        ),
        (
            "ns",
            json!(from * 1_000_000),
            json!(to * 1_000_000),
            "[[1700000000000000000,1700000001500000000],[1700000010000000000,null]]",
        ),
    ] {
        let answer = in_range(&site, &start, &end);
        assert_eq!((answer.status, &*answer.body), (200, live), "{scale}");
        assert_eq!(answer.header("focus-pending"), Some("0"));
        assert_eq!(answer.header("focus-source"), Some("index"));
        let through = answer.header("focus-complete-through").unwrap_or_default();
        assert!(through.ends_with('z') && through.starts_with("20"), "{through}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_of_a_window_are_included() {
    let site = served().await;
    let count = |from: i64, to: i64| {
        let answer = in_range(&site, &json!(START_MS + from), &json!(START_MS + to));
        answer.json().as_array().map(Vec::len).unwrap_or_else(|| panic!("{answer:?}"))
    };
    assert_eq!(count(-10, 0), 1, "its start");
    assert_eq!(count(1_500, 1_500), 1, "its end");
    assert_eq!(count(1_501, 9_999), 0, "between");
    assert_eq!(count(1_000_000, 2_000_000), 1, "the live one has no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_answered_while_the_catalog_is_away() {
    let mut site = served().await;
    let catalog = site.state().join("catalog");
    let away = site.state().join("away");
    std::fs::rename(&catalog, &away).expect("taken away");
    std::fs::write(&catalog, b"no folder").expect("unreachable");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    site.land(5);
    site.focus.until_status("pending", 5, LIMIT).await;
    let answer = in_range(&site, &json!(0), &json!(START_MS * 2));
    assert_eq!(answer.header("focus-pending"), Some("5"));
    let deleted = site.planted.iter().filter(|one| one.deleted).count();
    assert_eq!(answer.json().as_array().map(Vec::len), Some(2 + 5 - deleted), "{answer:?}");
    for path in ["/livez", "/ack"] {
        let answer = site.focus.ask("GET", path, "", false).expect("an answer");
        assert_eq!((answer.status, &*answer.body), (200, "{}"), "{path}");
    }
    let ready = site.focus.ask("GET", "/readyz", "", false).expect("an answer");
    assert_eq!((ready.status, &ready.json()["catalog_state"]), (200, &json!("down")));
    std::fs::remove_file(&catalog).expect("removed");
    std::fs::rename(&away, &catalog).expect("brought back");
    site.focus.until_status("pending", 0, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_to_every_recording_once() {
    let mut site = served().await;
    site.land(25);
    site.focus.until_status("recordings", 28, LIMIT).await;
    let mut seen = std::collections::BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let answer =
            site.focus.get(&format!("/api/v1/recordings?limit=10{cursor}")).expect("a page");
        let page: Value = serde_json::from_str(&answer).expect("JSON");
        for row in page["items"].as_array().expect("rows") {
            assert!(seen.insert(row["uuid"].as_str().expect("a uuid").to_owned()), "twice: {row}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let deleted = site.planted.iter().filter(|one| one.deleted).count();
    assert_eq!(seen.len(), 27 - deleted, "all but what is deleted");
    let bad: Value = serde_json::from_str(&site.focus.get("/api/v1/unrecognised").expect("a page"))
        .expect("JSON");
    assert_eq!(bad["items"][0]["state"], "time_invalid", "{bad}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_a_problem_document() {
    let site = served().await;
    let cases = [
        ("POST", "/recordings_in_time_range", "not json", 400),
        ("POST", "/recordings_in_time_range", "{}", 400),
        ("GET", "/recordings_in_time_range", "", 405),
        ("GET", "/api/v1/nothing", "", 404),
        ("GET", "/api/v1/recordings?limit=0", "", 400),
        ("GET", "/api/v1/recordings?colour=red", "", 400),
        ("POST", "/api/v1/scan", "", 401),
    ];
    for (method, path, body, status) in cases {
        let answer = site.focus.ask(method, path, body, false).expect("an answer");
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.len() > 8), "{problem}");
    }
    let large = "x".repeat(100_000);
    let answer = site.focus.ask("POST", "/recordings_in_time_range", &large, false).expect("one");
    assert_eq!(answer.status, 413, "{answer:?}");
    let scan = site.focus.ask("POST", "/api/v1/scan", "", true).expect("an answer");
    assert_eq!(scan.status, 200, "{scan:?}");
}
