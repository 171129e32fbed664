//! A search says the same however far the text index is.

use focus_core::recording_state::{RecordingState, StateSet};
use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::{TextDue, step, wrong};
use crate::schema::{LIVE_END_MS, span};
use crate::{Listing, Order, Reader, RootId};

const BASE_MS: i64 = 1_700_000_000_000;

/// What uuids and paths are made of: many texts are parts of others.
const PARTS: [&str; 6] = ["cam", "CAM1", "/2024-", "05", "ab", "\u{e9}f0"];

/// What is looked for.
const TEXTS: [&str; 12] =
    ["cam", "Cam1", "m1/", "2024-05", "4-0", "05ab", "ab", "f0", "ABcam", "u1", "zzz", "caMcAm1"];

#[derive(Clone, Debug)]
struct Put {
    root: i64,
    start_ms: i64,
    end_ms: Option<i64>,
    deleted: bool,
    path: String,
}

#[derive(Clone, Debug)]
enum Change {
    /// A uuid has this row, new or not.
    Put(usize, Put),
    Remove(usize),
    /// What does not concern texts changes.
    Other(usize),
    ForgetRoot(i64),
    Step(TextDue),
}

fn put() -> impl Strategy<Value = Put> {
    let length = prop_oneof![
        4 => (0i64..3).prop_map(Some),
        1 => (0i64..40).prop_map(Some),
        1 => Just(None),
    ];
    let path = prop_oneof![
        20 => proptest::collection::vec(0..PARTS.len(), 1..5)
            .prop_map(|parts| parts.into_iter().map(|part| PARTS[part]).collect::<String>()),
        1 => Just(format!("{}cam1", "long/".repeat(200))),
    ];
    (1i64..3, 0i64..40, length, 0..8, path).prop_map(|(root, start, length, deleted, path)| Put {
        root,
        start_ms: BASE_MS + start,
        end_ms: length.map(|length| BASE_MS + start + length),
        deleted: deleted == 0,
        path,
    })
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let due = prop_oneof![3 => Just(TextDue::Much), 1 => Just(TextDue::All)];
    let change = prop_oneof![
        12 => (0usize..60, put()).prop_map(|(at, put)| Change::Put(at, put)),
        2 => (0usize..60).prop_map(Change::Remove),
        1 => (0usize..60).prop_map(Change::Other),
        3 => due.prop_map(Change::Step),
    ];
    let forget = (1i64..3).prop_map(Change::ForgetRoot);
    let changes = prop_oneof![
        12 => proptest::collection::vec(change, 0..30),
        1 => forget.prop_map(|forget| vec![forget]),
    ];
    proptest::collection::vec(changes, 1..8)
}

fn file(folder: &std::path::Path) -> (Reader, Connection) {
    crate::coverage::tests::file(folder)
}

fn carry_out(connection: &mut Connection, changes: &[Change]) {
    let tx = connection.transaction().expect("a transaction");
    for change in changes {
        match change {
            Change::Put(at, put) => {
                tx.execute(
                    "INSERT INTO recordings(id, root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path,
                       size, fingerprint, metadata, generation, pending)
                     VALUES((SELECT id FROM recordings WHERE uuid = ?2), ?1, ?2, 1, ?3, ?4, ?5, ?6, 'a', ?7, 1, 'f', '{}', 1, 0)
                     ON CONFLICT(id) DO UPDATE SET root = excluded.root, start_ms = excluded.start_ms,
                       end_ms = excluded.end_ms, span = excluded.span, deleted = excluded.deleted,
                       path = excluded.path",
                    params![
                        put.root,
                        format!("U{at}-aB"),
                        put.start_ms,
                        put.end_ms.unwrap_or(LIVE_END_MS),
                        span(put.start_ms, put.end_ms),
                        put.deleted,
                        put.path
                    ],
                )
                .expect("put");
            }
            Change::Remove(at) => {
                tx.execute("DELETE FROM recordings WHERE uuid = ?1", [format!("U{at}-aB")])
                    .expect("removed");
            }
            Change::Other(at) => {
                tx.execute(
                    "UPDATE recordings SET pending = 1 - pending WHERE uuid = ?1",
                    [format!("U{at}-aB")],
                )
                .expect("changed");
            }
            Change::ForgetRoot(root) => {
                tx.execute("DELETE FROM recordings WHERE root = ?1", [root]).expect("removed");
            }
            Change::Step(due) => {
                step(&tx, *due).expect("a step");
            }
        }
    }
    crate::metadata::settle(&tx).expect("settled");
    crate::coverage::settle(&tx).expect("settled");
    tx.commit().expect("committed");
}

