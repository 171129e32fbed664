//! Things of others in the catalog: documents to adopt or to leave, indexes in the way,
//! unrecognised recordings of other roots.

use std::collections::BTreeSet;

use focus_catalog::mongo::{Layout, MongoCatalog, MongoSettings};
use focus_catalog::{RootPlace, UnrecognisedDoc};
use focus_core::answer::{Answer, Class};
use focus_core::compare::Page;
use focus_core::state::State;
use focus_testkit::mongo::MongoServer;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use crate::backends::{Backend, embedded_only};
use crate::{document, root};

#[tokio::test(flavor = "multi_thread")]
async fn a_document_without_root_is_adopted_once_and_keeps_what_is_of_others() {
    for backend in Backend::all("adoption").await {
        let (catalog, root, name) = (backend.catalog(), root(), backend.name());
        backend.up().await;
        catalog.open(&root).await.expect(name);
        backend.put_foreign("theirs").await;
        backend.put_foreign("left").await;
        assert_eq!(catalog.foreign(std::slice::from_ref(&root)).await, Ok(2), "{name}");
        let ours = document("theirs", 5, 4);
        let batch = std::slice::from_ref(&ours);
        // Neither inserted over, nor upserted over: read, and then adopted.
        for answers in [catalog.insert(&root, batch).await, catalog.upsert(&root, batch).await] {
            let answers = answers.expect(name);
            assert!(matches!(answers[..], [Answer::Duplicate { .. }]), "{name}: {answers:?}");
        }
        let read = catalog.read(&root, &["theirs".to_owned()]).await.expect(name);
        assert_eq!((read.len(), &read[0].root, &read[0].recording), (1, &None, &None), "{name}");
        assert_eq!(catalog.page(&root, None, None, 10).await, Ok(Page::new()), "{name}");
        assert_eq!(catalog.adopt(&root, &ours).await, Ok(Answer::Written), "{name}");
        let read = catalog.read(&root, &["theirs".to_owned()]).await.expect(name);
        assert_eq!(read[0].recording.as_ref(), Some(&ours.recording), "{name}");
        assert_eq!(read[0].version, Some(5), "{name}");
        let again = catalog.adopt(&root, &document("theirs", 6, 9)).await.expect(name);
        assert!(matches!(again, Answer::Duplicate { .. }), "{name}: {again:?}");
        let nobody = catalog.adopt(&root, &document("nobody's", 6, 9)).await.expect(name);
        assert!(matches!(nobody, Answer::Duplicate { .. }), "{name}: {nobody:?}");
        assert_eq!(
            (catalog.count(&root).await, catalog.foreign(std::slice::from_ref(&root)).await),
            (Ok(1), Ok(1))
        );
        if let Backend::Mongo { .. } = backend {
            let find = async |uuid: &str| {
                let nodes = backend.recordings().await;
                nodes.find_one(doc! { "uuid": uuid }).await.expect("read").expect("there")
            };
            assert_eq!(find("theirs").await.get_str("note").ok(), Some("of others"));
            let mut left = find("left").await;
            left.remove("_id");
            let whole = doc! { "uuid": "left", "note": "of others", "version": 99_i64 << 32 };
            assert_eq!(left, whole);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_spoilt_is_replaced_as_it_was_read() {
    for backend in Backend::all("a spoilt version").await {
        let (catalog, root, name) = (backend.catalog(), root(), backend.name());
        backend.up().await;
        catalog.open(&root).await.expect(name);
        catalog.insert(&root, &[document("a", i64::MAX, 1)]).await.expect(name);
        let ours = document("a", 5, 2);
        let answers = catalog.upsert(&root, std::slice::from_ref(&ours)).await.expect(name);
        assert!(matches!(answers[..], [Answer::Duplicate { .. }]), "{name}: {answers:?}");
        let read = catalog.read(&root, &["a".to_owned()]).await.expect(name).remove(0);
        assert_eq!(catalog.take_over(&root, &ours, &read).await, Ok(Answer::Written), "{name}");
        let again = catalog.take_over(&root, &ours, &read).await.expect(name);
        assert!(matches!(again, Answer::Duplicate { .. }), "{name}: {again:?}");
        let read = catalog.read(&root, &["a".to_owned()]).await.expect(name);
        assert_eq!(read[0].recording.as_ref(), Some(&ours.recording), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unrecognised_recordings_come_in_order_by_pages_and_each_root_has_its_own() {
    for backend in Backend::all("unrecognised recordings").await {
        let (catalog, root, name) = (backend.catalog(), root(), backend.name());
        backend.up().await;
        let other = RootPlace { id: "root-2".to_owned(), path: "/other".to_owned() };
        // Named so that one root's id is the beginning of another's.
        let longer = RootPlace { id: "root-11".to_owned(), path: "/longer".to_owned() };
        for place in [&root, &other, &longer] {
            catalog.open(place).await.expect(name);
        }
        let faulty = |folder_name: String, reason: &str| UnrecognisedDoc {
            folder_name,
            file_count: 2,
            update_time_ms: 1_700_000_000_123,
            state: State::DataWithoutSidecar,
            reason: reason.to_owned(),
        };
        let names = ["", "a", "a/b", "a:b", "b;c", "ü", "z"];
        let ours: Vec<_> = names.iter().map(|one| faulty((*one).to_owned(), "ours")).collect();
        for place in [&other, &longer] {
            let theirs = [faulty("a".to_owned(), "theirs"), faulty("zz".to_owned(), "theirs")];
            catalog.put_unrecognised(place, &theirs).await.expect(name);
        }
        // In any order, and put again.
        let mut shuffled = ours.clone();
        shuffled.reverse();
        for _ in 0..2 {
            catalog.put_unrecognised(&root, &shuffled).await.expect(name);
        }
        let (mut met, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = catalog.page_unrecognised(&root, after.as_deref(), 2).await.expect(name);
            let full = page.len() == 2;
            after = page.last().map(|one| one.folder_name.clone());
            met.extend(page);
            if !full {
                break;
            }
        }
        let mut wanted = ours.clone();
        wanted.sort_by(|a, b| a.folder_name.as_bytes().cmp(b.folder_name.as_bytes()));
        // A page is after a name, so that the empty one is met by none.
        wanted.retain(|one| !one.folder_name.is_empty());
        met.retain(|one| !one.folder_name.is_empty());
        assert_eq!(met, wanted, "{name}");
        let gone = ["a/b".to_owned(), "never there".to_owned()];
        catalog.remove_unrecognised(&root, &gone).await.expect(name);
        let page = catalog.page_unrecognised(&root, Some("a"), 100).await.expect(name);
        assert!(page.iter().all(|one| one.folder_name != "a/b"), "{name}: {page:?}");
        let theirs = catalog.page_unrecognised(&other, None, 10).await.expect(name);
        assert!(theirs.len() == 2 && theirs.iter().all(|one| one.reason == "theirs"), "{name}");
        if let Backend::Mongo { layout, .. } = backend {
            let recordings = backend.recordings().await;
            let unrecognised = format!("{}-unrecognized_recordings", recordings.name());
            let database = backend.database().await;
            let collection = database.collection::<Document>(&unrecognised);
            let one = collection.find_one(doc! { "folder_name": "a", "reason": "ours" }).await;
            let one = one.expect("read").expect("there");
            let mut fields: BTreeSet<&str> = one.keys().map(String::as_str).collect();
            fields.remove("_id");
            let mut wanted =
                BTreeSet::from(["folder_name", "file_count", "update_time", "state", "reason"]);
            if layout == Layout::Collection {
                wanted.insert("root");
            }
            assert_eq!(fields, wanted, "{name}");
            assert_eq!(one.get_str("state").ok(), Some("data_without_sidecar"));
            assert_eq!(recordings.count_documents(doc! {}).await.ok(), Some(0));
        }
    }
}

/// A collection with indexes and documents of others, and the result of opening it.
async fn opened(indexes: &[Document], documents: &[Document]) -> (MongoServer, Result<(), String>) {
    let server = MongoServer::start().await;
    let database = server.client().await.database(server.database());
    let nodes = database.collection::<Document>("node4");
    if !documents.is_empty() {
        nodes.insert_many(documents).await.expect("inserted");
    }
    if !indexes.is_empty() {
        let command = doc! { "createIndexes": "node4", "indexes": indexes.to_vec() };
        database.run_command(command).await.expect("made");
    }
    let settings =
        MongoSettings::new(&server.uri(), server.database(), "node4", Layout::Collection);
    let catalog = MongoCatalog::start(settings).expect("a catalog");
    let up = Backend::Mongo { catalog, server: Box::new(server), layout: Layout::Collection };
    up.up().await;
    let opened = match up.catalog().open(&root()).await {
        Ok(_) => Ok(()),
        Err(failure) => {
            assert_eq!(failure.class, Class::RefusedClient, "{failure}");
            Err(failure.to_string())
        }
    };
    // Nothing is forced: what was there is there still.
    let nodes = up.recordings().await;
    assert_eq!(nodes.count_documents(doc! {}).await.ok(), Some(documents.len() as u64));
    let names = nodes.list_index_names().await.expect("indexes");
    for index in indexes {
        let name = index.get_str("name").expect("a name");
        assert!(names.iter().any(|there| there == name), "{name}: {names:?}");
    }
    let Backend::Mongo { server, .. } = up else { unreachable!() };
    (*server, opened)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_unique_uuid_it_is_refused_and_the_cause_is_named() {
    if embedded_only("index conflicts") {
        return;
    }
    let plain = doc! { "key": { "uuid": 1 }, "name": "by_uuid" };
    let sparse = doc! { "key": { "uuid": 1 }, "name": "thin", "unique": true, "sparse": true };
    let part = doc! {
        "key": { "uuid": 1 }, "name": "part", "unique": true,
        "partialFilterExpression": { "uuid": { "$gt": "m" } },
    };
    let twice = [doc! { "uuid": "a" }, doc! { "uuid": "a" }];
    let without = [doc! { "note": 1 }, doc! { "note": 2 }];
    let cases: [(&[Document], &[Document], &[&str]); 5] = [
        (&[plain], &[], &["by_uuid", "not unique", "dropIndex(\"by_uuid\")"]),
        (&[sparse], &[], &["thin", "leaves documents out"]),
        (&[part], &[], &["part", "leaves documents out"]),
        (&[], &twice, &["several documents with one uuid", "node4"]),
        (&[], &without, &["or without one", "node4"]),
    ];
    for (indexes, documents, words) in cases {
        let (server, opened) = opened(indexes, documents).await;
        let said = opened.expect_err("refused");
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        // Mended, it is opened, and nothing else has to be done.
        let nodes =
            server.client().await.database(server.database()).collection::<Document>("node4");
        for index in indexes {
            nodes.drop_index(index.get_str("name").expect("a name")).await.expect("dropped");
        }
        nodes.delete_many(doc! {}).await.expect("removed");
        let settings =
            MongoSettings::new(&server.uri(), server.database(), "node4", Layout::Collection);
        let catalog = MongoCatalog::start(settings).expect("a catalog");
        let backend =
            Backend::Mongo { catalog, server: Box::new(server), layout: Layout::Collection };
        backend.up().await;
        backend.catalog().open(&root()).await.expect("mended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_others_are_used_where_they_do_and_never_replaced() {
    if embedded_only("indexes of others") {
        return;
    }
    // The names that we would give are taken by other indexes; another one makes uuid unique
    // already.
    let others = [
        doc! { "key": { "uuid": 1 }, "name": "theirs", "unique": true },
        doc! { "key": { "note": 1 }, "name": "uuid_1" },
        doc! { "key": { "note": -1 }, "name": "start_time_1" },
        doc! { "key": { "end_time": 1, "note": 1 }, "name": "end_time_1" },
        doc! { "key": { "deleted": 1 }, "name": "deleted_1", "sparse": true },
    ];
    let (server, opened) = opened(&others, &[doc! { "uuid": "a" }]).await;
    assert_eq!(opened, Ok(()));
    let nodes = server.client().await.database(server.database()).collection::<Document>("node4");
    let indexes = nodes.list_indexes().await.expect("indexes");
    let indexes: Vec<_> = indexes.try_collect().await.expect("indexes");
    let begin_with = |field: &str| {
        indexes
            .iter()
            .filter(|index| index.keys.keys().next().is_some_and(|key| key == field))
            .count()
    };
    // One begins with end_time; nothing begins with start_time.
    assert_eq!((begin_with("uuid"), begin_with("start_time")), (1, 1), "{indexes:?}");
    assert_eq!((begin_with("end_time"), begin_with("deleted")), (1, 1), "{indexes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_another_root_that_is_served_is_not_foreign_and_is_counted_once() {
    for backend in Backend::all("foreign").await {
        let (catalog, root, name) = (backend.catalog(), root(), backend.name());
        backend.up().await;
        let second = focus_catalog::RootPlace { id: "second".to_owned(), path: root.path.clone() };
        for place in [&root, &second] {
            catalog.open(place).await.expect(name);
        }
        let mut theirs = document("of the second", 5, 4);
        theirs.recording.root.clone_from(&second.id);
        catalog.insert(&root, &[document("of the first", 5, 4)]).await.expect(name);
        catalog.insert(&second, &[theirs]).await.expect(name);
        let foreign = async |roots: &[_]| catalog.foreign(roots).await.expect(name);
        assert_eq!(foreign(std::slice::from_ref(&root)).await, 1, "{name}");
        let both = [root.clone(), second.clone()];
        assert_eq!(foreign(&both).await, 0, "{name}");
        backend.put_foreign("of nobody").await;
        assert_eq!(foreign(&both).await, 1, "{name}");
    }
}
