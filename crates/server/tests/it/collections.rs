//! Collections that others have made before the server: unfit ones, and one with a default collation.

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;

use crate::site::{LIMIT, Site, embedded_only, no_server_to_end};

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_the_database_empties_by_itself_is_named_and_not_written_to() {
    if embedded_only("a capped collection") {
        return;
    }
    let index = doc! { "key": { "start_time": 1 }, "name": "old", "expireAfterSeconds": 60 };
    let cases = [
        (doc! { "create": "node4", "capped": true, "size": 4_096, "max": 3 }, "is capped"),
        (doc! { "createIndexes": "node4", "indexes": [index] }, "dropIndex(\"old\")"),
    ];
    for (make, words) in cases {
        let server = MongoServer::start().await;
        let database = server.client().await.database(server.database());
        database.run_command(make).await.expect("made");
        let mut site = Site::with(&server, &[]);
        site.land(5);
        let check = site.focus.run(&["config", "check"]);
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert_eq!(check.status.code(), Some(2), "{said}");
        assert!(said.contains(words) && said.contains("node4"), "{said}");
        site.focus.serve().await;
        site.focus.until_status("pending", 5, LIMIT).await;
        until("the cause is named", LIMIT, || async {
            let status = site.focus.status()?;
            let reason = status["catalog_reason"].as_str().unwrap_or_default();
            let told = reason.contains(words) && reason.contains("is refused");
            if told && status["catalog_state"] == "down" {
                Ok(())
            } else {
                Err(format!("{status:#}"))
            }
        })
        .await;
        let log = site.focus.log();
        assert!(log.contains("is refused"), "{log}");
        // No identity, no lease, no index and no document.
        let names = database.list_collection_names().await.expect("names");
        assert_eq!(names, ["node4"], "{words}");
        let nodes = database.collection::<Document>("node4");
        assert_eq!(nodes.count_documents(doc! {}).await.ok(), Some(0));
        nodes.drop().await.expect("dropped");
        site.converged(&server, "node4").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_with_a_default_collation_works_with_indexes_of_the_simple_one() {
    if embedded_only("a default collation") {
        return;
    }
    let server = MongoServer::start().await;
    let database = server.client().await.database(server.database());
    let collation = doc! { "locale": "en", "strength": 2 };
    database.run_command(doc! { "create": "node4", "collation": collation }).await.expect("made");
    let mut site = Site::with(&server, &[]);
    site.land(30);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let check = site.focus.run(&["config", "check"]);
    assert!(check.status.success(), "{check:?}");
    // The start compares everything once more.
    assert_eq!(site.focus.stop(), Some(0));
    site.land(5);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
    let verify = site.focus.run(&["verify"]);
    assert!(verify.status.success(), "{verify:?}");
    let indexes = database.collection::<Document>("node4").list_indexes().await.expect("indexes");
    let indexes: Vec<_> = indexes.try_collect().await.expect("indexes");
    let collated =
        |options: Option<&IndexOptions>| options.is_some_and(|one| one.collation.is_some());
    for index in indexes.iter().filter(|index| !index.keys.contains_key("_id")) {
        assert!(!collated(index.options.as_ref()), "{index:?}");
    }
    assert_eq!(indexes.len(), 5, "{indexes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_the_settings_says_what_would_be_made_and_makes_nothing() {
    let site = Site::new(&[]);
    let check = site.focus.run(&["config", "check"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && said.contains("catalog.db), to be made"), "{said}");
    assert!(said.contains("state, to be made") && !site.state().exists(), "{said}");
    if no_server_to_end("a check of a database") {
        return;
    }
    let server = MongoServer::start().await;
    let client = server.client().await;
    let before = client.list_database_names().await.expect("names");
    for layout in ["collection", "base_paths"] {
        let site = Site::with(&server, &["--database", "typo", "--layout", layout]);
        let check = site.focus.run(&["config", "check"]);
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(check.status.success(), "{said}");
        let own = if layout == "collection" {
            "the collection node4"
        } else {
            "in the collection base_paths"
        };
        for words in ["to be made: the database typo", own, "the identity"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(client.list_database_names().await.expect("names"), before, "{layout}");
        assert!(!site.state().exists());
    }
}
