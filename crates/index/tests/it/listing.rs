//! Listings by start, page by page, against a sort of everything.

use focus_core::meta_filter::MetaFilter;
use focus_core::recording_state::{RecordingState, StateSet};
use focus_index::{Listed, Listing, Order, WrongCursor};

use crate::fixture::{Fixture, sidecar};

const BASE: i64 = 1_700_000_000_000;

/// Every recording of a listing, by pages of so many.
fn pages(fixture: &Fixture, listing: &Listing, limit: usize) -> Vec<Listed> {
    let mut listing = Listing { limit, ..listing.clone() };
    let mut all = Vec::new();
    loop {
        let page = fixture.index.reader().recordings(&listing).expect("a page").rows;
        let Some(last) = page.last() else { return all };
        let text = listing.text_of(last.cursor);
        listing.after = Some(listing.cursor_of(&text).expect("its own cursor"));
        let more = fixture.index.reader().recordings_after(&listing, last.cursor).expect("a count");
        all.extend(page);
        let whole = Listing { limit: 10_000, after: None, ..listing.clone() };
        let of = fixture.index.reader().recordings(&whole).expect("all").rows.len();
        assert_eq!(more, (of - all.len()) as u64);
    }
}

#[tokio::test]
async fn pages_in_either_order_hold_what_a_sort_of_everything_holds() {
    let mut fixture = Fixture::new().await;
    let mut random = fastrand::Rng::with_seed(11);
    let mut all: Vec<(i64, Option<i64>, String)> = Vec::new();
    for n in 0..300 {
        // Several begin at the same time.
        let start = BASE + random.i64(-50..50) * 1_000;
        let end = (random.u8(0..10) > 0).then(|| start + (1 << random.u32(0..30)));
        let end_text = end.map_or("null".to_owned(), |end| end.to_string());
        let text = format!(r#"{{"uuid":"u{n}","start_time":{start},"end_time":{end_text}}}"#);
        fixture.put(&format!("r{n}"), &text).await;
        all.push((start, end, format!("u{n}")));
    }
    all.sort_by_key(|(start, ..)| *start);
    for (from_ms, to_ms) in [(None, None), (Some(BASE), None), (Some(BASE - 9_000), Some(BASE))] {
        let wanted: Vec<i64> = all
            .iter()
            .filter(|(start, end, _)| {
                to_ms.is_none_or(|to| *start <= to)
                    && from_ms.is_none_or(|from| end.is_none_or(|end| end >= from))
            })
            .map(|(start, ..)| *start)
            .collect();
        for order in [Order::Start, Order::StartDescending] {
            let listing = Listing { from_ms, to_ms, order, ..Listing::default() };
            let mut found = pages(&fixture, &listing, 7);
            if order == Order::StartDescending {
                found.reverse();
            }
            let starts: Vec<i64> = found.iter().map(|row| row.start_ms).collect();
            assert_eq!(starts, wanted, "{listing:?}");
            let mut uuids: Vec<&str> = found.iter().map(|row| &*row.uuid).collect();
            uuids.sort_unstable();
            uuids.dedup();
            assert_eq!(uuids.len(), wanted.len(), "each one once");
        }
    }
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_one_ended_though_recordings_land() {
    let mut fixture = Fixture::new().await;
    for n in 0..10 {
        fixture.put(&format!("r{n}"), &sidecar(&format!("u{n}"), BASE + n * 1_000)).await;
    }
    let mut listing = Listing { limit: 5, ..Listing::default() };
    let first = fixture.index.reader().recordings(&listing).expect("a page").rows;
    for n in 0..5 {
        let start = BASE + n * 1_000 - 500;
        fixture.put(&format!("late{n}"), &sidecar(&format!("l{n}"), start)).await;
    }
    listing.after = first.last().map(|row| row.cursor);
    let second = fixture.index.reader().recordings(&listing).expect("a page").rows;
    let uuids: Vec<&str> = second.iter().map(|row| &*row.uuid).collect();
    assert_eq!(uuids, ["u5", "u6", "u7", "u8", "u9"]);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_listing_alone() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", BASE)).await;
    let listing = Listing { limit: 1, ..Listing::default() };
    let text = listing.text_of(fixture.listed()[0].cursor);
    assert!(listing.cursor_of(&text).is_ok());
    let other = Listing { text: Some("r".to_owned()), ..listing.clone() };
    assert_eq!(other.cursor_of(&text), Err(WrongCursor));
    for wrong in ["", "1", "1-2", "1-2-3", "x-y-z", &format!("{text}0"), &text[1..]] {
        assert_eq!(listing.cursor_of(wrong), Err(WrongCursor), "{wrong}");
    }
}

#[tokio::test]
async fn states_text_metadata_and_root_narrow_a_listing_and_every_page_leads_on() {
    let mut fixture = Fixture::new().await;
    for n in 0..40 {
        let start = BASE + i64::from(n) * 1_000;
        let end = if n % 10 == 0 { "null".to_owned() } else { (start + 500).to_string() };
        let deleted = n % 4 == 1;
        let sensor = if n % 2 == 0 { "north" } else { "south" };
        let text = format!(
            r#"{{"uuid":"u{n}","start_time":{start},"end_time":{end},"deleted":{deleted},"sensor":"{sensor}","gain":{n}}}"#
        );
        fixture.put(&format!("r{n}"), &text).await;
        if n == 19 {
            fixture.acknowledge_all().await;
        }
    }
    let meta = |key: &str, value: &str| MetaFilter::new(key, value).expect("a key");
    let states = |states: &[RecordingState]| states.iter().copied().collect::<StateSet>();
    let root = fixture.index.reader().root_named("/data").expect("read");
    assert!(root.is_some() && fixture.index.reader().root_named("/none").expect("read").is_none());
    for (listing, wanted) in [
        (Listing { states: StateSet::LEFT, root, ..Listing::default() }, 30),
        (Listing { states: states(&[RecordingState::Deleted]), ..Listing::default() }, 10),
        (Listing { states: states(&[RecordingState::Pending]), ..Listing::default() }, 15),
        (Listing { states: states(&[RecordingState::Live]), ..Listing::default() }, 2),
        (Listing { states: states(&[RecordingState::Catalogued]), ..Listing::default() }, 13),
        (Listing { states: states(&[RecordingState::Held]), ..Listing::default() }, 0),
        (Listing { meta: vec![meta("sensor", "north")], ..Listing::default() }, 20),
        (
            Listing {
                meta: vec![meta("sensor", "north"), meta("/gain", "4")],
                ..Listing::default()
            },
            1,
        ),
        (Listing { text: Some("R3".to_owned()), ..Listing::default() }, 11),
    ] {
        for order in [Order::Start, Order::StartDescending] {
            let mut listing = Listing { order, limit: 3, ..listing.clone() };
            let mut found = std::collections::BTreeSet::new();
            loop {
                let page = fixture.index.reader().recordings(&listing).expect("a page");
                for row in page.rows {
                    assert!(listing.states.has(row.state), "{row:?}");
                    assert!(found.insert(row.uuid), "twice");
                }
                let Some(next) = page.next else { break };
                listing.after = Some(next);
            }
            assert_eq!(found.len(), wanted, "{listing:?}");
        }
    }
    let one = fixture.index.reader().recording("u1").expect("read").expect("it");
    assert!(one.first_seen_ms.is_some() && one.acknowledged_ms.is_some(), "{one:?}");
    let late = fixture.index.reader().recording("u39").expect("read").expect("it");
    assert!(late.first_seen_ms.is_some() && late.acknowledged_ms.is_none(), "{late:?}");
}
