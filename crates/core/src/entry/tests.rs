//! Rules of an entry's life, one at a time.

use super::absence::{
    Facts, Scene, approved, concluded, count, doubted, is_neighbour, proved, shown,
};
use super::answered::{Answer, answered, picked};
use super::claimed::{Holding, claimed, preferred};
use super::compared::compared;
use super::observed::{
    Holder, Reported, made, place_of, place_unchanged, settled, unchanged, vanished,
};
use super::sent::Sent;
use super::waiting::{retried, started};
use super::{Absence, Acked, Content, Delivery, Entry, EntryId, Life, LookAgain, News, Report};
use crate::claim::Ruling;
use crate::compare::Compared;
use crate::state::{Fault, State};
use crate::vanish::{Counts, Decision, Held};

const NOW_MS: i64 = 5_000;

/// Acknowledged in its first generation.
fn catalogued() -> Entry {
    let made = made(0, false, 1_000);
    answered(made, 1, &Answer::Acknowledged).entry.expect("kept")
}

fn vanished_entry() -> Entry {
    vanished(catalogued(), false, 2_000).entry.expect("kept")
}

fn at(step: Absence) -> Entry {
    vanished_entry().with_absence(step)
}

fn marked() -> Entry {
    concluded(at(Absence::Proved { at_ms: 7 }), facts()).entry.expect("kept")
}

fn leaving() -> Entry {
    let drilled = Entry { drilled: true, ..at(Absence::Proved { at_ms: 7 }) };
    concluded(drilled, facts()).entry.expect("kept")
}

fn facts() -> Facts {
    Facts {
        scene: Scene { named: false, has_files: false, replaced: false },
        elsewhere: false,
        hidden: false,
        archive: false,
        has_neighbour: false,
        decision: Decision::Mark,
        seq: 4,
        now_ms: NOW_MS,
    }
}

#[test]
fn a_new_recording_is_pending_above_the_generation_base() {
    let entry = made(7, false, NOW_MS);
    assert_eq!((entry.generation, entry.is_pending(), entry.is_catalogued()), (8, true, false));
}

#[test]
fn pending_is_cleared_only_for_the_generation_that_was_sent() {
    let changed = settled(made(0, false, 1), false, false, 2).entry.expect("kept");
    let entry = answered(changed, 1, &Answer::Acknowledged).entry.expect("kept");
    assert!(entry.is_pending() && entry.known && !entry.is_acknowledged());
    let entry = answered(entry, 2, &Answer::Acknowledged).entry.expect("kept");
    assert!(!entry.is_pending() && entry.is_acknowledged());
}

#[test]
fn what_became_pending_first_says_since_when() {
    let twice = settled(made(0, false, 1), false, false, 2).entry.expect("kept");
    assert_eq!(twice.delivery, Delivery::Pending { since_ms: Some(1) });
}

#[test]
fn what_the_catalog_never_heard_of_is_forgotten_once_it_is_gone_unless_it_was_sent() {
    let new = made(0, false, 1);
    assert_eq!(vanished(new, false, 2).entry, None);
    let kept = vanished(new, true, 2).entry.expect("kept");
    assert_eq!((kept.acked, kept.is_pending()), (Acked::Unsure, false));
    assert!(kept.is_catalogued(), "it is not forgotten later either");
}

#[test]
fn other_places_that_name_the_uuid_of_what_is_gone_are_looked_at_again() {
    for entry in [catalogued(), vanished_entry(), made(0, false, 1)] {
        assert_eq!(vanished(entry, false, 2).effects.look_again, Some(LookAgain::Claimants));
    }
}

#[test]
fn what_comes_back_as_the_catalog_has_it_is_not_written_again() {
    for back in
        [unchanged(vanished_entry(), NOW_MS), settled(vanished_entry(), true, false, NOW_MS)]
    {
        assert_eq!((back.entry, back.effects.news), (Some(catalogued()), News::Returned));
    }
    let back = settled(vanished_entry(), false, false, NOW_MS);
    assert_eq!(back.effects.news, News::Pending, "it has other content");
}

#[test]
fn what_was_found_to_differ_before_it_was_gone_is_written_when_it_comes_back() {
    let differs = compared(catalogued(), 1, Compared::Differs, 1).entry.expect("kept");
    let entry = vanished(differs, false, 2).entry.expect("kept");
    assert_eq!(unchanged(entry, NOW_MS).effects.news, News::Pending);
}

