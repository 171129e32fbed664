//! Jobs: started over HTTP, followed, cancelled, and kept over restarts.

use std::fs;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::site::{LIMIT, Site, embedded_only};

const JOBS: &str = "/api/v1/jobs";

fn get(site: &Site, path: &str) -> Value {
    serde_json::from_str(&site.focus.get(path).expect("an answer")).expect("JSON")
}

fn start(site: &Site, body: &Value) -> (u16, Value) {
    let answer = site.focus.ask("POST", JOBS, &body.to_string(), true).expect("an answer");
    (answer.status, answer.json())
}

async fn until_state(site: &Site, id: &Value, state: &str) -> Value {
    let path = format!("{JOBS}/{id}");
    until(&format!("the job {id} is {state}"), LIMIT, || async {
        let job = get(site, &path);
        if job["state"] == state { Ok(()) } else { Err(format!("{job:#}\n{}", site.focus.log())) }
    })
    .await;
    get(site, &path)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_job_comes_to_a_result_for_all_roots_and_for_one() {
    let mut site = Site::new(&[]);
    site.land(5);
    site.focus.serve().await;
    site.focus.until_status("recordings", 5, LIMIT).await;
    site.in_step().await;
    let root = site.tree.root().display().to_string();
    for about in [None, Some(site.marker.clone()), Some(root)] {
        for kind in ["scan", "verify", "repair", "compare"] {
            let mut body = json!({ "kind": kind });
            if let Some(about) = &about {
                body["root"] = json!(about);
            }
            let job = site.focus.job(JOBS, &body.to_string()).await.expect("a job");
            let wanted = about.as_ref().map(|_| site.marker.as_str());
            assert_eq!((&job["kind"], &job["root"]), (&json!(kind), &json!(wanted)), "{job:#}");
            assert_eq!((&job["state"], &job["reason"]), (&json!("done"), &Value::Null), "{job:#}");
            assert_eq!((&job["done"], &job["of"]), (&json!(5), &json!(5)), "{job:#}");
            let result = &job["result"];
            match kind {
                "scan" => {
                    assert_eq!((&result["recordings"], &result["pending"]), (&json!(5), &json!(0)))
                }
                "compare" => assert_eq!(
                    (&result["roots"][0]["recordings"], &result["roots"][0]["missing"]),
                    (&json!(5), &json!(0)),
                    "{job:#}"
                ),
                _ => assert_eq!(
                    (&result["in_order"], &result["compared"]),
                    (&json!(true), &json!(5))
                ),
            }
        }
    }
    let listed = get(&site, "/api/v1/jobs?limit=5");
    let ids: Vec<u64> = listed["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|job| job["id"].as_u64())
        .collect();
    assert_eq!(ids, [12, 11, 10, 9, 8]);
    let next = listed["next_cursor"].as_str().expect("more");
    let rest = get(&site, &format!("/api/v1/jobs?cursor={next}"));
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(7));
    let shown = site.focus.run(&["jobs", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["jobs"].as_array().map(Vec::len), Some(12));
    let shown = site.focus.run(&["jobs", "show", "12"]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.contains("compare") && shown.contains("done"), "{shown}");
    assert_eq!(site.focus.stop(), Some(0));
    site.focus.serve().await;
    assert_eq!(get(&site, "/api/v1/jobs?limit=5")["items"], listed["items"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_finds_what_was_removed_from_the_catalog() {
    if embedded_only("a comparison as a job") {
        return;
    }
    let server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    site.land(4);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    site.in_step().await;
    let documents = server
        .client()
        .await
        .database(server.database())
        .collection::<mongodb::bson::Document>("node4");
    let gone = &site.planted[0].uuid;
    documents.delete_one(mongodb::bson::doc! { "uuid": gone }).await.expect("removed");
    let job = site.focus.job(JOBS, r#"{"kind": "compare"}"#).await.expect("a job");
    assert_eq!(job["state"], "done", "{job:#}");
    site.converged(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_has_just_ended_has_its_findings() {
    let mut site = Site::new(&[]);
    site.land(5);
    site.focus.serve().await;
    site.focus.until_status("recordings", 5, LIMIT).await;
    site.in_step().await;
    let catalog = rusqlite::Connection::open(site.state().join("catalog/catalog.db"));
    catalog.expect("the catalog").execute("UPDATE recordings SET size = 77", []).expect("altered");
    // Its result is on the way to the state folder when it ends: asked often enough, somebody comes between.
    for _ in 0..20 {
        let (status, job) = start(&site, &json!({ "kind": "verify" }));
        assert_eq!(status, 202, "{job:#}");
        let path = format!("{JOBS}/{}", job["id"]);
        let ended = loop {
            let job = get(&site, &path);
            if job["state"] != "running" && job["state"] != "queued" {
                break job;
            }
        };
        let result = &ended["result"];
        assert_eq!(result["findings"].as_array().map(Vec::len), Some(5), "{ended:#}");
        assert_ne!(result["truncated"], true, "{ended:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_under_way_is_joined_cancelled_and_after_a_crash_it_has_failed() {
    let mut site = Site::new(&[]);
    site.land(3);
    site.focus.serve().await;
    site.focus.until_status("recordings", 3, LIMIT).await;
    site.in_step().await;
    // What is unsettled is waited for, for ten seconds: the scan goes on.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let live = site.tree.root().join("live.dat");
    let writer = std::thread::spawn(move || {
        for n in 0.. {
            fs::write(&live, "x".repeat(n + 1)).expect("written");
            if stopped.recv_timeout(Duration::from_millis(20)) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
    });
    site.focus.until_status("unsettled", 1, LIMIT).await;
    let (status, first) = start(&site, &json!({ "kind": "scan" }));
    assert_eq!((status, &first["joined"]), (202, &json!(false)), "{first:#}");
    let (status, second) = start(&site, &json!({ "kind": "scan" }));
    assert_eq!((status, &second["joined"], &second["id"]), (202, &json!(true), &first["id"]));
    let (_, other) = start(&site, &json!({ "kind": "scan", "root": site.marker }));
    assert_eq!((&other["state"], &other["joined"]), (&json!("queued"), &json!(false)), "{other:#}");

    let cancel = |id: &Value| {
        let path = format!("{JOBS}/{id}");
        site.focus.ask("DELETE", &path, "", true).expect("an answer").status
    };
    assert_eq!(cancel(&first["id"]), 202);
    until_state(&site, &first["id"], "cancelled").await;
    assert_eq!(cancel(&first["id"]), 409);
    assert_eq!(cancel(&json!(999)), 404);
    until_state(&site, &other["id"], "running").await;
    let (_, waiting) = start(&site, &json!({ "kind": "scan" }));
    assert_eq!(waiting["state"], "queued");
    site.focus.kill();
    drop(stop);
    writer.join().expect("it ended");
    site.focus.serve().await;
    let failed = get(&site, &format!("{JOBS}/{}", other["id"]));
    assert_eq!(failed["state"], "failed", "{failed:#}");
    assert!(
        failed["reason"].as_str().is_some_and(|why| why.contains("server ended")),
        "{failed:#}"
    );
    // What waited is done.
    until_state(&site, &waiting["id"], "done").await;
    assert_eq!(get(&site, &format!("{JOBS}/{}", first["id"]))["state"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_done_says_why_and_what_is_no_job_is_refused() {
    let mut site = Site::new(&[]);
    site.land(1);
    site.focus.serve().await;
    site.focus.until_status("recordings", 1, LIMIT).await;
    site.in_step().await;
    let catalog = site.state().join("catalog");
    fs::rename(&catalog, site.state().join("away")).expect("taken away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    for kind in ["verify", "compare"] {
        let job = site.focus.job(JOBS, &json!({ "kind": kind }).to_string()).await.expect("a job");
        assert_eq!((&job["state"], &job["refused"]), (&json!("failed"), &json!(false)), "{job:#}");
        assert!(job["reason"].as_str().is_some_and(|why| why.contains("catalog")), "{job:#}");
    }
    let verified = site.focus.run(&["verify"]);
    assert_eq!(verified.status.code(), Some(3), "{verified:?}");
    for (body, status) in [
        (json!({ "kind": "dance" }), 400),
        (json!({ "kind": "approve" }), 400),
        (json!({ "kind": "scan", "quick": 1 }), 400),
        (json!({ "kind": "scan", "roots": [] }), 400),
        (json!({}), 400),
        (json!({ "kind": "scan", "root": "/nowhere" }), 404),
    ] {
        assert_eq!(start(&site, &body).0, status, "{body}");
    }
    // A whole number is one also where it is written with a point.
    let body = format!(r#"{{"root": "{}", "through": 0.0}}"#, site.marker);
    let job = site.focus.job("/api/v1/held/approve", &body).await.expect("a job");
    assert_eq!(job["result"]["approved"], 0, "{job:#}");
    let (_, problem) = start(&site, &json!({ "kind": "dance" }));
    assert_eq!(problem["field"], "kind", "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|words| words.contains("compare")), "{problem}");
    let asked = |method: &str, path: &str, body: &str, token| {
        site.focus.ask(method, path, body, token).expect("an answer").status
    };
    assert_eq!(asked("POST", JOBS, r#"{"kind": "scan"}"#, false), 401);
    assert_eq!(asked("DELETE", "/api/v1/jobs/1", "", false), 401);
    assert_eq!(asked("GET", "/api/v1/jobs/999", "", false), 404);
    assert_eq!(asked("GET", "/api/v1/jobs/x", "", false), 404);
    assert_eq!(asked("GET", "/api/v1/jobs/1", "", false), 200);
    assert_eq!(
        asked("POST", "/api/v1/held/approve", r#"{"root": "r"}"#, true),
        400,
        "through is required"
    );
}
