//! Collections that others have made: those that cannot be used are refused before anything is
//! written, and a default collation changes nothing.

use std::sync::Arc;
use std::time::Duration;

use focus_catalog::mongo::{Layout, MongoCatalog, MongoSettings};
use focus_catalog::{Catalog, Reach, Versioned};
use focus_core::answer::{Answer, Class};
use focus_testkit::mongo::MongoServer;
use mongodb::Database;
use mongodb::bson::{Document, doc};

use crate::backends::{Backend, ROOT_PATH, embedded_only};
use crate::{document, holds, root};

/// By this collation `a` and `A` are equal.
fn careless() -> Document {
    doc! { "locale": "en", "strength": 2 }
}

fn settings(server: &MongoServer, layout: Layout) -> MongoSettings {
    MongoSettings::new(&server.uri(), server.database(), "node4", layout)
}

async fn reaches(catalog: &Arc<MongoCatalog>, is: impl Fn(&Reach) -> bool) -> Reach {
    let mut reach = catalog.reach();
    let met =
        tokio::time::timeout(Duration::from_secs(30), reach.wait_for(|reach| is(reach))).await;
    let met = met.unwrap_or_else(|_| panic!("{:?}", catalog.reach()));
    met.expect("the catalog lives").clone()
}

async fn names(database: &Database) -> Vec<String> {
    let mut names = database.list_collection_names().await.expect("names");
    names.retain(|name| !name.starts_with("system."));
    names.sort_unstable();
    names
}

