//! What looks at storage make of the index.

use focus_core::recording::Place;
use focus_index::{Ack, Answer, KnownForm};

use crate::fixture::{Fixture, place_of, sidecar};

const START: i64 = 1_700_000_000_000;

#[tokio::test]
async fn a_recording_is_stored_and_pending_in_one_step() {
    let mut fixture = Fixture::new().await;
    let observed = fixture.put("a/r", &sidecar("u", START)).await;
    assert_eq!(observed.changed, 1);
    let pending = fixture.pending();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].generation, pending[0].known), (1, false));
    assert_eq!(pending[0].recording.path, "a/r.dat");
    assert_eq!(pending[0].recording.root, crate::fixture::MARKER);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_look_that_finds_nothing_new_writes_nothing_new() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    fixture.acknowledge_all().await;
    let observed = fixture.look(&[place_of("r")]).await;
    assert_eq!((observed.changed, fixture.pending().len()), (0, 0));
    fixture.is_in_order();
}

#[tokio::test]
async fn a_changed_recording_is_pending_in_the_next_generation() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    fixture.acknowledge_all().await;
    fixture.put("r", &sidecar("u", START + 5)).await;
    let pending = fixture.pending();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].generation, pending[0].known), (2, true));
    fixture.is_in_order();
}

#[tokio::test]
async fn a_broken_sidecar_stops_neither_the_recording_nor_the_others() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    fixture.write("r", "{");
    fixture.write("s", &sidecar("v", START));
    fixture.look(&[place_of("r"), place_of("s")]).await;
    assert_eq!(fixture.unrecognised(), [("r".to_owned(), "sidecar_invalid".to_owned())]);
    assert_eq!(fixture.listed().len(), 2, "what was known of it stays");
    fixture.put("r", &sidecar("u", START)).await;
    assert_eq!(fixture.unrecognised(), []);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_time_that_was_none_is_read_again_after_a_start_because_settings_may_have_changed() {
    let mut fixture = Fixture::new().await;
    fixture.put("good", &sidecar("u", START)).await;
    fixture.put("local", r#"{"start_time": "2024-05-01T12:00:00"}"#).await;
    let due = |fixture: &Fixture| {
        fixture.index.reader().due(fixture.root, u64::MAX, 10).expect("what is due")
    };
    // A tick later, so that what was read counts.
    fixture.now_ms += 3_000;
    fixture.look(&[place_of("good"), place_of("local")]).await;
    assert_eq!(fixture.unrecognised(), [("local".to_owned(), "time_invalid".to_owned())]);
    assert_eq!(due(&fixture), []);
    fixture.reopen().await;
    assert_eq!(due(&fixture), [place_of("local")]);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_recording_gone_before_it_was_catalogued_leaves_no_trace() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    fixture.remove("r").await;
    assert_eq!(fixture.listed(), []);
    assert_eq!(fixture.index.reader().totals().expect("totals").recordings, 0);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_catalogued_recording_whose_files_are_gone_has_vanished_and_can_come_back() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    fixture.acknowledge_all().await;
    fixture.remove("r").await;
    assert!(fixture.listed()[0].vanished);
    assert_eq!(fixture.pending().len(), 0);
    fixture.is_in_order();
    fixture.put("r", &sidecar("u", START)).await;
    assert!(!fixture.listed()[0].vanished);
    assert_eq!(fixture.pending().len(), 1, "the catalog is told again");
    fixture.is_in_order();
}

#[tokio::test]
async fn a_return_as_the_catalog_has_it_is_told_apart_from_what_is_reported() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    fixture.acknowledge_all().await;
    let files = fixture.files[&place_of("r")].clone();
    fixture.remove("r").await;
    fixture.files.insert(place_of("r"), files);
    let observed = fixture.look(&[place_of("r")]).await;
    assert_eq!((observed.changed, observed.returned, observed.reported), (0, 1, 0));
    assert_eq!(fixture.pending(), []);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_state_that_this_program_does_not_know_ends_with_the_next_good_look() {
    for (is_changed, sidecar_after) in [(false, START), (true, START + 5)] {
        let mut fixture = Fixture::new().await;
        fixture.put("r", &sidecar("u", START)).await;
        let file = rusqlite::Connection::open(fixture.path()).expect("the file");
        file.execute_batch("UPDATE files SET state = 'x', reason = 'of a later version'")
            .expect("as a later version left it");
        assert_eq!(fixture.unrecognised(), [("r".to_owned(), "x".to_owned())]);
        if is_changed {
            fixture.write("r", &sidecar("u", sidecar_after));
        }
        let observed = fixture.look(&[place_of("r")]).await;
        assert_eq!((fixture.unrecognised(), observed.reported), (vec![], 1), "{is_changed}");
        fixture.is_in_order();
    }
}

#[tokio::test]
async fn a_moved_recording_keeps_its_row() {
    let mut fixture = Fixture::new().await;
    fixture.put("a/r", &sidecar("u", START)).await;
    fixture.acknowledge_all().await;
    let row = fixture.listed()[0].cursor;
    let files = fixture.files.remove(&place_of("a/r")).expect("there");
    fixture.files.insert(place_of("b/r"), files);
    // The new place is seen first: the old one still counts as there until it is looked at.
    fixture.look(&[place_of("b/r")]).await;
    settle_due(&mut fixture).await;
    let listed = fixture.listed();
    assert_eq!((listed.len(), listed[0].cursor, &*listed[0].path), (1, row, "b/r.dat"));
    assert_eq!(fixture.unrecognised(), []);
    fixture.is_in_order();
}

#[tokio::test]
async fn of_two_with_one_uuid_the_catalogued_one_keeps_it_else_the_smaller_path() {
    let mut fixture = Fixture::new().await;
    fixture.put("b", &sidecar("u", START)).await;
    fixture.put("a", &sidecar("u", START)).await;
    assert_eq!(fixture.listed()[0].path, "a.dat");
    assert_eq!(fixture.unrecognised(), [("b".to_owned(), "duplicate_id".to_owned())]);
    fixture.acknowledge_all().await;
    fixture.put("0", &sidecar("u", START)).await;
    settle_due(&mut fixture).await;
    assert_eq!(fixture.listed()[0].path, "a.dat", "it is in the catalog");
    assert_eq!(fixture.unrecognised().len(), 2);
    fixture.is_in_order();
}

#[tokio::test]
async fn a_duplicate_takes_over_when_the_holder_goes_or_takes_another_uuid() {
    for goes in [true, false] {
        let mut fixture = Fixture::new().await;
        fixture.put("a", &sidecar("u", START)).await;
        fixture.acknowledge_all().await;
        fixture.put("b", &sidecar("u", START)).await;
        settle_due(&mut fixture).await;
        assert_eq!(fixture.unrecognised(), [("b".to_owned(), "duplicate_id".to_owned())]);
        if goes {
            fixture.remove("a").await;
        } else {
            fixture.put("a", &sidecar("v", START)).await;
        }
        settle_due(&mut fixture).await;
        let held: Vec<_> = fixture.listed().into_iter().map(|row| (row.uuid, row.path)).collect();
        assert!(held.contains(&("u".to_owned(), "b.dat".to_owned())), "goes {goes}: {held:?}");
        assert_eq!(fixture.unrecognised(), [], "goes {goes}");
        fixture.is_in_order();
    }
}

#[tokio::test]
async fn a_recording_refused_by_the_catalog_is_tried_again_once_it_changes() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    let one = fixture.pending().remove(0);
    let fault = focus_core::state::Fault::new(focus_core::state::State::CatalogRefused, "too big");
    let answer = Answer::Refused { fault, retry_ms: 1_000_000 };
    let ack = Ack { id: one.id, generation: one.generation, answer };
    fixture.index.acknowledge(fixture.root, None, vec![ack], 6_000).await.expect("stored");
    assert_eq!(fixture.pending().len(), 0);
    assert_eq!(fixture.unrecognised(), [("r".to_owned(), "catalog_refused".to_owned())]);
    fixture.is_in_order();
    fixture.put("r", &sidecar("u", START + 1)).await;
    assert_eq!(fixture.pending().len(), 1);
    fixture.acknowledge_all().await;
    assert_eq!(fixture.unrecognised(), []);
    fixture.is_in_order();
}

