use super::*;
use crate::json::Value;

fn recording(uuid: &str, size: i64) -> Recording {
    Recording {
        uuid: uuid.to_owned(),
        start_ms: 1,
        end_ms: Some(2),
        deleted: false,
        deleted_at_ms: None,
        recording_id: uuid.to_owned(),
        root: "r".to_owned(),
        path: format!("{uuid}.dat"),
        size,
        fingerprint: "f".to_owned(),
        metadata: Value::Object(Vec::new()),
    }
}

fn stored(uuid: &str, size: i64) -> Stored {
    let recording = recording(uuid, size);
    Stored {
        uuid: uuid.to_owned(),
        root: Some("r".to_owned()),
        version: Some(crate::document::version(1, 1)),
        deleted: false,
        path: Some(recording.path.clone()),
        recording: Some(recording),
    }
}

fn row(id: i64, uuid: &str, known: bool) -> Row {
    Row {
        id: EntryId(id),
        generation: 1,
        known,
        vanished: false,
        marked: false,
        changed: false,
        recording: recording(uuid, 1),
    }
}

/// The window of documents that the index's rows bound.
fn window(documents: &[Stored], rows: &[Row], after: Option<String>, limit: usize) -> Window {
    let uuids = rows.iter().map(|row| &row.recording.uuid);
    let bound = uuids.filter(|uuid| Some(*uuid) > after.as_ref()).nth(Window::rows(limit) - 1);
    let within = documents
        .iter()
        .filter(|stored| Some(&stored.uuid) > after.as_ref())
        .filter(|stored| bound.is_none_or(|bound| stored.uuid <= *bound));
    Window::of(Page::of(limit, within.cloned()), bound.cloned())
}

/// Runs a whole comparison in pages of `limit`; findings, and documents the index does not know.
fn run(documents: &[Stored], rows: &[Row], limit: usize) -> (Vec<(i64, Compared)>, u64) {
    let mut comparison = Comparison::default();
    let mut findings = Vec::new();
    for _ in 0..10_000 {
        match comparison.need() {
            Need::Nothing => return (findings, comparison.missing()),
            Need::Window { after } => comparison.window(window(documents, rows, after, limit)),
            Need::Rows { after, through } => {
                let rows = rows
                    .iter()
                    .filter(|row| Some(&row.recording.uuid) > after.as_ref())
                    .filter(|row| {
                        through.as_ref().is_none_or(|through| row.recording.uuid <= *through)
                    })
                    .cloned();
                let compared = comparison.rows(Page::of(limit, rows), 0);
                findings.extend(compared.findings.into_iter().map(|one| (one.id.0, one.found)));
            }
        }
    }
    panic!("the comparison does not end");
}

#[test]
fn a_page_is_bounded_by_count_and_by_bytes_and_takes_one_item_of_any_size() {
    let filled = |limit, sizes: &[usize]| {
        let items = sizes.iter().map(|bytes| Ok::<_, ()>((*bytes, *bytes)));
        let page = Page::fill(limit, items).expect("no error");
        (page.items.len(), page.more)
    };
    let half = PAGE_BYTES_MAX / 2;
    assert_eq!(filled(3, &[1; 2]), (2, false));
    assert_eq!(filled(3, &[1; 4]), (3, true));
    assert_eq!(filled(9, &[half, half, half]), (2, true));
    assert_eq!(filled(9, &[half - 1, half, half]), (3, true));
    assert_eq!(filled(9, &[10 * PAGE_BYTES_MAX, 1]), (1, true));
}

#[test]
fn every_difference_is_found_in_pages_of_any_size() {
    let documents: Vec<Stored> = ["a", "b", "c", "e", "g", "h"]
        .iter()
        .map(|uuid| stored(uuid, if *uuid == "c" { 9 } else { 1 }))
        .collect();
    let rows = [
        row(1, "b", false),
        row(2, "c", true),
        row(3, "d", true),
        row(4, "e", true),
        row(5, "f", false),
        row(6, "i", true),
    ];
    for limit in 1..9 {
        let (findings, missing) = run(&documents, &rows, limit);
        let wanted = [
            (1, Compared::Same),
            (2, Compared::Differs),
            (3, Compared::NotThere),
            (4, Compared::Same),
            (6, Compared::NotThere),
        ];
        assert_eq!(findings, wanted, "pages of {limit}");
        assert_eq!(missing, 3, "a, g and h, in pages of {limit}");
    }
}

#[test]
fn another_document_of_a_vanished_recording_is_found() {
    let mut gone = row(1, "a", true);
    gone.vanished = true;
    assert_eq!(run(&[stored("a", 5)], std::slice::from_ref(&gone), 10).0, [(1, Compared::Differs)]);
    // It is news again, should it come back.
    assert_eq!(run(&[], &[gone], 10).0, [(1, Compared::NotThere)]);
}

