//! The wall clock is for people: whatever it says, the same things happen in the index.

use std::collections::BTreeMap;

use focus_core::vanish::MaxVanished;
use focus_index::{Ack, Answer, Concluded};

use crate::fixture::{Fixture, place_of, sidecar};

const START: i64 = 1_700_000_000_000;

/// One history under a wall clock; what is left of it, without the times that people are shown.
async fn history(clock: impl Fn(u64) -> i64) -> Vec<BTreeMap<String, String>> {
    let mut fixture = Fixture::new().await;
    let mut step = 0;
    let mut now = || {
        step += 1;
        clock(step)
    };
    for round in 0..30_i64 {
        let name = |n: i64| format!("d/r{n}");
        fixture.write(&name(round), &sidecar(&format!("u{round}"), START + round));
        let mut looked = vec![place_of(&name(round))];
        if round % 3 == 2 {
            // Another content, a move, and one that goes.
            fixture.write(&name(round - 1), &sidecar(&format!("u{}", round - 1), START - round));
            looked.push(place_of(&name(round - 1)));
        }
        if round % 5 == 4 {
            fixture.files.remove(&place_of(&name(round - 3)));
            looked.push(place_of(&name(round - 3)));
        }
        let batch = fixture.judge(&looked);
        fixture.index.observe(fixture.root, batch, now()).await.expect("observed");
        let acks = fixture
            .pending()
            .into_iter()
            .filter(|one| one.id.0 % 4 != 0)
            .map(|one| Ack { id: one.id, generation: one.generation, answer: Answer::Acknowledged })
            .collect();
        fixture.index.acknowledge(fixture.root, None, acks, now()).await.expect("acknowledged");
    }
    let concluded = conclude_at(&fixture, now()).await;
    assert!(concluded.marked + concluded.held > 0, "{concluded:?}");
    fixture.is_in_order();
    fixture.index.close();
    dump(&fixture)
}

/// Proves twice that what is gone is gone, and concludes at this time of the wall clock.
async fn conclude_at(fixture: &Fixture, now_ms: i64) -> Concluded {
    let (index, root) = (fixture.index.clone(), fixture.root);
    let max = MaxVanished { percent: 0, at_least: 3 };
    let work = move || {
        let found = || index.reader().vanish_candidates(root, None, 1_000).expect("candidates");
        let ids: Vec<focus_index::EntryId> = found().into_iter().map(|one| one.id).collect();
        index.vanish_proved_blocking(ids, 10).expect("stored");
        let proved = |one: focus_index::Candidate| focus_index::ProvedTwice {
            id: one.id,
            elsewhere: false,
            hidden: false,
        };
        let ready = found().into_iter().map(proved).collect();
        index.vanish_conclude_blocking(root, ready, max, false, now_ms).expect("stored")
    };
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

/// Every row of every table, without the wall clock's times.
fn dump(fixture: &Fixture) -> Vec<BTreeMap<String, String>> {
    const WALL: [&str; 7] = [
        "pending_since_ms",
        "vanished_ms",
        "marked_ms",
        "faulty_since_ms",
        "complete_through_ms",
        "first_seen_ms",
        "acknowledged_ms",
    ];
    let file = rusqlite::Connection::open(fixture.path()).expect("the file");
    let mut rows = Vec::new();
    for table in ["roots", "folders", "files", "recordings"] {
        let mut statement =
            file.prepare(&format!("SELECT * FROM {table} ORDER BY id")).expect("a query");
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.query([]).expect("rows");
        while let Some(row) = found.next().expect("a row") {
            let cells = columns.iter().enumerate().map(|(at, column)| {
                let value = format!("{:?}", row.get_ref(at).expect("a value"));
                // That there is a time counts; which one does not.
                let shown = if WALL.contains(&column.as_str()) {
                    (value != "Null").to_string()
                } else {
                    value
                };
                (column.clone(), shown)
            });
            rows.push(cells.collect());
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_clock_may_jump_and_stand_still_without_changing_what_happens() {
    let steady = history(|step| START + step.cast_signed() * 1_000).await;
    assert!(steady.len() > 40, "a history that shows something");
    type Clock = fn(u64) -> i64;
    let clocks: [(&str, Clock); 5] = [
        ("stands still", |_| START),
        ("runs backwards", |step| START - step.cast_signed() * 3_600_000),
        ("is set back in the middle", |step| if step < 30 { START } else { START - 86_400_000 }),
        ("jumps to and fro", |step| if step % 2 == 0 { 1 } else { START * 2 }),
        ("is before 1970", |step| -START + step.cast_signed()),
    ];
    for (name, clock) in clocks {
        assert_eq!(history(clock).await, steady, "a clock that {name}");
    }
}

/// The sliding hour of deletions is the one thing that the wall clock decides on; a clock that was set
/// back counts more as within it, and holds, never less.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_holds_deletions_rather_than_marking_them() {
    for (later_ms, held) in [(7_200_000, 0), (0, 1), (-7_200_000, 1), (-86_400_000, 1)] {
        let mut fixture = Fixture::new().await;
        for n in 0..20 {
            fixture.put(&format!("r{n}"), &sidecar(&format!("u{n}"), START)).await;
        }
        fixture.acknowledge_all().await;
        for n in 0..3 {
            fixture.remove(&format!("r{n}")).await;
        }
        let first = conclude_at(&fixture, START).await;
        assert_eq!((first.marked, first.held), (3, 0), "as many as may go within an hour");
        fixture.remove("r3").await;
        let next = conclude_at(&fixture, START + later_ms).await;
        assert_eq!((next.marked, next.held), (1 - held, held), "{later_ms} ms later");
        fixture.is_in_order();
    }
}
