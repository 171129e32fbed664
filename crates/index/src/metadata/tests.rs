//! Queries by a key say the same whether it is indexed, is being indexed, or is not.

use focus_core::json::Value;
use focus_core::meta_filter::MetaFilter;
use focus_core::recording_state::StateSet;
use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::keys::{KEPT_MAX, VALUES_MAX};
use super::{KeyState, OfKey, of_key, watch, wrong};
use crate::coverage::tests::{
    BASE_MS, Change, KEYS, Row, SIDECARS, changes, file, finish, key, transact,
};
use crate::scope::Scope;
use crate::{Listing, Order, Reader, RootId};

/// The uuids of all pages of a listing.
fn listed(reader: &Reader, listing: &Listing) -> Vec<String> {
    let mut listing = listing.clone();
    let mut found = Vec::new();
    loop {
        let page = reader.recordings(&listing).expect("a page");
        found.extend(page.rows.into_iter().map(|row| row.uuid));
        listing.after = page.next;
        if page.next.is_none() {
            return found;
        }
    }
}

/// The same, by looking at every row.
fn plain(connection: &Connection, rows: &[Option<Row>], listing: &Listing) -> Vec<String> {
    let mut found = Vec::new();
    for (at, row) in rows.iter().enumerate().filter_map(|(at, row)| Some((at, row.as_ref()?))) {
        let metadata = Value::from_text(SIDECARS[row.metadata]).expect("JSON");
        let is_in = listing.from_ms.is_none_or(|from| row.end_ms.is_none_or(|end| end >= from))
            && listing.to_ms.is_none_or(|to| row.start_ms <= to)
            && listing.root.is_none_or(|root| root.0 == row.root);
        if is_in && !row.deleted && listing.meta.iter().all(|filter| filter.is_true_of(&metadata)) {
            let id: i64 = connection
                .query_row("SELECT id FROM recordings WHERE uuid = ?1", [at.to_string()], |row| {
                    row.get(0)
                })
                .expect("a row");
            found.push((row.start_ms, id, at.to_string()));
        }
    }
    found.sort_unstable();
    if listing.order == Order::StartDescending {
        found.reverse();
    }
    found.into_iter().map(|(_, _, uuid)| uuid).collect()
}

