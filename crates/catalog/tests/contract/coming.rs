//! A database that comes and goes, answers late, or refuses.

use std::time::{Duration, Instant};

use focus_catalog::mongo::Layout;
use focus_catalog::{Catalog, Reach};
use focus_core::answer::{Answer, Class, Failure};
use focus_core::compare::Page;
use focus_testkit::mongo::deployment_only;
use mongodb::bson::doc;

use crate::backends::{Backend, embedded_only};
use crate::{document, root};

/// No call takes longer than this once the database is known to be gone.
const GONE: Duration = Duration::from_secs(5);

/// Every call of the interface, and the class of what came of it.
async fn every_call(catalog: &dyn Catalog) -> Vec<(&'static str, Option<Class>)> {
    let root = root();
    let one = document("a", 1, 1);
    let batch = std::slice::from_ref(&one);
    let uuids = ["a".to_owned()];
    let class = |failure: Option<Failure>| failure.map(|failure| failure.class);
    vec![
        ("insert", class(catalog.insert(&root, batch).await.err())),
        ("upsert", class(catalog.upsert(&root, batch).await.err())),
        ("adopt", class(catalog.adopt(&root, &one).await.err())),
        ("read", class(catalog.read(&root, &uuids).await.err())),
        ("page", class(catalog.page(&root, None, None, 10).await.err())),
        ("mark", class(catalog.mark(&root, "w").await.err())),
        ("put_alerts", class(catalog.put_alerts(&root, 1, "a").await.err())),
        ("alerts", class(catalog.alerts(&root).await.err())),
        ("lease", class(catalog.lease(&root).await.err())),
        ("draw_token", class(catalog.draw_token(0).await.err())),
        ("put_unrecognised", class(catalog.put_unrecognised(&root, &[]).await.err())),
        ("page_unrecognised", class(catalog.page_unrecognised(&root, None, 10).await.err())),
        ("count", class(catalog.count(&root).await.err())),
        ("foreign", class(catalog.foreign(std::slice::from_ref(&root)).await.err())),
        ("identify", class(catalog.identify(&root).await.err())),
        ("open", class(catalog.open(&root).await.err())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_fails_every_call_in_a_way_that_passes_and_returns_under_a_new_epoch() {
    if deployment_only("a database that goes") {
        return;
    }
    for mut backend in Backend::all("a database that goes").await {
        let (catalog, root, name) = (backend.catalog(), root(), backend.name());
        let mut epoch = backend.up().await;
        let opened = catalog.open(&root).await.expect(name);
        let kept = document("kept", 7, 3);
        catalog.insert(&root, std::slice::from_ref(&kept)).await.expect(name);
        for _ in 0..3 {
            backend.take_away().await;
            let began = Instant::now();
            let answers = every_call(&*catalog).await;
            assert!(began.elapsed() < GONE, "{name}: {:?}", began.elapsed());
            for (call, class) in answers {
                assert_eq!(class, Some(Class::Transient), "{name}: {call}");
            }
            let Reach::Down { why, refused } = catalog.reach().borrow().clone() else {
                panic!("{name} is there")
            };
            assert!(!why.is_empty() && !refused, "{name}: {why}");
            let now = backend.bring_back().await;
            assert!(now > epoch, "{name}: {now} after {epoch}");
            epoch = now;
            // The same database, with what it was given.
            assert_eq!(catalog.open(&root).await.as_ref(), Ok(&opened), "{name}");
            assert_eq!(catalog.identify(&root).await, Ok(opened.identity.clone()), "{name}");
            let read = catalog.read(&root, &["kept".to_owned()]).await.expect(name);
            assert_eq!(read[0].recording.as_ref(), Some(&kept.recording), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_one_is_another_database() {
    if deployment_only("an emptied database") {
        return;
    }
    for mut backend in Backend::all("an emptied database").await {
        let (catalog, root, name) = (backend.catalog(), root(), backend.name());
        backend.up().await;
        let before = catalog.open(&root).await.expect(name);
        catalog.mark(&root, "w").await.expect(name);
        backend.take_away().await;
        match &backend {
            Backend::Memory(memory) => memory.empty(),
            Backend::Embedded { .. } => {
                std::fs::write(backend.file().with_extension("away"), b"").expect("emptied");
            }
            Backend::Mongo { server, .. } => server.empty_store(),
        }
        backend.bring_back().await;
        let now = catalog.open(&root).await.expect(name);
        assert_ne!(now.identity, before.identity, "{name}");
        assert_eq!(now.watermark, None, "{name}");
        assert_eq!(catalog.page(&root, None, None, 10).await, Ok(Page::new()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_answered_ends_and_is_in_doubt() {
    // Memory answers, or fails as told; a file that another process holds; a server that takes its time.
    let root = root();
    let held = Backend::embedded();
    held.up().await;
    held.catalog().open(&root).await.expect("open");
    let file = rusqlite::Connection::open(held.file()).expect("the file");
    file.execute_batch("BEGIN EXCLUSIVE").expect("held");
    let began = Instant::now();
    let failure = held.catalog().insert(&root, &[document("a", 1, 1)]).await.expect_err("held");
    assert_eq!(failure.class, Class::Transient, "{failure}");
    assert!(began.elapsed() < GONE);
    file.execute_batch("ROLLBACK").expect("let go");
    held.up().await;
    let again = held.catalog().insert(&root, &[document("a", 1, 1)]).await;
    assert_eq!(again, Ok(vec![Answer::Written]));

    if embedded_only("late answers") || deployment_only("late answers") {
        return;
    }
    let late = Backend::mongo_with(Layout::Collection, |settings| {
        settings.write_timeout_ms = 600;
    })
    .await;
    late.up().await;
    late.catalog().open(&root).await.expect("open");
    let Backend::Mongo { server, .. } = &late else { unreachable!() };
    let slow = doc! {
        "failCommands": ["insert"], "blockConnection": true, "blockTimeMS": 2_000, "appName": "focus",
    };
    server.fail_command(doc! { "times": 1 }, slow).await;
    let began = Instant::now();
    let failure = late.catalog().insert(&root, &[document("a", 1, 1)]).await.expect_err("late");
    assert_eq!(failure.class, Class::Transient, "{failure}");
    assert!(began.elapsed() < Duration::from_millis(1_900), "{:?}", began.elapsed());
    // It ran there all the same, later: repeated, it is a duplicate or was first.
    late.up().await;
    let again = late.catalog().insert(&root, &[document("a", 1, 1)]).await.expect("sent");
    assert!(matches!(again[..], [Answer::Written | Answer::Duplicate { .. }]), "{again:?}");
    focus_testkit::wait::until("it is there once", GONE, || async {
        match late.catalog().count(&root).await {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    // One that is stopped in its tracks ends a call as soon as the probe knows.
    server.pause();
    let began = Instant::now();
    let failure = focus_testkit::wait::until("it is silent", GONE, || async {
        match late.catalog().read(&root, &["a".to_owned()]).await {
            Ok(_) => Err("it answers still".to_owned()),
            Err(failure) => Ok(failure),
        }
    })
    .await;
    assert_eq!(failure.class, Class::Transient, "{failure}");
    assert!(began.elapsed() < GONE, "{:?}", began.elapsed());
    server.resume();
    late.up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_apart_from_what_passes() {
    let root = root();
    // The file is none of ours, and no waiting helps.
    let spoilt = Backend::embedded();
    spoilt.up().await;
    std::fs::write(spoilt.file().with_extension("new"), b"not a database, but long enough for one")
        .expect("written");
    std::fs::rename(spoilt.file().with_extension("new"), spoilt.file()).expect("replaced");
    let mut reach = spoilt.catalog().reach();
    let refused = reach.wait_for(|reach| matches!(reach, Reach::Down { refused: true, .. }));
    tokio::time::timeout(GONE, refused).await.expect("in time").expect("it lives");

    if embedded_only("refusals") || deployment_only("refusals") {
        return;
    }
    let backend = Backend::mongo(Layout::Collection).await;
    backend.up().await;
    let catalog = backend.catalog();
    catalog.open(&root).await.expect("open");
    let Backend::Mongo { server, .. } = &backend else { unreachable!() };
    let classes = [
        (13, Class::RefusedClient),
        (371, Class::RefusedClient),
        (10334, Class::TooLarge),
        (50, Class::Transient),
        (91, Class::Transient),
        (10107, Class::Transient),
        (64, Class::Transient),
        (14031, Class::Transient),
        (12_345, Class::Unknown),
    ];
    for (code, class) in classes {
        let fails = doc! { "failCommands": ["insert"], "errorCode": code, "appName": "focus" };
        server.fail_command(doc! { "times": 1 }, fails).await;
        let failure = catalog.insert(&root, &[document("a", 1, 1)]).await.expect_err("refused");
        assert_eq!((failure.class, failure.code), (class, Some(code)), "{failure}");
        backend.up().await;
    }
    // Written there, but not safely: not acknowledged.
    let concern = doc! { "code": 64, "errmsg": "waiting for replication timed out" };
    let fails = doc! {
        "failCommands": ["insert"], "writeConcernError": concern, "appName": "focus",
    };
    server.fail_command(doc! { "times": 1 }, fails).await;
    let failure = catalog.insert(&root, &[document("a", 1, 1)]).await.expect_err("not safe");
    assert_eq!(failure.class, Class::Transient, "{failure}");
    let again = catalog.insert(&root, &[document("a", 1, 1)]).await.expect("sent");
    assert!(matches!(again[..], [Answer::Duplicate { .. }]), "{again:?}");

    // A rule of the database refuses one document, and no other of the batch.
    let rule = doc! { "collMod": "node4", "validator": { "size": { "$lt": 1_000_i64 } } };
    if let Err(error) = backend.database().await.run_command(rule).await {
        println!("left out, the server takes no rules ({error}): one refused document of a batch");
        return;
    }
    let batch = [document("b", 1, 1), document("c", 1, 5_000), document("d", 1, 1)];
    let answers = catalog.insert(&root, &batch).await.expect("sent");
    let [Answer::Written, Answer::Refused { .. }, Answer::Written] = &answers[..] else {
        panic!("{answers:?}")
    };
}