#[test]
fn what_comes_back_marked_or_leaving_is_written_in_a_later_generation() {
    for entry in [marked(), leaving()] {
        let back = unchanged(entry, NOW_MS).entry.expect("kept");
        assert!(back.is_there() && back.is_pending() && back.generation > entry.generation);
    }
}

#[test]
fn the_first_proof_counts_until_it_is_doubted_or_the_process_ends() {
    let entry = proved(vanished_entry(), 7);
    assert_eq!(entry.absence(), Some(Absence::Proved { at_ms: 7 }));
    assert_eq!(proved(entry, 9), entry, "the first one");
    assert_eq!(doubted(entry), vanished_entry());
    assert_eq!(started(entry), vanished_entry());
    assert_eq!(proved(catalogued(), 7), catalogued());
}

#[test]
fn what_was_proved_twice_is_marked_and_pending_under_a_later_generation() {
    let entry = marked();
    assert_eq!(entry.absence(), Some(Absence::Marked { at_ms: NOW_MS, approved: false }));
    assert_eq!((entry.generation, entry.is_pending()), (2, true));
}

#[test]
fn nothing_is_concluded_of_what_is_there_moved_or_not_proved() {
    let scene = facts().scene;
    let proved = at(Absence::Proved { at_ms: 7 });
    for (entry, scene) in [
        (catalogued(), scene),
        (vanished_entry(), scene),
        (proved, Scene { named: true, ..scene }),
        (proved, Scene { has_files: true, ..scene }),
    ] {
        assert_eq!(concluded(entry, Facts { scene, ..facts() }).entry, Some(entry));
    }
    let scene = Scene { has_files: true, replaced: true, ..scene };
    assert!(concluded(proved, Facts { scene, ..facts() }).entry.expect("kept").is_marked());
}

#[test]
fn a_deletion_is_held_for_each_of_its_reasons() {
    let held = |entry: Entry, facts: Facts| match concluded(entry, facts).entry?.absence()? {
        Absence::Held { seq: 4, why } => Some(why),
        _ => None,
    };
    let proved = at(Absence::Proved { at_ms: 7 });
    let unseen = Entry { never_seen: true, ..proved };
    let all = Decision::Hold(Held::All);
    assert_eq!(held(proved, Facts { elsewhere: true, ..facts() }), Some(Held::Device));
    assert_eq!(held(proved, Facts { decision: all, ..facts() }), Some(Held::All));
    assert_eq!(held(unseen, facts()), Some(Held::NeverSeen));
    assert_eq!(held(unseen, Facts { hidden: true, ..facts() }), Some(Held::Excluded));
    assert_eq!(held(unseen, Facts { has_neighbour: true, ..facts() }), None);
}

#[test]
fn what_an_exclude_hides_is_held_until_it_is_shown_again() {
    let hidden = Facts { hidden: true, ..facts() };
    let held = concluded(at(Absence::Proved { at_ms: 7 }), hidden).entry.expect("kept");
    assert_eq!(held.absence(), Some(Absence::Held { seq: 4, why: Held::Excluded }));
    assert_eq!(started(held), held);
    assert_eq!(shown(held), vanished_entry());
    let other = at(Absence::Held { seq: 4, why: Held::All });
    assert_eq!(shown(other), other);
    assert!(approved(held, 4, NOW_MS).entry.expect("kept").is_marked());
    // A drill's waits for nobody, and is not removed unseen.
    let drilled = Entry { drilled: true, ..at(Absence::Proved { at_ms: 7 }) };
    let kept = concluded(drilled, hidden).entry.expect("kept");
    assert_eq!(kept.absence(), Some(Absence::Unproved));
}

#[test]
fn an_archive_leaves_its_documents_alone_until_the_process_starts_again() {
    let facts = Facts { archive: true, elsewhere: true, ..facts() };
    let turn = concluded(at(Absence::Proved { at_ms: 7 }), facts);
    let entry = turn.entry.expect("kept");
    assert_eq!((entry.absence(), turn.effects.news), (Some(Absence::LeftAlone), News::None));
    assert_eq!(started(entry), vanished_entry());
}

