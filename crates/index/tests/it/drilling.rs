//! Recordings that a drill planted: gone from storage, they leave the catalog, and are never marked,
//! held or counted.

use focus_core::batch::{Item, Pick};
use focus_core::compare::{Compared, ComparedEntry};
use focus_core::document::Stored;
use focus_core::recording::Recording;
use focus_core::state::{Fault, State};
use focus_core::vanish::MaxVanished;
use focus_index::{Ack, Answer, Concluded, Index};

use crate::fixture::{Fixture, place_of, sidecar};

const START: i64 = 1_700_000_000_000;

/// None may vanish.
const NONE: MaxVanished = MaxVanished { percent: 0, at_least: 0 };

fn drilled(uuid: &str) -> String {
    sidecar(uuid, START).replacen('{', "{\"focus_drill\":\"d1\",", 1)
}

fn leaving(leaving: u64) -> Concluded {
    Concluded { leaving, ..Concluded::default() }
}

/// Three recordings of a site and twelve of a drill, all catalogued.
async fn catalogued() -> Fixture {
    let mut fixture = Fixture::new().await;
    for at in 0..3 {
        fixture.put(&format!("d/r{at}"), &sidecar(&format!("u{at}"), START)).await;
    }
    for at in 0..12 {
        fixture.put(&format!("d/p{at}"), &drilled(&format!("p{at}"))).await;
    }
    fixture.acknowledge_all().await;
    fixture
}

async fn answered(fixture: &Fixture, answer: Answer) {
    let ack = |one: Item| Ack { id: one.id, generation: one.generation, answer: answer.clone() };
    let acks = fixture.pending().into_iter().map(ack).collect();
    fixture.index.acknowledge(fixture.root, None, acks, 9_100).await.expect("stored");
}

async fn remove_all(fixture: &mut Fixture) {
    for at in 0..12 {
        fixture.remove(&format!("d/p{at}")).await;
    }
}

fn totals(fixture: &Fixture) -> (u64, u64, u64, u64, u64) {
    let totals = fixture.index.reader().root_totals(fixture.root).expect("totals");
    (totals.recordings, totals.pending, totals.vanished, totals.held, totals.marked)
}

#[tokio::test]
async fn what_a_drill_planted_leaves_however_many_there_are_and_nothing_of_it_stays() {
    let mut fixture = catalogued().await;
    remove_all(&mut fixture).await;
    assert_eq!(fixture.conclude(NONE, false).await, leaving(12));
    assert_eq!(totals(&fixture), (3, 12, 0, 0, 0));
    assert!(fixture.pending().iter().all(|one| one.recording.is_leaving()));
    fixture.is_in_order();
    // A crash in between: it is still to be removed.
    fixture.reopen().await;
    assert_eq!(fixture.pending().len(), 12);
    answered(&fixture, Answer::Removed).await;
    assert_eq!(totals(&fixture), (3, 0, 0, 0, 0));
    assert_eq!(fixture.listed().len(), 3);
    fixture.is_in_order();
}

#[tokio::test]
async fn drilled_recordings_count_neither_as_gone_nor_as_there() {
    let mut fixture = catalogued().await;
    // All of ten real ones gone are held, whatever a drill has planted beside them.
    for at in 3..10 {
        fixture.put(&format!("d/r{at}"), &sidecar(&format!("u{at}"), START)).await;
    }
    fixture.acknowledge_all().await;
    for at in 0..10 {
        fixture.remove(&format!("d/r{at}")).await;
    }
    let concluded = fixture.conclude(MaxVanished { percent: 100, at_least: 100 }, false).await;
    assert_eq!(concluded, Concluded { held: 10, ..Concluded::default() });
    // And what a drill removes brings no real one over the limit.
    let mut fixture = catalogued().await;
    remove_all(&mut fixture).await;
    fixture.remove("d/r1").await;
    let one = MaxVanished { percent: 0, at_least: 1 };
    let wanted = Concluded { marked: 1, held: 0, leaving: 12 };
    assert_eq!(fixture.conclude(one, false).await, wanted);
    fixture.remove("d/r2").await;
    assert_eq!(fixture.conclude(one, false).await.held, 1);
    fixture.is_in_order();
}

