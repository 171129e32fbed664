//! Indexed keys through the calls of the index: what lands, goes, is approved, moves and is forgotten.

use focus_core::coverage::Buckets;
use focus_core::meta_filter::{MetaFilter, MetaKey};
use focus_core::recording_state::StateSet;
use focus_core::vanish::MaxVanished;
use focus_index::{CoverageQuery, Covered, Index, KeyState, LanesBy, Listing, NoLanes};

use crate::fixture::Fixture;

const BASE: i64 = 1_700_000_000_000;

fn key(text: &str) -> MetaKey {
    MetaKey::new(text).expect("a key")
}

fn sidecar(n: i64, sensor: &str) -> String {
    let start = BASE + n * 60_000;
    format!(
        r#"{{"uuid":"u{n}","start_time":{start},"end_time":{},"sensor":"{sensor}"}}"#,
        start + 30_000
    )
}

/// Does everything that is to be done for indexed keys.
async fn finish(index: &Index) {
    while index.metadata_step().await.expect("a step") {}
}

fn with(index: &Index, sensor: &str) -> Vec<String> {
    let meta = vec![MetaFilter::new("sensor", sensor).expect("a key")];
    let listing = Listing { meta, states: StateSet::LEFT, limit: 1_000, ..Listing::default() };
    let page = index.reader().recordings(&listing).expect("a page");
    page.rows.into_iter().map(|row| row.uuid).collect()
}

fn query() -> CoverageQuery {
    CoverageQuery {
        lane: None,
        by: LanesBy::Key(key("sensor")),
        buckets: Buckets::over(BASE, BASE + 3_600_000, 1),
        through_ms: Some(BASE + 3_600_000),
        lanes_max: 10,
    }
}

fn covered(index: &Index) -> Covered {
    index.reader().coverage(&query()).expect("read").expect("lanes")
}

/// Name, covered seconds and pending recordings of each lane.
fn lanes(index: &Index) -> Vec<(String, i64, u64)> {
    let lanes = covered(index).lanes.into_iter();
    lanes
        .map(|lane| (lane.name, lane.buckets[0].covered_ms / 1_000, lane.buckets[0].pending))
        .collect()
}

fn lane(name: &str, seconds: i64, pending: u64) -> (String, i64, u64) {
    (name.to_owned(), seconds, pending)
}