#[test]
fn a_drills_recording_leaves_also_an_archive_and_is_never_held() {
    let drilled = Entry { drilled: true, ..at(Absence::Proved { at_ms: 7 }) };
    let all = Facts { decision: Decision::Hold(Held::All), archive: true, ..facts() };
    assert!(concluded(drilled, all).entry.expect("kept").is_leaving());
    let elsewhere = concluded(drilled, Facts { elsewhere: true, ..facts() });
    assert_eq!(elsewhere.entry.expect("kept").absence(), Some(Absence::Unproved));
}

#[test]
fn what_has_left_raises_the_generation_base_and_what_came_back_stays() {
    let gone = leaving();
    let turn = answered(gone, gone.generation, &Answer::Removed);
    assert_eq!((turn.entry, turn.effects.generation_base), (None, Some(gone.generation)));
    let back = unchanged(gone, NOW_MS).entry.expect("kept");
    assert_eq!(answered(back, gone.generation, &Answer::Removed).entry, Some(back));
}

#[test]
fn a_standby_learns_from_two_comparisons_that_a_drills_document_is_gone() {
    let gone = leaving();
    let once = compared(gone, gone.generation, Compared::NotThere, NOW_MS).entry.expect("kept");
    assert!(once.is_leaving() && !once.known);
    let twice = compared(once, gone.generation, Compared::NotThere, NOW_MS);
    assert_eq!((twice.entry, twice.effects.generation_base), (None, Some(gone.generation)));
}

#[test]
fn one_comparison_is_not_enough_also_for_what_was_never_acknowledged() {
    let sent = Entry { drilled: true, ..vanished(made(0, true, 1), true, 2).entry.expect("kept") };
    let gone = concluded(proved(sent, 7), facts()).entry.expect("kept");
    assert!(gone.is_leaving() && !gone.known);
    let once = compared(gone, gone.generation, Compared::NotThere, NOW_MS).entry.expect("kept");
    assert_eq!(compared(once, gone.generation, Compared::NotThere, NOW_MS).entry, None);
}

#[test]
fn what_came_back_after_its_document_was_missed_once_is_not_forgotten_when_it_goes_again() {
    let leaving = leaving();
    let missed = compared(leaving, leaving.generation, Compared::NotThere, NOW_MS);
    let missed = missed.entry.expect("kept");
    let holding = Holding { path: "b/r.dat", has_files: false };
    for back in [
        unchanged(missed, NOW_MS),
        settled(missed, true, true, NOW_MS),
        settled(missed, false, false, NOW_MS),
        claimed(missed, holding, "z/r.dat", true, NOW_MS).1,
    ] {
        let back = back.entry.expect("kept");
        assert!(back.is_pending() && !back.known, "it is inserted");
        assert!(vanished(back, false, NOW_MS).entry.is_some(), "what was sent may land late");
    }
}

#[test]
fn a_refusal_of_what_leaves_is_reported_where_no_other_recording_is() {
    let fault = Fault::new(State::CatalogRefused, "no right to remove");
    let refusal = Answer::Refused { fault: fault.clone(), retry_ms: 900 };
    let turn = answered(leaving(), leaving().generation, &refusal);
    assert_eq!(turn.effects.report, Some(Report::FaultOfAbsent(fault)));
    assert!(turn.entry.expect("kept").is_leaving());
}

#[test]
fn content_is_replaced_only_by_a_recording_that_was_read() {
    let content = |turn: super::Turn| turn.effects.content;
    let holding = Holding { path: "b/r.dat", has_files: true };
    assert_eq!(content(settled(catalogued(), false, false, NOW_MS)), Content::Replaced);
    assert_eq!(content(settled(catalogued(), true, false, NOW_MS)), Content::Kept);
    assert_eq!(content(unchanged(marked(), NOW_MS)), Content::Kept);
    assert_eq!(
        content(claimed(vanished_entry(), holding, "z/r.dat", false, NOW_MS).1),
        Content::Replaced
    );
    assert_eq!(content(claimed(catalogued(), holding, "a/r.dat", false, NOW_MS).1), Content::Kept);
}

#[test]
fn a_person_approves_the_set_that_was_shown() {
    let held = at(Absence::Held { seq: 4, why: Held::All });
    assert_eq!(approved(held, 3, NOW_MS).entry, Some(held));
    let entry = approved(held, 4, NOW_MS).entry.expect("kept");
    assert_eq!(entry.absence(), Some(Absence::Marked { at_ms: NOW_MS, approved: true }));
    assert!(entry.is_pending() && entry.generation == 2);
}

