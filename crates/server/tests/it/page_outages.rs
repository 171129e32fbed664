//! The pages of outages and drills: they show what the API answers, and trust no report.

use std::fs;

use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::pages::{Page, api, ask, has_a_head, is_kept, items, page, refused};
use crate::site::{LIMIT, Site};

/// What the page shows of each of these fields is what the API answers.
fn is_as(shown: &Page, one: &Value, fields: &[&str]) {
    for field in fields {
        let wanted = one[*field].as_u64().map_or_else(String::new, |value| value.to_string());
        assert_eq!(shown.values(field), [wanted], "{field}: {one:#}\n{}", shown.content());
    }
}

const FIGURES: [&str; 5] = ["detected_after_ms", "landed", "outage_ms", "pending", "converge_ms"];

async fn caught_up(site: &Site) {
    until("the outage is caught up with", LIMIT, || async {
        let newest = items(site, "/api/v1/outages").first().cloned().unwrap_or_default();
        if newest["converge_ms"].is_u64() { Ok(()) } else { Err(format!("{newest:#}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_shown_while_it_goes_on_and_with_its_curve_and_its_drill_afterwards() {
    let mut site = Site::new(&[]);
    site.land(3);
    site.focus.serve().await;
    site.in_step().await;
    let (file, aside) = (site.state().join("catalog/catalog.db"), site.state().join("aside.db"));
    fs::rename(&file, &aside).expect("moved away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    site.land(4);
    site.focus.until_status("recordings", 7, LIMIT).await;
    let running = page(&site, "/outages/1");
    assert!(running.content().contains("data-renew=\"outage status\""), "{}", running.content());
    assert!(
        running.content().contains("goes on")
            && running.content().contains("The curve begins when")
    );
    is_as(
        &running,
        &items(&site, "/api/v1/outages")[0],
        &["detected_after_ms", "landed", "pending"],
    );
    assert!(page(&site, "/outages").content().contains("goes on"));
    fs::rename(&aside, &file).expect("moved back");
    caught_up(&site).await;

    let one = api(&site, "/api/v1/outages/1");
    let shown = page(&site, "/outages/1");
    is_kept(&shown, "/outages/1");
    is_as(&shown, &one, &FIGURES);
    assert!(
        shown.content().contains("<svg class=\"graph\"") && !shown.content().contains("data-renew")
    );
    let points = one["curve"].as_array().expect("a curve").len();
    assert_eq!(
        shown.content().matches("<tr><td class=\"amount\">").count(),
        points,
        "{}",
        shown.content()
    );
    let list = page(&site, "/outages");
    is_as(&list, &items(&site, "/api/v1/outages")[0], &FIGURES);
    assert_eq!(list.link("1").as_deref(), Some("/outages/1"));
    assert!(!shown.content().contains("Beside the drill"));

    // A drill's report of that time stands beside it.
    let report = json!({
        "format": 1, "id": "the-drill", "verdict": "passed",
        "started_at": "2020-01-01T00:00:00Z", "ended_at": "2199-01-01T00:00:00Z",
        "planted": 4, "catalogued": 4, "time_to_detect_ms": 123_456, "time_to_converge_ms": 77,
        "timeline": [{ "at_ms": 0, "reachable": true }, { "at_ms": 1_000, "landed": 4, "pending": 4 }],
    });
    post(&site, &report);
    let shown = page(&site, "/outages/1");
    for part in ["Beside the drill", "the-drill", "2 min 3 s", "Timeline of the drill"] {
        assert!(shown.content().contains(part), "{part}: {}", shown.content());
    }
    for path in ["/outages", "/outages/1"] {
        has_a_head(&site, path);
    }
    for unknown in ["/outages/2", "/outages/x", "/outages/%3Cscript%3E"] {
        let none = ask(&site, "GET", unknown);
        assert_eq!(none.status, 404, "{unknown}");
        assert!(none.content().contains("No such outage"), "{unknown}");
        is_kept(&none, unknown);
    }
    refused(
        &site,
        &[
            ("/outages?limit=0", "limit"),
            ("/outages?cursor=x", "cursor"),
            ("/outages?a=1", "a"),
            ("/outages/1?a=1", "a"),
            ("/drills?cursor=o1", "cursor"),
            ("/drills/the-drill?a=1", "a"),
        ],
    );
}

/// Outages as the state folder keeps them.
fn keep_outages(site: &Site, count: u64) {
    let folder = site.state().join("outages");
    fs::create_dir_all(&folder).expect("a folder");
    for id in 1..=count {
        let record = json!({
            "id": id, "began_ms": 1_700_000_000_000_u64 + id * 60_000, "ended_ms": 1_700_000_000_000_u64 + id * 60_000 + 500,
            "outage_ms": 500, "detected_after_ms": 100, "reason": "<script>\u{202e}", "known_before": 0,
            "landed": id, "pending": id, "converge_ms": 20, "curve": [[0, id], [20, 0]],
        });
        fs::write(folder.join(format!("{id}.json")), record.to_string()).expect("kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_outages_are_listed_page_by_page() {
    let mut site = Site::new(&[]);
    keep_outages(&site, 1_010);
    site.focus.serve().await;
    let (mut path, mut met) = ("/outages".to_owned(), Vec::new());
    loop {
        let shown = page(&site, &path);
        is_kept(&shown, &path);
        let id = |rest: &str| rest.split('"').next().and_then(|id| id.parse().ok()).unwrap_or(0);
        met.extend(shown.text.split("<tr data-id=\"").skip(1).map(id));
        let Some(next) = shown.link("Next page") else { break };
        path = next;
    }
    assert_eq!(met, (1..=1_010).rev().collect::<Vec<u64>>());
}

fn post(site: &Site, report: &Value) {
    let answer = site.focus.ask("POST", "/api/v1/drills", &report.to_string(), true);
    assert_eq!(answer.expect("an answer").status, 201, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_drills_are_listed_with_their_trend_and_no_text_of_them_is_trusted() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let bad = "<script>alert(1)</script><img src=x onerror=\"x\">\u{202e}\u{7}".repeat(2_000);
    for (n, verdict) in ["passed", "failed", "inconclusive"].iter().enumerate() {
        post(
            &site,
            &json!({
                "format": 1, "id": format!("drill-{n}"), "verdict": verdict, "title": bad, "reason": bad,
                "started_at": format!("2026-01-0{}T00:00:00Z", n + 1), "ended_at": format!("2026-01-0{}T00:01:00Z", n + 1),
                "planted": 3, "catalogued": n, "time_to_detect_ms": 100 * n, "time_to_converge_ms": u64::MAX,
                "server": bad, "database": bad, "root": bad,
                "outage": { "kind": "process", "what": bad, "blast_radius": [bad, bad] },
                "steps": [
                    { "name": "baseline", "ok": true, "elapsed_ms": 5, "detail": bad },
                    { "name": "converge", "ok": false, "elapsed_ms": u64::MAX, "detail": bad },
                ],
                "recordings": vec![json!({ "recording_id": bad[..60], "uuid": "u", "path": bad[..60], "fate": "lost", "detail": bad[..60] }); 300],
                "side_effects": [{ "what": "document", "detail": bad }],
                "timeline": [{ "at_ms": 0 }, { "at_ms": u64::MAX, "landed": u64::MAX, "pending": u64::MAX }],
            }),
        );
    }
    let list = page(&site, "/drills");
    is_kept(&list, "/drills");
    assert_eq!(list.content().matches("<svg class=\"graph\"").count(), 2);
    for one in items(&site, "/api/v1/drills") {
        let id = one["id"].as_str().expect("an id");
        assert!(list.content().contains(&format!("href=\"/drills/{id}\"")), "{id}");
        let shown = page(&site, &format!("/drills/{id}"));
        is_kept(&shown, id);
        is_as(
            &shown,
            &api(&site, &format!("/api/v1/drills/{id}")),
            &[
                "planted",
                "catalogued",
                "lost",
                "outage_ms",
                "time_to_detect_ms",
                "time_to_converge_ms",
            ],
        );
        assert_eq!(shown.content().matches("What to do: ").count(), 1, "one step failed");
        assert!(
            shown.content().contains("200 more in the JSON")
                && shown.content().contains("not taken")
        );
        assert!(shown.text.len() < 300_000, "{}", shown.text.len());
        has_a_head(&site, &format!("/drills/{id}"));
    }
    let detected: Vec<String> = ["200", "100", "0"].map(str::to_owned).to_vec();
    assert_eq!(list.values("time_to_detect_ms"), detected);
    let first = page(&site, "/drills?limit=2");
    let second = page(&site, &first.link("Next page").expect("a link"));
    assert!(second.content().contains("drill-0") && !second.content().contains("drill-1"));
    for unknown in ["/drills/none", "/drills/..%2Fplan", "/drills/%3Cscript%3E"] {
        let none = ask(&site, "GET", unknown);
        assert_eq!(none.status, 404, "{unknown}");
        is_kept(&none, unknown);
    }
}