fn filter() -> impl Strategy<Value = MetaFilter> {
    let value = prop_oneof![
        Just("north"),
        Just("south"),
        Just("2"),
        Just("2.0"),
        Just("2e0"),
        Just("7"),
        Just("7.0"),
        Just("7.5"),
        Just("none"),
        Just(""),
    ];
    (0..KEYS.len(), value).prop_map(|(at, value)| MetaFilter::new(KEYS[at], value).expect("a key"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_listing_by_metadata_is_the_same_however_far_its_keys_are_indexed(
        changes in changes(),
        meta in proptest::collection::vec(filter(), 1..3),
        from in proptest::option::of(0i64..10 * 86_400_000),
        to in proptest::option::of(0i64..10 * 86_400_000),
        root in proptest::option::of(1i64..3),
        order in prop_oneof![Just(Order::Start), Just(Order::StartDescending)],
        limit in 1usize..5,
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let (reader, mut connection) = file(dir.path());
        let mut rows = vec![None; 25];
        let listing = Listing {
            from_ms: from.map(|from| BASE_MS + from),
            to_ms: to.map(|to| BASE_MS + to),
            root: root.map(RootId),
            states: StateSet::LEFT,
            meta,
            order,
            limit,
            ..Listing::default()
        };
        for changes in &changes {
            transact(&mut connection, &mut rows, changes);
            prop_assert_eq!(listed(&reader, &listing), plain(&connection, &rows, &listing));
        }
        transact(&mut connection, &mut rows, &[Change::Index(3)]);
        prop_assert_eq!(listed(&reader, &listing), plain(&connection, &rows, &listing));
        finish(&mut connection);
        prop_assert!(reader.indexed_keys().expect("keys").iter().all(|key| key.state == KeyState::Ready));
        prop_assert_eq!(listed(&reader, &listing), plain(&connection, &rows, &listing));
        transact(&mut connection, &mut rows, &[Change::Index(0)]);
        prop_assert_eq!(listed(&reader, &listing), plain(&connection, &rows, &listing));
        finish(&mut connection);
        prop_assert_eq!(reader.indexed_keys().expect("keys"), Vec::new());
        let left: i64 = connection
            .query_row("SELECT (SELECT count(*) FROM metadata_entries) + (SELECT count(*) FROM metadata_values)
               + (SELECT count(*) FROM covered_days WHERE lane < 0)
               + (SELECT count(*) FROM covered_hours WHERE lane < 0)", [], |row| row.get(0))
            .expect("counted");
        prop_assert_eq!(left, 0, "nothing is left of a key that is dropped");
    }
}

/// Adds recordings with these values, each in an hour of its own, in one transaction.
fn land(connection: &mut Connection, values: impl IntoIterator<Item = usize>) {
    let tx = connection.transaction().expect("a transaction");
    for value in values {
        let start_ms = BASE_MS + value as i64 * 3_600_000;
        tx.execute(
            "INSERT INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size,
               fingerprint, metadata, generation, pending)
             VALUES(1, ?1, 1, ?2, ?2 + 1000, 9, 0, 'a', 'a', 1, 'f', json_object('sensor', 'v' || ?3), 1, 0)",
            params![format!("u{value}"), start_ms, value as i64],
        )
        .expect("put");
    }
    end(tx);
}

fn run(connection: &mut Connection, sql: &str) {
    let tx = connection.transaction().expect("a transaction");
    tx.execute_batch(sql).expect("done");
    end(tx);
}

fn end(tx: rusqlite::Transaction<'_>) {
    super::settle(&tx).expect("settled");
    crate::coverage::settle(&tx).expect("settled");
    tx.commit().expect("committed");
}

fn lanes(connection: &Connection) -> Result<usize, &'static str> {
    match of_key(connection, &key(0), &Scope::All).expect("read") {
        OfKey::Unknown => Err("unknown"),
        OfKey::Indexing => Err("indexing"),
        OfKey::TooMany => Err("too many"),
        OfKey::Values(values) => Ok(values.len()),
    }
}

#[test]
fn lanes_of_a_key_with_too_many_values_are_dropped_and_come_back_with_fewer() {
    let dir = tempfile::tempdir().expect("a folder");
    let (reader, mut connection) = file(dir.path());
    transact(&mut connection, &mut [], &[Change::Index(1)]);
    assert_eq!(lanes(&connection), Ok(0), "an empty index is indexed at once");
    land(&mut connection, 0..VALUES_MAX);
    assert_eq!(lanes(&connection), Ok(VALUES_MAX));
    land(&mut connection, [VALUES_MAX]);
    assert_eq!(lanes(&connection), Err("too many"));
    // One less, and they are there: what they cover is still kept.
    run(&mut connection, "UPDATE recordings SET deleted = 2 WHERE uuid = 'u5'");
    assert_eq!(lanes(&connection), Ok(VALUES_MAX));
    land(&mut connection, VALUES_MAX + 1..KEPT_MAX + 10);
    assert!(reader.indexed_keys().expect("keys")[0].has_work);
    finish(&mut connection);
    let kept = |connection: &Connection| -> i64 {
        connection
            .query_row("SELECT count(*) FROM covered_days WHERE lane < 0", [], |row| row.get(0))
            .expect("counted")
    };
    assert_eq!(kept(&connection), 0);
    assert_eq!(wrong(&connection).expect("checked"), None);
    land(&mut connection, [KEPT_MAX + 20]);
    assert_eq!((lanes(&connection), kept(&connection)), (Err("too many"), 0));
    run(&mut connection, "DELETE FROM recordings WHERE id > 900");
    assert_eq!(lanes(&connection), Err("indexing"));
    finish(&mut connection);
    assert_eq!(lanes(&connection), Ok(899));
    assert_eq!(wrong(&connection).expect("checked"), None);
    assert!(!reader.indexed_keys().expect("keys")[0].has_work);
}

#[test]
fn a_key_is_indexed_in_steps_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let (reader, mut connection) = file(dir.path());
    land(&mut connection, 0..2_500);
    run(
        &mut connection,
        "UPDATE recordings SET metadata = json_object('sensor', 'v' || (id % 10))",
    );
    transact(&mut connection, &mut [], &[Change::Index(1)]);
    transact(&mut connection, &mut [], &[Change::Step]);
    let key = &reader.indexed_keys().expect("keys")[0];
    assert_eq!((key.state, key.done, key.of), (KeyState::Indexing, 1_000, 2_500));
    // The process ends, and another one opens the file.
    drop(connection);
    let mut connection = Connection::open(dir.path().join("index.db")).expect("the file");
    crate::coverage::watch(&connection).expect("watched");
    watch(&connection).expect("watched");
    run(
        &mut connection,
        "UPDATE recordings SET metadata = '{\"sensor\": \"new\"}' WHERE id IN (3, 2400)",
    );
    transact(&mut connection, &mut [], &[Change::Step]);
    let key = &reader.indexed_keys().expect("keys")[0];
    assert_eq!((key.state, key.done), (KeyState::Indexing, 2_000));
    assert_eq!(lanes(&connection), Err("indexing"));
    transact(&mut connection, &mut [], &[Change::Step]);
    assert_eq!(reader.indexed_keys().expect("keys")[0].state, KeyState::Ready);
    assert_eq!(lanes(&connection), Ok(11));
    assert_eq!(wrong(&connection).expect("checked"), None);
}

