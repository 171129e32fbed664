//! The contract of the catalog, as one suite for every backend.

mod backends;
mod collections;
mod coming;
mod others;
mod pages;

use std::sync::Arc;

use focus_catalog::{Catalog, RootPlace, UnrecognisedDoc, Versioned};
use focus_core::answer::Answer;
use focus_core::json::Value;
use focus_core::lease::LeaseDoc;
use focus_core::marker_place::MarkerPlace;
use focus_core::recording::Recording;
use focus_core::state::State;

use crate::backends::{Backend, ROOT_PATH};

fn root() -> RootPlace {
    RootPlace { id: "root-1".to_owned(), path: ROOT_PATH.to_owned() }
}

fn document(uuid: &str, version: i64, size: i64) -> Versioned {
    let metadata = r#"{"a.b":"$x","big":9223372036854775807,"d":1.5,"n":[null,{"$$ROOT":[]}]}"#;
    let recording = Recording {
        uuid: uuid.to_owned(),
        start_ms: 1_700_000_000_123,
        end_ms: None,
        deleted: false,
        deleted_at_ms: None,
        recording_id: uuid.to_owned(),
        root: root().id,
        path: format!("{uuid}.dat"),
        size,
        fingerprint: "f".to_owned(),
        metadata: Value::from_text(&metadata.replace("$$ROOT", "%24$ROOT")).expect("JSON"),
    };
    Versioned { recording, version }
}

