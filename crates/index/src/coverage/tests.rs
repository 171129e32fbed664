//! The summary is what the rows say, whatever happens to them.

use focus_core::configured::ConfiguredRoot;
use focus_core::coverage::{Buckets, DAY_MS, HOUR_MS};
use focus_core::json::Value;
use focus_core::meta_filter::MetaKey;
use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::*;
use crate::schema::{LIVE_END_MS, migrate, span};
use crate::{Reader, metadata};

/// A row as the plain computation sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) root: i64,
    pub(crate) start_ms: i64,
    /// None: live.
    pub(crate) end_ms: Option<i64>,
    pub(crate) deleted: bool,
    pub(crate) pending: bool,
    /// Of [`SIDECARS`].
    pub(crate) metadata: usize,
}

/// The metadata of rows. A number and the string that spells it are one value.
pub(crate) const SIDECARS: [&str; 8] = [
    "{}",
    r#"{"sensor": "north", "site": {"code": 7}}"#,
    r#"{"sensor": "south", "site": {"code": "7"}}"#,
    r#"{"sensor": 2, "site": {"code": 7.0}}"#,
    r#"{"sensor": 2.0}"#,
    r#"{"sensor": "2", "site": 7}"#,
    r#"{"sensor": "2.0", "site": {"code": 7.5}}"#,
    r#"{"sensor": null, "site": {"code": ["7"]}}"#,
];

/// Keys that are indexed, or are not.
pub(crate) const KEYS: [&str; 2] = ["sensor", "/site/code"];

/// What happens to rows.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(usize, Row),
    Remove(usize),
    Delete(usize),
    Ack(usize),
    /// These keys are indexed from now on: a bit for each.
    Index(usize),
    /// A part of what is to be done for them.
    Step,
}

pub(crate) const BASE_MS: i64 = 1_700_000_000_000;

pub(crate) fn key(at: usize) -> MetaKey {
    MetaKey::new(KEYS[at]).expect("a key")
}

impl Row {
    /// The text of its value at a key.
    pub(crate) fn value(&self, key: &MetaKey) -> Option<String> {
        key.text_in(&Value::from_text(SIDECARS[self.metadata]).expect("JSON"))
    }
}

fn row() -> impl Strategy<Value = Row> {
    let length = prop_oneof![
        6 => (0i64..2 * HOUR_MS).prop_map(Some),
        2 => (0i64..40 * HOUR_MS).prop_map(Some),
        1 => (0i64..20 * DAY_MS).prop_map(Some),
        1 => Just(None),
        2 => Just(Some(0)),
    ];
    let start = prop_oneof![0i64..10 * DAY_MS, (0i64..240).prop_map(|hour| hour * HOUR_MS)];
    (1i64..3, start, length, any::<bool>(), any::<bool>(), 0..SIDECARS.len()).prop_map(
        |(root, start, length, rarely, pending, metadata)| {
            let start_ms = BASE_MS + start;
            let end_ms = length.map(|length| start_ms + length);
            Row { root, start_ms, end_ms, deleted: rarely && start % 7 == 0, pending, metadata }
        },
    )
}

pub(crate) fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![
        5 => (0usize..25, row()).prop_map(|(at, row)| Change::Put(at, row)),
        1 => (0usize..25).prop_map(Change::Remove),
        1 => (0usize..25).prop_map(Change::Delete),
        2 => (0usize..25).prop_map(Change::Ack),
        1 => (0usize..4).prop_map(Change::Index),
        1 => Just(Change::Step),
    ];
    proptest::collection::vec(proptest::collection::vec(change, 0..12), 1..8)
}

