//! Recoveries that are disturbed: by recordings that land meanwhile, by crashes of the server, and
//! by a database that answers badly.

use std::time::Duration;

use focus_testkit::mongo::MongoServer;
use focus_testkit::tree::Writing;
use mongodb::bson::{Document, doc};

use crate::site::{LIMIT, Site, embedded_only, no_server_to_end};

async fn begin(name: &str, extra: &[&str]) -> Option<(Site, MongoServer)> {
    if no_server_to_end(name) { None } else { Some(begin_anywhere(extra).await) }
}

async fn begin_anywhere(extra: &[&str]) -> (Site, MongoServer) {
    let server = MongoServer::start().await;
    let site = Site::with(&server, extra);
    (site, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_that_land_during_the_recovery_are_catalogued_too() {
    let Some((mut site, mut server)) = begin("landing during recovery", &[]).await else { return };
    site.focus.serve().await;
    // As below: a collection that is being made is lost to a server that is killed.
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    server.kill();
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    site.land(2_000);
    site.focus.until_status("pending", 2_000, LIMIT).await;
    server.spawn();
    for _ in 0..20 {
        site.land(50);
    }
    site.converged(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_at_random_moments_of_the_recovery_loses_and_doubles_nothing() {
    let Some((mut site, mut server)) = begin("killed in recovery", &[]).await else { return };
    site.focus.serve().await;
    // A collection that is being made when its server is killed is lost to that server for good: not what is tried here.
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    for round in 0..6_u64 {
        server.kill();
        site.focus.until_status("catalog_state", "down", LIMIT).await;
        site.land(500);
        server.restart().await;
        // Somewhere between the return's being noticed and the last acknowledgement.
        tokio::time::sleep(Duration::from_millis(round * 17)).await;
        site.focus.kill();
        site.focus.serve().await;
    }
    site.converged(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_error_leads_to_the_catalog_in_the_end() {
    let Some((mut site, server)) = begin("error classes", &[]).await else { return };
    site.focus.serve().await;
    // Not primary, shutting down, network, time, write concern, out of disk, refused client, unknown.
    for code in [10_107, 189, 91, 11_600, 6, 50, 262, 64, 14_031, 13, 371, 12_345] {
        server
            .fail_command(
                doc! { "times": 2 },
                doc! { "failCommands": ["insert", "update"], "errorCode": code },
            )
            .await;
        site.land(20);
        site.converged(&server, "node4").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_is_lost_is_made_up_for_by_reading() {
    let Some((mut site, server)) = begin("lost acknowledgement", &[]).await else { return };
    site.focus.serve().await;
    for _ in 0..5 {
        server
            .fail_command(
                doc! { "times": 1 },
                doc! { "failCommands": ["insert"], "writeConcernError": { "code": 64, "errmsg": "timed out" } },
            )
            .await;
        site.land(100);
        site.converged(&server, "node4").await;
        site.focus.until_status("pending", 0, LIMIT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_root_has_its_collection_in_the_layout_base_paths() {
    let Some((mut site, mut server)) = begin("base_paths", &["--layout", "base_paths"]).await
    else {
        return;
    };
    site.land(100);
    site.focus.serve().await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let database = server.client().await.database(server.database());
    let rows = database.collection::<Document>("base_paths");
    let row = rows.find_one(doc! {}).await.expect("an answer").expect("a row");
    assert_eq!(row.get_str("base_path").ok(), site.tree.root().to_str());
    assert_eq!(row.get_bool("is_archive").ok(), Some(false));
    let guid = row.get_str("guid").expect("a guid").to_owned();
    server.kill();
    site.land(200);
    std::fs::write(site.tree.root().join("lonely.dat"), b"x").expect("a file");
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    server.restart().await;
    site.converged(&server, &guid).await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let database = server.client().await.database(server.database());
    assert_eq!(
        database.collection::<Document>("base_paths").count_documents(doc! {}).await.ok(),
        Some(1)
    );
    let faults = database.collection::<Document>(&format!("{guid}-unrecognized_recordings"));
    focus_testkit::wait::until("the unrecognised one is told", LIMIT, || async {
        match faults.find_one(doc! { "folder_name": "lonely" }).await {
            Ok(Some(found)) if found.get_str("state").ok() == Some("data_without_sidecar") => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_fields_of_others_stay_as_they_are() {
    if embedded_only("others' documents") {
        return;
    }
    let (mut site, server) = begin_anywhere(&[]).await;
    let collection =
        server.client().await.database(server.database()).collection::<Document>("node4");
    let foreign = doc! { "_id": 1, "uuid": "foreign", "note": "theirs" };
    // The first recording of the tree is named after its stem.
    let adopted = doc! { "_id": 2, "uuid": "rec-0000000", "note": "kept", "version": "theirs" };
    collection.insert_many([&foreign, &adopted]).await.expect("theirs");
    site.land(10);
    site.focus.serve().await;
    site.focus.until_status("recordings", 10, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    let found = collection.find_one(doc! { "_id": 1 }).await.expect("an answer");
    assert_eq!(found, Some(foreign));
    let found = collection.find_one(doc! { "_id": 2 }).await.expect("an answer").expect("there");
    assert_eq!(found.get_str("note").ok(), Some("kept"));
    assert_eq!(found.get_str("root").ok(), Some(site.marker.as_str()));
    assert_eq!(found.get_i64("version").ok(), Some((1 << 32) + 1));
    assert_eq!(collection.count_documents(doc! {}).await.ok(), Some(11));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_emptied_meanwhile_is_filled_again() {
    let Some((mut site, mut server)) = begin("emptied", &[]).await else { return };
    site.land(300);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    site.in_step().await;
    server.kill();
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    std::fs::remove_dir_all(server.data_dir().join("store")).expect("emptied");
    site.land(5);
    server.restart().await;
    site.converged(&server, "node4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_folder_moves_all_that_is_in_it() {
    if embedded_only("renamed folder") {
        return;
    }
    let (mut site, server) = begin_anywhere(&[]).await;
    site.planted = site.tree.add(60, Writing::InPlace);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    std::fs::rename(site.tree.root().join("day-00"), site.tree.root().join("moved"))
        .expect("renamed");
    for planted in &mut site.planted {
        planted.path = planted.path.replace("day-00/", "moved/");
    }
    let client = server.client().await;
    focus_testkit::wait::until("paths are followed", LIMIT, || async {
        let verdict = focus_testkit::oracle::compare(
            &client,
            server.database(),
            "node4",
            &site.marker,
            &site.planted,
        )
        .await;
        if verdict.is_good() { Ok(()) } else { Err(format!("{verdict:?}")) }
    })
    .await;
}