#[tokio::test]
async fn on_another_mount_nothing_leaves_and_nothing_is_held() {
    let mut fixture = catalogued().await;
    remove_all(&mut fixture).await;
    assert_eq!(fixture.conclude(NONE, true).await, Concluded::default());
    assert_eq!(totals(&fixture), (15, 0, 12, 0, 0));
    assert_eq!(fixture.conclude(NONE, false).await, leaving(12));
    fixture.is_in_order();
}

#[tokio::test]
async fn one_that_comes_back_before_its_removal_is_answered_is_written_again() {
    let mut fixture = catalogued().await;
    fixture.remove("d/p1").await;
    fixture.conclude(NONE, false).await;
    let sent = fixture.pending().remove(0);
    fixture.put("d/p1", &drilled("p1")).await;
    let back = fixture.pending().remove(0);
    assert!(!back.recording.is_leaving() && back.generation > sent.generation);
    // The answer to the removal comes late.
    let ack = Ack { id: sent.id, generation: sent.generation, answer: Answer::Removed };
    fixture.index.acknowledge(fixture.root, None, vec![ack], 9_200).await.expect("stored");
    assert_eq!(fixture.pending(), [back]);
    fixture.is_in_order();
}

#[tokio::test]
async fn one_that_comes_back_after_its_removal_is_above_what_was_sent_for_it() {
    let mut fixture = catalogued().await;
    fixture.remove("d/p1").await;
    fixture.conclude(NONE, false).await;
    let sent = fixture.pending().remove(0).generation;
    answered(&fixture, Answer::Removed).await;
    fixture.put("d/p1", &drilled("p1")).await;
    let back = fixture.pending().remove(0);
    assert!(back.generation > sent, "{} after {sent}", back.generation);
    assert!(!back.known, "it is inserted");
    fixture.is_in_order();
}

/// A document as this recording's, whose own the index never knew.
fn lost(like: &Recording, path: &str) -> Stored {
    let recording = Recording { uuid: "lost".to_owned(), path: path.to_owned(), ..like.clone() };
    Stored {
        uuid: recording.uuid.clone(),
        root: Some(recording.root.clone()),
        version: Some(focus_core::document::version(1, 5)),
        deleted: false,
        path: Some(recording.path.clone()),
        recording: Some(recording),
    }
}

#[tokio::test]
async fn a_document_of_a_drill_that_the_index_never_knew_leaves_without_a_neighbour() {
    let fixture = catalogued().await;
    let row = fixture.index.reader().range(fixture.root, None, Some("p0"), 1).expect("read").items;
    let stored = lost(&row[0].recording, "elsewhere/lost.dat");
    fixture.index.add_missing(fixture.root, vec![stored], 5_000).await.expect("stored");
    assert_eq!(fixture.conclude(NONE, false).await, leaving(1));
    let gone = fixture.pending().remove(0);
    assert_eq!((&*gone.recording.uuid, gone.recording.is_leaving()), ("lost", true));
    assert_eq!(gone.generation, 6, "above the document's");
    fixture.is_in_order();
}

#[tokio::test]
async fn a_drills_recording_is_no_neighbour() {
    let mut fixture = Fixture::new().await;
    fixture.put("a/r0", &sidecar("u0", START)).await;
    fixture.put("d/p0", &drilled("p0")).await;
    fixture.acknowledge_all().await;
    let row = fixture.index.reader().range(fixture.root, None, None, 10).expect("read").items;
    let stored = lost(&row[1].recording, "d/lost.dat");
    fixture.index.add_missing(fixture.root, vec![stored], 5_000).await.expect("stored");
    let concluded = fixture.conclude(MaxVanished::default(), false).await;
    assert_eq!(concluded, Concluded { held: 1, ..Concluded::default() });
}

