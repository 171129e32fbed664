//! Reports of drills over HTTP: posted, listed, and kept over restarts.

use serde_json::{Value, json};

use crate::site::Site;

/// A report as a drill posts it.
fn report(id: &str, verdict: &str, minute: u32) -> Value {
    json!({
        "format": 1,
        "id": id,
        "verdict": verdict,
        "started_at": format!("2026-01-01T00:{minute:02}:00.000Z"),
        "ended_at": format!("2026-01-01T00:{minute:02}:30.000Z"),
        "planted": 3,
        "catalogued": 3,
    })
}

fn post(site: &Site, report: &Value) -> (u16, Value) {
    let answer = site.focus.ask("POST", "/api/v1/drills", &report.to_string(), true);
    let answer = answer.expect("an answer");
    (answer.status, answer.json())
}

fn get(site: &Site, path: &str) -> Value {
    serde_json::from_str(&site.focus.get(path).expect("an answer")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_were_posted_are_listed_and_shown_also_after_a_restart() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    assert_eq!(get(&site, "/api/v1/drills")["items"], json!([]));
    for (minute, verdict) in [(1, "passed"), (3, "failed"), (2, "inconclusive")] {
        let id = format!("20260101-{minute}");
        let answer = site.focus.ask(
            "POST",
            "/api/v1/drills",
            &report(&id, verdict, minute).to_string(),
            true,
        );
        let answer = answer.expect("an answer");
        assert_eq!(
            (answer.status, answer.header("location")),
            (201, Some(format!("/api/v1/drills/{id}").as_str()))
        );
    }
    let metrics = site.focus.get("/metrics").expect("metrics");
    assert!(metrics.contains("\nfocus_drill_passed_timestamp_seconds "), "{metrics}");
    for restarted in [false, true] {
        if restarted {
            site.focus.kill();
            site.focus.serve().await;
        }
        let listed = get(&site, "/api/v1/drills?limit=2");
        let ids: Vec<&str> = listed["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["id"].as_str())
            .collect();
        assert_eq!(ids, ["20260101-3", "20260101-2"], "{listed:#}");
        let cursor = listed["next_cursor"].as_str().expect("more");
        let rest = get(&site, &format!("/api/v1/drills?limit=2&cursor={cursor}"));
        assert_eq!(rest["items"][0]["verdict"], "passed", "{rest:#}");
        assert_eq!(rest["next_cursor"], Value::Null);
        let shown = get(&site, "/api/v1/drills/20260101-3");
        assert_eq!((&shown["verdict"], &shown["planted"]), (&json!("failed"), &json!(3)));
        let last = std::fs::read(site.state().join("drill/last_posted.json")).expect("remembered");
        let last: Value = serde_json::from_slice(&last).expect("JSON");
        assert_eq!(last["id"], "20260101-3", "the one that ended last, whatever came last");
    }
    let shown = site.focus.ask("GET", "/api/v1/drills/20260101-3", "", false).expect("an answer");
    assert!(shown.header("etag").is_some_and(|tag| tag.starts_with("w/")), "{}", shown.head);
    // Sent again, as after an answer that was lost.
    assert_eq!(post(&site, &report("20260101-3", "failed", 3)).0, 200);
    let (status, problem) = post(&site, &report("20260101-3", "passed", 3));
    assert_eq!(status, 409, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_needs_the_token_a_size_and_a_form() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let good = report("one", "passed", 1).to_string();
    let ask = |body: &str, token| {
        let answer = site.focus.ask("POST", "/api/v1/drills", body, token).expect("an answer");
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/")));
        (answer.status, answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ask(&good, false).0, 401);
    let mut large = report("one", "passed", 1);
    large["title"] = json!("x".repeat(16 << 20));
    assert_eq!(ask(&large.to_string(), true).0, 413);
    for (body, words) in [
        ("{}".to_owned(), "format is missing"),
        ("no JSON".to_owned(), "no report of a drill"),
        (report("../x", "passed", 1).to_string(), "id has"),
        (report("one", "refused", 1).to_string(), "did nothing"),
        (report("one", "splendid", 1).to_string(), "splendid"),
    ] {
        let (status, detail) = ask(&body, true);
        assert_eq!(status, 400, "{body}: {detail}");
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let blamed =
        site.focus.ask("POST", "/api/v1/drills", &report("../x", "passed", 1).to_string(), true);
    assert_eq!(blamed.expect("an answer").json()["field"], "id");
    // Far larger than other bodies may be, and smaller than a report may be.
    let mut large = report("large", "passed", 1);
    large["title"] = json!("x".repeat(1 << 20));
    assert_eq!(ask(&large.to_string(), true).0, 201);
    let shown = get(&site, "/api/v1/drills/large");
    assert_eq!(shown["title"].as_str().map(str::len), Some(1 << 20));
    for path in ["/api/v1/drills/none", "/api/v1/drills/..%2Fplan"] {
        assert_eq!(
            site.focus.ask("GET", path, "", false).expect("an answer").status,
            404,
            "{path}"
        );
    }
    for query in ["limit=0", "limit=x", "cursor=x", "other=1"] {
        let path = format!("/api/v1/drills?{query}");
        assert_eq!(
            site.focus.ask("GET", &path, "", false).expect("an answer").status,
            400,
            "{path}"
        );
    }
}
