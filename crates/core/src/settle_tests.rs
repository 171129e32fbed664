use super::*;
use crate::look::{DataSeen, SidecarSeen};

const GOOD: &str = "{\"start_time\": 5, \"end_time\": 6}";
const LIVE: &str = "{\"start_time\": 5}";

fn rules() -> Rules<'static> {
    Rules { root: "r", form: PairForm::focus(), settle_ms: 2_000 }
}

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
            identity: FileIdentity::default(),
            bytes: Some(text.as_bytes().to_vec()),
        }),
        ..Look::default()
    }
}

fn at(known: &Sight, look: &Look, closed: Closed, now_ms: u64) -> Judgement {
    judge(&place(), known, look, closed, rules(), now_ms)
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

/// As seen at this age of both files, milliseconds.
fn aged(look: Look, aged_ms: i64) -> Look {
    let changed_ns = 1_700_000_000_000_000_000;
    let began_wall_ns = Some(changed_ns + aged_ms * 1_000_000);
    Look { changed_ns: Some(changed_ns), began_wall_ns, ..look }
}

#[test]
fn files_that_are_old_by_their_own_times_need_one_look_and_no_other() {
    let old = at(&Sight::default(), &aged(look(Some(1), Some(GOOD)), 10_000), Closed::default(), 9);
    assert!(is_settled(&old), "{old:?}");
    assert_eq!(
        (old.due_ms, old.sight.content.map(|content| content.counts_from_ms)),
        (None, Some(None))
    );
    let faulty =
        at(&Sight::default(), &aged(look(Some(1), Some("{")), 10_000), Closed::default(), 9);
    assert!(matches!(faulty.conclusion, Conclusion::Unrecognised(_)), "{faulty:?}");
}

#[test]
fn files_that_are_young_or_of_the_future_or_of_another_clock_must_stand_still() {
    let seen = look(Some(1), Some(GOOD));
    let unsettled = |look: &Look, rules: Rules<'_>| {
        let judged = judge(&place(), &Sight::default(), look, Closed::default(), rules, 9);
        judged.conclusion == Conclusion::Unsettled
    };
    for aged_ms in [9_999, 0, -1, -86_400_000] {
        assert!(unsettled(&aged(seen.clone(), aged_ms), rules()), "{aged_ms}");
    }
    let old = aged(seen, 60_000);
    assert!(unsettled(&Look { changed_ns: None, ..old.clone() }, rules()));
    assert!(unsettled(&Look { began_wall_ns: None, ..old.clone() }, rules()));
    assert!(unsettled(&Look { changing: true, ..old.clone() }, rules()));
    // It must be older than it has to stand still, and than a coarse clock's tick beyond that.
    assert!(unsettled(&old, Rules { settle_ms: 58_001, ..rules() }));
    assert!(!unsettled(&old, Rules { settle_ms: 58_000, ..rules() }));
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
    let read_again = at(&first.sight, &look(Some(1), Some(GOOD)), Closed::default(), 150);
    assert_eq!(read_again.conclusion, Conclusion::Same);
    let unread = unread(look(Some(1), Some(GOOD)));
    let later = at(&read_again.sight, &unread, Closed::default(), 200);
    assert_eq!((later.conclusion, later.due_ms), (Conclusion::Same, None));
    assert_eq!(at(&first.sight, &Look::default(), BOTH, 300).conclusion, Conclusion::Absent);
}

fn unread(mut look: Look) -> Look {
    if let Some(sidecar) = &mut look.sidecar {
        sidecar.bytes = None;
    }
    look
}

/// The look with the sidecar as another file of the same size and time.
fn as_another_file(mut look: Look) -> Look {
    if let Some(sidecar) = &mut look.sidecar {
        sidecar.identity = FileIdentity { inode: 77, ctime_ns: 5 };
    }
    look
}

const ALIKE: &str = "{\"start_time\": 4, \"end_time\": 6}";

#[test]
fn a_sidecar_of_the_same_size_and_time_and_another_content_settles_anew() {
    let first = at(&Sight::default(), &look(Some(1), Some(GOOD)), BOTH, 100);
    let known = at(&first.sight, &look(Some(1), Some(GOOD)), Closed::default(), 150).sight;
    let replaced = as_another_file(look(Some(1), Some(ALIKE)));
    // Not read: nothing can be said of it.
    let untold = at(&known, &unread(replaced.clone()), Closed::default(), 5_000);
    assert_eq!(untold.conclusion, Conclusion::Unsettled);
    let seen = at(&known, &replaced, Closed::default(), 5_000);
    assert_eq!((&seen.conclusion, seen.due_ms), (&Conclusion::Unsettled, Some(7_000)));
    let Conclusion::Settled(recording) =
        at(&seen.sight, &replaced, Closed::default(), 7_000).conclusion
    else {
        panic!("not settled")
    };
    assert_eq!(recording.start_ms, 4_000);
    let closed = Closed { sidecar: true, ..Closed::default() };
    assert!(is_settled(&at(&known, &replaced, closed, 5_000)), "moved into place");
}

