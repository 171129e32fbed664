//! Random histories of a small storage against a model that knows what must come of them.

use std::collections::{BTreeMap, BTreeSet};

use focus_core::meta_filter::MetaKey;
use focus_core::recording::Place;
use focus_core::state::{Fault, State};
use focus_core::vanish::MaxVanished;
use focus_index::{Ack, Answer, Listing, Observation, TextDue};

use crate::fixture::{Fixture, place_of, sidecar};
use crate::observing::settle_due;

const PLACES: [&str; 5] = ["a", "b", "c/a", "c/d/e", "z"];
const UUIDS: [&str; 4] = ["u1", "u2", "u3", "u4"];

#[tokio::test]
async fn whatever_happens_the_index_ends_as_storage_is() {
    let histories = if std::env::var_os("FOCUS_TEST_LONG").is_some() { 2_000 } else { 200 };
    for seed in 0..histories {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut fixture = Fixture::new().await;
        let mut late = Vec::new();
        for _ in 0..random.usize(5..40) {
            step(&mut fixture, &mut late, &mut random).await;
            let broken = fixture.index.reader().broken_invariants().expect("invariants");
            assert!(broken.is_empty(), "seed {seed}: {broken:?}");
            texts_agree(&fixture, seed);
        }
        let all: Vec<Place> = PLACES.map(place_of).to_vec();
        fixture.look(&all).await;
        settle_due(&mut fixture).await;
        agrees(&fixture, seed);
        fixture.index.close();
    }
}

async fn step(fixture: &mut Fixture, late: &mut Vec<Observation>, random: &mut fastrand::Rng) {
    let place = *random.choice(&PLACES).expect("some");
    match random.u8(0..13) {
        0..=3 => {
            let uuid = random.choice(&UUIDS).expect("some");
            let text = sidecar(uuid, 1_700_000_000_000 + random.i64(0..3));
            // The last one is a drill's.
            let sensor = format!("{{\"sensor\":{},", random.u8(0..3));
            let text = text.replacen('{', &sensor, 1);
            let drilled = text.replacen('{', "{\"focus_drill\":\"d1\",", 1);
            fixture.write(place, if *uuid == UUIDS[3] { &drilled } else { &text });
        }
        4 => fixture.write(place, "{\"start_time\":"),
        5 => {
            fixture.files.remove(&place_of(place));
        }
        6 => {
            let to = place_of(random.choice(&PLACES).expect("some"));
            if let Some(files) = fixture.files.remove(&place_of(place)) {
                fixture.files.insert(to, files);
            }
        }
        7..=8 => {
            fixture.look(&[place_of(place)]).await;
        }
        12 if late.is_empty() => *late = fixture.judge(&[place_of(place)]),
        // What was seen a while ago is stored only now.
        12 => {
            let batch = std::mem::take(late);
            fixture.index.observe(fixture.root, batch, 5_000).await.expect("stored");
        }
        9 => answer(fixture, random).await,
        10 if random.bool() => {
            let max = MaxVanished { percent: 0, at_least: random.u64(0..3) };
            fixture.conclude(max, random.u8(0..4) == 0).await;
            if random.bool() {
                let through = random.i64(0..40);
                fixture.index.approve(fixture.root, through, 9_500).await.expect("approved");
            }
        }
        10 => {
            fixture.index.retry_due(fixture.root, u64::MAX >> 1).await.expect("retried");
        }
        _ => match random.u8(0..7) {
            0..=1 => fixture.reopen().await,
            2 => {
                let all = ["sensor", "/uuid"].map(|key| MetaKey::new(key).expect("a key"));
                let keys = all[..random.usize(0..=2)].to_vec();
                fixture.index.index_metadata(keys).await.expect("stored");
            }
            3 => {
                fixture.index.metadata_step().await.expect("stored");
            }
            4 => {
                fixture.index.text_step(TextDue::All).await.expect("stored");
            }
            _ => fixture.index.owe(fixture.root, "db".to_owned()).await.expect("owed"),
        },
    }
}

