//! What is not begun, and what cannot be told.

use mongodb::bson::doc;
use serde_json::Value;

use crate::drill_process::finished;
use crate::outcome::{ended, passed, refused};
use crate::scene::{Scene, Way, left_out};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_without_the_mark_is_not_drilled() {
    if left_out("no mark") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    scene.meta().await.delete_one(doc! { "_id": "drillable" }).await.expect("gone");
    let before = scene.node.pid();
    refused(&scene.run(&[]).await, "--allow");
    assert_eq!(scene.node.pid(), before);
    scene.nothing_is_left().await;
    // What stands in for the mark.
    passed(&scene.run(&["--allow"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_plants_by_ingest_where_nothing_is_taken_is_refused() {
    if left_out("no ingest") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let before = scene.node.pid();
    refused(&scene.run(&["--plant-by", "ingest"]).await, "--token-file FILE");
    let token = scene.token_file();
    let said = scene.run(&["--plant-by", "ingest", "--token-file", &token]).await;
    refused(&said, "ingest = true");
    assert_eq!(scene.node.pid(), before);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_does_not_say_true_is_none() {
    if left_out("false mark") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 1).await;
    let marks = scene.meta().await;
    let no = doc! { "$set": { "value": false } };
    marks.update_one(doc! { "_id": "drillable" }, no).await.expect("changed");
    refused(&scene.run(&[]).await, "drillable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_be_taken_away_and_stops_there() {
    if left_out("dry run") {
        return;
    }
    let mut scene = Scene::begin(Way::Kill, 3).await;
    let before = scene.node.pid();
    let (code, told) = scene.run(&["--dry-run"]).await;
    assert_eq!((code, &told["dry_run"]), (Some(0), &Value::Bool(true)));
    let radius = told["outage"]["blast_radius"].as_array().expect("lines");
    let pid = before.expect("a process").as_raw_nonzero().to_string();
    assert!(radius.iter().any(|line| line.as_str().is_some_and(|line| line.contains(&pid))));
    assert_eq!(scene.node.pid(), before);
    scene.focus.kill();
    let (code, told) = scene.run(&["--dry-run"]).await;
    assert!(code != Some(0) && told["verdict"].is_string(), "{told}");
    assert!(!scene.state().join("drill").exists(), "a dry run leaves no trace");
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_without_effect_is_inconclusive_and_never_passed() {
    if left_out("no effect") {
        return;
    }
    let scene = Scene::begin(Way::Command, 3).await;
    let said = scene.run(&["--down", "true", "--up", "true"]).await;
    ended(&said, "inconclusive", "");
    let report = &said.1;
    assert_eq!(report["planted"], 0);
    let steps = report["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["name"] == "unreachable").expect("step 3");
    assert_eq!(step["ok"], false);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_back_too_early_makes_it_inconclusive() {
    if left_out("early") {
        return;
    }
    let scene = Scene::begin(Way::Command, 3).await;
    let down = format!("{} ; (sleep 4; {}) &", scene.node.down(), scene.node.up());
    ended(&scene.run(&["--down", &down, "--outage-for", "20s"]).await, "inconclusive", "");
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_down_that_fails_is_undone() {
    if left_out("failing way down") {
        return;
    }
    let scene = Scene::begin(Way::Command, 3).await;
    let down = format!("{}; echo half done >&2; exit 7", scene.node.down());
    ended(&scene.run(&["--down", &down]).await, "inconclusive", "half done");
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_drills_on_one_database_are_one_too_many() {
    if left_out("two drills") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let first = scene.paused("planted", &[]).await;
    // The same state folder.
    refused(&scene.run(&[]).await, "another drill");
    drop(first);
    let (code, _) = scene.recover().await;
    assert_eq!(code, Some(0));
    // Another state folder, while the first goes on with its database up.
    let first = scene.paused("armed", &[]).await;
    let other = scene.dir.path().join("other");
    let second = scene.drill(&["--state-dir", other.to_str().expect("a path")]);
    refused(&finished(second).await, "another drill");
    drop(first);
    scene.recovered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_drills_mark_is_taken_over() {
    if left_out("dead mark") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let dead = doc! { "_id": "drill", "drill": "one that died", "beat": 7_i64 };
    scene.meta().await.insert_one(dead).await.expect("a mark");
    passed(&scene.run(&[]).await);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_is_refused_before_anything_is_broken() {
    if left_out("wrong use") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 1).await;
    let before = scene.node.pid();
    let pid = scene.dir.path().join("wrong.pid");
    let pid = pid.to_str().expect("a path");
    let own = std::process::id().to_string();
    for (text, words) in
        [("abc", "no process number"), ("4194304", "does not run"), (&own, "under which")]
    {
        std::fs::write(pid, text).expect("a file");
        refused(&scene.run(&["--pid-file", pid]).await, words);
    }
    let server = scene.focus.pid().expect("a server").to_string();
    std::fs::write(pid, server).expect("a file");
    refused(&scene.run(&["--pid-file", pid]).await, "focus");
    refused(&scene.run(&["--method", "wound"]).await, "stop or kill");
    refused(&scene.run(&["--count", "0"]).await, "--count");
    assert_eq!(scene.node.pid(), before);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_makes_it_inconclusive() {
    if left_out("no server") {
        return;
    }
    let mut scene = Scene::begin(Way::Kill, 1).await;
    let drill = scene.drill(&[]);
    scene.focus.kill();
    ended(&finished(drill).await, "inconclusive", "");
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_than_the_servers_is_refused() {
    if left_out("another database") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 1).await;
    refused(&scene.run(&["--database", "elsewhere"]).await, "does not write to this database");
}
