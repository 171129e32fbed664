use super::*;
use crate::json::Value;

fn item(id: i64, known: bool) -> Item {
    let recording = recording(&format!("u{id}"), "here.dat");
    Item { id: EntryId(id), generation: 2, known, recording }
}

fn recording(uuid: &str, path: &str) -> Recording {
    Recording {
        uuid: uuid.to_owned(),
        start_ms: 1,
        end_ms: None,
        deleted: false,
        deleted_at_ms: None,
        recording_id: uuid.to_owned(),
        root: "r".to_owned(),
        path: path.to_owned(),
        size: 1,
        fingerprint: "f".to_owned(),
        metadata: Value::Object(Vec::new()),
    }
}

fn stored(
    uuid: &str,
    root: Option<&str>,
    version: Option<i64>,
    path: &str,
    deleted: bool,
) -> Stored {
    Stored {
        uuid: uuid.to_owned(),
        root: root.map(str::to_owned),
        version,
        deleted,
        path: Some(path.to_owned()),
        recording: None,
    }
}

fn duplicate() -> Answer {
    Answer::Duplicate { words: "E11000".to_owned() }
}

/// A batch of one new recording whose insert was answered as a duplicate, and what was read then.
fn after_reading(document: Option<Stored>) -> (Batch, Option<Call>) {
    let mut batch = Batch::new("r", 1, vec![item(1, false)]);
    assert!(matches!(batch.next_call(), Some(Call::Insert(_))));
    batch.replied(Reply::Answers(vec![duplicate()]));
    assert_eq!(batch.next_call(), Some(Call::Read(vec!["u1".to_owned()])));
    batch.replied(Reply::Documents(document.into_iter().collect()));
    let next = batch.next_call();
    (batch, next)
}

fn outcome(batch: &Batch) -> Outcome {
    batch.outcomes().remove(0).outcome
}

#[test]
fn one_refused_document_holds_up_no_other() {
    let mut batch = Batch::new("r", 1, vec![item(1, false), item(2, false), item(3, true)]);
    let Some(Call::Insert(sent)) = batch.next_call() else { panic!("an insert") };
    assert_eq!(sent.len(), 2);
    let refused = Answer::Refused { words: "no".to_owned() };
    batch.replied(Reply::Answers(vec![refused, Answer::Written]));
    assert!(matches!(batch.next_call(), Some(Call::Upsert(sent)) if sent.len() == 1));
    batch.replied(Reply::Answers(vec![Answer::Written]));
    assert_eq!(batch.next_call(), None);
    let outcomes: Vec<Outcome> = batch.outcomes().into_iter().map(|one| one.outcome).collect();
    assert!(
        matches!(&outcomes[0], Outcome::Refused(fault) if fault.state == State::CatalogRefused)
    );
    assert_eq!(outcomes[1..], [Outcome::Acknowledged, Outcome::Acknowledged]);
}

#[test]
fn what_is_there_with_the_same_values_is_acknowledged_without_a_write() {
    let mut there = stored("u1", Some("r"), Some(document::version(9, 9)), "here.dat", false);
    there.recording = Some(recording("u1", "here.dat"));
    let (batch, next) = after_reading(Some(there));
    assert_eq!((next, outcome(&batch), batch.written()), (None, Outcome::Acknowledged, 0));
}

#[test]
fn a_document_without_root_is_adopted_whatever_its_version() {
    let (_, next) = after_reading(Some(stored("u1", None, Some(i64::MAX), "x", false)));
    assert!(matches!(next, Some(Call::Adopt(_))));
}

#[test]
fn a_live_document_of_another_root_keeps_its_uuid_and_a_deleted_one_is_taken_over() {
    let (batch, next) = after_reading(Some(stored("u1", Some("other"), None, "x", false)));
    assert_eq!(next, None);
    assert!(
        matches!(outcome(&batch), Outcome::Refused(fault) if fault.state == State::DuplicateId)
    );
    let (_, next) = after_reading(Some(stored("u1", Some("other"), None, "x", true)));
    assert!(matches!(next, Some(Call::TakeOver(_, _))));
}

