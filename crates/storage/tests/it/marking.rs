//! Markers, and roots that are not there.

use std::fs;

use focus_storage::{Root, RootProblem, marker};

use crate::{marked, write};

#[test]
fn a_root_is_marked_once_and_keeps_its_id() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = marker::init(dir.path(), None).expect("a marker");
    let again = marker::init(dir.path(), None).expect("the same");
    assert!(first.created && !again.created);
    assert_eq!(first.id, again.id);
    let names = fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(names, 1, "the marker alone, nothing half written");
}

#[test]
fn of_many_that_mark_at_once_all_get_the_same_id() {
    let dir = tempfile::tempdir().expect("a folder");
    let ids: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| marker::init(dir.path(), None).expect("a marker").id))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_damaged_marker_is_told_and_never_overwritten() {
    for text in ["", "{", "[]", r#"{"format":2,"id":"x"}"#, r#"{"format":1,"id":""}"#, "\u{0}"] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(marker::MARKER);
        write(&path, text.as_bytes());
        let error = marker::init(dir.path(), None).expect_err("damaged");
        assert!(matches!(error, RootProblem::MarkerDamaged { .. }), "{text:?}: {error}");
        assert_eq!(fs::read_to_string(&path).expect("there"), text);
    }
}

#[test]
fn every_way_in_which_a_root_is_not_there_has_its_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let absent = dir.path().join("absent");
    assert!(matches!(Root::open(&absent).expect_err("absent"), RootProblem::Absent { .. }));
    let file = dir.path().join("file");
    write(&file, b"");
    assert!(matches!(Root::open(&file).expect_err("a file"), RootProblem::NotADirectory { .. }));
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let error = Root::open(&empty).expect_err("no marker");
    assert!(matches!(error, RootProblem::NoMarker { .. }));
    assert!(error.to_string().contains("focus init --root"), "{error}");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&link, &link).expect("a loop");
    assert!(matches!(Root::open(&link).expect_err("a loop"), RootProblem::Unreadable { .. }));
}

#[test]
fn a_root_that_was_emptied_moved_or_replaced_is_not_still_there() {
    let (dir, root) = marked();
    root.still_there().expect("it is");
    let marker = dir.path().join(marker::MARKER);
    let text = fs::read(&marker).expect("a marker");

    fs::remove_file(&marker).expect("removed");
    assert!(matches!(
        root.still_there().expect_err("as an empty mount point"),
        RootProblem::NoMarker { .. }
    ));
    fs::write(&marker, br#"{"format":1,"id":"another"}"#).expect("written");
    assert!(matches!(root.still_there().expect_err("another root"), RootProblem::Replaced { .. }));
    fs::write(&marker, &text).expect("written");
    root.still_there().expect("it is again");

    let away = tempfile::tempdir().expect("a folder");
    fs::rename(dir.path(), away.path().join("root")).expect("moved");
    assert!(matches!(root.still_there().expect_err("moved"), RootProblem::Absent { .. }));
    fs::create_dir(dir.path()).expect("another folder");
    fs::write(&marker, &text).expect("with a copy of the marker");
    assert!(matches!(root.still_there().expect_err("a copy"), RootProblem::Replaced { .. }));
}
