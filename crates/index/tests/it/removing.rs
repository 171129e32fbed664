//! A root that is not configured any more: left out of every answer, and forgotten in bounded steps.

use std::ops::ControlFlow;

use focus_index::{ConfiguredRoot, Listing, RootId};

use crate::fixture::{Fixture, MARKER, place_of, sidecar};

const START: i64 = 1_700_000_000_000;

fn configured(path: &str, marker: Option<&str>) -> ConfiguredRoot {
    ConfiguredRoot { path: path.to_owned(), marker: marker.map(str::to_owned) }
}

/// Recordings in the fixture's own root, then as many as asked for in another one, whose row is returned.
async fn with_another_root(fixture: &mut Fixture, count: usize) -> RootId {
    fixture.put("own", &sidecar("own", START)).await;
    fixture.put("bad", "{").await;
    let own = fixture.root;
    let other = fixture.index.root("root-2".to_owned(), "/other".to_owned(), 1_000).await;
    let other = other.expect("a root").id;
    fixture.root = other;
    let places: Vec<String> = (0..count).map(|n| format!("{}/r{n}", n % 7)).collect();
    for (n, place) in places.iter().enumerate() {
        fixture.write(place, &sidecar(&format!("u{n}"), START));
    }
    fixture.write("worse", "{");
    let places: Vec<_> = places.iter().map(|place| place_of(place)).collect();
    for some in places.chunks(500) {
        fixture.look(some).await;
    }
    fixture.look(&[place_of("worse")]).await;
    fixture.root = own;
    other
}

#[tokio::test]
async fn only_configured_roots_are_in_answers_and_counts() {
    let mut fixture = Fixture::new().await;
    with_another_root(&mut fixture, 3).await;
    let reader = fixture.index.reader();
    let counts = || {
        let totals = reader.totals().expect("totals");
        let listed = reader.recordings(&Listing { limit: 10, ..Listing::default() });
        let listed = listed.expect("a listing").rows.len();
        let mut spans = 0;
        let mut count = |_, _| {
            spans += 1;
            ControlFlow::Continue(())
        };
        reader.overlapping(0, i64::MAX, &mut count).expect("spans");
        let unrecognised: u64 = totals.unrecognised.iter().map(|(_, count)| count).sum();
        assert_eq!(fixture.unrecognised().len() as u64, unrecognised);
        assert_eq!((listed, spans), (usize::try_from(totals.recordings).expect("few"), listed));
        (totals.recordings, totals.pending, unrecognised, totals.pending_since_ms.is_some())
    };
    assert_eq!(counts(), (4, 4, 2, true), "nobody said which roots are configured");
    for (roots, wanted) in [
        (vec![configured("/data", None), configured("/other", None)], (4, 4, 2, true)),
        (vec![configured("/data", None)], (1, 1, 1, true)),
        (vec![configured("/other", None)], (3, 3, 1, true)),
        (vec![configured("/elsewhere", Some(MARKER))], (1, 1, 1, true)),
        (vec![], (0, 0, 0, false)),
    ] {
        reader.answer_for(roots.clone());
        assert_eq!(counts(), wanted, "{roots:?}");
    }
    // A root that was moved is recognised once it was there.
    reader.answer_for(vec![configured("/moved", None)]);
    assert_eq!(counts(), (0, 0, 0, false));
    reader.was_there("/moved", "root-2");
    assert_eq!(counts(), (3, 3, 1, true));
    let roots = reader.indexed_roots().expect("roots");
    let names: Vec<_> = roots.iter().map(|root| (&*root.path, root.is_configured)).collect();
    assert_eq!(names, [("/data", false), ("/other", true)]);
}

#[tokio::test]
async fn a_root_is_forgotten_in_transactions_of_bounded_size_and_the_others_stay() {
    let mut fixture = Fixture::new().await;
    let other = with_another_root(&mut fixture, 2_300).await;
    let (mut recordings, mut steps) = (0, 0);
    loop {
        let part = fixture.index.forget(other).await.expect("forgotten");
        assert!(part.recordings <= 1_000, "{part:?}");
        recordings += part.recordings;
        steps += 1;
        fixture.is_in_order();
        if part.done {
            break;
        }
    }
    assert_eq!((recordings, steps), (2_300, 3));
    let roots = fixture.index.reader().indexed_roots().expect("roots");
    assert_eq!(roots.iter().map(|root| root.marker.as_str()).collect::<Vec<_>>(), [MARKER]);
    assert_eq!(fixture.listed().len(), 1);
    assert_eq!(fixture.unrecognised(), [("bad".to_owned(), "sidecar_invalid".to_owned())]);
    // Forgotten twice is forgotten.
    assert!(fixture.index.forget(other).await.expect("forgotten").done);
}

#[tokio::test]
async fn what_claims_a_forgotten_uuid_is_looked_at_again() {
    let mut fixture = Fixture::new().await;
    let other = with_another_root(&mut fixture, 1).await;
    fixture.put("twin", &sidecar("u0", START)).await;
    assert_eq!(
        fixture.unrecognised().last().map(|(_, state)| state.as_str()),
        Some("duplicate_id")
    );
    assert!(fixture.index.forget(other).await.expect("forgotten").done);
    let due = fixture.index.reader().due(fixture.root, 0, 10).expect("what is due");
    assert_eq!(due, [place_of("twin")]);
    fixture.look(&due).await;
    assert_eq!(fixture.listed().len(), 2);
    fixture.is_in_order();
}