#[tokio::test]
async fn names_that_are_not_utf8_are_told_and_do_no_harm() {
    let mut fixture = Fixture::new().await;
    let place = Place { folder: b"f\xff".to_vec(), stem: b"r\xfe".to_vec() };
    let files = crate::fixture::Files { sidecar: sidecar("u", START), changed: 1 };
    fixture.files.insert(place.clone(), files);
    fixture.look(&[place]).await;
    let states: Vec<_> = fixture.unrecognised().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["name_invalid"]);
    fixture.is_in_order();
}

/// Looks at what is due until nothing is.
pub(crate) async fn settle_due(fixture: &mut Fixture) {
    for _ in 0..20 {
        fixture.now_ms += 1;
        let reader = fixture.index.reader();
        let places = reader.due(fixture.root, fixture.now_ms, 1_000).expect("what is due");
        if places.is_empty() {
            return;
        }
        fixture.look(&places).await;
    }
    panic!("it never comes to rest");
}

#[tokio::test]
async fn a_root_whose_pairs_mean_something_else_is_read_again_and_writes_only_what_changed() {
    let mut fixture = Fixture::new().await;
    fixture.put("a/r", &sidecar("u", START)).await;
    fixture.put("broken", "{").await;
    fixture.put("gone", &sidecar("v", START)).await;
    fixture.remove("gone").await;
    fixture.acknowledge_all().await;
    let due = |fixture: &Fixture| fixture.index.reader().due(fixture.root, 1, 10).expect("due");
    assert_eq!(due(&fixture), [], "nothing waits");
    assert_eq!(fixture.index.reader().form(fixture.root).expect("none"), KnownForm::default());
    let form = KnownForm {
        meaning: Some("another".to_owned()),
        extensions: vec!["dat".to_owned(), "json".to_owned()],
    };
    let (index, root, known) = (fixture.index.clone(), fixture.root, form.clone());
    let work = move || {
        let mut parts = 0;
        let mut after = 0;
        while let Some(last) = index.read_again_blocking(root, after).expect("stored") {
            (after, parts) = (last, parts + 1);
        }
        index.set_form_blocking(root, known).expect("stored");
        parts
    };
    assert_eq!(tokio::task::spawn_blocking(work).await.expect("no panic"), 1);
    fixture.is_in_order();
    let places = due(&fixture);
    let shown: Vec<String> = places.iter().map(Place::display).collect();
    assert_eq!(shown, ["a/r", "broken"], "what has no files is not looked at");
    assert_eq!(
        fixture.index.reader().root_counts(fixture.root).expect("counts").totals.unsettled,
        1
    );
    let observed = fixture.look(&places).await;
    assert_eq!((observed.changed, fixture.pending().len()), (0, 0), "it means the same");
    fixture.is_in_order();
    fixture.reopen().await;
    assert_eq!(fixture.index.reader().form(fixture.root).expect("kept"), form);
}
