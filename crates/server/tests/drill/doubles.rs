//! Drills that must fail: a server that does not recover, one that writes twice, one that writes wrong.

use mongodb::bson::{DateTime, Document, doc};

use crate::drill_process::Said;
use crate::outcome::ended;
use crate::scene::{Scene, Way, left_out};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_recovery_switched_off_loses_what_lands_and_the_drill_says_so() {
    if left_out("recovery off") {
        return;
    }
    let scene =
        Scene::with(Way::Kill, 5, &["env", "FOCUS_UNSAFE_NO_RECOVERY=yes-lose-recordings"]).await;
    assert!(scene.focus.log().contains("FOCUS_UNSAFE_NO_RECOVERY"), "it is said loudly");
    let said = scene.run(&["--count", "4", "--timeout", "5s"]).await;
    ended(&said, "failed", "");
    let report = &said.1;
    assert_eq!((&report["planted"], &report["lost"]), (&4.into(), &4.into()), "{report:#}");
    for recording in report["recordings"].as_array().expect("verdicts") {
        assert_eq!((&recording["fate"], &recording["reason"]), (&"lost".into(), &"pending".into()));
    }
    scene.nothing_is_left().await;
}

/// Runs a drill, and alters the document of its planted recording before it comes to its verdict: what
/// a server that writes so would have written. A test double's work, at the database.
async fn altered<F, G>(scene: &Scene, alter: F) -> Said
where
    F: Fn(mongodb::Collection<Document>, Document) -> G,
    G: Future<Output = ()>,
{
    let drill = scene.paused("converged", &["--count", "1", "--timeout", "10s"]).await;
    let documents = scene.documents().await;
    let named = doc! { "metadata.focus_drill": { "$exists": true } };
    let planted = documents.find_one(named).await.expect("an answer").expect("a document");
    alter(documents, planted).await;
    scene.files().release();
    scene.files().ended(drill).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_writes_twice_is_found_out() {
    if left_out("twice") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let said = altered(&scene, |documents, mut planted| async move {
        planted.remove("_id");
        // Another uuid: the unique index keeps the same one out.
        planted.insert("uuid", "written twice");
        documents.insert_one(planted).await.expect("a second one");
    })
    .await;
    ended(&said, "failed", "");
    let report = &said.1;
    assert_eq!(
        (&report["duplicated"], &report["catalogued"]),
        (&1.into(), &0.into()),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_writes_wrong_times_is_found_out() {
    if left_out("wrong") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let said = altered(&scene, |documents, planted| async move {
        let wrong = doc! { "$set": { "start_time": DateTime::from_millis(1_000) } };
        let id = planted.get("_id").cloned().expect("an id");
        documents.update_one(doc! { "_id": id }, wrong).await.expect("altered");
    })
    .await;
    ended(&said, "failed", "");
    let report = &said.1;
    assert_eq!((&report["stale"], &report["catalogued"]), (&1.into(), &0.into()), "{report:#}");
    let detail = report["recordings"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains("start_time"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_behind_the_servers_back_is_a_side_effect() {
    if left_out("side effects") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let foreign = doc! { "uuid": "somebody else's", "kept": 1 };
    scene.documents().await.insert_one(foreign).await.expect("inserted");
    let said = altered(&scene, |documents, _| async move {
        documents.delete_one(doc! { "uuid": "somebody else's" }).await.expect("gone");
    })
    .await;
    ended(&said, "failed", "");
    let report = &said.1;
    assert_eq!(report["catalogued"], 1);
    let effects = report["side_effects"].as_array().expect("a list");
    assert!(effects.iter().any(|effect| effect["what"] == "document"), "{effects:?}");
    // The drill's own is gone all the same.
    scene.nothing_is_left().await;
}
