//! A database that came back different, or was changed by others: whatever was done to it, the catalog
//! becomes what storage is, and what is of others stays.

use std::collections::BTreeSet;
use std::sync::Mutex;

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

use crate::scene::{NEVER, SOON, Scene};
use crate::site::{LIMIT, Site, embedded_only, no_server_to_end};

/// What `failCommand` fails is what the server under test sends, and not the test.
fn fails(command: &str, code: i32) -> Document {
    doc! { "failCommands": [command], "errorCode": code, "appName": "focus" }
}

async fn mended(server: &MongoServer) {
    server.fail_command("off", doc! {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_copy_put_back_while_away_gets_the_pending_first_and_then_what_it_lacks() {
    if no_server_to_end("an earlier copy put back") {
        return;
    }
    let mut scene = Scene::start(120, NEVER).await;
    scene.away().await;
    let copy = scene.copies().join("copy");
    scene.swapped(|server| server.save_store(&copy)).await;
    scene.back();
    scene.rests().await;
    // After the copy: more landed, some were written anew, some went.
    scene.site.land(80);
    (0..5).for_each(|at| scene.rewrite(at));
    let gone = [scene.remove(20), scene.remove(30)];
    for one in &gone {
        scene.is_marked(one).await;
    }
    scene.right().await;
    let lost = scene.site.planted[scene.site.planted.len() - 80..].to_vec();

    scene.away().await;
    scene.site.land(40);
    scene.site.focus.until_status("pending", 40, LIMIT).await;
    let landed = scene.site.planted[scene.site.planted.len() - 40..].to_vec();
    scene.swapped(|server| server.restore_store(&copy)).await;
    scene.back();
    scene.right().await;
    for one in &gone {
        scene.is_marked(one).await;
    }
    let (first, then) = (scene.ids(&landed).await, scene.ids(&lost).await);
    assert!(first.last().map(Bson::as_object_id) < then.first().map(Bson::as_object_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_database_gets_the_pending_first_and_then_everything() {
    if no_server_to_end("an emptied database") {
        return;
    }
    let mut scene = Scene::start(150, NEVER).await;
    for _ in 0..2 {
        let known = scene.site.planted.clone();
        scene.away().await;
        scene.site.land(30);
        scene.site.focus.until_status("pending", 30, LIMIT).await;
        scene.swapped(MongoServer::empty_store).await;
        scene.back();
        scene.right().await;
        let landed = scene.site.planted[known.len()..].to_vec();
        let (first, then) = (scene.ids(&landed).await, scene.ids(&known).await);
        assert!(first.last().map(Bson::as_object_id) < then.first().map(Bson::as_object_id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_in_its_place_is_filled_and_keeps_what_is_of_others() {
    if no_server_to_end("another database in its place") {
        return;
    }
    let mut scene = Scene::start(60, NEVER).await;
    let mut theirs = MongoServer::start().await;
    let mut site = Site::with(&theirs, &[]);
    // Another site's recordings have the same uuids as ours where their names are the same.
    site.tree.add(200, focus_testkit::tree::Writing::Moved);
    std::fs::remove_dir_all(site.tree.root().join("day-00")).expect("removed");
    for entry in std::fs::read_dir(site.tree.root()).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        if name.as_str() < "rec-0000100" && name.starts_with("rec-") {
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
    site.focus.serve().await;
    site.focus.until_status("recordings", 33, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(site.focus.stop(), Some(0));
    let nodes = theirs.client().await.database(theirs.database()).collection::<Document>("node4");
    let foreign = doc! { "uuid": "of others", "start_time": "whenever", "mine": [1, 2] };
    nodes.insert_one(foreign).await.expect("inserted");
    let others: Vec<Document> = all(&theirs).await;
    theirs.stop();

    scene.away().await;
    scene.site.land(20);
    scene.beside = others.iter().map(|one| one.get_str("uuid").expect("uuid").to_owned()).collect();
    scene.swapped(|server| server.swap_store(&theirs)).await;
    scene.back();
    scene.right().await;
    let uuids = scene.beside.clone();
    let kept = |documents: Vec<Document>| -> Vec<Document> {
        documents
            .into_iter()
            .filter(|one| uuids.contains(one.get_str("uuid").unwrap_or("")))
            .collect()
    };
    assert_eq!(kept(all(&scene.server).await), others);
    scene.site.land(5);
    scene.right().await;

    // And back to the first one, which has missed some.
    scene.away().await;
    scene.swapped(|server| server.swap_store(&theirs)).await;
    scene.beside.clear();
    scene.back();
    scene.right().await;
}

/// Every document, by `_id`.
async fn all(server: &MongoServer) -> Vec<Document> {
    let nodes = server.client().await.database(server.database()).collection::<Document>("node4");
    let found = nodes.find(doc! {}).sort(doc! { "_id": 1 }).await.expect("read");
    found.try_collect().await.expect("read")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_replaced_at_once_behind_its_address_is_noticed() {
    if no_server_to_end("replaced at once") {
        return;
    }
    let mut scene = Scene::start(60, NEVER).await;
    let copy = scene.copies().join("copy");
    scene.server.stop();
    scene.server.save_store(&copy);
    scene.server.restart().await;
    scene.site.land(30);
    scene.right().await;
    // No outage that anybody would notice but by the closed connection.
    scene.server.kill();
    scene.server.restore_store(&copy);
    scene.server.restart().await;
    scene.right().await;
}

/// What others do to documents. `right` shows that it is undone.
async fn meddle(scene: &mut Scene) {
    let nodes = scene.nodes().await;
    let uuid = |at: usize| scene.site.planted[at].uuid.clone();
    let removed: Vec<String> = (0..10).map(uuid).collect();
    nodes.delete_many(doc! { "uuid": { "$in": removed } }).await.expect("removed");
    scene.set(10, doc! { "size": 7_i64 }).await;
    scene.set(11, doc! { "metadata.gain": 9.9 }).await;
    scene.set(12, doc! { "deleted": true, "start_time": "soon" }).await;
    scene.set(13, doc! { "root": null }).await;
    scene.set(14, doc! { "path": "elsewhere.dat" }).await;
    scene.set(15, doc! { "version": "none" }).await;
    scene.set(16, doc! { "version": 1_000_i64 << 32, "fingerprint": "x" }).await;
    scene.set(17, doc! { "note": "of others", "end_time": null }).await;
    // Given another uuid. Done in two steps: an engine that these tests run against keeps the old one in
    // its unique index, and refuses it from then on, where it is done in one.
    let mut another = scene.document(18).await;
    nodes.delete_one(doc! { "uuid": uuid(18) }).await.expect("removed");
    another.insert("uuid", "another");
    nodes.insert_one(another).await.expect("inserted");
    let (filter, unset) = (doc! { "uuid": uuid(19) }, doc! { "$unset": { "metadata": 1 } });
    nodes.update_one(filter, unset).await.expect("altered");
    let stub = doc! { "uuid": uuid(20), "root": &scene.site.marker };
    nodes.replace_one(doc! { "uuid": uuid(20) }, stub).await.expect("replaced");
    scene.set(21, doc! { "version": i64::MAX, "size": 1_i64 }).await;
    // What was given another uuid is a document of ours without a recording: marked, not removed.
    scene.beside.insert("another".to_owned());
}

async fn undone(scene: &Scene) {
    scene.right().await;
    let kept = scene.document(17).await;
    assert_eq!(kept.get_str("note").ok(), Some("of others"));
    let nodes = scene.nodes().await;
    until("a document of ours without a recording is marked", LIMIT, || async {
        let found = nodes.find_one(doc! { "uuid": "another" }).await.expect("read").expect("there");
        let marked = found.get_bool("deleted").is_ok_and(|deleted| deleted);
        if marked { Ok(()) } else { Err(format!("{found}\n{}", scene.site.focus.log())) }
    })
    .await;
    scene.right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_removed_altered_and_replaced_while_away_are_put_right_by_the_next_comparison() {
    if embedded_only("documents altered while away") {
        return;
    }
    let mut scene = Scene::start(60, SOON).await;
    scene.away().await;
    meddle(&mut scene).await;
    scene.back();
    undone(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_removed_altered_and_replaced_while_connected_are_put_right_too() {
    if embedded_only("documents altered while connected") {
        return;
    }
    let mut scene = Scene::start(60, SOON).await;
    meddle(&mut scene).await;
    undone(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_or_database_dropped_while_away_is_made_anew_with_its_indexes() {
    if embedded_only("dropped while away") {
        return;
    }
    let mut scene = Scene::start(40, NEVER).await;
    let database = scene.server.client().await.database(scene.server.database());
    for round in 0..3 {
        scene.away().await;
        scene.site.land(10);
        match round {
            0 => scene.nodes().await.drop().await.expect("dropped"),
            1 => database.drop().await.expect("dropped"),
            // Its memory alone is lost.
            _ => database.collection::<Document>("focus_meta").drop().await.expect("dropped"),
        }
        scene.back();
        scene.right().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_or_database_dropped_while_connected_is_found_by_the_next_comparison() {
    if embedded_only("dropped while connected") {
        return;
    }
    let mut scene = Scene::start(40, SOON).await;
    scene.nodes().await.drop().await.expect("dropped");
    scene.right().await;
    let database = scene.server.client().await.database(scene.server.database());
    database.drop().await.expect("dropped");
    scene.site.land(10);
    scene.right().await;
}

/// A second document of each of the first so many recordings.
async fn double(scene: &Scene, count: usize) -> Vec<Bson> {
    let nodes = scene.nodes().await;
    nodes.drop_index("uuid_1").await.expect("dropped");
    let mut twice = Vec::new();
    for at in 0..count {
        let mut document = scene.document(at).await;
        document.remove("_id");
        let inserted = nodes.insert_one(document).await.expect("inserted");
        twice.push(inserted.inserted_id);
    }
    twice
}

/// Nothing is written while uuids are not unique, the cause is named, and all goes on by itself.
async fn is_held_up_until_mended(scene: &mut Scene, twice: Vec<Bson>) {
    let focus = &scene.site.focus;
    until("the cause is named", LIMIT, || async {
        let status = focus.status()?;
        let reason = status["catalog_reason"].as_str().unwrap_or_default();
        let told = status["catalog_state"] == "down"
            && reason.contains("several documents with one uuid")
            && reason.contains("node4");
        if told { Ok(()) } else { Err(format!("{status:#}\n{}", focus.log())) }
    })
    .await;
    let check = focus.run(&["config", "check"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(check.status.code(), Some(2), "{said}");
    assert!(said.contains("several documents with one uuid"), "{said}");
    let before = all(&scene.server).await;
    let pending = focus.status().expect("a status")["pending"].as_u64().expect("a number");
    scene.site.land(10);
    scene.site.focus.until_status("pending", pending + 10, LIMIT).await;
    assert_eq!(all(&scene.server).await, before);
    scene.nodes().await.delete_many(doc! { "_id": { "$in": twice } }).await.expect("removed");
    scene.right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_made_by_others_while_away_hold_up_every_write_until_they_are_gone() {
    if embedded_only("duplicates while away") {
        return;
    }
    let mut scene = Scene::start(30, NEVER).await;
    scene.away().await;
    let twice = double(&scene, 3).await;
    scene.back();
    is_held_up_until_mended(&mut scene, twice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_made_by_others_while_connected_hold_up_every_write_from_the_next_comparison() {
    if embedded_only("duplicates while connected") {
        return;
    }
    let mut scene = Scene::start(30, SOON).await;
    let twice = double(&scene, 3).await;
    is_held_up_until_mended(&mut scene, twice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_the_comparison_has_finished_finishes_it_later() {
    if no_server_to_end("killed during a comparison") {
        return;
    }
    let mut scene = Scene::start(160, NEVER).await;
    scene.away().await;
    let copy = scene.copies().join("copy");
    scene.swapped(|server| server.save_store(&copy)).await;
    scene.back();
    scene.rests().await;
    // What the comparison reads takes its time.
    let slow = doc! {
        "failCommands": ["find"], "blockConnection": true, "blockTimeMS": 1_500, "appName": "focus",
    };
    for round in 0..2 {
        scene.site.land(60);
        scene.right().await;
        scene.away().await;
        scene.site.land(10);
        scene.site.focus.until_status("pending", 10, LIMIT).await;
        scene.swapped(|server| server.restore_store(&copy)).await;
        scene.server.fail_command("alwaysOn", slow.clone()).await;
        scene.back();
        let landed = scene.site.planted[scene.site.planted.len() - 10..].to_vec();
        let uuids: Vec<&str> = landed.iter().map(|one| one.uuid.as_str()).collect();
        let nodes = scene.nodes().await;
        until("the pending are there", LIMIT, || async {
            let filter = doc! { "uuid": { "$in": &uuids } };
            let count = nodes.count_documents(filter).await.map_err(|error| error.to_string())?;
            let status = scene.site.focus.status()?;
            let compares = status["comparison"] != Value::Null;
            if count == 10 && compares { Ok(()) } else { Err(format!("{count}\n{status:#}")) }
        })
        .await;
        assert!(!scene.verdict().await.is_good(), "the comparison was held");
        scene.site.focus.kill();
        if round == 0 {
            // Killed once more, before it could go on.
            scene.site.focus.serve().await;
            until("it compares again", LIMIT, || async {
                let status = scene.site.focus.status()?;
                if status["comparison"] != Value::Null { Ok(()) } else { Err(status.to_string()) }
            })
            .await;
            scene.site.focus.kill();
        }
        mended(&scene.server).await;
        scene.site.focus.serve().await;
        scene.right().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_it_fills_an_emptied_database_fills_it_later() {
    if no_server_to_end("killed while filling") {
        return;
    }
    let mut scene = Scene::start(150, NEVER).await;
    scene.away().await;
    scene.site.land(10);
    scene.site.focus.until_status("pending", 10, LIMIT).await;
    scene.swapped(MongoServer::empty_store).await;
    // The collections' own first writes, and one batch; the next ones fail.
    scene.server.fail_command(doc! { "skip": 2, "times": 100_000 }, fails("insert", 50)).await;
    scene.back();
    until("a part is there", LIMIT, || async {
        let count = scene.nodes().await.count_documents(doc! {}).await.expect("a count");
        let status = scene.site.focus.status()?;
        let pending = status["pending"].as_u64().unwrap_or(0);
        if count > 0 && pending > 0 { Ok(()) } else { Err(format!("{count}\n{status:#}")) }
    })
    .await;
    scene.site.focus.kill();
    assert!(!scene.verdict().await.is_good(), "it was held");
    mended(&scene.server).await;
    scene.site.focus.serve().await;
    scene.right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_progress_of_a_comparison_is_shown() {
    if no_server_to_end("progress of a comparison") {
        return;
    }
    let mut scene = Scene::start(3_500, NEVER).await;
    scene.away().await;
    let meta = scene.server.client().await.database(scene.server.database());
    let meta = meta.collection::<Document>("focus_meta");
    let mark = doc! { "_id": format!("watermark:{}", scene.site.marker) };
    meta.delete_one(mark).await.expect("forgotten");
    let slow = doc! {
        "failCommands": ["getMore"], "blockConnection": true, "blockTimeMS": 300, "appName": "focus",
    };
    scene.server.fail_command("alwaysOn", slow).await;
    scene.back();
    let shown = Mutex::new(BTreeSet::new());
    until("a comparison goes on, and ends", LIMIT, || async {
        let status = scene.site.focus.status()?;
        let mut shown = shown.lock().expect("no panic");
        if let Some(compared) = status["comparison"]["compared"].as_u64() {
            shown.insert((compared, status["comparison"]["of"].as_u64()));
        }
        let ended = status["comparison"] == Value::Null && !shown.is_empty();
        if ended { Ok(()) } else { Err(format!("{shown:?}\n{status:#}")) }
    })
    .await;
    let shown = shown.into_inner().expect("no panic");
    let between = shown.iter().filter(|(compared, _)| (1..3_500).contains(compared)).count();
    assert!(between >= 2, "{shown:?}");
    assert!(shown.iter().all(|(_, of)| *of == Some(3_500)), "{shown:?}");
    mended(&scene.server).await;
    scene.right().await;
}
