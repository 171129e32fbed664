//! Bad recordings among good ones: listed with reasons, in nobody's way, and promoted when mended.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use focus_testkit::mongo::MongoServer;
use focus_testkit::tree::{Writing, write};
use mongodb::bson::{Document, doc};

use crate::site::{LIMIT, Site, embedded_only, no_server_to_end};

const GOOD: &str = r#"{"start_time": 1700000000, "end_time": 1700000060}"#;

/// Ten of each kind that storage alone can cause.
fn plant_bad(site: &Site) -> Vec<(&'static str, u64)> {
    let root = site.tree.root();
    let put = |name: &str, text: &str| write(root, name, text.as_bytes(), Writing::Moved);
    for n in 0..10 {
        put(&format!("lonely-{n}.dat"), "x");
        put(&format!("empty-{n}.json"), GOOD);
        put(&format!("broken-{n}.dat"), "x");
        put(&format!("broken-{n}.json"), "{\"start_time\": 1,\n \"start_time\": 2}");
        put(&format!("untimed-{n}.dat"), "x");
        put(&format!("untimed-{n}.json"), "{\"start_time\": \"yesterday\"}");
        for copy in ["a", "b"] {
            put(&format!("twin-{n}-{copy}.dat"), "x");
            put(
                &format!("twin-{n}-{copy}.json"),
                &GOOD.replace('{', &format!("{{\"uuid\": \"twin-{n}\",")),
            );
        }
        let name = std::ffi::OsStr::from_bytes(&[b'n', 0xFF, b'0' + n]).to_owned();
        fs::write(root.join(&name).with_extension("dat"), "x").expect("a file");
        fs::write(root.join(&name).with_extension("json"), GOOD).expect("a file");
        std::os::unix::fs::symlink("/etc/hostname", root.join(format!("linked-{n}.dat")))
            .expect("a link");
    }
    vec![
        ("data_without_sidecar", 10),
        ("sidecar_without_data", 20),
        ("sidecar_invalid", 10),
        ("time_invalid", 10),
        ("duplicate_id", 10),
        ("name_invalid", 10),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bad_are_listed_and_promoted_and_the_good_are_not_delayed() {
    if no_server_to_end("unrecognised") {
        return;
    }
    let mut server = MongoServer::start().await;
    let mut site = Site::with(&server, &[]);
    site.focus.serve().await;
    // A collection that is being made is lost to a server that is killed.
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    server.kill();
    site.focus.until_status("catalog_state", "down", LIMIT).await;
    let wanted = plant_bad(&site);
    site.land(200);
    site.focus.until_status("unrecognised", 70, LIMIT).await;
    let status = site.focus.status().expect("a status");
    for (state, count) in wanted {
        assert_eq!(status["unrecognised_by_state"][state], count, "{state}: {status:#}");
    }
    let listed =
        site.focus.get("/api/v1/unrecognised?limit=1000&state=sidecar_invalid").expect("a list");
    assert!(listed.contains("line 2, column 2"), "{listed}");
    server.restart().await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let database = server.client().await.database(server.database());
    let good = database.collection::<Document>("node4");
    assert_eq!(good.count_documents(doc! {}).await.ok(), Some(210));
    let bad = database.collection::<Document>("node4-unrecognized_recordings");
    let told = |count: u64| {
        let bad = bad.clone();
        async move {
            focus_testkit::wait::until("the unrecognised collection is in step", LIMIT, || async {
                match bad.count_documents(doc! {}).await {
                    Ok(found) if found == count => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
        }
    };
    told(70).await;
    let root = site.tree.root().to_owned();
    for n in 0..10 {
        write(&root, &format!("lonely-{n}.json"), GOOD.as_bytes(), Writing::Moved);
        write(&root, &format!("empty-{n}.dat"), b"x", Writing::Moved);
        for kind in ["broken", "untimed"] {
            write(&root, &format!("{kind}-{n}.json"), GOOD.as_bytes(), Writing::Moved);
        }
        fs::remove_file(root.join(format!("linked-{n}.dat"))).expect("removed");
        // The twin that had the uuid goes: the other one has it now.
        for extension in ["dat", "json"] {
            fs::remove_file(root.join(format!("twin-{n}-a.{extension}"))).expect("removed");
        }
    }
    site.focus.until_status("unrecognised", 10, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    told(10).await;
    assert_eq!(good.count_documents(doc! {}).await.ok(), Some(250));
    let twin = good.find_one(doc! { "uuid": "twin-3" }).await.ok().flatten().expect("a twin");
    assert_eq!(twin.get_str("path").ok(), Some("twin-3-b.dat"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_the_database_refuses_waits_alone() {
    if embedded_only("catalog_refused") {
        return;
    }
    let server = MongoServer::start().await;
    let database = server.client().await.database(server.database());
    let collection = database.collection::<Document>("node4");
    // A unique index of somebody else's: two recordings with one station cannot both be there.
    let index = doc! {
        "createIndexes": "node4",
        "indexes": [{ "key": { "metadata.badge": 1 }, "name": "badge", "unique": true }],
    };
    database.run_command(index).await.expect("an index");
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "refused_retry_ms = 300\n").expect("settings");
    let config = file.path().display().to_string();
    let mut site = Site::with(&server, &["--config", &config]);
    let root = site.tree.root().to_owned();
    for n in 0..20 {
        let badge = if n < 2 { 7 } else { 100 + n };
        let text = format!("{{\"start_time\": 1700000000, \"badge\": {badge}}}");
        write(&root, &format!("r{n}.dat"), b"x", Writing::Moved);
        write(&root, &format!("r{n}.json"), text.as_bytes(), Writing::Moved);
    }
    site.focus.serve().await;
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    assert_eq!(collection.count_documents(doc! {}).await.ok(), Some(19));
    let status = site.focus.status().expect("a status");
    assert_eq!(status["unrecognised_by_state"]["catalog_refused"], 1, "{status:#}");
    // The cause goes, and it is catalogued by itself.
    database.run_command(doc! { "dropIndexes": "node4", "index": "badge" }).await.expect("dropped");
    site.focus.until_status("unrecognised", 0, LIMIT).await;
    assert_eq!(collection.count_documents(doc! {}).await.ok(), Some(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_uniqueness_nothing_is_written_and_the_cause_is_named() {
    if embedded_only("uniqueness") {
        return;
    }
    let server = MongoServer::start().await;
    let collection =
        server.client().await.database(server.database()).collection::<Document>("node4");
    collection
        .insert_many([doc! { "uuid": "same" }, doc! { "uuid": "same" }])
        .await
        .expect("theirs");
    let mut site = Site::with(&server, &[]);
    site.land(5);
    site.focus.serve().await;
    site.focus.until_status("pending", 5, LIMIT).await;
    let named = || async {
        let status = site.focus.status()?;
        let reason = status["catalog_reason"].as_str().unwrap_or_default();
        if reason.contains("several documents with one uuid") {
            Ok(())
        } else {
            Err(format!("{status:#}"))
        }
    };
    focus_testkit::wait::until("the cause is named", LIMIT, named).await;
    assert_eq!(collection.count_documents(doc! {}).await.ok(), Some(2));
    let check = site.focus.run(&["config", "check"]);
    assert_eq!(check.status.code(), Some(2), "{check:?}");
    collection.delete_many(doc! {}).await.expect("mended");
    site.converged(&server, "node4").await;
}