/// Carries a change out on the rows, and on the plain ones.
pub(crate) fn carry_out(tx: &rusqlite::Transaction<'_>, rows: &mut [Option<Row>], change: &Change) {
    match change {
        Change::Put(at, row) => {
            let end_ms = row.end_ms.unwrap_or(LIVE_END_MS);
            tx.execute(
                "INSERT INTO recordings(id, root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size,
                   fingerprint, metadata, generation, pending)
                 VALUES((SELECT id FROM recordings WHERE uuid = ?2), ?1, ?2, 1, ?3, ?4, ?5, ?6, 'a', 'a', 1, 'f', ?8, 1, ?7)
                 ON CONFLICT(id) DO UPDATE SET root = excluded.root, start_ms = excluded.start_ms,
                   end_ms = excluded.end_ms, span = excluded.span, deleted = excluded.deleted,
                   pending = excluded.pending, metadata = excluded.metadata",
                params![
                    row.root,
                    at.to_string(),
                    row.start_ms,
                    end_ms,
                    span(row.start_ms, row.end_ms),
                    row.deleted,
                    row.pending,
                    SIDECARS[row.metadata]
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
        Change::Index(bits) => {
            let keys: Vec<MetaKey> =
                (0..KEYS.len()).filter(|at| bits & (1 << at) != 0).map(key).collect();
            metadata::set(tx, &keys).expect("set");
        }
        Change::Step => {
            metadata::step(tx).expect("a step");
        }
    }
}

/// An index file of two roots.
pub(crate) fn file(folder: &std::path::Path) -> (Reader, Connection) {
    let path = folder.join("index.db");
    let mut connection = Connection::open(&path).expect("a file");
    // Nobody turns the power off.
    connection
        .execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF")
        .expect("set");
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
    metadata::watch(&connection).expect("watched");
    (Reader::new(&path), connection)
}

/// Carries changes out in a transaction; what is done for indexed keys has one of its own.
pub(crate) fn transact(connection: &mut Connection, rows: &mut [Option<Row>], changes: &[Change]) {
    let is_alone = |change: &Change| matches!(change, Change::Index(_) | Change::Step);
    for changes in changes.chunk_by(|a, b| !is_alone(a) && !is_alone(b)) {
        let tx = connection.transaction().expect("a transaction");
        for change in changes {
            carry_out(&tx, rows, change);
        }
        metadata::settle(&tx).expect("settled");
        settle(&tx).expect("settled");
        tx.commit().expect("committed");
    }
}

/// Does everything that is to be done for indexed keys.
pub(crate) fn finish(connection: &mut Connection) {
    for _ in 0..10_000 {
        let tx = connection.transaction().expect("a transaction");
        let more = metadata::step(&tx).expect("a step");
        metadata::settle(&tx).expect("settled");
        settle(&tx).expect("settled");
        tx.commit().expect("committed");
        if !more {
            return;
        }
    }
    panic!("there is no end to it");
}

/// The file and its rows after the changes, each list of them in a transaction of its own.
fn after(changes: &[Vec<Change>], folder: &std::path::Path) -> (Reader, Vec<Row>, Connection) {
    let (reader, mut connection) = file(folder);
    let mut rows = vec![None; 25];
    for changes in changes {
        transact(&mut connection, &mut rows, changes);
    }
    (reader, rows.into_iter().flatten().collect(), connection)
}

/// What of a window rows cover.
fn plain(rows: &[&Row], (from_ms, to_ms): (i64, i64), through_ms: i64) -> Spans {
    let left = rows.iter().filter(|row| !row.deleted);
    Spans::of(left.filter_map(|row| {
        let end_ms = row.end_ms.unwrap_or(through_ms).min(through_ms).min(to_ms);
        let start_ms = row.start_ms.max(from_ms);
        (start_ms < end_ms).then_some((start_ms, end_ms))
    }))
}

/// The lanes that there are, with the rows of each.
fn lanes_of<'a>(by: &LanesBy, rows: &[&'a Row], roots: &[i64]) -> BTreeMap<String, Vec<&'a Row>> {
    let mut lanes: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    if *by == LanesBy::Root {
        lanes.extend(roots.iter().map(|root| (format!("/{root}"), Vec::new())));
    }
    for row in rows {
        let name = match by {
            LanesBy::Root => Some(format!("/{}", row.root)),
            LanesBy::Key(key) => row.value(key).filter(|_| !row.deleted),
        };
        if let Some(name) = name {
            lanes.entry(name).or_default().push(row);
        }
    }
    lanes
}

/// A question, and the time through which the index is complete.
#[derive(Clone, Copy, Debug)]
struct Asked {
    window: (i64, i64),
    count: usize,
    through_ms: i64,
    longer_than_ms: i64,
}

