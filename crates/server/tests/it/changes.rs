//! What others do to the catalog while the server is connected, told by the database's change streams:
//! right again without waiting for a comparison.

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use mongodb::bson::{Document, doc};
use serde_json::Value;

use crate::scene::{NEVER, Scene};
use crate::site::{LIMIT, Site, embedded_only, no_server_to_end};

/// Left out where the server under test tells of no changes; what it says of that is tested below.
async fn untold(server: &MongoServer, test: &str) -> bool {
    let database = server.client().await.database(server.database());
    let told = database.collection::<Document>("node4").watch().await;
    if let Err(error) = &told {
        println!("left out, the server has no change streams ({error}): {test}");
    }
    told.is_err()
}

/// A scene in which no comparison comes by itself, and changes are followed.
async fn followed(count: usize) -> Option<Scene> {
    let scene = Scene::start(count, NEVER).await;
    if untold(&scene.server, "changes by others").await {
        return None;
    }
    // The stream is followed once a change is undone.
    scene.set(0, doc! { "size": 1_000_i64 }).await;
    until("the first change is undone", LIMIT, || async {
        let size = scene.document(0).await.get_i64("size").unwrap_or(0);
        if size != 1_000 {
            return Ok(());
        }
        Err(scene.site.focus.log())
    })
    .await;
    Some(scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_altered_replaced_or_removed_by_hand_are_right_again_without_a_comparison_by_time()
 {
    if embedded_only("altered by hand") {
        return;
    }
    let Some(scene) = followed(40).await else { return };
    let nodes = scene.nodes().await;
    let uuid = |at: usize| scene.site.planted[at].uuid.clone();
    scene.set(1, doc! { "size": 7_i64, "metadata.gain": 9.9, "note": "of others" }).await;
    scene.right().await;
    assert_eq!(scene.document(1).await.get_str("note").ok(), Some("of others"));
    scene.set(2, doc! { "deleted": true, "deleted_at": mongodb::bson::DateTime::now() }).await;
    scene.right().await;
    let unset = doc! { "$unset": { "metadata": 1, "version": 1 } };
    nodes.update_one(doc! { "uuid": uuid(3) }, unset).await.expect("altered");
    scene.right().await;
    let stub = doc! { "uuid": uuid(4), "root": &scene.site.marker };
    nodes.replace_one(doc! { "uuid": uuid(4) }, stub).await.expect("replaced");
    scene.right().await;
    scene.set(5, doc! { "root": null }).await;
    scene.right().await;
    nodes.delete_one(doc! { "uuid": uuid(6) }).await.expect("removed");
    scene.right().await;
    nodes.delete_many(doc! { "uuid": { "$gt": uuid(20) } }).await.expect("removed");
    scene.right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_dropped_while_connected_is_filled_anew_at_once() {
    if embedded_only("dropped while connected") {
        return;
    }
    let Some(scene) = followed(40).await else { return };
    for _ in 0..2 {
        scene.nodes().await.drop().await.expect("dropped");
        scene.right().await;
    }
    // Followed again, on the new collection.
    scene.set(1, doc! { "size": 7_i64 }).await;
    scene.right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_altered_while_away_is_told_when_the_stream_goes_on() {
    if embedded_only("altered while away") {
        return;
    }
    let Some(mut scene) = followed(40).await else { return };
    for at in 1..4 {
        scene.away().await;
        scene.set(at, doc! { "size": 7_i64 }).await;
        let removed = doc! { "uuid": &scene.site.planted[at + 10].uuid };
        scene.nodes().await.delete_one(removed).await.expect("removed");
        scene.site.land(5);
        scene.back();
        scene.right().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_followed_anew() {
    if no_server_to_end("a broken stream") {
        return;
    }
    let Some(scene) = followed(40).await else { return };
    // Its cursor is gone; it cannot go on from there; whatever else.
    for (at, code) in [(1, 43), (2, 286), (3, 280), (4, 50), (5, 8)] {
        let fails = doc! { "failCommands": ["getMore"], "errorCode": code, "appName": "focus" };
        scene.server.fail_command(doc! { "times": 2 }, fails).await;
        scene.set(at, doc! { "size": 7_i64 }).await;
        scene.right().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_writes_and_fields_of_others_lead_to_no_comparison() {
    if embedded_only("own writes") {
        return;
    }
    let Some(mut scene) = followed(40).await else { return };
    let nodes = scene.nodes().await;
    for round in 0..3 {
        scene.site.land(100);
        scene.rewrite(round);
        let note = doc! { "$set": { "note": i32::try_from(round).expect("small") } };
        nodes.update_many(doc! {}, note).await.expect("noted");
        scene.right().await;
    }
    let uuid = &scene.site.planted[7].uuid;
    nodes.insert_one(doc! { "uuid": "of others" }).await.expect("inserted");
    scene.beside.insert("of others".to_owned());
    // One that does lead to something, so that all before it has been looked at.
    nodes.update_one(doc! { "uuid": uuid }, doc! { "$set": { "size": 7_i64 } }).await.expect("set");
    scene.right().await;
    let log = scene.site.focus.log();
    assert!(!log.contains("others have changed the catalog"), "{log}");
    // Had it compared everything, it would say so.
    nodes.delete_one(doc! { "uuid": uuid }).await.expect("removed");
    scene.right().await;
    let log = scene.site.focus.log();
    assert!(log.contains("others have changed the catalog"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_change_streams_is_served_and_what_is_missing_is_said() {
    if no_server_to_end("without change streams") {
        return;
    }
    let server = MongoServer::start().await;
    let fails = doc! { "failCommands": ["aggregate"], "errorCode": 40573, "appName": "focus" };
    server.fail_command("alwaysOn", fails).await;
    let mut site = Site::with(&server, &[]);
    site.land(20);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    let said = |words: &str| words.contains("no change streams") && words.contains("periodic");
    let status = site.focus.status().expect("a status");
    let remarks = status["catalog_remarks"].as_array().cloned().unwrap_or_default();
    assert!(remarks.iter().filter_map(Value::as_str).any(said), "{status:#}");
    let check = site.focus.run(&["config", "check"]);
    let words = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && said(&words), "{words}");
    // With them, nothing is said.
    server.fail_command("off", doc! {}).await;
    if !untold(&server, "nothing is said").await {
        let check = site.focus.run(&["config", "check"]);
        assert!(!said(&String::from_utf8_lossy(&check.stdout)), "{check:?}");
    }
}
