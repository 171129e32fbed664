//! The reference scenario, by each outage that needs nothing but this machine.

use std::collections::BTreeSet;
use std::process::Command;

use mongodb::bson::doc;
use serde_json::Value;

use crate::drill_process::{BINARY, Said, finished};
use crate::outcome::{self, ended};
use crate::scene::{LIMIT, Scene, Way, left_out};

const STEPS: [&str; 10] = [
    "baseline",
    "outage",
    "unreachable",
    "plant",
    "restore",
    "reachable",
    "converge",
    "verdict",
    "side_effects",
    "clean_up",
];

/// A report of a drill that came out as it has to.
fn passed(said: &Said, count: u64) {
    outcome::passed(said);
    let report = &said.1;
    assert_eq!(report["planted"], count);
    assert_eq!(report["catalogued"], count);
    for none in ["lost", "duplicated", "stale"] {
        assert_eq!(report[none], 0, "{none}");
    }
    let steps = report["steps"].as_array().expect("steps");
    let names: Vec<&str> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
    assert_eq!(names, STEPS);
    assert!(steps.iter().all(|step| step["ok"] == true && step["elapsed_ms"].is_u64()));
    assert!(report["time_to_detect_ms"].as_u64().expect("detected") < 10_000);
    assert!(report["time_to_converge_ms"].as_u64().expect("converged") < 60_000);
    assert_eq!(report["outage"]["unreachable_for_drill"], true);
    assert_eq!(report["outage"]["unreachable_for_server"], true);
    assert_eq!(report["side_effects"], serde_json::json!([]));
    let queries = &report["queries"];
    assert!(queries["asked"].as_u64().expect("asked") > 0, "{queries}");
    assert_eq!(queries["asked"], queries["answered"]);
    let recordings = report["recordings"].as_array().expect("recordings");
    let uuids: BTreeSet<&str> =
        recordings.iter().filter_map(|recording| recording["uuid"].as_str()).collect();
    assert_eq!(uuids.len() as u64, count);
    for recording in recordings {
        assert_eq!(recording["fate"], "catalogued");
        assert!(recording["landed_ms"].as_u64() < recording["catalogued_ms"].as_u64());
    }
    let timeline = report["timeline"].as_array().expect("a timeline");
    assert!(timeline.iter().any(|second| second["reachable"] == false));
}

