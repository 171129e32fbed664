//! Each statement does to random rows what its rule does to each of them.

use focus_core::entry::absence::{approved, count, is_neighbour};
use focus_core::entry::mounted::{AtPlace, is_found, seen_on, settled, was_seen};
use focus_core::entry::waiting::{retried, started};
use focus_core::entry::{Absence, Acked, Delivery, Entry, EntryId, Life, News};
use focus_core::json::Value;
use focus_core::recording::Recording;
use focus_core::vanish::{Counts, Held, WINDOW_MS};
use proptest::prelude::*;
use rusqlite::{Connection, Transaction};

use super::*;
use crate::bulk_mounts;
use crate::entry::{ENTRY, Put, Read, entry, put, store};

/// Times and places in the order of holding: few, so that they meet the bounds.
const FEW: std::ops::Range<i64> = 1..6;

fn absence() -> impl Strategy<Value = Absence> {
    let why = prop_oneof![Just(Held::All), Just(Held::Device), Just(Held::NeverSeen)];
    prop_oneof![
        Just(Absence::Unproved),
        FEW.prop_map(|at_ms| Absence::Proved { at_ms: at_ms.unsigned_abs() }),
        (FEW, why).prop_map(|(seq, why)| Absence::Held { seq, why }),
        Just(Absence::LeftAlone),
        (FEW, any::<bool>()).prop_map(|(at_ms, approved)| Absence::Marked { at_ms, approved }),
        FEW.prop_map(|at_ms| Absence::Leaving { at_ms }),
    ]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        Just(Delivery::Done),
        prop::option::of(FEW).prop_map(|since_ms| Delivery::Pending { since_ms }),
        FEW.prop_map(|retry_ms| Delivery::Refused { retry_ms: retry_ms.unsigned_abs() }),
    ]
}

/// Any entry that can come of the rules.
fn sound_entry() -> impl Strategy<Value = Entry> {
    any_entry().prop_filter("cannot come of the rules", Entry::is_sound)
}

/// Any entry, also one that no rule can make.
fn any_entry() -> impl Strategy<Value = Entry> {
    let life = prop_oneof![
        Just(Life::There),
        (FEW, absence()).prop_map(|(since_ms, absence)| Life::Vanished { since_ms, absence }),
    ];
    let acked =
        prop_oneof![Just(Acked::Never), Just(Acked::Unsure), FEW.prop_map(Acked::Generation)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0..6_i64, life, delivery(), acked, flags).prop_map(
        |(generation, life, delivery, acked, (known, drilled, never_seen))| Entry {
            generation,
            life,
            delivery,
            acked,
            known,
            drilled,
            never_seen,
        },
    )
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(sound_entry(), 0..12)
}

fn recording(at: usize) -> Recording {
    Recording {
        uuid: format!("u{at}"),
        start_ms: 1,
        end_ms: Some(2),
        deleted: at.is_multiple_of(3),
        deleted_at_ms: None,
        recording_id: format!("r{at}"),
        root: "root".to_owned(),
        path: format!("r{at}.dat"),
        size: 1,
        fingerprint: "f".to_owned(),
        metadata: Value::Object(Vec::new()),
    }
}

/// Tables with these entries in the root 1, whose one folder is on the mount 7.
fn tables(entries: &[Entry]) -> Connection {
    let mut connection = Connection::open_in_memory().expect("a database");
    crate::schema::migrate(&mut connection).expect("tables");
    let tx = connection.transaction().expect("a transaction");
    tx.execute_batch(
        "INSERT INTO roots(id, marker, path) VALUES(1, 'root', '/data');
         INSERT INTO folders(id, root, path, mount, mount_now) VALUES(1, 1, X'', 7, 7);",
    )
    .expect("a root");
    for (at, entry) in entries.iter().enumerate() {
        let file = crate::place::make(&tx, 1, 1, format!("r{at}").as_bytes()).expect("a place");
        put(&tx, Put::New, &Read::at(1, file, &recording(at)), entry).expect("stored");
    }
    // Sidecars that name uuids: of each three entries one is named, and one was named by a sidecar that is
    // gone.
    for at in 0..entries.len() {
        let (uuid, side_size) = (format!("u{at}"), is_named(at).then_some(9));
        if at % 3 < 2 {
            let sql = "UPDATE files SET uuid = ?1, side_size = ?2, due_ms = 0 WHERE stem = ?3";
            // The sidecar is at the place of another one, as after a move.
            let stem = format!("r{}", (at + 1) % entries.len()).into_bytes();
            tx.execute(sql, params![uuid, side_size, stem]).expect("stored");
        }
    }
    keep_holds(&tx);
    tx.commit().expect("committed");
    connection
}

