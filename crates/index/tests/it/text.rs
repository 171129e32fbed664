//! The text index through the calls of the index: what lands, moves, goes and is forgotten.

use focus_index::{Index, Listing, TextDue};

use crate::fixture::{Fixture, sidecar};

const BASE: i64 = 1_700_000_000_000;

fn found(index: &Index, text: &str) -> Vec<String> {
    let listing = Listing { text: Some(text.to_owned()), limit: 100, ..Listing::default() };
    let page = index.reader().recordings(&listing).expect("a page");
    page.rows.into_iter().map(|row| row.uuid).collect()
}

/// Indexes everything, and tells how many recordings that is.
async fn finish(fixture: &Fixture) -> u64 {
    while fixture.index.text_step(TextDue::All).await.expect("a step") {}
    let indexed = fixture.index.reader().text_indexed().expect("read");
    assert_eq!((indexed.done, indexed.left), (indexed.of, 0));
    fixture.is_in_order();
    indexed.done
}

async fn landed() -> Fixture {
    let mut fixture = Fixture::new().await;
    for n in 0..20 {
        let folder = if n < 5 { "North" } else { "south" };
        let text = sidecar(&format!("uuid-{n:02}"), BASE + n * 1_000);
        fixture.put(&format!("{folder}/rec{n}"), &text).await;
    }
    fixture
}

#[tokio::test]
async fn texts_are_found_while_they_are_indexed_and_recordings_land_move_and_go() {
    let mut fixture = landed().await;
    let north = ["uuid-00", "uuid-01", "uuid-02", "uuid-03", "uuid-04"];
    assert_eq!(found(&fixture.index, "north/"), north);
    assert!(!fixture.index.text_step(TextDue::Much).await.expect("a step"), "it is little");
    assert_eq!(finish(&fixture).await, 20);
    assert_eq!(found(&fixture.index, "NORTH/"), north);
    assert_eq!(found(&fixture.index, "uuid-1").len(), 10);
    assert_eq!(found(&fixture.index, "ec7.d"), ["uuid-07"]);
    assert_eq!(found(&fixture.index, "east"), Vec::<String>::new());
    fixture.put("north/late", &sidecar("uuid-20", BASE - 1_000)).await;
    // One moves there, one from there, and one goes.
    fixture.remove("south/rec9").await;
    fixture.put("north/rec9", &sidecar("uuid-09", BASE + 9_000)).await;
    fixture.remove("North/rec0").await;
    fixture.put("south/rec0", &sidecar("uuid-00", BASE)).await;
    let now = ["uuid-20", "uuid-01", "uuid-02", "uuid-03", "uuid-04", "uuid-09"];
    assert_eq!(found(&fixture.index, "north/"), now);
    fixture.is_in_order();
    assert_eq!(finish(&fixture).await, 21);
    assert_eq!(found(&fixture.index, "north/"), now);
    fixture.reopen().await;
    assert_eq!(found(&fixture.index, "north/"), now);
    while !fixture.index.forget(fixture.root).await.expect("forgotten").done {}
    assert_eq!(found(&fixture.index, "north/"), Vec::<String>::new());
    assert_eq!(finish(&fixture).await, 0);
}

#[tokio::test]
async fn damage_of_the_text_index_is_found_by_the_check_and_mended_beside_everything_else() {
    for damage in [
        "DELETE FROM text_postings WHERE trigram > 0",
        "DELETE FROM text_postings WHERE trigram = -1",
        "DELETE FROM text_chunks",
        "UPDATE text_chunks SET first_ms = first_ms + 1",
        "UPDATE text_postings SET rows = x'000102' WHERE trigram > 0",
        "UPDATE text_index SET through = 1000",
        "DELETE FROM text_index",
    ] {
        let mut fixture = landed().await;
        finish(&fixture).await;
        fixture.put("north/late", &sidecar("uuid-20", BASE)).await;
        fixture.index.close();
        let connection = rusqlite::Connection::open(fixture.path()).expect("the file");
        connection.execute_batch(damage).expect("damaged");
        drop(connection);
        fixture.reopen().await;
        let reader = fixture.index.reader();
        let check = move || reader.check().expect("checked");
        let doubts = tokio::task::spawn_blocking(check).await.expect("no panic");
        assert!(doubts.metadata.is_none() && doubts.text.is_some(), "{damage}: {doubts:?}");
        let index = fixture.index.clone();
        let repair = move || index.repair_text().expect("begun");
        tokio::task::spawn_blocking(repair).await.expect("no panic");
        assert_eq!(found(&fixture.index, "north/").len(), 6, "{damage}: the rows are read");
        assert_eq!(finish(&fixture).await, 21);
        assert_eq!(found(&fixture.index, "north/").len(), 6, "{damage}");
    }
}