/// The whole contract, in one order: every call may be repeated.
async fn holds(catalog: Arc<dyn Catalog>) {
    let root = root();
    let opened = catalog.open(&root).await.expect("open");
    assert_eq!(opened.watermark, None);
    assert_eq!(catalog.open(&root).await.expect("again"), opened);

    // Inserted documents read back equal; a duplicate is answered as one, and holds up no other.
    let batch = [document("a", 10, 1), document("ü", 10, 1)];
    let written = vec![Answer::Written; 2];
    assert_eq!(catalog.insert(&root, &batch).await.as_ref(), Ok(&written));
    let answers =
        catalog.insert(&root, &[document("a", 10, 9), document("b", 10, 1)]).await.expect("sent");
    assert!(matches!(answers[..], [Answer::Duplicate { .. }, Answer::Written]), "{answers:?}");
    let read = catalog.read(&root, &["a".to_owned(), "none".to_owned()]).await.expect("read");
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].recording.as_ref(), Some(&batch[0].recording));
    assert_eq!((read[0].version, read[0].root.as_deref()), (Some(10), Some("root-1")));

    // An upsert writes over what is older or the same, and never over what is newer.
    for (version, wanted) in [(10, true), (12, true), (11, false)] {
        let answers =
            catalog.upsert(&root, &[document("a", version, version)]).await.expect("sent");
        assert_eq!(answers[0] == Answer::Written, wanted, "{version}: {answers:?}");
    }
    assert_eq!(catalog.upsert(&root, &[document("new", 1, 1)]).await, Ok(vec![Answer::Written]));

    // What is ours is neither adopted nor taken over, unless it is as it was read.
    let mut deleted = document("gone", 5, 1);
    deleted.recording.deleted = true;
    catalog.insert(&root, &[deleted]).await.expect("sent");
    assert!(matches!(
        catalog.adopt(&root, &document("a", 99, 1)).await,
        Ok(Answer::Duplicate { .. })
    ));
    let read = catalog.read(&root, &["gone".to_owned()]).await.expect("read").remove(0);
    let mut stale = read.clone();
    stale.version = Some(4);
    let over = document("gone", 99, 7);
    assert!(matches!(catalog.take_over(&root, &over, &stale).await, Ok(Answer::Duplicate { .. })));
    assert_eq!(catalog.take_over(&root, &over, &read).await, Ok(Answer::Written));

    removes_only_what_a_drill_left(&*catalog, &root).await;

    // Pages come by uuid, bytewise, and end.
    let many: Vec<Versioned> = (0..250).map(|n| document(&format!("p{n:03}"), 1, 1)).collect();
    catalog.insert(&root, &many).await.expect("sent");
    let (mut uuids, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
    loop {
        let page = catalog.page(&root, after.as_deref(), None, 100).await.expect("a page");
        uuids.extend(page.items.into_iter().map(|stored| stored.uuid));
        after = uuids.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(uuids.len(), 256);
    assert!(uuids.is_sorted() && uuids.last().is_some_and(|uuid| uuid == "ü"));
    assert_eq!(catalog.count(&root).await, Ok(256));

    for watermark in ["w1", "w2", "w2"] {
        catalog.mark(&root, watermark).await.expect("marked");
    }
    let known = catalog.open(&root).await.expect("open");
    assert_eq!((known.identity, known.watermark.as_deref()), (opened.identity, Some("w2")));

    keeps_what_was_told_last(&*catalog, &root).await;
    keeps_one_lease(&catalog, &root).await;
    pages_hold_no_more_than_their_bytes(&*catalog, &root).await;

    let faulty = |name: &str, reason: &str| UnrecognisedDoc {
        folder_name: name.to_owned(),
        file_count: 1,
        update_time_ms: 5,
        state: State::SidecarInvalid,
        reason: reason.to_owned(),
    };
    let both = [faulty("x/one", "first"), faulty("x/two", "second")];
    catalog.put_unrecognised(&root, &both).await.expect("put");
    catalog.put_unrecognised(&root, &[faulty("x/one", "anew")]).await.expect("put");
    let page = catalog.page_unrecognised(&root, None, 10).await.expect("a page");
    assert_eq!(page, [faulty("x/one", "anew"), faulty("x/two", "second")]);
    for _ in 0..2 {
        catalog.remove_unrecognised(&root, &["x/one".to_owned()]).await.expect("removed");
    }
    assert_eq!(
        catalog.page_unrecognised(&root, Some("x/one"), 10).await.map(|page| page.len()),
        Ok(1)
    );
}

/// A document goes only where it is ours, has the drill's mark, and is not newer.
async fn removes_only_what_a_drill_left(catalog: &dyn Catalog, root: &RootPlace) {
    let drilled = |uuid: &str, version: i64| {
        let mut document = document(uuid, version, 1);
        document.recording.metadata =
            Value::from_text(r#"{"focus_drill":"d1","a":1}"#).expect("JSON");
        document
    };
    let mut another = drilled("drill-other", 10);
    "root-2".clone_into(&mut another.recording.root);
    let mut null = drilled("drill-null", 10);
    null.recording.metadata = Value::from_text(r#"{"focus_drill":null}"#).expect("JSON");
    let there = [
        drilled("drill-older", 9),
        drilled("drill-same", 10),
        null,
        drilled("drill-newer", 11),
        document("drill-unmarked", 9, 1),
        another,
    ];
    catalog.insert(root, &there).await.expect("sent");
    let uuids: Vec<String> = there.iter().map(|one| one.recording.uuid.clone()).collect();
    let mut gone: Vec<Versioned> = uuids.iter().map(|uuid| drilled(uuid, 10)).collect();
    gone.push(drilled("drill-never", 10));
    for _ in 0..2 {
        catalog.remove_drilled(root, &gone).await.expect("removed");
        let mut left: Vec<String> = catalog
            .read(root, &uuids)
            .await
            .expect("read")
            .into_iter()
            .map(|stored| stored.uuid)
            .collect();
        left.sort_unstable();
        assert_eq!(left, ["drill-newer", "drill-other", "drill-unmarked"]);
    }
    catalog.remove_drilled(root, &[drilled("drill-newer", 11)]).await.expect("removed");
    assert_eq!(catalog.read(root, &["drill-newer".to_owned()]).await, Ok(Vec::new()));
}

/// Large documents make short pages.
async fn pages_hold_no_more_than_their_bytes(catalog: &dyn Catalog, root: &RootPlace) {
    let mut large: Vec<Versioned> = (0..8).map(|n| document(&format!("~{n}"), 1, 1)).collect();
    for one in &mut large {
        let text = format!(r#"{{"notes":"{}"}}"#, "n".repeat(1 << 20));
        one.recording.metadata = Value::from_text(&text).expect("JSON");
    }
    for one in large.chunks(2) {
        assert_eq!(catalog.insert(root, one).await, Ok(vec![Answer::Written; 2]));
    }
    let (mut pages, mut after) = (Vec::new(), "~".to_owned());
    loop {
        let page = catalog.page(root, Some(&after), None, 1_000).await.expect("a page");
        after = page.items.last().map_or(after, |stored| stored.uuid.clone());
        pages.push(page.items.iter().filter(|stored| stored.uuid.starts_with('~')).count());
        if !page.more {
            break;
        }
    }
    assert_eq!(pages[..2], [4, 4], "of 8 documents of 1 MiB: {pages:?}");
}

/// What the holder of the newest lease has told people stands, whatever an earlier one writes late. The embedded
/// catalog has one server.
async fn keeps_what_was_told_last(catalog: &dyn Catalog, root: &RootPlace) {
    assert_eq!(catalog.alerts(root).await, Ok(None));
    for (token, text) in [(1, "first"), (2, "second"), (2, "second again")] {
        catalog.put_alerts(root, token, text).await.expect("put");
        assert_eq!(catalog.alerts(root).await.as_ref().map(Option::as_deref), Ok(Some(text)));
    }
    if catalog.kind() != focus_catalog::Backend::Embedded {
        // It is refused, or does nothing.
        let _ = catalog.put_alerts(root, 1, "late").await;
        let told = catalog.alerts(root).await;
        assert_eq!(told.as_ref().map(Option::as_deref), Ok(Some("second again")));
    }
}

/// Tokens only grow, and of those who want the lease at once one has it.
async fn keeps_one_lease(catalog: &Arc<dyn Catalog>, root: &RootPlace) {
    assert_eq!(catalog.lease(root).await, Ok(None));
    let first = catalog.draw_token(0).await.expect("a token");
    assert!(first > 0);
    assert_eq!(catalog.draw_token(40).await, Ok(41));
    assert_eq!(catalog.draw_token(7).await, Ok(42));
    let wish = |holder: String, token: i64| LeaseDoc {
        holder,
        token,
        counter: token,
        released: false,
        length_ms: 10_000,
        at: None,
    };
    let mut expected = None;
    for round in 1..=3 {
        let racers = (0..8).map(|n| {
            let (catalog, root) = (Arc::clone(catalog), root.clone());
            let (expected, new) = (expected.clone(), wish(format!("server {n}"), round));
            tokio::spawn(async move {
                (catalog.put_lease(&root, expected.as_ref(), &new).await.expect("an answer"), new)
            })
        });
        let mut won = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            let (has, new) = racer.await.expect("no panic");
            won.extend(has.then_some(new));
        }
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        expected = won.pop();
        assert_eq!(catalog.lease(root).await, Ok(expected.clone()));
    }
    // Where the holder has the root comes back, except from a catalog that one server alone can use. The
    // lease is replaced whatever is known of that, and nothing of an earlier holder stays.
    let was = expected.expect("a lease");
    let (host, path) = ("h".to_owned(), "/r".to_owned());
    let at = Box::new(MarkerPlace { host, path, inode: u64::MAX, ctime_ns: -1 });
    let told = LeaseDoc { counter: was.counter + 1, at: Some(at.clone()), ..was.clone() };
    assert_eq!(catalog.put_lease(root, Some(&was), &told).await, Ok(true));
    let kept = catalog.kind() != focus_catalog::Backend::Embedded;
    let stored = catalog.lease(root).await.expect("an answer").expect("a lease");
    assert_eq!(stored.at, kept.then_some(at));
    let last = LeaseDoc { counter: told.counter + 1, at: None, ..told.clone() };
    let untold = LeaseDoc { at: None, ..told };
    assert_eq!(catalog.put_lease(root, Some(&untold), &last).await, Ok(true));
    assert_eq!(catalog.lease(root).await, Ok(Some(last)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_keeps_the_contract() {
    for backend in Backend::all("the contract").await {
        println!("{}", backend.name());
        backend.up().await;
        holds(backend.catalog()).await;
    }
}