async fn scenario(name: &str, way: Way, count: u64) {
    if left_out(name) {
        return;
    }
    let scene = Scene::begin(way, 20).await;
    let said = scene.run(&["--count", &count.to_string()]).await;
    passed(&said, count);
    scene.nothing_is_left().await;
    let kept =
        scene.state().join(format!("drill/reports/{}.json", said.1["id"].as_str().expect("an id")));
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).expect("kept")).expect("JSON");
    assert_eq!(kept, said.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_plants_the_pairs_of_its_root_whatever_they_are() {
    if left_out("pairs") {
        return;
    }
    for keys in [
        "preset = \"sigmf\"",
        "preset = \"trunk-recorder\"",
        "data_extensions = [\"mp4\"]\nsidecar_extension = \"meta\"\nuuid = \"/ids/0\"\nstart_time = \"/clip/begin\"\nend_time = { duration_s = \"/clip/length\" }",
    ] {
        let scene = Scene::of_pairs(Way::Kill, keys).await;
        passed(&scene.run(&["--count", "5"]).await, 5);
        scene.nothing_is_left().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_does_not_know_what_its_root_holds_breaks_nothing() {
    if left_out("other pairs") {
        return;
    }
    let scene = Scene::of_pairs(Way::Kill, "preset = \"sigmf\"").await;
    let none = scene.dir.path().join("none.toml");
    std::fs::write(&none, "").expect("settings");
    let (code, report) = scene.run(&["--config", &none.display().to_string()]).await;
    assert_eq!((code, &report["verdict"]), (Some(2), &"refused".into()), "{report:#}");
    let reason = report["reason"].as_str().expect("a reason");
    assert!(reason.contains("NAME.sigmf-data with NAME.sigmf-meta"), "{reason}");
    scene.focus.until_status("catalog_state", "in_step", LIMIT).await;
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_stops_the_database_in_its_tracks_passes() {
    scenario("stop", Way::Stop, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_kills_the_database_passes() {
    scenario("kill", Way::Kill, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_by_a_pair_of_commands_passes() {
    scenario("command", Way::Command, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_by_a_proxy_that_refuses_passes() {
    scenario("refuse", Way::Proxy("refuse"), 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_by_a_proxy_that_swallows_everything_passes() {
    scenario("black hole", Way::Proxy("black-hole"), 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_by_a_proxy_that_resets_passes() {
    scenario("reset", Way::Proxy("reset"), 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_recordings_pass_too() {
    if left_out("a thousand") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 20).await;
    let said = scene.run(&["--count", "1000", "--rate", "1000"]).await;
    passed(&said, 1_000);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_others_that_land_meanwhile_are_counted_apart() {
    if left_out("others") {
        return;
    }
    let mut scene = Scene::begin(Way::Kill, 20).await;
    let drill = scene.drill(&["--count", "5", "--outage-for", "3s"]);
    let running = tokio::spawn(finished(drill));
    scene.focus.until_status("catalog_state", "down", LIMIT).await;
    scene.tree.add(7, focus_testkit::tree::Writing::Moved);
    let said = running.await.expect("its end");
    passed(&said, 5);
    assert_eq!(said.1["others"]["before"], 20);
    assert_eq!(said.1["others"]["landed"], 7);
    let documents = scene.documents().await;
    assert_eq!(documents.count_documents(doc! {}).await.expect("a count"), 27);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_is_not_away_so_the_drill_is_inconclusive() {
    if left_out("slow") {
        return;
    }
    let scene = Scene::begin(Way::Proxy("slow"), 5).await;
    let said = scene.run(&["--latency-ms", "20"]).await;
    ended(&said, "inconclusive", "");
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_state_folder_tells_where_it_is() {
    if left_out("own state folder") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let state = scene.dir.path().join("state");
    let mut command = Command::new(BINARY);
    command
        .args(["drill", "run", "--json", "--outage", "process", "--method", "kill"])
        .args(["--up", &scene.node.up(), "--mongodb-uri", &scene.uri, "--pid-file"])
        .arg(scene.node.pid_file())
        .arg("--root")
        .arg(scene.root())
        .arg("--state-dir")
        .arg(&state);
    let said = finished(command).await;
    passed(&said, 1);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_is_away_with_the_proxys_defaults() {
    if left_out("slow by default") {
        return;
    }
    let scene = Scene::begin(Way::Proxy("slow"), 5).await;
    passed(&scene.run(&["--count", "3"]).await, 3);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_sends_its_clients_around_the_proxy_is_refused_with_what_to_do() {
    if left_out("around the proxy") {
        return;
    }
    let mut scene = Scene::begin(Way::Proxy("refuse"), 5).await;
    let around = scene.uri.replace("?directConnection=true", "");
    let words = "directConnection=true";
    // The drill itself goes around, and then the server does.
    ended(&scene.run(&["--mongodb-uri", &around]).await, "refused", words);
    assert_eq!(scene.focus.stop(), Some(0));
    let (root, state) = (scene.root(), scene.dir.path().join("state"));
    let args = ["--settle-ms", "200", "--mongodb-uri", &around];
    scene.focus = focus_testkit::focus::Focus::new(BINARY, &root, &state, &args);
    scene.focus.serve().await;
    scene.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let status = scene.focus.status().expect("a status");
    let upstream = format!("127.0.0.1:{}", scene.node.port);
    assert_eq!(status["catalog_hosts"], serde_json::json!([upstream]), "{status:#}");
    ended(&scene.run(&[]).await, "refused", words);
    scene.nothing_is_left().await;
}
