//! What is not begun, and what cannot be told.

use mongodb::bson::doc;
use serde_json::Value;

use crate::scene::{Scene, Way, finished, left_out};

fn refused(code: Option<i32>, report: &Value, words: &str) {
    assert_eq!(report["verdict"], "refused", "{report:#}");
    assert_eq!(code, Some(2));
    let reason = report["reason"].as_str().expect("a reason");
    assert!(reason.contains(words), "{reason}");
    assert_eq!(report["steps"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_without_the_mark_is_not_drilled() {
    if left_out("no mark") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    scene.meta().await.delete_one(doc! { "_id": "drillable" }).await.expect("gone");
    let before = scene.node.pid();
    let (code, report) = scene.run(&[]).await;
    refused(code, &report, "--allow");
    assert_eq!(scene.node.pid(), before);
    scene.nothing_is_left(3).await;
    // What stands in for the mark.
    let (code, report) = scene.run(&["--allow"]).await;
    assert_eq!((report["verdict"].as_str(), code), (Some("passed"), Some(0)), "{report:#}");
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
    let (code, report) = scene.run(&[]).await;
    refused(code, &report, "drillable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_be_taken_away_and_stops_there() {
    if left_out("dry run") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let before = scene.node.pid();
    let (code, told) = scene.run(&["--dry-run"]).await;
    assert_eq!((code, &told["dry_run"]), (Some(0), &Value::Bool(true)));
    let radius = told["outage"]["blast_radius"].as_array().expect("lines");
    let pid = before.expect("a process").as_raw_nonzero().to_string();
    assert!(radius.iter().any(|line| line.as_str().is_some_and(|line| line.contains(&pid))));
    assert_eq!(scene.node.pid(), before);
    scene.nothing_is_left(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_without_effect_is_inconclusive_and_never_passed() {
    if left_out("no effect") {
        return;
    }
    let scene = Scene::begin(Way::Command, 3).await;
    let (code, report) = scene.run(&["--down", "true", "--up", "true"]).await;
    assert_eq!(report["verdict"], "inconclusive", "{report:#}");
    assert_eq!(code, Some(3));
    assert_eq!(report["planted"], 0);
    let steps = report["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["name"] == "unreachable").expect("step 3");
    assert_eq!(step["ok"], false);
    scene.nothing_is_left(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_back_too_early_makes_it_inconclusive() {
    if left_out("early") {
        return;
    }
    let scene = Scene::begin(Way::Command, 3).await;
    let down = format!("{} ; (sleep 4; {}) &", scene.node.down(), scene.node.up());
    let (code, report) = scene.run(&["--down", &down, "--outage-for", "20s"]).await;
    assert_eq!((report["verdict"].as_str(), code), (Some("inconclusive"), Some(3)), "{report:#}");
    scene.nothing_is_left(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_down_that_fails_is_undone() {
    if left_out("failing way down") {
        return;
    }
    let scene = Scene::begin(Way::Command, 3).await;
    let down = format!("{}; echo half done >&2; exit 7", scene.node.down());
    let (code, report) = scene.run(&["--down", &down]).await;
    assert_eq!((report["verdict"].as_str(), code), (Some("inconclusive"), Some(3)), "{report:#}");
    assert!(report["reason"].as_str().expect("a reason").contains("half done"), "{report:#}");
    scene.nothing_is_left(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_drills_on_one_database_are_one_too_many() {
    if left_out("two drills") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let first = scene.paused("planted", &[]).await;
    // The same state folder.
    let (code, report) = scene.run(&[]).await;
    refused(code, &report, "another drill");
    drop(first);
    let (code, _) = scene.recover().await;
    assert_eq!(code, Some(0));
    // Another state folder, while the first goes on with its database up.
    let first = scene.paused("armed", &[]).await;
    let other = scene.dir.path().join("other");
    let second = scene.drill(&["--state-dir", other.to_str().expect("a path")]);
    let (code, report) = finished(second).await;
    refused(code, &report, "another drill");
    drop(first);
    let (code, _) = scene.recover().await;
    assert_eq!(code, Some(0));
    scene.nothing_is_left(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_drills_mark_is_taken_over() {
    if left_out("dead mark") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let dead = doc! { "_id": "drill", "drill": "one that died", "beat": 7_i64 };
    scene.meta().await.insert_one(dead).await.expect("a mark");
    let (code, report) = scene.run(&[]).await;
    assert_eq!((report["verdict"].as_str(), code), (Some("passed"), Some(0)), "{report:#}");
    scene.nothing_is_left(3).await;
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
        let (code, report) = scene.run(&["--pid-file", pid]).await;
        refused(code, &report, words);
    }
    let server = scene.focus.pid().expect("a server").to_string();
    std::fs::write(pid, server).expect("a file");
    let (code, report) = scene.run(&["--pid-file", pid]).await;
    refused(code, &report, "focus");
    let (code, report) = scene.run(&["--method", "wound"]).await;
    refused(code, &report, "stop or kill");
    let (code, report) = scene.run(&["--count", "0"]).await;
    refused(code, &report, "--count");
    assert_eq!(scene.node.pid(), before);
    scene.nothing_is_left(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_makes_it_inconclusive() {
    if left_out("no server") {
        return;
    }
    let mut scene = Scene::begin(Way::Kill, 1).await;
    let drill = scene.drill(&[]);
    scene.focus.kill();
    let (code, report) = finished(drill).await;
    assert_eq!((report["verdict"].as_str(), code), (Some("inconclusive"), Some(3)), "{report:#}");
    scene.nothing_is_left(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_than_the_servers_is_refused() {
    if left_out("another database") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 1).await;
    let (code, report) = scene.run(&["--database", "elsewhere"]).await;
    refused(code, &report, "does not write to this database");
}