#[test]
fn an_empty_catalog_and_an_empty_index_are_compared_at_once() {
    assert_eq!(run(&[], &[], 10), (Vec::new(), 0));
    assert_eq!(run(&[stored("a", 1)], &[], 1), (Vec::new(), 1));
    assert_eq!(run(&[], &[row(1, "a", true)], 1).0, [(1, Compared::NotThere)]);
}

#[test]
fn a_mark_in_the_catalog_is_taken_over_and_a_lost_one_is_written_again() {
    let mut gone = row(1, "a", true);
    gone.vanished = true;
    let mut deleted = stored("a", 1);
    deleted.deleted = true;
    if let Some(recording) = &mut deleted.recording {
        recording.deleted = true;
        recording.deleted_at_ms = Some(77);
    }
    assert_eq!(judge(&gone, Some(&deleted), 0), Some(Compared::Deleted(Some(77))));
    let mut marked = row(1, "a", true);
    marked.marked = true;
    marked.recording.deleted = true;
    marked.recording.deleted_at_ms = Some(5);
    assert_eq!(judge(&marked, Some(&deleted), 0), Some(Compared::Deleted(Some(77))));
    assert_eq!(judge(&marked, Some(&stored("a", 1)), 0), Some(Compared::Differs));
    assert_eq!(judge(&marked, None, 0), None);
}

#[test]
fn an_old_document_that_is_what_the_recording_is_again_does_not_count_as_acknowledged() {
    let old = stored("a", 1);
    let mut again = row(1, "a", true);
    again.generation = 3;
    again.changed = true;
    assert_eq!(judge(&again, Some(&old), 1), Some(Compared::Differs));
    let mut written = old.clone();
    written.version = Some(document::version(1, 3));
    assert_eq!(judge(&again, Some(&written), 1), Some(Compared::Same));
    again.changed = false;
    assert_eq!(judge(&again, Some(&old), 1), Some(Compared::Same));
}

fn mark(recording: &mut Recording) {
    let mark = ("focus_drill".to_owned(), Value::String("d1".to_owned()));
    recording.metadata = Value::Object(vec![mark]);
}

fn drilled(uuid: &str, deleted: bool) -> Stored {
    let mut document = stored(uuid, 1);
    document.deleted = deleted;
    if let Some(recording) = &mut document.recording {
        recording.deleted = deleted;
        mark(recording);
    }
    document
}

#[test]
fn a_drills_document_without_a_row_is_met_also_as_a_tombstone_and_never_counted() {
    let mut comparison = Comparison::default();
    let mut tombstone = stored("c", 1);
    tombstone.deleted = true;
    let page = vec![drilled("a", false), drilled("b", true), tombstone, stored("d", 1)];
    comparison.window(Window::of(Page::of(10, page), None));
    let compared = comparison.rows(Page::new(), 1);
    let met: Vec<_> = compared.missing.iter().map(|stored| stored.uuid.as_str()).collect();
    assert_eq!((met, comparison.missing()), (vec!["a", "b", "d"], 1));
}

#[test]
fn a_drills_recording_is_never_learned_to_be_marked() {
    let mut gone = row(1, "a", true);
    gone.vanished = true;
    mark(&mut gone.recording);
    let mut tombstone = drilled("a", true);
    tombstone.version = Some(document::version(1, 1));
    assert_eq!(judge(&gone, Some(&tombstone), 1), Some(Compared::Differs));
    // Proved to be gone: nothing that is found there keeps it.
    gone.recording.deleted_at_ms = Some(7);
    assert_eq!(judge(&gone, Some(&tombstone), 1), None);
    assert_eq!(judge(&gone, None, 1), Some(Compared::NotThere));
}

#[test]
fn single_documents_are_compared_as_the_whole_would_be() {
    let rows = [row(1, "a", true), row(2, "b", true), row(3, "c", true), row(4, "d", false)];
    let mut elsewhere = stored("c", 1);
    elsewhere.root = Some("another".to_owned());
    let documents = [stored("a", 1), stored("b", 9), elsewhere];
    let found = spot(&rows, &documents, "r", 1).expect("enough");
    let found: Vec<_> = found.iter().map(|one| (one.id.0, one.generation, one.found)).collect();
    let wanted = [(1, 1, Compared::Same), (2, 1, Compared::Differs), (3, 1, Compared::NotThere)];
    assert_eq!(found, wanted);
    // Two of one uuid, or one that the index does not know: more has to be looked at.
    assert_eq!(spot(&rows, &[stored("a", 1), stored("a", 1)], "r", 1), None);
    assert_eq!(spot(&rows, &[stored("x", 1)], "r", 1), None);
}