fn coverage_is_plain(
    reader: &Reader,
    by: &LanesBy,
    lanes: &BTreeMap<String, Vec<&Row>>,
    asked: Asked,
) -> Result<(), TestCaseError> {
    let Asked { window: (from_ms, to_ms), count, through_ms, .. } = asked;
    let buckets = Buckets::over(from_ms, to_ms, count);
    let query = CoverageQuery {
        by: by.clone(),
        buckets,
        through_ms: Some(through_ms),
        lane: None,
        lanes_max: 10,
    };
    let covered = reader.coverage(&query).expect("coverage").expect("lanes");
    let names: Vec<&String> = covered.lanes.iter().map(|lane| &lane.name).collect();
    prop_assert_eq!(names, lanes.keys().collect::<Vec<_>>());
    for (lane, rows) in covered.lanes.iter().zip(lanes.values()) {
        let all = plain(rows, asked.window, through_ms);
        let is_live = |row: &&&Row| !row.deleted && row.end_ms.is_none() && row.start_ms < to_ms;
        let live_since_ms = rows.iter().filter(is_live).map(|row| row.start_ms).min();
        prop_assert_eq!(lane.live_since_ms, live_since_ms, "lane {}: {:?}", lane.name, rows);
        let alone = CoverageQuery { lane: Some(lane.name.clone()), ..query.clone() };
        let alone = reader.coverage(&alone).expect("coverage").expect("lanes");
        prop_assert_eq!(&alone.lanes, std::slice::from_ref(lane));
        for (at, bucket) in lane.buckets.iter().enumerate() {
            let (begins_ms, ends_ms) = (buckets.begins_ms(at), buckets.begins_ms(at + 1));
            let inside: i64 = all.within(begins_ms, ends_ms).map(|(a, b)| b - a).sum();
            let is_in = |row: &&&Row| {
                let end_ms = row.end_ms.unwrap_or(through_ms.max(row.start_ms));
                let lasts_in = row.start_ms < begins_ms && begins_ms < end_ms;
                !row.deleted && ((begins_ms..ends_ms).contains(&row.start_ms) || lasts_in)
            };
            let there: Vec<_> = rows.iter().filter(is_in).collect();
            let pending = there.iter().filter(|row| row.pending).count() as u64;
            let plain = Bucket { covered_ms: inside, recordings: there.len() as u64, pending };
            prop_assert_eq!(*bucket, plain, "lane {} window {}: {:?}", lane.name, at, rows);
        }
    }
    Ok(())
}