#[test]
fn entries_that_do_not_agree_with_the_rows_are_found_and_made_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    let (reader, mut connection) = file(dir.path());
    transact(&mut connection, &mut [], &[Change::Index(1)]);
    for damage in [
        "DELETE FROM metadata_entries WHERE recording = 7",
        "UPDATE metadata_entries SET start_ms = start_ms + 1 WHERE recording = 7",
        "UPDATE metadata_entries SET value = value + 1 WHERE recording = 7",
        "INSERT INTO metadata_entries SELECT 9000, key, value, span, start_ms, end_ms, deleted
           FROM metadata_entries WHERE recording = 7",
        "DELETE FROM metadata_values WHERE id = (SELECT value FROM metadata_entries WHERE recording = 7)",
        "UPDATE metadata_values SET there = there + 1 WHERE value = 'v3'",
        "UPDATE covered_days SET begins = begins + 1 WHERE lane < 0",
        "UPDATE covered_days SET cells = zeroblob(288) WHERE lane < 0",
    ] {
        run(&mut connection, "DELETE FROM recordings");
        land(&mut connection, 0..100);
        finish(&mut connection);
        assert_eq!(wrong(&connection).expect("checked"), None, "before {damage}");
        connection.execute_batch(damage).expect("damaged");
        assert!(wrong(&connection).expect("checked").is_some(), "{damage}");
        assert!(!reader.broken_invariants().expect("read").is_empty(), "{damage}");
        run(&mut connection, "UPDATE metadata_keys SET state = 3, through = 0");
        watch(&connection).expect("watched");
        finish(&mut connection);
        assert_eq!(wrong(&connection).expect("checked"), None, "after {damage}");
        assert_eq!(lanes(&connection), Ok(100), "{damage}");
    }
}

#[test]
fn an_index_without_keys_has_no_triggers_for_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_, mut connection) = file(dir.path());
    let count = |connection: &Connection| -> i64 {
        connection
            .query_row(
                "SELECT count(*) FROM temp.sqlite_master WHERE type = 'trigger' AND name LIKE 'metadata%'",
                [],
                |row| row.get(0),
            )
            .expect("counted")
    };
    assert_eq!(count(&connection), 0);
    transact(&mut connection, &mut [], &[Change::Index(1)]);
    assert_eq!(count(&connection), 4);
    transact(&mut connection, &mut [], &[Change::Index(0)]);
    assert_eq!(count(&connection), 0);
}