/// Makes a collection of each kind that cannot be used; the words that a person is told.
fn unfit(name: &str) -> Vec<(Document, &'static str)> {
    let expiring = |field: &str| {
        let index = doc! { "key": { field: 1 }, "name": "old", "expireAfterSeconds": 3_600 };
        doc! { "createIndexes": name, "indexes": [index] }
    };
    let clustered = doc! { "key": { "_id": 1 }, "unique": true };
    vec![
        (doc! { "create": name, "capped": true, "size": 4_096, "max": 3 }, "is capped"),
        (expiring("start_time"), "dropIndex(\"old\")"),
        (expiring("indexed_at"), "expireAfterSeconds (TTL)"),
        (
            doc! { "create": name, "clusteredIndex": clustered, "expireAfterSeconds": 3_600_i64 },
            "is clustered with expireAfterSeconds",
        ),
        (doc! { "create": name, "timeseries": { "timeField": "start_time" } }, "is a time series"),
        (doc! { "create": name, "viewOn": "other", "pipeline": [] }, "is a view"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_removes_or_hides_documents_is_refused_before_anything_is_written() {
    if embedded_only("unfit collections") {
        return;
    }
    let server = MongoServer::start().await;
    let database = server.client().await.database(server.database());
    let mut cases = Vec::new();
    for name in ["node4", "node4-unrecognized_recordings", "focus_meta"] {
        cases.extend(unfit(name).into_iter().map(|(make, words)| (name, make, words)));
    }
    let collated = doc! { "create": "node4-unrecognized_recordings", "collation": careless() };
    cases.push(("node4-unrecognized_recordings", collated, "default collation"));
    let mut kept: Option<Arc<MongoCatalog>> = None;
    let mut told_anew = false;
    for (name, make, words) in cases {
        database.run_command(make.clone()).await.expect("made");
        let catalog =
            MongoCatalog::start(settings(&server, Layout::Collection)).expect("a catalog");
        let reach = reaches(&catalog, |reach| matches!(reach, Reach::Down { .. })).await;
        let Reach::Down { why, refused: true } = reach else { panic!("{make}: {reach:?}") };
        assert!(why.contains(words) && why.contains(name), "{make}: {why}");
        assert!(why.contains("nothing is written"), "{make}: {why}");
        assert!(catalog.open(&root()).await.is_err() && catalog.draw_token(0).await.is_err());
        assert_eq!(names(&database).await, [name], "{make}");
        if let Some(kept) = kept.as_ref().filter(|_| !std::mem::replace(&mut told_anew, true)) {
            // One that was refused for another reason before tells the present one.
            let told =
                |reach: &Reach| matches!(reach, Reach::Down { why, .. } if why.contains(words));
            reaches(kept, told).await;
        }
        database.collection::<Document>(name).drop().await.expect("dropped");
        // Nobody has to restart anything.
        kept.get_or_insert(catalog);
    }
    let catalog = kept.expect("the first of them");
    reaches(&catalog, |reach| matches!(reach, Reach::Up { .. })).await;
    catalog.open(&root()).await.expect("opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_layout_base_paths_an_unfit_collection_is_refused_before_a_lease_is_taken() {
    if embedded_only("unfit collections of base paths") {
        return;
    }
    let server = MongoServer::start().await;
    let database = server.client().await.database(server.database());
    let rows = database.collection::<Document>("base_paths");
    let row = doc! { "base_path": ROOT_PATH, "guid": "their-guid", "is_archive": false };
    rows.insert_one(row).await.expect("a row");
    for (make, words) in unfit("their-guid") {
        database.run_command(make.clone()).await.expect("made");
        let catalog = MongoCatalog::start(settings(&server, Layout::BasePaths)).expect("a catalog");
        reaches(&catalog, |reach| matches!(reach, Reach::Up { .. })).await;
        for refused in [catalog.lease(&root()).await.err(), catalog.open(&root()).await.err()] {
            let refused = refused.unwrap_or_else(|| panic!("{make}"));
            assert_eq!(refused.class, Class::RefusedClient, "{make}: {refused}");
            assert!(refused.words.contains(words), "{make}: {refused}");
        }
        assert_eq!(names(&database).await, ["base_paths", "their-guid"], "{make}");
        database.collection::<Document>("their-guid").drop().await.expect("dropped");
        assert_eq!(catalog.lease(&root()).await, Ok(None), "{make}");
    }
    // The rows themselves.
    rows.drop().await.expect("dropped");
    database
        .run_command(doc! { "create": "base_paths", "capped": true, "size": 4_096 })
        .await
        .expect("made");
    let catalog = MongoCatalog::start(settings(&server, Layout::BasePaths)).expect("a catalog");
    let reach = reaches(&catalog, |reach| matches!(reach, Reach::Down { .. })).await;
    assert!(format!("{reach:?}").contains("base_paths"), "{reach:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_becomes_unfit_is_refused_by_the_next_opening_and_after_a_reconnect() {
    if embedded_only("collections that become unfit") {
        return;
    }
    let mut backend = Backend::mongo(Layout::Collection).await;
    backend.up().await;
    backend.catalog().open(&root()).await.expect("opened");
    let index = doc! { "key": { "end_time": -1 }, "name": "tidy", "expireAfterSeconds": 60 };
    let command = doc! { "createIndexes": "node4", "indexes": [index] };
    backend.database().await.run_command(command).await.expect("made");
    let refused = backend.catalog().open(&root()).await.expect_err("refused");
    assert_eq!(refused.class, Class::RefusedClient, "{refused}");
    assert!(refused.words.contains("tidy"), "{refused}");
    let Backend::Mongo { server, catalog, .. } = &mut backend else { unreachable!() };
    if focus_testkit::mongo::deployment_only("a reconnect to an unfit collection") {
        return;
    }
    server.kill();
    reaches(catalog, |reach| matches!(reach, Reach::Down { .. })).await;
    server.restart().await;
    let refused = |reach: &Reach| matches!(reach, Reach::Down { refused: true, .. });
    let reach = reaches(catalog, refused).await;
    assert!(format!("{reach:?}").contains("tidy"), "{reach:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_removes_documents_of_others_by_their_own_field_is_left_to_them() {
    if embedded_only("indexes of others that remove documents") {
        return;
    }
    let backend = Backend::mongo(Layout::Collection).await;
    let index = doc! { "key": { "their_session": 1 }, "name": "theirs", "expireAfterSeconds": 60 };
    let command = doc! { "createIndexes": "node4", "indexes": [index] };
    backend.database().await.run_command(command).await.expect("made");
    backend.up().await;
    backend.catalog().open(&root()).await.expect("opened");
}

/// A backend whose collections have a collation by which case does not count.
async fn collated(layout: Layout) -> Backend {
    let backend = Backend::mongo(layout).await;
    let database = backend.database().await;
    let mut names = vec!["focus_meta"];
    match layout {
        Layout::Collection => names.push("node4"),
        Layout::BasePaths => names.extend(["base_paths", "their-guid"]),
    }
    for name in names {
        database.run_command(doc! { "create": name, "collation": careless() }).await.expect("made");
    }
    if layout == Layout::BasePaths {
        let rows = [(ROOT_PATH.to_uppercase(), "another"), (ROOT_PATH.to_owned(), "their-guid")]
            .map(|(path, guid)| doc! { "base_path": path, "guid": guid, "is_archive": false });
        database.collection("base_paths").insert_many(rows).await.expect("rows");
    }
    backend
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_in_a_collection_with_a_default_collation() {
    if embedded_only("the contract with a default collation") {
        return;
    }
    for layout in [Layout::Collection, Layout::BasePaths] {
        let backend = collated(layout).await;
        backend.up().await;
        holds(backend.catalog()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_compared_by_their_bytes_whatever_the_default_collation_is() {
    if embedded_only("texts with a default collation") {
        return;
    }
    for layout in [Layout::Collection, Layout::BasePaths] {
        let backend = collated(layout).await;
        let (catalog, root, name) = (backend.catalog(), root(), backend.name());
        backend.up().await;
        catalog.open(&root).await.expect(name);
        let batch = ["a", "B", "b", "A"].map(|uuid| document(uuid, 5, 1));
        let written = vec![Answer::Written; 4];
        assert_eq!(catalog.insert(&root, &batch).await.as_ref(), Ok(&written), "{name}");
        let uuids = |stored: Vec<focus_catalog::Stored>| {
            stored.into_iter().map(|one| one.uuid).collect::<Vec<_>>()
        };
        let page = catalog.page(&root, None, None, 10).await.expect(name);
        assert_eq!(uuids(page.items), ["A", "B", "a", "b"], "{name}");
        let page = catalog.page(&root, Some("B"), None, 10).await.expect(name);
        assert_eq!(uuids(page.items), ["a", "b"], "{name}");
        let read = catalog.read(&root, &["B".to_owned()]).await.expect(name);
        assert_eq!(uuids(read), ["B"], "{name}");
        catalog.upsert(&root, &[document("B", 6, 9)]).await.expect(name);
        let read = catalog.read(&root, &["b".to_owned()]).await.expect(name);
        assert_eq!(read[0].recording.as_ref().map(|one| one.size), Some(1), "{name}");
        // Another root, if only by its case.
        let other =
            focus_catalog::RootPlace { id: root.id.to_uppercase(), path: root.path.clone() };
        assert_eq!(catalog.count(&root).await, Ok(4), "{name}");
        if layout == Layout::Collection {
            assert_eq!(catalog.count(&other).await, Ok(0), "{name}");
            assert_eq!(catalog.foreign(std::slice::from_ref(&other)).await, Ok(4), "{name}");
        }
        assert_eq!(
            catalog.adopt(&root, &document("C", 5, 1)).await,
            catalog.adopt(&root, &document("c", 5, 1)).await
        );
        removes_by_bytes(&*catalog, &root).await;
    }
}

async fn removes_by_bytes(catalog: &dyn Catalog, root: &focus_catalog::RootPlace) {
    let drilled = |uuid: &str| {
        let mut document: Versioned = document(uuid, 5, 1);
        document.recording.metadata =
            focus_core::json::Value::from_text(r#"{"focus_drill":"d1"}"#).expect("JSON");
        document
    };
    catalog.insert(root, &[drilled("d"), drilled("D")]).await.expect("sent");
    catalog.remove_drilled(root, &[drilled("D")]).await.expect("removed");
    let left = catalog.read(root, &["d".to_owned(), "D".to_owned()]).await.expect("read");
    assert!(left.len() == 1 && left[0].uuid == "d", "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_a_collation_neither_counts_as_ours_nor_is_in_the_way() {
    if embedded_only("indexes with a collation") {
        return;
    }
    let backend = collated(Layout::Collection).await;
    let database = backend.database().await;
    // Made without a word on collation, they get the collection's.
    let theirs = [
        doc! { "key": { "uuid": 1 }, "name": "uuid_1", "unique": true },
        doc! { "key": { "start_time": 1 }, "name": "start_time_1" },
    ];
    let command = doc! { "createIndexes": "node4", "indexes": theirs.to_vec() };
    database.run_command(command).await.expect("made");
    backend.up().await;
    for _ in 0..2 {
        backend.catalog().open(&root()).await.expect("opened");
    }
    let listed = database.run_command(doc! { "listIndexes": "node4" }).await.expect("indexes");
    let listed = listed.get_document("cursor").expect("a cursor");
    let mut simple: Vec<&str> = listed
        .get_array("firstBatch")
        .expect("indexes")
        .iter()
        .filter_map(|index| index.as_document())
        .filter(|index| !index.contains_key("collation"))
        .filter_map(|index| index.get_str("name").ok())
        .collect();
    simple.sort_unstable();
    assert_eq!(simple, ["deleted_1", "end_time_1", "focus_start_time", "focus_uuid"], "{listed}");
}