#[tokio::test]
async fn entries_follow_what_lands_goes_changes_and_is_forgotten() {
    let mut fixture = Fixture::new().await;
    fixture.index.index_metadata(vec![key("sensor")]).await.expect("stored");
    for n in 0..10 {
        let sensor = if n < 4 { "north" } else { "south" };
        fixture.put(&format!("r{n}"), &sidecar(n, sensor)).await;
    }
    fixture.is_in_order();
    assert_eq!(with(&fixture.index, "north"), ["u0", "u1", "u2", "u3"]);
    assert_eq!(lanes(&fixture.index), [lane("north", 120, 4), lane("south", 180, 6)]);
    fixture.acknowledge_all().await;
    assert_eq!(lanes(&fixture.index), [lane("north", 120, 0), lane("south", 180, 0)]);
    fixture.put("r0", &sidecar(0, "west")).await;
    assert_eq!(with(&fixture.index, "north"), ["u1", "u2", "u3"]);
    assert_eq!(
        lanes(&fixture.index),
        [lane("north", 90, 0), lane("south", 180, 0), lane("west", 30, 1)]
    );
    // Many go at once, are held, and are approved by one statement.
    for n in 1..4 {
        fixture.remove(&format!("r{n}")).await;
    }
    fixture.conclude(MaxVanished { percent: 0, at_least: 0 }, false).await;
    assert_eq!(with(&fixture.index, "north"), ["u1", "u2", "u3"], "they are held");
    assert_eq!(fixture.index.approve(fixture.root, i64::MAX, 9_500).await.expect("approved"), 3);
    assert_eq!(with(&fixture.index, "north"), Vec::<String>::new());
    assert_eq!(lanes(&fixture.index), [lane("south", 180, 0), lane("west", 30, 1)]);
    fixture.is_in_order();
    fixture.reopen().await;
    fixture.put("r10", &sidecar(10, "south")).await;
    assert_eq!(lanes(&fixture.index), [lane("south", 210, 1), lane("west", 30, 1)]);
    fixture.is_in_order();
    while !fixture.index.forget(fixture.root).await.expect("forgotten").done {}
    assert_eq!(lanes(&fixture.index), []);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_key_that_comes_late_is_indexed_while_recordings_land_and_one_that_goes_leaves_nothing() {
    let mut fixture = Fixture::new().await;
    for n in 0..30 {
        fixture.put(&format!("r{n}"), &sidecar(n, "north")).await;
    }
    fixture.index.index_metadata(vec![key("sensor")]).await.expect("stored");
    let keys = fixture.index.reader().indexed_keys().expect("keys");
    assert_eq!((keys[0].state, keys[0].has_work), (KeyState::Indexing, true));
    fixture.put("r30", &sidecar(30, "south")).await;
    fixture.put("r3", &sidecar(3, "south")).await;
    assert_eq!(with(&fixture.index, "south"), ["u3", "u30"], "the rows are read");
    finish(&fixture.index).await;
    let keys = fixture.index.reader().indexed_keys().expect("keys");
    assert_eq!((keys[0].state, keys[0].done, keys[0].values), (KeyState::Ready, 31, 2));
    assert_eq!(with(&fixture.index, "south"), ["u3", "u30"]);
    assert_eq!(lanes(&fixture.index), [lane("north", 870, 29), lane("south", 60, 2)]);
    fixture.is_in_order();
    // Taken out, and put in again before it has gone.
    fixture.index.index_metadata(Vec::new()).await.expect("stored");
    let none = fixture.index.reader().coverage(&query()).expect("read");
    assert_eq!(none, Err(NoLanes::NotIndexed));
    fixture.put("r4", &sidecar(4, "south")).await;
    fixture.index.index_metadata(vec![key("sensor")]).await.expect("stored");
    assert_eq!(with(&fixture.index, "south"), ["u3", "u4", "u30"]);
    finish(&fixture.index).await;
    assert_eq!(lanes(&fixture.index), [lane("north", 840, 28), lane("south", 90, 3)]);
    fixture.is_in_order();
    fixture.index.index_metadata(Vec::new()).await.expect("stored");
    finish(&fixture.index).await;
    assert_eq!(fixture.index.reader().indexed_keys().expect("keys"), []);
    assert_eq!(with(&fixture.index, "south"), ["u3", "u4", "u30"]);
}

#[tokio::test]
async fn damage_of_entries_is_found_by_the_check_and_mended_beside_everything_else() {
    let mut fixture = Fixture::new().await;
    fixture.index.index_metadata(vec![key("sensor")]).await.expect("stored");
    for n in 0..5 {
        fixture.put(&format!("r{n}"), &sidecar(n, "north")).await;
    }
    fixture.index.close();
    let connection = rusqlite::Connection::open(fixture.path()).expect("the file");
    connection.execute("DELETE FROM metadata_entries WHERE recording = 2", []).expect("damaged");
    drop(connection);
    fixture.reopen().await;
    let reader = fixture.index.reader();
    let check = move || reader.check().expect("checked");
    let doubts = tokio::task::spawn_blocking(check).await.expect("no panic");
    assert!(doubts.coverage.is_none() && doubts.metadata.is_some(), "{doubts:?}");
    let index = fixture.index.clone();
    let repair = move || index.repair_metadata().expect("begun");
    tokio::task::spawn_blocking(repair).await.expect("no panic");
    assert_eq!(with(&fixture.index, "north").len(), 5, "the rows are read");
    finish(&fixture.index).await;
    assert_eq!(with(&fixture.index, "north").len(), 5);
    fixture.is_in_order();
}