#[test]
fn a_newer_generation_of_the_same_token_is_gone_above() {
    let there = stored("u1", Some("r"), Some(document::version(1, 7)), "here.dat", false);
    let (batch, next) = after_reading(Some(there));
    assert_eq!((next, outcome(&batch)), (None, Outcome::Raise(8)));
}

#[test]
fn a_newer_token_has_to_be_taken_first() {
    let there = stored("u1", Some("r"), Some(document::version(4, 1)), "here.dat", false);
    let (batch, next) = after_reading(Some(there));
    assert_eq!((next, outcome(&batch), batch.token_met()), (None, Outcome::Left, Some(4)));
}

#[test]
fn the_path_in_the_catalog_keeps_the_uuid_where_it_is_still_on_storage() {
    let there = || stored("u1", Some("r"), Some(1), "elsewhere.dat", false);
    let (mut batch, next) = after_reading(Some(there()));
    let prefer = Call::Prefer { uuid: "u1".to_owned(), path: "elsewhere.dat".to_owned() };
    assert_eq!(next, Some(prefer));
    batch.replied(Reply::Preferred(true));
    assert_eq!((batch.next_call(), outcome(&batch)), (None, Outcome::Left));
    let (mut batch, _) = after_reading(Some(there()));
    batch.replied(Reply::Preferred(false));
    assert!(matches!(batch.next_call(), Some(Call::Upsert(_))));
}

#[test]
fn a_duplicate_that_nobody_has_is_another_unique_index() {
    let (mut batch, next) = after_reading(None);
    assert!(matches!(next, Some(Call::Insert(_))));
    batch.replied(Reply::Answers(vec![duplicate()]));
    assert!(matches!(batch.next_call(), Some(Call::Read(_))));
    batch.replied(Reply::Documents(Vec::new()));
    assert_eq!(batch.next_call(), None);
    assert!(matches!(outcome(&batch), Outcome::Refused(fault) if fault.reason.contains("E11000")));
}

#[test]
fn a_size_error_halves_down_to_the_one_that_is_too_large() {
    let mut batch = Batch::new("r", 1, (1..=8).map(|id| item(id, false)).collect());
    let large =
        Failure { class: Class::TooLarge, code: Some(10_334), words: "too large".to_owned() };
    let mut calls = 0;
    while let Some(Call::Insert(sent)) = batch.next_call() {
        calls += 1;
        assert!(calls < 64, "it does not end");
        if sent.iter().any(|document| document.recording.uuid == "u6") {
            assert!(batch.failed(&large));
        } else {
            batch.replied(Reply::Answers(vec![Answer::Written; sent.len()]));
        }
    }
    let refused: Vec<i64> = batch
        .outcomes()
        .into_iter()
        .filter(|one| matches!(one.outcome, Outcome::Refused(_)))
        .map(|one| one.id.0)
        .collect();
    assert_eq!(refused, [6]);
}

#[test]
fn an_answer_that_is_missing_acknowledges_nothing() {
    let mut batch = Batch::new("r", 1, vec![item(1, false), item(2, false)]);
    batch.next_call();
    batch.replied(Reply::Answers(vec![Answer::Written]));
    assert_eq!(batch.next_call(), None);
    let outcomes: Vec<Outcome> = batch.outcomes().into_iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Acknowledged, Outcome::Left]);
}

fn leaving() -> Recording {
    let mut gone = drilled();
    gone.deleted = true;
    gone.deleted_at_ms = Some(5);
    gone
}

fn drilled() -> Recording {
    let mark = ("focus_drill".to_owned(), Value::String("d1".to_owned()));
    Recording { metadata: Value::Object(vec![mark]), ..recording("u1", "here.dat") }
}

