//! Pages of documents: their bounds, and how they follow one another.

use focus_catalog::{Catalog, RootPlace, Versioned};
use focus_core::answer::Answer;
use focus_testkit::mongo::deployment_only;
use mongodb::bson::doc;

use crate::backends::{Backend, embedded_only};
use crate::{document, root};

/// A catalog with the documents `p000` to `p249`.
async fn filled(catalog: &dyn Catalog, root: &RootPlace) {
    catalog.open(root).await.expect("open");
    let many: Vec<Versioned> = (0..250).map(|n| document(&format!("p{n:03}"), 1, 1)).collect();
    assert_eq!(catalog.insert(root, &many).await, Ok(vec![Answer::Written; 250]));
}

fn uuids(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("p{n:03}")).collect()
}

/// The uuids of the next page of a hundred, and whether more may follow.
async fn next(
    catalog: &dyn Catalog,
    root: &RootPlace,
    after: &str,
    through: Option<&str>,
) -> (Vec<String>, bool) {
    let page = catalog.page(root, Some(after), through, 100).await.expect("a page");
    (page.items.into_iter().map(|stored| stored.uuid).collect(), page.more)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_begins_after_one_uuid_and_ends_with_another() {
    let root = root();
    for backend in Backend::all("the bounds of pages").await {
        let (catalog, name) = (backend.catalog(), backend.name());
        backend.up().await;
        filled(&*catalog, &root).await;
        let within = next(&*catalog, &root, "p010", Some("p019")).await;
        assert_eq!(within, (uuids(11, 20), false), "{name}");
        let between = next(&*catalog, &root, "p010+", Some("p012+")).await;
        assert_eq!(between, (uuids(11, 13), false), "{name}");
        // More than fit one page.
        let first = next(&*catalog, &root, "p010", Some("p150")).await;
        assert_eq!(first, (uuids(11, 111), true), "{name}");
        let second = next(&*catalog, &root, "p110", Some("p150")).await;
        assert_eq!(second, (uuids(111, 151), false), "{name}");
        // What is written meanwhile is in a page that is read later.
        assert!(next(&*catalog, &root, "p199", Some("p2~")).await.0.len() == 50, "{name}");
        catalog.insert(&root, &[document("p249+", 1, 1)]).await.expect(name);
        assert_eq!(next(&*catalog, &root, "p249", None).await.0, ["p249+"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_goes_on_where_the_last_one_ended_though_its_cursor_is_gone() {
    if embedded_only("cursors that go") || deployment_only("cursors that go") {
        return;
    }
    let root = root();
    for backend in Backend::all("cursors that go").await {
        let Backend::Mongo { server, .. } = &backend else { continue };
        let (catalog, name) = (backend.catalog(), backend.name());
        backend.up().await;
        filled(&*catalog, &root).await;
        for code in [43, 237, 11_601] {
            let first = next(&*catalog, &root, "", None).await;
            assert_eq!(first, (uuids(0, 100), true), "{name}: {code}");
            let gone = doc! { "failCommands": ["getMore"], "errorCode": code };
            server.fail_command(doc! { "times": 1 }, gone).await;
            let second = next(&*catalog, &root, "p099", None).await;
            assert_eq!(second, (uuids(100, 200), true), "{name}: {code}");
            let last = next(&*catalog, &root, "p199", None).await;
            assert_eq!(last, (uuids(200, 250), false), "{name}: {code}");
            server.fail_command("off", doc! {}).await;
        }
    }
}