fn gaps_are_plain(
    reader: &Reader,
    by: &LanesBy,
    lanes: &BTreeMap<String, Vec<&Row>>,
    asked: Asked,
) -> Result<(), TestCaseError> {
    let Asked { window: (from_ms, to_ms), through_ms, longer_than_ms, .. } = asked;
    let all_gaps = |lane: Option<String>| {
        let mut gaps = Vec::new();
        let mut after = None;
        loop {
            let (by, lane) = (by.clone(), lane.clone());
            let through_ms = Some(through_ms);
            let query =
                GapQuery { from_ms, to_ms, through_ms, longer_than_ms, by, lane, after, limit: 3 };
            let page = reader.gaps(&query).expect("gaps").expect("lanes");
            gaps.extend(page.gaps.into_iter().map(|gap| (gap.lane, gap.start_ms, gap.end_ms)));
            after = page.next;
            if after.is_none() {
                return gaps;
            }
        }
    };
    let mut of_all = Vec::new();
    for (name, rows) in lanes {
        let all = plain(rows, asked.window, through_ms);
        let to_ms = to_ms.min(through_ms);
        let plain: Vec<_> = if from_ms < to_ms { all.gaps(from_ms, to_ms) } else { Vec::new() };
        let long = plain.into_iter().filter(|(a, b)| b - a >= longer_than_ms.max(1));
        let plain: Vec<_> = long.map(|(a, b)| (name.clone(), a, b)).collect();
        prop_assert_eq!(&all_gaps(Some(name.clone())), &plain, "lane {}: {:?}", name, rows);
        of_all.extend(plain);
    }
    prop_assert_eq!(all_gaps(None), of_all);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn coverage_and_gaps_are_what_the_plain_computation_says(
        changes in changes(),
        indexed in 0usize..4,
        has_one_root in any::<bool>(),
        from in -DAY_MS..8 * DAY_MS,
        length in 1i64..12 * DAY_MS,
        count in 1usize..80,
        through in -DAY_MS..14 * DAY_MS,
        longer_than_ms in prop_oneof![0i64..HOUR_MS, 0i64..30 * HOUR_MS],
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let (reader, mut connection) = file(dir.path());
        let mut rows = vec![None; 25];
        for changes in &changes {
            transact(&mut connection, &mut rows, changes);
            prop_assert_eq!(check::wrong(&connection).expect("checked"), None);
            prop_assert_eq!(metadata::wrong(&connection).expect("checked"), None);
        }
        transact(&mut connection, &mut rows, &[Change::Index(indexed)]);
        finish(&mut connection);
        prop_assert_eq!(metadata::wrong(&connection).expect("checked"), None);
        let roots = if has_one_root { 1..2 } else { 1..3 };
        let roots: Vec<i64> = roots.collect();
        let path = |root: &i64| ConfiguredRoot { path: format!("/{root}"), marker: None };
        reader.answer_for(roots.iter().map(path).collect());
        let rows: Vec<&Row> = rows.iter().flatten().filter(|row| roots.contains(&row.root)).collect();
        let window = (BASE_MS + from, BASE_MS + from + length);
        let asked = Asked { window, count, through_ms: BASE_MS + through, longer_than_ms };
        for by in [LanesBy::Root, LanesBy::Key(key(0)), LanesBy::Key(key(1))] {
            let at = KEYS.iter().position(|one| by == LanesBy::Key(MetaKey::new(one).expect("a key")));
            if at.is_some_and(|at| indexed & (1 << at) == 0) {
                let buckets = Buckets::over(0, 1, 1);
                let query = CoverageQuery { by, buckets, through_ms: None, lane: None, lanes_max: 10 };
                prop_assert_eq!(reader.coverage(&query).expect("read"), Err(NoLanes::NotIndexed));
                continue;
            }
            let lanes = lanes_of(&by, &rows, &roots);
            coverage_is_plain(&reader, &by, &lanes, asked)?;
            gaps_are_plain(&reader, &by, &lanes, asked)?;
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
        metadata: 0,
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
    let (reader, _, mut connection) = after(&[vec![Change::Index(1)]], dir.path());
    let begins_ms = BASE_MS.div_euclid(HOUR_MS) * HOUR_MS;
    for part in 0..2 {
        let tx = connection.transaction().expect("a transaction");
        for at in 0..900 {
            let start_ms = begins_ms + (at * 2 + part) * 2_000;
            tx.execute(
                "INSERT INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size,
                   fingerprint, metadata, generation, pending)
                 VALUES(1, ?1, 1, ?2, ?3, ?4, 0, 'a', 'a', 1, 'f', ?5, 1, 0)",
                params![
                    format!("{part}-{at}"),
                    start_ms,
                    start_ms + 500,
                    span(start_ms, Some(start_ms + 500)),
                    SIDECARS[1],
                ],
            )
            .expect("put");
        }
        metadata::settle(&tx).expect("settled");
        settle(&tx).expect("settled");
        tx.commit().expect("committed");
    }
    assert_eq!(check::wrong(&connection).expect("checked"), None);
    assert_eq!(metadata::wrong(&connection).expect("checked"), None);
    let buckets = Buckets::over(begins_ms + 1_000, begins_ms + 4_001, 1);
    for by in [LanesBy::Root, LanesBy::Key(key(0))] {
        let query =
            CoverageQuery { by, buckets, through_ms: Some(i64::MAX), lane: None, lanes_max: 1 };
        let covered = reader.coverage(&query).expect("coverage").expect("lanes");
        let wanted = Bucket { covered_ms: 501, recordings: 2, pending: 0 };
        assert_eq!(covered.lanes[0].buckets[0], wanted, "{:?}", query.by);
    }
}