/// A batch of a drill's recording that is gone, after its removal was sent, and what was read then.
fn after_removing(document: Option<Stored>) -> (Batch, Option<Call>) {
    let item = Item { id: EntryId(1), generation: 2, known: true, recording: leaving() };
    let mut batch = Batch::new("r", 1, vec![item]);
    let Some(Call::Remove(sent)) = batch.next_call() else { panic!("a removal") };
    assert_eq!(sent[0].version, document::version(1, 2));
    batch.replied(Reply::Removed);
    assert_eq!(batch.next_call(), Some(Call::Read(vec!["u1".to_owned()])));
    batch.replied(Reply::Documents(document.into_iter().collect()));
    let next = batch.next_call();
    (batch, next)
}

#[test]
fn a_drills_document_is_removed_and_that_is_read_back() {
    let (batch, next) = after_removing(None);
    assert_eq!((next, outcome(&batch)), (None, Outcome::Removed));
    for root in [None, Some("another")] {
        let (batch, next) = after_removing(Some(stored("u1", root, Some(1), "x.dat", false)));
        assert_eq!((next, outcome(&batch)), (None, Outcome::Removed), "{root:?}");
    }
}

#[test]
fn a_drills_document_that_is_newer_is_not_removed() {
    let newer = |version| Some(stored("u1", Some("r"), Some(version), "here.dat", false));
    let (batch, _) = after_removing(newer(document::version(1, 7)));
    assert_eq!(outcome(&batch), Outcome::Raise(8));
    let (batch, _) = after_removing(newer(document::version(3, 1)));
    assert_eq!((outcome(&batch), batch.token_met()), (Outcome::Left, Some(3)));
}

#[test]
fn a_drills_document_that_lost_its_mark_gets_it_back_and_goes() {
    let there = stored("u1", Some("r"), Some(document::version(1, 1)), "here.dat", false);
    let (mut batch, next) = after_removing(Some(there));
    assert!(matches!(next, Some(Call::Upsert(_))), "{next:?}");
    batch.replied(Reply::Answers(vec![Answer::Written]));
    assert!(matches!(batch.next_call(), Some(Call::Remove(_))));
    batch.replied(Reply::Removed);
    batch.next_call();
    batch.replied(Reply::Documents(Vec::new()));
    assert_eq!((batch.next_call(), outcome(&batch)), (None, Outcome::Removed));
    assert_eq!(batch.written(), 0);
}

#[test]
fn a_removal_that_changes_nothing_ends() {
    let mut there = stored("u1", Some("r"), Some(document::version(1, 1)), "here.dat", false);
    there.recording = Some(drilled());
    let (mut batch, mut next) = after_removing(Some(there.clone()));
    let mut calls = 0;
    while let Some(call) = next {
        calls += 1;
        assert!(calls < 10, "{call:?}");
        batch.replied(match call {
            Call::Read(_) => Reply::Documents(vec![there.clone()]),
            _ => Reply::Removed,
        });
        next = batch.next_call();
    }
    assert_eq!(outcome(&batch), Outcome::Left);
}

#[test]
fn who_may_not_remove_still_writes_the_others() {
    let gone = Item { id: EntryId(2), generation: 2, known: true, recording: leaving() };
    let mut batch = Batch::new("r", 1, vec![gone, item(1, false)]);
    assert!(matches!(batch.next_call(), Some(Call::Remove(_))));
    assert!(batch.failed(&Failure::refused_client("not authorised to remove")));
    assert!(matches!(batch.next_call(), Some(Call::Insert(sent)) if sent.len() == 1));
    batch.replied(Reply::Answers(vec![Answer::Written]));
    assert_eq!(batch.next_call(), None);
    let outcomes = batch.outcomes();
    assert!(
        matches!(&outcomes[0].outcome, Outcome::Refused(fault) if fault.reason.contains("remove"))
    );
    assert_eq!(outcomes[1].outcome, Outcome::Acknowledged);
}

#[test]
fn a_version_that_no_writer_can_have_given_is_no_token_to_be_gone_above() {
    let there = stored("u1", Some("r"), Some(i64::MAX), "here.dat", false);
    let (batch, next) = after_reading(Some(there.clone()));
    let Some(Call::TakeOver(_, from)) = next else { panic!("{next:?}") };
    assert_eq!((*from, batch.token_met()), (there, None));
}