/// Notes which places hold the recordings of the uuids that were written to them.
fn keep_holds(tx: &Transaction<'_>) {
    let holds = "UPDATE files SET holds = uuid IS NOT NULL AND EXISTS(
      SELECT 1 FROM recordings r WHERE r.file = files.id AND r.uuid = files.uuid)";
    tx.execute(holds, []).expect("noted");
}

/// A sidecar names the entry at this place in the list.
fn is_named(at: usize) -> bool {
    at.is_multiple_of(3)
}

/// What [`read_places`] has made of the place of the entry.
fn at_place(at: usize) -> AtPlace {
    let all = [AtPlace::Itself, AtPlace::Nothing, AtPlace::Unsettled, AtPlace::Another];
    if at == 7 { AtPlace::Faulty } else { all[at % 4] }
}

/// Has something of each kind lie at the places.
fn read_places(tx: &Transaction<'_>, entries: usize) {
    for at in 0..entries {
        let changed = match at_place(at) {
            AtPlace::Itself if at == 4 => "data_size = 1, side_size = 1, settled = 0, uuid = ?1",
            AtPlace::Itself => "data_size = 1, side_size = 1, settled = 1, uuid = ?1",
            AtPlace::Nothing => "data_size = NULL, side_size = NULL, settled = 0, uuid = ?1",
            AtPlace::Unsettled => "data_size = 1, side_size = 1, settled = 0, uuid = ?1 || 'other'",
            AtPlace::Another => "data_size = 1, side_size = 1, settled = 1, uuid = ?1 || 'other'",
            AtPlace::Faulty => {
                "data_size = 1, side_size = 1, settled = 0, state = 'sidecar_invalid', uuid = ?1"
            }
        };
        let sql = format!("UPDATE files SET {changed} WHERE stem = ?2");
        tx.execute(&sql, params![format!("u{at}"), format!("r{at}").into_bytes()]).expect("read");
    }
    keep_holds(tx);
}

/// Everything of every row of `recordings` but its id, and the counters of the root.
fn dump(connection: &Connection) -> Vec<String> {
    let rows = |query: &str| {
        let mut statement = connection.prepare(query).expect("a query");
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                let values = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at));
                values.collect::<rusqlite::Result<Vec<_>>>().map(|values| format!("{values:?}"))
            })
            .expect("rows");
        rows.collect::<rusqlite::Result<Vec<_>>>().expect("rows")
    };
    // When something happened differs by the time between the two.
    let no_times = "UPDATE recordings SET first_seen_ms = NULL, acknowledged_ms = NULL";
    connection.execute(no_times, []).expect("done");
    let mut all = rows("SELECT * FROM recordings ORDER BY id");
    all.extend(rows("SELECT recordings, pending, vanished, held, marked FROM roots"));
    all
}

