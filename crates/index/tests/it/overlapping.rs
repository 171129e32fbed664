//! The time index against a look at every recording.

use std::ops::ControlFlow;

use crate::fixture::Fixture;

#[tokio::test]
async fn the_time_index_finds_exactly_what_a_look_at_every_recording_finds() {
    let mut fixture = Fixture::new().await;
    let mut random = fastrand::Rng::with_seed(7);
    let base = 1_700_000_000_000_i64;
    let mut all: Vec<(i64, Option<i64>, bool)> = Vec::new();
    for n in 0..600 {
        let start = base + random.i64(-100_000..100_000);
        let end = match random.u8(0..10) {
            0 => None,
            // Powers of two and their neighbours are where span classes meet.
            1..=4 => Some(start + (1_i64 << random.u32(0..40)) - random.i64(0..=1)),
            5 => Some(start),
            _ => Some(start + random.i64(0..20_000)),
        };
        let deleted = random.u8(0..8) == 0;
        let end_text = end.map_or("null".to_owned(), |end| end.to_string());
        let sidecar = format!(
            r#"{{"uuid":"u{n}","start_time":{start},"end_time":{end_text},"deleted":{deleted}}}"#
        );
        fixture.put(&format!("r{n}"), &sidecar).await;
        all.push((start, end, deleted));
    }
    assert_eq!(fixture.listed().len(), all.len(), "{:?}", fixture.unrecognised());
    for _ in 0..400 {
        let from = base + random.i64(-150_000..150_000);
        let to = from + if random.bool() { 0 } else { random.i64(0..50_000) };
        let mut expected: Vec<_> = all
            .iter()
            .filter(|(start, end, deleted)| {
                !deleted && *start <= to && end.is_none_or(|end| end >= from)
            })
            .map(|(start, end, _)| (*start, *end))
            .collect();
        expected.sort_by_key(|(start, end)| (*start, end.unwrap_or(i64::MAX)));
        let mut found = Vec::new();
        fixture
            .index
            .reader()
            .overlapping(from, to, &mut |start, end| {
                found.push((start, end));
                ControlFlow::Continue(())
            })
            .expect("a query");
        assert_eq!(found, expected, "{from}..={to}");
    }
}

#[tokio::test]
async fn a_caller_ends_a_query_when_it_has_enough() {
    let mut fixture = Fixture::new().await;
    for n in 0..5 {
        let start = 1_700_000_000_000 + n;
        fixture.put(&format!("r{n}"), &crate::fixture::sidecar(&format!("u{n}"), start)).await;
    }
    let mut found = 0;
    let enough = &mut |_, _| {
        found += 1;
        if found == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    fixture.index.reader().overlapping(i64::MIN, i64::MAX, enough).expect("a query");
    assert_eq!(found, 2);
}
