//! The summary is what the rows say, whatever happens to them.

use focus_core::coverage::{Buckets, DAY_MS, HOUR_MS};
use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::*;
use crate::Reader;
use crate::schema::{LIVE_END_MS, migrate, span};

/// A row as the plain computation sees it.
#[derive(Clone, Copy, Debug)]
struct Row {
    root: i64,
    start_ms: i64,
    /// None: live.
    end_ms: Option<i64>,
    deleted: bool,
    pending: bool,
}

/// What happens to rows.
#[derive(Clone, Debug)]
enum Change {
    Put(usize, Row),
    Remove(usize),
    Delete(usize),
    Ack(usize),
}

const BASE_MS: i64 = 1_700_000_000_000;

fn row() -> impl Strategy<Value = Row> {
    let length = prop_oneof![
        6 => (0i64..2 * HOUR_MS).prop_map(Some),
        2 => (0i64..40 * HOUR_MS).prop_map(Some),
        1 => (0i64..20 * DAY_MS).prop_map(Some),
        1 => Just(None),
        2 => Just(Some(0)),
    ];
    let start = prop_oneof![0i64..10 * DAY_MS, (0i64..240).prop_map(|hour| hour * HOUR_MS)];
    (1i64..3, start, length, any::<bool>(), any::<bool>()).prop_map(
        |(root, start, length, rarely, pending)| {
            let start_ms = BASE_MS + start;
            let end_ms = length.map(|length| start_ms + length);
            Row { root, start_ms, end_ms, deleted: rarely && start % 7 == 0, pending }
        },
    )
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![
        5 => (0usize..25, row()).prop_map(|(at, row)| Change::Put(at, row)),
        1 => (0usize..25).prop_map(Change::Remove),
        1 => (0usize..25).prop_map(Change::Delete),
        2 => (0usize..25).prop_map(Change::Ack),
    ];
    proptest::collection::vec(proptest::collection::vec(change, 0..12), 1..8)
}

/// Carries a change out on the rows, and on the plain ones.
fn carry_out(tx: &rusqlite::Transaction<'_>, rows: &mut [Option<Row>], change: &Change) {
    match change {
        Change::Put(at, row) => {
            let end_ms = row.end_ms.unwrap_or(LIVE_END_MS);
            tx.execute(
                "INSERT INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size,
                   fingerprint, metadata, generation, pending)
                 VALUES(?1, ?2, 1, ?3, ?4, ?5, ?6, 'a', 'a', 1, 'f', '{}', 1, ?7)
                 ON CONFLICT(uuid) DO UPDATE SET root = excluded.root, start_ms = excluded.start_ms,
                   end_ms = excluded.end_ms, span = excluded.span, deleted = excluded.deleted,
                   pending = excluded.pending",
                params![
                    row.root,
                    at.to_string(),
                    row.start_ms,
                    end_ms,
                    span(row.start_ms, row.end_ms),
                    row.deleted,
                    row.pending
                ],
            )
            .expect("put");
            rows[*at] = Some(*row);
        }
        Change::Remove(at) => {
            tx.execute("DELETE FROM recordings WHERE uuid = ?1", [at.to_string()])
                .expect("removed");
            rows[*at] = None;
        }
        Change::Delete(at) => {
            tx.execute(
                "UPDATE recordings SET deleted = deleted | 2 WHERE uuid = ?1",
                [at.to_string()],
            )
            .expect("deleted");
            if let Some(row) = &mut rows[*at] {
                row.deleted = true;
            }
        }
        Change::Ack(at) => {
            tx.execute("UPDATE recordings SET pending = 0 WHERE uuid = ?1", [at.to_string()])
                .expect("acknowledged");
            if let Some(row) = &mut rows[*at] {
                row.pending = false;
            }
        }
    }
}

/// The file and its rows after the changes, each list of them in a transaction of its own.
fn after(changes: &[Vec<Change>], folder: &std::path::Path) -> (Reader, Vec<Row>, Connection) {
    let path = folder.join("index.db");
    let mut connection = Connection::open(&path).expect("a file");
    migrate(&mut connection).expect("tables");
    for root in 1..3 {
        connection
            .execute(
                "INSERT INTO roots(id, marker, path) VALUES(?1, ?2, ?3)",
                params![root, format!("m{root}"), format!("/{root}")],
            )
            .expect("a root");
    }
    fill(&mut connection).expect("filled");
    watch(&connection).expect("watched");
    let mut rows = vec![None; 25];
    for changes in changes {
        let tx = connection.transaction().expect("a transaction");
        for change in changes {
            carry_out(&tx, &mut rows, change);
        }
        settle(&tx).expect("settled");
        tx.commit().expect("committed");
    }
    (Reader::new(&path), rows.into_iter().flatten().collect(), connection)
}