/// The statement leaves the tables exactly as if each row had been loaded, changed by the rule and stored.
fn same<T>(
    entries: &[Entry],
    statement: impl Fn(&Transaction<'_>) -> rusqlite::Result<T>,
    rule: impl Fn(Entry) -> Entry,
) -> T {
    let (mut in_bulk, mut one_by_one) = (tables(entries), tables(entries));
    let tx = in_bulk.transaction().expect("a transaction");
    let told = statement(&tx).expect("done");
    tx.commit().expect("committed");
    let tx = one_by_one.transaction().expect("a transaction");
    for id in (1..).take(entries.len()) {
        let query = format!("SELECT {ENTRY} FROM recordings r WHERE r.id = ?1");
        let before = tx.query_row(&query, [id], |row| entry(row, 0)).expect("a row");
        assert_eq!(before, entries[usize::try_from(id - 1).expect("small")], "as it was stored");
        store(&tx, EntryId(id), &before, &rule(before)).expect("stored");
    }
    tx.commit().expect("committed");
    assert_eq!(dump(&in_bulk), dump(&one_by_one));
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_set_is_approved_as_each_of_it_is(entries in entries(), through in FEW) {
        let told = same(
            &entries,
            |tx| approve(tx, 1, through, 9),
            |entry| approved(entry, through, 9).entry.expect("kept"),
        );
        let news = |entry: &&Entry| approved(**entry, through, 9).effects.news == News::Pending;
        prop_assert_eq!(told, entries.iter().filter(news).count() as u64);
    }

    #[test]
    fn what_was_refused_is_retried_as_each_of_it_is(entries in entries(), now_ms in FEW) {
        let now_ms = now_ms.unsigned_abs();
        let told = same(&entries, |tx| retry(tx, 1, now_ms), |entry| retried(entry, now_ms));
        let again = |entry: &&Entry| retried(**entry, now_ms) != **entry;
        prop_assert_eq!(told, entries.iter().filter(again).count() as u64);
    }

    #[test]
    fn a_process_starts_with_each_entry_as_the_rule_says(entries in entries()) {
        same(&entries, |tx| start(tx, 1), started);
    }

    #[test]
    fn what_was_held_for_its_mount_is_looked_for_anew(entries in entries()) {
        same(&entries, |tx| settle_mounts(tx, 1), settled);
    }

    #[test]
    fn what_was_seen_and_what_is_found_on_a_mount_is_counted_by_the_rules(
        entries in entries(),
        own in prop::collection::vec(prop::option::of(7_i64..9), 12),
    ) {
        let mut connection = tables(&entries);
        let tx = connection.transaction().expect("a transaction");
        read_places(&tx, entries.len());
        for (at, own) in own.iter().take(entries.len()).enumerate() {
            let sql = "UPDATE recordings SET mount = ?1 WHERE uuid = ?2";
            tx.execute(sql, params![own, format!("u{at}")]).expect("stored");
        }
        let on = |mount: i64| {
            let on = entries.iter().enumerate().zip(&own);
            on.filter(move |(_, own)| seen_on(**own, Some(7)) == Some(mount)).map(|(one, _)| one)
        };
        for mount in [7, 8] {
            let seen = on(mount).filter(|(at, entry)| was_seen(entry, at_place(*at)));
            let seen = seen.count() as u64;
            prop_assert_eq!(bulk_mounts::seen_on(&tx, 1, mount).expect("counted"), seen);
        }
        tx.execute("UPDATE folders SET mount_now = 9", []).expect("moved");
        let found = on(7).filter(|(at, entry)| is_found(entry, at_place(*at)));
        let found = found.count() as u64;
        prop_assert_eq!(
            bulk_mounts::most_found(&tx, 1, 7, &[7, 9]).expect("counted"),
            Some((9, found))
        );
    }

    #[test]
    fn a_decision_rests_on_counts_by_the_rule(entries in entries(), now_ms in FEW) {
        let now_ms = now_ms + WINDOW_MS;
        let mut wanted = Counts::default();
        for (at, entry) in entries.iter().enumerate() {
            count(&mut wanted, entry, is_named(at), now_ms);
        }
        let mut connection = tables(&entries);
        let tx = connection.transaction().expect("a transaction");
        let fixed = fixed_counts(&tx, 1, now_ms).expect("counted");
        let all = candidates(&tx, 1, u64::MAX >> 1).expect("counted");
        prop_assert_eq!(Counts { gone: fixed.gone + all, ..fixed }, wanted);
        prop_assert_eq!(candidates(&tx, 1, 1).expect("counted"), all.min(1));
    }

    #[test]
    fn a_neighbour_is_found_by_the_rule(entries in entries()) {
        let mut connection = tables(&entries);
        let tx = connection.transaction().expect("a transaction");
        for (at, id) in (0..entries.len()).zip(1..) {
            let others = entries.iter().enumerate().filter(|(other, _)| *other != at);
            let wanted = others.map(|(_, entry)| entry).any(is_neighbour);
            prop_assert_eq!(has_neighbour(&tx, EntryId(id), id).expect("asked"), wanted);
        }
    }

    #[test]
    fn an_index_is_in_order_where_each_entry_can_come_of_the_rules(
        entries in prop::collection::vec(any_entry(), 0..3),
    ) {
        // Whether what is not pending is acknowledged depends on the content too.
        let told = |words: &String| !words.starts_with("pending_cleared_only_after_ack");
        let broken = crate::invariants::broken(&tables(&entries)).expect("checked");
        let broken: Vec<String> = broken.into_iter().filter(told).collect();
        let unsound = entries.iter().filter(|entry| !entry.is_sound()).count();
        let sound = "every entry is one that can come of the rules";
        let wanted: Vec<String> =
            (unsound > 0).then(|| format!("{sound}: {unsound} rows")).into_iter().collect();
        prop_assert_eq!(broken, wanted);
    }
}
