//! The history of outages: over HTTP, on the command line, and over restarts.

use std::fs;
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::proxy::{Mode, Proxy};
use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::site::{LIMIT, Site, embedded_only};

fn get(focus: &Focus, path: &str) -> Value {
    serde_json::from_str(&focus.get(path).expect("an answer")).expect("JSON")
}

fn listed(focus: &Focus) -> Vec<Value> {
    let page = get(focus, "/api/v1/outages");
    page["items"].as_array().cloned().unwrap_or_default()
}

/// Waits until the newest outage is caught up with, and returns it.
async fn caught_up(focus: &Focus) -> Value {
    until("the outage is caught up with", LIMIT, || async {
        let newest = listed(focus).first().cloned().unwrap_or_default();
        if newest["converge_ms"].is_u64() {
            Ok(())
        } else {
            Err(format!("{newest:#}\n{}", focus.log()))
        }
    })
    .await;
    listed(focus)[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_embedded_catalog_tells_how_soon_it_was_noticed() {
    let mut site = Site::new(&[]);
    site.land(3);
    site.focus.serve().await;
    site.in_step().await;
    let (file, aside) = (site.state().join("catalog/catalog.db"), site.state().join("aside.db"));
    let away = Instant::now();
    fs::rename(&file, &aside).expect("moved away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    let noticed = away.elapsed();
    let now = listed(&site.focus);
    let detected = now[0]["detected_after_ms"].as_u64().expect("it was in order before");
    // The last look found it at most a look before it went away.
    assert!(u128::from(detected) <= noticed.as_millis() + 2_000, "{detected} {noticed:?}");
    fs::rename(&aside, &file).expect("moved back");
    assert_eq!(caught_up(&site.focus).await["id"], 1);
}

#[test]
fn a_state_folder_that_is_not_there_has_no_outages_and_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut focus = std::process::Command::new(env!("CARGO_BIN_EXE_focus"));
    let asked = focus.arg("outages").arg("--state-dir").arg(dir.path().join("typo"));
    let asked = asked.output().expect("it runs");
    let words = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(asked.status.code() != Some(0) && words.contains("typo"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outage_is_told_with_what_landed_and_how_it_was_caught_up_with() {
    if embedded_only("outages are told") {
        return;
    }
    let server = MongoServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let args = server.args_through(&proxy.uri());
    let mut site = Site::new(&args.iter().map(String::as_str).collect::<Vec<_>>());
    site.land(5);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    site.in_step().await;
    assert_eq!(listed(&site.focus), Vec::<Value>::new());

    let away = Instant::now();
    proxy.set(Mode::Refuse);
    // Some land before the outage is noticed.
    site.land(3);
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    let noticed = away.elapsed();
    site.land(4);
    site.focus.until_status("pending", 7, LIMIT).await;
    let now = listed(&site.focus);
    assert_eq!(now.len(), 1);
    assert_eq!((&now[0]["ended_at"], &now[0]["converge_ms"]), (&Value::Null, &Value::Null));
    assert_eq!((&now[0]["landed"], &now[0]["pending"]), (&json!(7), &json!(7)), "{now:#?}");
    assert!(now[0]["outage_ms"].as_u64().is_some_and(|ms| ms > 0), "{now:#?}");
    let detected = now[0]["detected_after_ms"].as_u64().expect("an answer came before");
    // The last good answer is at most a probe older than the moment at which it went away.
    assert!(u128::from(detected) <= noticed.as_millis() + 2_000, "{detected} {noticed:?}");
    proxy.set(Mode::Pass);
    let first = caught_up(&site.focus).await;
    assert_eq!(
        (&first["landed"], &first["pending"], &first["id"]),
        (&json!(7), &json!(7), &json!(1))
    );
    let lasted = first["outage_ms"].as_u64().expect("a time");
    assert!(u128::from(lasted) < away.elapsed().as_millis() + 1, "{first}");
    let shown = get(&site.focus, "/api/v1/outages/1");
    let curve: Vec<(u64, u64)> = serde_json::from_value(shown["curve"].clone()).expect("pairs");
    assert_eq!(curve.first(), Some(&(0, 7)), "{curve:?}");
    assert_eq!(
        curve.last(),
        Some(&(first["converge_ms"].as_u64().expect("a time"), 0)),
        "{curve:?}"
    );

    // The next one comes first, and a restart changes nothing.
    site.in_step().await;
    proxy.set(Mode::Refuse);
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    proxy.set(Mode::Pass);
    let second = caught_up(&site.focus).await;
    assert_eq!(
        (&second["landed"], &second["pending"], &second["id"]),
        (&json!(0), &json!(0), &json!(2))
    );
    let before = listed(&site.focus);
    site.focus.kill();
    let offline = site.focus.run(&["outages", "--json"]);
    let offline: Value = serde_json::from_slice(&offline.stdout).expect("JSON");
    assert_eq!(offline["outages"], json!(before));
    site.focus.serve().await;
    assert_eq!(listed(&site.focus), before);
    let shown = site.focus.run(&["outages", "--limit", "1"]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.trim_start().starts_with("ID") && shown.lines().count() >= 2, "{shown}");
    let online = site.focus.run(&["outages", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&online.stdout).expect("JSON"), offline);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_and_its_recovery_go_on_after_a_crash_of_the_server() {
    let mut site = Site::new(&[]);
    site.land(2);
    site.focus.serve().await;
    site.focus.until_status("recordings", 2, LIMIT).await;
    site.in_step().await;
    let (catalog, away) = (site.state().join("catalog"), site.state().join("catalog.away"));
    fs::rename(&catalog, &away).expect("taken away");
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    site.land(3);
    site.focus.until_status("pending", 3, LIMIT).await;
    let file = site.state().join("outages/1.json");
    until("it is kept", LIMIT, || async {
        fs::metadata(&file).map(|_| ()).map_err(|e| e.to_string())
    })
    .await;
    let began = listed(&site.focus)[0]["began_at"].clone();
    site.focus.kill();
    site.land(1);
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    site.focus.until_status("pending", 4, LIMIT).await;
    let outages = listed(&site.focus);
    assert_eq!(outages.len(), 1, "{outages:#?}");
    assert_eq!((&outages[0]["began_at"], &outages[0]["landed"]), (&began, &json!(4)));
    fs::rename(&away, &catalog).expect("brought back");
    let ended = caught_up(&site.focus).await;
    assert_eq!(
        (&ended["began_at"], &ended["landed"], &ended["pending"]),
        (&began, &json!(4), &json!(4))
    );
    // One that had ended and was not caught up with when the server died.
    assert_eq!(site.focus.stop(), Some(0));
    let mut kept: Value = serde_json::from_slice(&fs::read(&file).expect("kept")).expect("JSON");
    kept["converge_ms"] = Value::Null;
    fs::write(&file, kept.to_string()).expect("written");
    site.focus.serve().await;
    let resumed = caught_up(&site.focus).await;
    assert_eq!((&resumed["id"], &resumed["ended_at"]), (&json!(1), &ended["ended_at"]));
    assert!(resumed["converge_ms"].as_u64() > ended["converge_ms"].as_u64(), "{resumed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_thousand_outages_are_listed_page_by_page_and_the_oldest_is_forgotten() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    let folder = site.state().join("outages");
    fs::create_dir_all(&folder).expect("a folder");
    for id in 1..=1_024u64 {
        let kept = json!({
            "id": id, "began_ms": 1_700_000_000_000u64 + id * 1_000,
            "ended_ms": 1_700_000_000_500u64 + id * 1_000, "outage_ms": 500, "detected_after_ms": 20,
            "reason": "a test", "known_before": 0, "landed": id, "pending": 0, "converge_ms": 5,
            "curve": [[0, 0]],
        });
        fs::write(folder.join(format!("{id}.json")), kept.to_string()).expect("written");
    }
    fs::write(folder.join("500.json"), "damaged").expect("written");
    let begun = Instant::now();
    site.focus.serve().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let walk = || {
        let (mut ids, mut path) = (Vec::new(), "/api/v1/outages?limit=300".to_owned());
        loop {
            let page = get(&site.focus, &path);
            ids.extend(
                page["items"].as_array().into_iter().flatten().filter_map(|one| one["id"].as_u64()),
            );
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/api/v1/outages?limit=300&cursor={cursor}"),
                None => return ids,
            }
        }
    };
    let all: Vec<u64> = (1..=1_024).rev().filter(|id| *id != 500).collect();
    assert_eq!(walk(), all);
    let catalog = site.state().join("catalog");
    for n in 1..=2 {
        fs::rename(&catalog, site.state().join("away")).expect("taken away");
        site.focus.until_status("catalog_state", "down", LIMIT).await;
        fs::rename(site.state().join("away"), &catalog).expect("brought back");
        assert_eq!(caught_up(&site.focus).await["id"], 1_024 + n);
    }
    assert_eq!(walk().len(), 1_024);
    until("the oldest is forgotten", LIMIT, || async {
        if folder.join("1.json").exists() { Err("there".to_owned()) } else { Ok(()) }
    })
    .await;
    for (path, status) in [
        ("/api/v1/outages/1", 404),
        ("/api/v1/outages/500", 404),
        ("/api/v1/outages/x", 404),
        ("/api/v1/outages/1024", 200),
        ("/api/v1/outages?limit=0", 400),
        ("/api/v1/outages?cursor=MTIz", 400),
        ("/api/v1/outages?state=x", 400),
    ] {
        assert_eq!(
            site.focus.ask("GET", path, "", false).expect("an answer").status,
            status,
            "{path}"
        );
    }
}