#[test]
fn a_refusal_is_reported_and_tried_again_and_its_end_clears_the_report() {
    let fault = Fault::new(State::CatalogRefused, "too large");
    let refusal = Answer::Refused { fault: fault.clone(), retry_ms: 900 };
    let turn = answered(made(0, false, 1), 1, &refusal);
    assert_eq!(turn.effects.report, Some(Report::Fault(fault)));
    let entry = turn.entry.expect("kept");
    assert_eq!((retried(entry, 899), retried(entry, 900).is_pending()), (entry, true));
    assert!(started(entry).is_pending());
    let taken = answered(retried(entry, 900), 1, &Answer::Acknowledged);
    assert_eq!(taken.effects.report, Some(Report::Taken));
}

#[test]
fn a_mark_that_is_refused_waits_and_is_not_in_the_way_of_others() {
    let fault = Fault::new(State::DuplicateId, "another root has it");
    let turn = answered(marked(), 2, &Answer::Refused { fault, retry_ms: 900 });
    let entry = turn.entry.expect("kept");
    assert!(entry.is_marked() && entry.is_refused() && entry.is_sound());
    assert_eq!(turn.effects.report, None, "there are no files to report");
}

#[test]
fn a_refusal_of_what_is_gone_by_now_changes_nothing() {
    let fault = Fault::new(State::CatalogRefused, "too large");
    let entry = vanished(made(0, false, 1), true, 2).entry.expect("kept");
    assert_eq!(answered(entry, 1, &Answer::Refused { fault, retry_ms: 900 }).entry, Some(entry));
}

#[test]
fn a_comparison_of_another_generation_only_tells_that_there_is_a_document() {
    let new = settled(made(0, false, 1), false, false, 2).entry.expect("kept");
    for found in [Compared::Same, Compared::Differs, Compared::Deleted(None)] {
        assert_eq!(compared(new, 1, found, NOW_MS).entry, Some(Entry { known: true, ..new }));
    }
    assert_eq!(compared(new, 1, Compared::NotThere, NOW_MS).entry, Some(new));
}

#[test]
fn what_the_catalog_lacks_or_has_otherwise_is_pending() {
    for found in [Compared::NotThere, Compared::Differs, Compared::Deleted(None)] {
        let turn = compared(catalogued(), 1, found, NOW_MS);
        let entry = turn.entry.expect("kept");
        assert_eq!((turn.effects.news, entry.generation), (News::Pending, 1), "{found:?}");
        assert_eq!(entry.known, found != Compared::NotThere);
    }
}

#[test]
fn what_is_gone_from_both_is_news_should_it_come_back() {
    for found in [Compared::NotThere, Compared::Differs] {
        let turn = compared(vanished_entry(), 1, found, NOW_MS);
        assert_eq!(turn.effects.news, News::None);
        let back = unchanged(turn.entry.expect("kept"), NOW_MS);
        assert_eq!(back.effects.news, News::Pending);
    }
}

#[test]
fn what_others_marked_is_marked_without_a_write_and_does_not_count() {
    let entry =
        compared(vanished_entry(), 1, Compared::Deleted(Some(77)), NOW_MS).entry.expect("kept");
    assert_eq!(entry.absence(), Some(Absence::Marked { at_ms: 77, approved: true }));
    assert!(!entry.is_pending() && entry.is_acknowledged());
    let mut counts = Counts::default();
    count(&mut counts, &entry, false, NOW_MS);
    assert_eq!(counts, Counts::default());
}

#[test]
fn a_uuid_goes_where_its_files_are() {
    let holding = Holding { path: "b/r.dat", has_files: true };
    let there = claimed(catalogued(), holding, "a/r.dat", false, NOW_MS);
    assert_eq!((there.0, there.1.entry), (Ruling::HolderKeeps, Some(catalogued())));
    let (ruling, turn) = claimed(vanished_entry(), holding, "z/r.dat", false, NOW_MS);
    let entry = turn.entry.expect("kept");
    assert_eq!(
        (ruling, turn.effects.news, entry.life),
        (Ruling::Moved, News::Pending, Life::There)
    );
    let empty = Holding { has_files: false, ..holding };
    assert_eq!(claimed(catalogued(), empty, "z/r.dat", false, NOW_MS).0, Ruling::Moved);
}