/// What of a window the rows of a root cover.
fn plain(rows: &[Row], root: i64, (from_ms, to_ms): (i64, i64), through_ms: i64) -> Spans {
    let of_root = rows.iter().filter(|row| row.root == root && !row.deleted);
    Spans::of(of_root.filter_map(|row| {
        let end_ms = row.end_ms.unwrap_or(through_ms).min(through_ms).min(to_ms);
        let start_ms = row.start_ms.max(from_ms);
        (start_ms < end_ms).then_some((start_ms, end_ms))
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn coverage_and_gaps_are_what_the_plain_computation_says(
        changes in changes(),
        from in -DAY_MS..8 * DAY_MS,
        length in 1i64..12 * DAY_MS,
        count in 1usize..80,
        through in -DAY_MS..14 * DAY_MS,
        longer_than_ms in 0i64..HOUR_MS,
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let (reader, rows, connection) = after(&changes, dir.path());
        prop_assert_eq!(check::wrong(&connection).expect("checked"), None);
        let (from_ms, to_ms) = (BASE_MS + from, BASE_MS + from + length);
        let through_ms = BASE_MS + through;
        let buckets = Buckets::over(from_ms, to_ms, count);
        let query = CoverageQuery { buckets, through_ms: Some(through_ms), lanes_max: 10 };
        let covered = reader.coverage(&query).expect("coverage");
        prop_assert_eq!(covered.lanes.len(), 2);
        for (root, lane) in (1..3).zip(&covered.lanes) {
            let all = plain(&rows, root, (from_ms, to_ms), through_ms);
            for (at, bucket) in lane.buckets.iter().enumerate() {
                let (begins_ms, ends_ms) = (buckets.begins_ms(at), buckets.begins_ms(at + 1));
                let inside: i64 = all.within(begins_ms, ends_ms).map(|(a, b)| b - a).sum();
                let is_in = |row: &&Row| {
                    let end_ms = row.end_ms.unwrap_or(through_ms.max(row.start_ms));
                    row.root == root && !row.deleted && ((begins_ms..ends_ms).contains(&row.start_ms)
                        || row.start_ms < begins_ms && begins_ms < end_ms)
                };
                let there: Vec<&Row> = rows.iter().filter(is_in).collect();
                let pending = there.iter().filter(|row| row.pending).count() as u64;
                let plain = Bucket { covered_ms: inside, recordings: there.len() as u64, pending };
                prop_assert_eq!(*bucket, plain, "root {} window {}: {:?}", root, at, rows);
            }
            let mut gaps = Vec::new();
            let mut after = None;
            loop {
                let query = GapQuery {
                    from_ms, to_ms, through_ms: Some(through_ms), longer_than_ms,
                    lane: Some(format!("/{root}")), after, limit: 3,
                };
                let page = reader.gaps(&query).expect("gaps");
                gaps.extend(page.gaps.into_iter().map(|gap| (gap.start_ms, gap.end_ms)));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let to_ms = to_ms.min(through_ms);
            let plain: Vec<_> = if from_ms < to_ms { all.gaps(from_ms, to_ms) } else { Vec::new() };
            let plain: Vec<_> =
                plain.into_iter().filter(|(a, b)| b - a >= longer_than_ms.max(1)).collect();
            prop_assert_eq!(gaps, plain, "root {}: {:?}", root, rows);
        }
    }
}

#[test]
fn a_file_of_an_earlier_version_is_summed_up_when_it_is_opened() {
    let dir = tempfile::tempdir().expect("a folder");
    let row = |start_ms: i64| Row {
        root: 1,
        start_ms: BASE_MS + start_ms,
        end_ms: Some(BASE_MS + start_ms + 10_000),
        deleted: false,
        pending: false,
    };
    let changes: Vec<Change> =
        (0..25).map(|at| Change::Put(at, row(at as i64 * HOUR_MS))).collect();
    let (_, _, mut connection) = after(&[changes], dir.path());
    connection
        .execute_batch("DELETE FROM covered_days; DELETE FROM covered_hours; DELETE FROM meta WHERE key = 'coverage'")
        .expect("as before");
    assert!(check::wrong(&connection).expect("checked").is_some());
    fill(&mut connection).expect("filled");
    assert_eq!(check::wrong(&connection).expect("checked"), None);
}

#[test]
fn an_hour_with_very_many_spans_is_answered_from_its_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let (reader, _, mut connection) = after(&[], dir.path());
    let begins_ms = BASE_MS.div_euclid(HOUR_MS) * HOUR_MS;
    for part in 0..2 {
        let tx = connection.transaction().expect("a transaction");
        for at in 0..900 {
            let start_ms = begins_ms + (at * 2 + part) * 2_000;
            tx.execute(
                "INSERT INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size,
                   fingerprint, metadata, generation, pending)
                 VALUES(1, ?1, 1, ?2, ?3, ?4, 0, 'a', 'a', 1, 'f', '{}', 1, 0)",
                params![format!("{part}-{at}"), start_ms, start_ms + 500, span(start_ms, Some(start_ms + 500))],
            )
            .expect("put");
        }
        settle(&tx).expect("settled");
        tx.commit().expect("committed");
    }
    assert_eq!(check::wrong(&connection).expect("checked"), None);
    let buckets = Buckets::over(begins_ms + 1_000, begins_ms + 4_001, 1);
    let query = CoverageQuery { buckets, through_ms: Some(i64::MAX), lanes_max: 1 };
    let covered = reader.coverage(&query).expect("coverage");
    assert_eq!(covered.lanes[0].buckets[0], Bucket { covered_ms: 501, recordings: 2, pending: 0 });
}