#[test]
fn a_sidecar_that_is_another_file_of_the_same_content_changes_nothing_and_is_known_from_then_on() {
    let first = at(&Sight::default(), &look(Some(1), Some(GOOD)), BOTH, 100);
    let known = at(&first.sight, &look(Some(1), Some(GOOD)), Closed::default(), 150).sight;
    let touched = as_another_file(look(Some(1), Some(GOOD)));
    let seen = at(&known, &touched, Closed::default(), 5_000);
    assert_eq!(seen.conclusion, Conclusion::Same);
    assert!(seen.sight.settled);
    // It may still change within the tick of its clock.
    assert_eq!((seen.due_ms, seen.sight.known_sidecar()), (Some(5_020), None));
    let again = at(&seen.sight, &touched, Closed::default(), 5_020);
    assert_eq!((again.conclusion, again.due_ms), (Conclusion::Same, None));
    let known = again.sight.known_sidecar().expect("it is known");
    assert_eq!(known.identity, FileIdentity { inode: 77, ctime_ns: 5 });
}

#[test]
fn content_counts_only_where_it_was_read_a_tick_after_the_file_was_first_seen() {
    let whole = |mut look: Look| {
        if let Some(sidecar) = &mut look.sidecar {
            sidecar.stat.mtime_ns = 3_000_000_000;
            sidecar.identity.ctime_ns = 3_000_000_000;
        }
        look
    };
    // A clock of whole seconds ticks within 2 s, any other within 20 ms.
    for (make, tick_ms) in [(&whole as &dyn Fn(Look) -> Look, 2_000), (&|look| look, 20)] {
        let good = make(look(Some(1), Some(GOOD)));
        let first = at(&Sight::default(), &good, BOTH, 100);
        assert_eq!(first.due_ms, Some(100 + tick_ms));
        let early = at(&first.sight, &good, Closed::default(), 100 + tick_ms - 1);
        assert_eq!((early.due_ms, early.sight.known_sidecar()), (Some(100 + tick_ms), None));
        // A reading that began before then does not count, however late it ends.
        let began = Look { began_ms: Some(100 + tick_ms - 1), ..good.clone() };
        let slow = at(&first.sight, &began, Closed::default(), 100 + tick_ms + 50);
        assert_eq!(slow.sight.known_sidecar(), None);
        // Written in place within the tick: nothing but the content tells.
        let rewritten = make(look(Some(1), Some(ALIKE)));
        let found = at(&early.sight, &rewritten, Closed::default(), 100 + tick_ms);
        assert_eq!(found.conclusion, Conclusion::Unsettled);
        let late = at(&early.sight, &good, Closed::default(), 100 + tick_ms);
        assert!(late.sight.known_sidecar().is_some());
    }
}

#[test]
fn an_index_that_does_not_know_which_file_it_was_reads_it_again_and_changes_nothing() {
    let first = at(&Sight::default(), &look(Some(1), Some(GOOD)), BOTH, 100);
    let old = Sight { content: None, ..first.sight };
    let seen = at(&old, &look(Some(1), Some(GOOD)), Closed::default(), 10_000);
    // The index finds the recording as it has it, and makes no generation.
    assert!(is_settled(&seen));
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

#[test]
fn a_sidecar_without_data_names_what_may_be_its_data() {
    let mut seen = look(None, Some(GOOD));
    let reason = |seen: &Look| {
        let first = at(&Sight::default(), seen, BOTH, 100_000);
        let judged = at(&first.sight, seen, BOTH, 102_100);
        let Conclusion::Unrecognised(fault) = judged.conclusion else { panic!("{judged:?}") };
        assert_eq!(fault.state, State::SidecarWithoutData);
        fault.reason
    };
    assert!(reason(&seen).contains("Add the data file"), "{}", reason(&seen));
    seen.beside = Some("wav".to_owned());
    let told = reason(&seen);
    assert!(told.contains("rec.wav is there") && told.contains("data_extensions"), "{told}");
}