#[test]
fn what_the_catalog_has_elsewhere_is_read_there_before_it_is_written() {
    for entry in [catalogued(), marked(), leaving()] {
        let entry = preferred(entry);
        assert!(entry.is_there() && !entry.is_pending() && entry.known && !entry.is_acknowledged());
    }
}

#[test]
fn a_place_whose_recording_is_anothers_by_now_is_read_again() {
    let unchanged = |reported, holder| {
        let place = place_unchanged(reported, holder);
        (place.cleared, place.read_again)
    };
    let holder = |here, there| Some(Holder { here, there });
    let (nothing, state) = (Reported::Nothing, Reported::State);
    assert_eq!(unchanged(nothing, holder(true, true)), (false, false));
    assert_eq!(unchanged(Reported::Unknown, holder(true, true)), (true, false));
    assert_eq!(unchanged(state(State::Unreadable), holder(true, true)), (true, false));
    assert_eq!(unchanged(state(State::CatalogRefused), holder(true, true)), (false, false));
    assert_eq!(unchanged(state(State::DuplicateId), holder(false, true)), (false, false));
    assert_eq!(unchanged(state(State::DuplicateId), holder(false, false)), (false, true));
    assert_eq!(unchanged(nothing, None), (false, true));
}

#[test]
fn a_mark_is_told_with_its_date_and_ends_with_it() {
    assert_eq!(marked().deleted_at_ms(), Some(NOW_MS));
    assert_eq!(at(Absence::LeftAlone).deleted_at_ms(), None);
    let recording = crate::recording::Recording {
        uuid: "u".to_owned(),
        start_ms: 1,
        end_ms: None,
        deleted: false,
        deleted_at_ms: None,
        recording_id: "r".to_owned(),
        root: "root".to_owned(),
        path: "r.dat".to_owned(),
        size: 1,
        fingerprint: String::new(),
        metadata: crate::json::Value::Object(Vec::new()),
    };
    let told = picked(recording.clone(), Some(9));
    assert_eq!((told.deleted, told.deleted_at_ms), (true, Some(9)));
    assert_eq!(picked(recording.clone(), None), recording);
}

#[test]
fn drilled_and_unseen_entries_are_no_neighbours_and_drilled_ones_are_not_counted() {
    assert!(is_neighbour(&catalogued()));
    assert!(!is_neighbour(&Entry { drilled: true, ..catalogued() }));
    assert!(!is_neighbour(&made(0, false, 1)) && !is_neighbour(&vanished_entry()));
    let mut counts = Counts::default();
    for entry in [catalogued(), vanished_entry(), marked(), at(Absence::LeftAlone)] {
        count(&mut counts, &entry, false, NOW_MS);
        count(&mut counts, &Entry { drilled: true, ..entry }, false, NOW_MS);
    }
    assert_eq!(counts, Counts { present: 1, gone: 1, marked: 1 });
}

#[test]
fn what_was_sent_is_remembered_until_all_is_acknowledged() {
    let sent = Sent::default().note([EntryId(5), EntryId(3)]).note([EntryId(9)]).note([]);
    assert!(sent.holds(EntryId(3)) && sent.holds(EntryId(9)) && !sent.holds(EntryId(2)));
    assert_eq!(sent.after_answers(true, false), sent);
    assert_eq!(sent.after_answers(false, true), sent);
    assert_eq!(sent.after_answers(false, false), Sent::default());
}

#[test]
fn a_path_names_a_place_where_it_has_a_stem() {
    assert_eq!(place_of("a/b/r.x.dat").expect("a place").display(), "a/b/r.x");
    assert_eq!(place_of("r.dat").expect("a place").display(), "r");
    assert_eq!((place_of("a/r"), place_of("a/.dat")), (None, None));
}

#[test]
fn a_vanished_recording_whose_place_has_files_is_not_missing_on_another_mount() {
    use super::mounted::{AtPlace, was_seen};
    assert!(was_seen(&catalogued(), AtPlace::Itself));
    assert!(!was_seen(&catalogued(), AtPlace::Faulty), "it turned bad");
    assert!(was_seen(&vanished_entry(), AtPlace::Another));
    assert!(was_seen(&vanished_entry(), AtPlace::Nothing));
    assert!(!was_seen(&vanished_entry(), AtPlace::Unsettled), "its data file is there alone");
    assert!(!was_seen(&marked(), AtPlace::Nothing));
}