#[tokio::test]
async fn a_removal_that_is_refused_is_told_and_tried_again() {
    let mut fixture = catalogued().await;
    fixture.remove("d/p1").await;
    fixture.conclude(NONE, false).await;
    let fault = Fault::new(State::CatalogRefused, "not allowed to remove");
    answered(&fixture, Answer::Refused { fault, retry_ms: 50 }).await;
    assert_eq!(fixture.pending(), []);
    let told = [("d/p1".to_owned(), "catalog_refused".to_owned())];
    assert_eq!(fixture.unrecognised(), told);
    fixture.is_in_order();
    fixture.index.retry_due(fixture.root, 50).await.expect("retried");
    answered(&fixture, Answer::Removed).await;
    assert_eq!((fixture.pending(), fixture.unrecognised()), (vec![], vec![]));
    fixture.is_in_order();
}

#[tokio::test]
async fn a_removal_that_is_refused_is_not_told_of_another_recording_at_its_place() {
    let mut fixture = catalogued().await;
    fixture.put("d/p1", &sidecar("another", START)).await;
    fixture.acknowledge_all().await;
    assert_eq!(fixture.conclude(NONE, false).await, leaving(1));
    let fault = Fault::new(State::CatalogRefused, "not allowed to remove");
    answered(&fixture, Answer::Refused { fault, retry_ms: 50 }).await;
    assert_eq!(fixture.unrecognised(), []);
    fixture.index.retry_due(fixture.root, 50).await.expect("retried");
    answered(&fixture, Answer::Removed).await;
    assert_eq!(fixture.unrecognised(), []);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_standby_learns_from_two_comparisons_that_it_has_left() {
    let mut fixture = catalogued().await;
    fixture.remove("d/p1").await;
    fixture.conclude(NONE, false).await;
    let gone = fixture.pending().remove(0);
    for left in [1, 0] {
        let (id, generation) = (gone.id, gone.generation);
        let found = vec![ComparedEntry { id, generation, found: Compared::NotThere }];
        fixture.index.found(found, 9_000).await.expect("stored");
        assert_eq!(fixture.pending().len(), left);
        fixture.is_in_order();
    }
    assert_eq!(fixture.listed().len(), 14);
}

#[tokio::test]
async fn an_index_of_the_first_version_learns_which_were_planted() {
    let fixture = catalogued().await;
    let path = fixture.path();
    fixture.index.close();
    let old = rusqlite::Connection::open(&path).expect("a file");
    crate::fixture::as_version(1, &old);
    old.execute_batch(
        "UPDATE recordings SET vanished_ms = 1, vanish_step = 3, marked_ms = 1, deleted = deleted | 2
           WHERE uuid IN ('p1', 'u1');
         UPDATE recordings SET vanished_ms = 1, vanish_step = 2, held_seq = 1, held_why = 'all'
           WHERE uuid = 'p2';
         UPDATE files SET data_size = NULL, side_size = NULL, uuid = NULL WHERE uuid = 'p2';",
    )
    .expect("as it was");
    drop(old);
    let index = Index::open(&path).expect("an index").index;
    let root = crate::fixture::remember(&index).await;
    let leaving = index.reader().pick(root, &Pick::newest(10)).expect("picked").items;
    let uuids: Vec<_> = leaving.iter().map(|one| one.recording.uuid.as_str()).collect();
    assert_eq!(uuids, ["p1"]);
    assert!(leaving[0].recording.is_leaving());
    let candidates = index.reader().vanish_candidates(root, None, 10).expect("candidates");
    assert_eq!(candidates.len(), 1);
    assert_eq!(candidates[0].place, place_of("d/p2"));
    assert_eq!(index.reader().broken_invariants().expect("invariants"), Vec::<String>::new());
}