/// The catalog answers for some of what is pending, after something else may have happened.
async fn answer(fixture: &mut Fixture, random: &mut fastrand::Rng) {
    let sent = fixture.pending();
    if random.bool() {
        let place = *random.choice(&PLACES).expect("some");
        fixture.look(&[place_of(place)]).await;
    }
    let acks = sent
        .into_iter()
        .filter_map(|one| {
            let answer = match random.u8(0..8) {
                0 => Answer::Raise { generation: one.generation + random.i64(1..4) },
                1 => Answer::Refused {
                    fault: Fault::new(State::CatalogRefused, "no"),
                    retry_ms: 1_000_000,
                },
                2..=3 => return None,
                _ if one.recording.is_leaving() => Answer::Removed,
                _ => Answer::Acknowledged,
            };
            Some(Ack { id: one.id, generation: one.generation, answer })
        })
        .collect();
    fixture.index.acknowledge(fixture.root, None, acks, 7_000).await.expect("stored");
}

/// A text finds the recordings that have it, however far the text index is.
#[track_caller]
fn texts_agree(fixture: &Fixture, seed: u64) {
    let all = fixture.listed();
    for text in ["C/D", "a.dat", "/a."] {
        let listing = Listing { text: Some(text.to_owned()), limit: 100, ..Listing::default() };
        let found = fixture.index.reader().recordings(&listing).expect("a page").rows;
        let has = |value: &str| value.contains(&text.to_lowercase());
        let wanted: Vec<_> = all.iter().filter(|row| has(&row.path)).cloned().collect();
        assert_eq!(found, wanted, "seed {seed}: {text}");
    }
}

/// Every uuid that a good sidecar names is held once, by a place that names it, with its start; the
/// other places that name it are `duplicate_id`; bad sidecars are told; nothing else is there.
#[track_caller]
fn agrees(fixture: &Fixture, seed: u64) {
    let mut claims: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut bad = BTreeSet::new();
    for (place, files) in &fixture.files {
        match UUIDS.iter().find(|uuid| files.sidecar.contains(&format!("\"{uuid}\""))) {
            Some(uuid) => {
                claims.entry(*uuid).or_default().insert(place.display());
            }
            None => {
                bad.insert((place.display(), "sidecar_invalid".to_owned()));
            }
        }
    }
    let listed = fixture.listed();
    let told: BTreeSet<_> = fixture.unrecognised().into_iter().collect();
    let files: Vec<_> =
        fixture.files.iter().map(|(place, files)| (place.display(), &files.sidecar)).collect();
    let context = format!("seed {seed}\nfiles {files:?}\nlisted {listed:?}\ntold {told:?}");
    for (uuid, places) in &claims {
        let held: Vec<_> = listed.iter().filter(|row| row.uuid == *uuid && !row.vanished).collect();
        assert_eq!(held.len(), 1, "{uuid} is held once\n{context}");
        let holder = held[0].path.trim_end_matches(".dat").to_owned();
        // A place that turned bad keeps what it held: its files are there.
        let kept = bad.iter().any(|(place, _)| *place == holder);
        assert!(places.contains(&holder) || kept, "{uuid} is held by {holder}\n{context}");
        for place in places.iter().filter(|place| **place != holder) {
            let state = (place.clone(), "duplicate_id".to_owned());
            assert!(told.contains(&state), "{place} is a duplicate\n{context}");
        }
    }
    for one in &bad {
        assert!(told.contains(one), "{one:?} is told\n{context}");
    }
    for (place, state) in &told {
        let duplicate = claims.values().any(|places| places.len() > 1 && places.contains(place))
            || claims.values().any(|places| places.contains(place)) && !bad.is_empty();
        let right = match &**state {
            "duplicate_id" => duplicate,
            "sidecar_invalid" => bad.contains(&(place.clone(), state.clone())),
            "catalog_refused" => claims.values().any(|places| places.contains(place)),
            _ => false,
        };
        assert!(right, "{place} is wrongly {state}\n{context}");
    }
    for row in listed.iter().filter(|row| !row.vanished) {
        let place = row.path.trim_end_matches(".dat");
        let named = claims.get(&*row.uuid).is_some_and(|places| places.contains(place));
        let kept = bad.iter().any(|(bad, _)| bad == place);
        assert!(named || kept, "{} has no files\n{context}", row.uuid);
    }
}
