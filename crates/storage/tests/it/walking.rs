//! Scans of trees of every kind.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use focus_storage::walk::{Before, CHUNK_MAX, Chunk, Detail, FolderEnd, WalkReport, walk};
use focus_storage::{Root, RootProblem};

use crate::{marked, write};

fn walked(root: &Root, detail: Detail) -> (WalkReport, Vec<Chunk>) {
    let chunks = Mutex::new(Vec::new());
    let sink = |chunk| chunks.lock().expect("no panic").push(chunk);
    let report = walk(root, b"", detail, Before::NOTHING, &AtomicBool::new(false), &sink)
        .expect("the root is there");
    (report, chunks.into_inner().expect("no panic"))
}

fn names(chunks: &[Chunk]) -> BTreeSet<Vec<u8>> {
    let paths = chunks.iter().flat_map(|chunk| {
        chunk.entries.iter().map(|entry| [&chunk.folder, &b"/"[..], &entry.name].concat())
    });
    let all: Vec<_> = paths.collect();
    let set: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(set.len(), all.len(), "no file is told twice");
    set
}

#[test]
fn every_file_is_found_once_at_any_depth_and_with_any_name() {
    let (dir, root) = marked();
    let mut expected = BTreeSet::from([b"/.focus-root".to_vec()]);
    let mut folder = Vec::new();
    for depth in 0..40 {
        for name in [&b"r.dat"[..], b"\xff\xfe.json", "\u{e9}".as_bytes(), b"with\nline"] {
            let path = [&folder, &b"/"[..], name].concat();
            write(&dir.path().join(OsStr::from_bytes(&path[1..])), b"x");
            expected.insert(if folder.is_empty() { path } else { path[1..].to_vec() });
        }
        folder = [folder, format!("/d{depth}").into_bytes()].concat();
    }
    let (report, chunks) = walked(&root, Detail::Names);
    assert_eq!(names(&chunks), expected);
    assert_eq!((report.folders, report.failed, report.stopped), (40, 0, false));
    assert_eq!(report.files, expected.len() as u64);
}

#[test]
fn a_large_folder_comes_in_chunks_and_says_where_it_ends() {
    let (dir, root) = marked();
    let count = CHUNK_MAX * 2 + 7;
    for n in 0..count {
        write(&dir.path().join(format!("big/{n}.dat")), b"");
    }
    let (_, chunks) = walked(&root, Detail::Names);
    let big: Vec<_> = chunks.iter().filter(|chunk| chunk.folder == b"big").collect();
    assert_eq!(big.iter().map(|chunk| chunk.entries.len()).sum::<usize>(), count);
    assert!(big.iter().all(|chunk| chunk.entries.len() <= CHUNK_MAX));
    let ends: Vec<_> = big.iter().map(|chunk| chunk.end.is_some()).collect();
    assert_eq!(ends, [false, false, true], "{ends:?}");
}

#[test]
fn links_are_told_as_names_and_never_followed_so_loops_do_no_harm() {
    let (dir, root) = marked();
    let outside = tempfile::tempdir().expect("a folder");
    write(&outside.path().join("other.dat"), b"");
    write(&dir.path().join("sub/r.dat"), b"");
    symlink(dir.path(), dir.path().join("sub/loop")).expect("a link");
    symlink(outside.path(), dir.path().join("out")).expect("a link");
    let (report, chunks) = walked(&root, Detail::Stat);
    let found = names(&chunks);
    assert!(!found.iter().any(|name| name.ends_with(b"other.dat")), "{found:?}");
    assert!(found.contains(&b"sub/loop"[..]) && found.contains(&b"/out"[..]), "{found:?}");
    assert_eq!(report.folders, 2);
}

#[test]
fn a_folder_that_goes_during_the_scan_is_told_as_not_read() {
    let (dir, root) = marked();
    for n in 0..200 {
        write(&dir.path().join(format!("f{n}/r.dat")), b"");
    }
    let ends = Mutex::new(Vec::new());
    let first = AtomicBool::new(true);
    let sink = |chunk: Chunk| {
        if first.swap(false, Ordering::SeqCst) {
            for n in 0..200 {
                // Some are read already: these count as they were.
                let _ = fs::remove_dir_all(dir.path().join(format!("f{n}")));
            }
        }
        ends.lock().expect("no panic").push((chunk.folder, chunk.entries.len(), chunk.end));
    };
    let report = walk(&root, b"", Detail::Names, Before::NOTHING, &AtomicBool::new(false), &sink)
        .expect("there");
    let ends = ends.into_inner().expect("no panic");
    let failed =
        ends.iter().filter(|(_, _, end)| matches!(end, Some(FolderEnd::Failed(_)))).count();
    assert!(failed > 0, "{report:?}");
    assert_eq!(report.failed, failed as u64);
    assert!(report.failed_named.len() <= 20, "what is named is bounded");
}

#[test]
fn sizes_and_times_come_where_they_are_asked_for() {
    let (dir, root) = marked();
    write(&dir.path().join("r.dat"), b"12345");
    let stats = |detail| {
        let (_, chunks) = walked(&root, detail);
        let mut entries = chunks.into_iter().flat_map(|chunk| chunk.entries);
        entries.find(|entry| entry.name == b"r.dat").expect("there").stat
    };
    assert_eq!(stats(Detail::Names), None);
    assert_eq!(stats(Detail::Stat).expect("a stat").size, 5);
}

#[test]
fn a_scan_that_is_told_to_stop_ends_and_says_so() {
    let (dir, root) = marked();
    for n in 0..50 {
        write(&dir.path().join(format!("f{n}/r.dat")), b"");
    }
    let stop = AtomicBool::new(false);
    let sink = |_| stop.store(true, Ordering::Relaxed);
    let report = walk(&root, b"", Detail::Names, Before::NOTHING, &stop, &sink).expect("there");
    assert!(report.stopped && report.folders < 51, "{report:?}");
}

#[test]
fn a_root_that_goes_during_the_scan_makes_the_whole_scan_fail() {
    let (dir, root) = marked();
    write(&dir.path().join("f/r.dat"), b"");
    let sink = |_| {
        // Twice: the second one finds nothing.
        let _ = fs::remove_file(dir.path().join(".focus-root"));
    };
    let error = walk(&root, b"", Detail::Names, Before::NOTHING, &AtomicBool::new(false), &sink);
    assert!(matches!(error.expect_err("an outage of storage"), RootProblem::NoMarker { .. }));
}