/// The uuids of all pages of a listing; none of them has more than it was asked for.
fn listed(reader: &Reader, listing: &Listing) -> Vec<String> {
    let mut listing = listing.clone();
    let mut found = Vec::new();
    for _ in 0..1_000 {
        let page = reader.recordings(&listing).expect("a page");
        assert!(page.rows.len() <= listing.limit, "{page:?}");
        found.extend(page.rows.into_iter().map(|row| row.uuid));
        let Some(next) = page.next else { return found };
        assert_ne!(Some(next), listing.after, "it goes on");
        listing.after = Some(next);
    }
    panic!("there is no end to it");
}

/// The same, by looking at every row.
fn plain(connection: &Connection, listing: &Listing) -> Vec<String> {
    let text = listing.text.as_deref().unwrap_or_default().to_ascii_lowercase();
    let order = if listing.order == Order::Start { "" } else { "DESC" };
    let mut statement = connection
        .prepare(&format!(
            "SELECT uuid, path, root, start_ms, end_ms, deleted, pending FROM recordings
             ORDER BY start_ms {order}, id {order}"
        ))
        .expect("rows");
    let rows = statement.query_map([], |row| {
        let (uuid, path): (String, String) = (row.get(0)?, row.get(1)?);
        let (root, start_ms, end_ms): (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let (deleted, pending): (bool, bool) = (row.get(5)?, row.get(6)?);
        let state = match (deleted, pending, end_ms == LIVE_END_MS) {
            (true, ..) => RecordingState::Deleted,
            (_, true, _) => RecordingState::Pending,
            (_, _, true) => RecordingState::Live,
            _ => RecordingState::Catalogued,
        };
        let is_in = listing.from_ms.is_none_or(|from| end_ms >= from)
            && listing.to_ms.is_none_or(|to| start_ms <= to)
            && listing.root.is_none_or(|wanted| wanted.0 == root)
            && listing.states.has(state)
            && [&uuid, &path].iter().any(|value| value.to_ascii_lowercase().contains(&text));
        Ok(is_in.then_some(uuid))
    });
    rows.expect("rows").filter_map(|row| row.expect("a row")).collect()
}

fn listing() -> impl Strategy<Value = Listing> {
    let states = prop_oneof![
        2 => Just(StateSet::LEFT),
        1 => Just(RecordingState::ALL.iter().copied().collect::<StateSet>()),
        1 => Just([RecordingState::Live, RecordingState::Deleted].into_iter().collect::<StateSet>()),
    ];
    (
        0..TEXTS.len(),
        proptest::option::of(0i64..40),
        proptest::option::of(0i64..40),
        proptest::option::weighted(0.2, 1i64..3),
        states,
        any::<bool>(),
        1usize..9,
    )
        .prop_map(|(text, from, to, root, states, is_turned, limit)| Listing {
            from_ms: from.map(|from| BASE_MS + from),
            to_ms: to.map(|to| BASE_MS + to),
            root: root.map(RootId),
            states,
            text: Some(TEXTS[text].to_owned()),
            order: if is_turned { Order::StartDescending } else { Order::Start },
            limit,
            ..Listing::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_search_is_the_same_however_far_the_text_index_is(
        changes in changes(),
        listings in proptest::collection::vec(listing(), 6),
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let (reader, mut connection) = file(dir.path());
        let all = |reader: &Reader, connection: &Connection| {
            for listing in &listings {
                prop_assert_eq!(listed(reader, listing), plain(connection, listing), "{:?}", listing);
            }
            prop_assert_eq!(wrong(connection).expect("checked"), None);
            Ok(())
        };
        for changes in &changes {
            carry_out(&mut connection, changes);
            all(&reader, &connection)?;
        }
        for due in [TextDue::Much, TextDue::All] {
            finish(&mut connection, due);
            all(&reader, &connection)?;
        }
        prop_assert_eq!(reader.text_indexed().expect("read").left, 0);
    }
}

/// Does everything that is due.
fn finish(connection: &mut Connection, due: TextDue) {
    for _ in 0..10_000 {
        let tx = connection.transaction().expect("a transaction");
        let more = step(&tx, due).expect("a step");
        tx.commit().expect("committed");
        if !more {
            return;
        }
    }
    panic!("there is no end to it");
}
