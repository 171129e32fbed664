use super::*;
use crate::look::{DataSeen, SidecarSeen};

const GOOD: &str = "{\"start_time\": 5, \"end_time\": 6}";
const LIVE: &str = "{\"start_time\": 5}";
const RULES: Rules<'_> =
    Rules { root: "r", times: Times { unit: None, zone: None }, settle_ms: 2_000 };
const BOTH: Closed = Closed { data: true, sidecar: true };

fn place() -> Place {
    Place { folder: b"d".to_vec(), stem: b"rec".to_vec() }
}

fn look(data: Option<i64>, sidecar: Option<&str>) -> Look {
    let stat = |size| FileStat { size, mtime_ns: 1 };
    Look {
        data: data.map(|size| DataSeen { extension: "dat".to_owned(), stat: stat(size) }),
        sidecar: sidecar.map(|text| SidecarSeen {
            stat: stat(i64::try_from(text.len()).expect("small")),
            bytes: Some(text.as_bytes().to_vec()),
        }),
        ..Look::default()
    }
}

fn at(known: &Sight, look: &Look, closed: Closed, now_ms: u64) -> Judgement {
    judge(&place(), known, look, closed, RULES, now_ms)
}

fn is_settled(judgement: &Judgement) -> bool {
    matches!(judgement.conclusion, Conclusion::Settled(_))
}

#[test]
fn files_that_their_writers_closed_need_one_look() {
    let judgement = at(&Sight::default(), &look(Some(1), Some(GOOD)), BOTH, 100);
    let Conclusion::Settled(recording) = judgement.conclusion else { panic!("{judgement:?}") };
    assert_eq!((recording.path.as_str(), recording.uuid.as_str()), ("d/rec.dat", "rec"));
}

#[test]
fn without_a_close_both_files_must_have_stood_still() {
    let seen = look(Some(1), Some(GOOD));
    let first = at(&Sight::default(), &seen, Closed::default(), 100);
    assert_eq!((&first.conclusion, first.due_ms), (&Conclusion::Unsettled, Some(2_100)));
    let early = at(&first.sight, &seen, Closed::default(), 2_099);
    assert_eq!(early.conclusion, Conclusion::Unsettled);
    assert!(is_settled(&at(&first.sight, &seen, Closed::default(), 2_100)));
    let grown = at(&first.sight, &look(Some(2), Some(GOOD)), Closed::default(), 2_100);
    assert_eq!(grown.due_ms, Some(4_100));
}

#[test]
fn a_file_that_changed_while_it_was_read_is_never_catalogued() {
    let mut seen = look(Some(1), Some(GOOD));
    seen.changing = true;
    assert_eq!(at(&Sight::default(), &seen, BOTH, 100).conclusion, Conclusion::Unsettled);
}

#[test]
fn a_fault_is_believed_only_once_nothing_moves() {
    for seen in [look(Some(1), None), look(None, Some(GOOD)), look(Some(1), Some("{"))] {
        let first = at(&Sight::default(), &seen, BOTH, 100);
        assert_eq!(first.conclusion, Conclusion::Unsettled, "a writer may be between two steps");
        let later = at(&first.sight, &seen, Closed::default(), 2_100);
        assert!(matches!(later.conclusion, Conclusion::Unrecognised(_)), "{later:?}");
    }
}

#[test]
fn unchanged_files_are_the_same_and_absent_ones_absent() {
    let first = at(&Sight::default(), &look(Some(1), Some(GOOD)), BOTH, 100);
    let mut unread = look(Some(1), Some(GOOD));
    if let Some(sidecar) = &mut unread.sidecar {
        sidecar.bytes = None;
    }
    assert_eq!(at(&first.sight, &unread, Closed::default(), 200).conclusion, Conclusion::Same);
    assert_eq!(at(&first.sight, &Look::default(), BOTH, 300).conclusion, Conclusion::Absent);
}

#[test]
fn a_live_recording_grows_and_is_rewritten_every_ten_seconds_at_most() {
    let first = at(&Sight::default(), &look(Some(1), Some(LIVE)), BOTH, 100);
    assert!(is_settled(&first));
    let soon = at(&first.sight, &look(Some(2), Some(LIVE)), Closed::default(), 3_000);
    assert_eq!((&soon.conclusion, soon.due_ms), (&Conclusion::Same, Some(10_100)));
    assert!(is_settled(&at(&soon.sight, &look(Some(3), Some(LIVE)), Closed::default(), 10_100)));
}

#[test]
fn a_live_recording_that_ends_is_told_as_soon_as_its_files_are_closed() {
    let first = at(&Sight::default(), &look(Some(1), Some(LIVE)), BOTH, 100);
    assert!(is_settled(&at(&first.sight, &look(Some(2), Some(GOOD)), BOTH, 1_000)));
}
