//! Scans that know of folders what an earlier scan has read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use focus_storage::Root;
use focus_storage::folders::FolderMemory;
use focus_storage::walk::{Before, Detail, FolderEnd, walk};

use crate::{marked, write};

/// Long after everything that the tests do: every change shows in the times of its folder.
fn later() -> i64 {
    i64::MAX
}

/// Within a tick of everything that the tests do.
fn at_once() -> i64 {
    0
}

/// Scans names; which folders were read, and what is remembered then.
fn scan(
    root: &Root,
    known: &FolderMemory,
    now_ns: fn() -> i64,
) -> (BTreeSet<String>, FolderMemory) {
    let (read, memory) = (Mutex::new(BTreeSet::new()), Mutex::new(FolderMemory::default()));
    let before = Before { known: Some(known), now_ns };
    let report = walk(root, b"", Detail::Names, before, &AtomicBool::new(false), &|chunk| {
        let mut memory = memory.lock().expect("no panic");
        match chunk.end {
            Some(FolderEnd::Complete(folder)) => {
                let name = String::from_utf8_lossy(&chunk.folder).into_owned();
                read.lock().expect("no panic").insert(name);
                if let Some(folder) = folder {
                    memory.keep(chunk.folder, folder);
                }
            }
            Some(FolderEnd::Unchanged) => {
                let folder = known.get(&chunk.folder).expect("it is known").clone();
                memory.keep(chunk.folder, folder);
            }
            Some(FolderEnd::Failed(words)) => panic!("{words}"),
            None => {}
        }
    });
    assert_eq!(report.expect("the root").failed, 0);
    (read.into_inner().expect("no panic"), memory.into_inner().expect("no panic"))
}

/// `a` with `a/b`, and `c`: each with a recording. None where the file system's times are not trusted.
fn site() -> Option<(tempfile::TempDir, Root)> {
    let (dir, root) = marked();
    for folder in ["a", "a/b", "c"] {
        write(&dir.path().join(folder).join("r.dat"), b"data");
    }
    if scan(&root, &FolderMemory::default(), later).1.is_empty() {
        println!("left out: the times of this file system are not this machine's");
        return None;
    }
    Some((dir, root))
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_folder_that_is_as_it_was_is_not_read_and_one_that_changed_is() {
    let Some((dir, root)) = site() else { return };
    let (read, known) = scan(&root, &FolderMemory::default(), later);
    assert_eq!(read, set(&["", "a", "a/b", "c"]));
    let (read, known) = scan(&root, &known, later);
    assert_eq!(read, set(&[]));
    // A name comes, one goes, one takes the place of another.
    write(&dir.path().join("a/b/new.dat"), b"data");
    let (read, known) = scan(&root, &known, later);
    assert_eq!(read, set(&["a/b"]));
    fs::remove_file(dir.path().join("c/r.dat")).expect("removed");
    let (read, known) = scan(&root, &known, later);
    assert_eq!(read, set(&["c"]));
    fs::rename(dir.path().join("a/r.dat"), dir.path().join("a/b/r.dat")).expect("renamed");
    let (read, known) = scan(&root, &known, later);
    assert_eq!(read, set(&["a", "a/b"]));
    // Somebody puts the modification time back: the change time tells of it.
    let folder = fs::File::open(dir.path().join("c")).expect("a folder");
    let before = folder.metadata().expect("its times").modified().expect("a time");
    write(&dir.path().join("c/hidden.dat"), b"data");
    folder.set_modified(before).expect("put back");
    assert_eq!(scan(&root, &known, later).0, set(&["c"]));
}

#[test]
fn a_folder_that_is_new_or_took_the_place_of_another_is_read_with_all_below_it() {
    let Some((dir, root)) = site() else { return };
    let at = |path: &str| dir.path().join(path);
    let (_, known) = scan(&root, &FolderMemory::default(), later);
    fs::rename(at("a"), at("d")).expect("renamed");
    let (read, known) = scan(&root, &known, later);
    assert_eq!(read, set(&["", "d", "d/b"]));
    // The folder below is the one that was there; the one above is another.
    fs::rename(at("d"), at("e")).expect("renamed");
    fs::create_dir(at("d")).expect("a folder");
    fs::rename(at("e/b"), at("d/b")).expect("renamed");
    let (read, known) = scan(&root, &known, later);
    assert_eq!(read, set(&["", "d", "d/b", "e"]));
    assert_eq!(scan(&root, &known, later).0, set(&[]));
}

#[test]
fn a_folder_that_was_read_within_a_tick_of_its_last_change_is_read_again() {
    let Some((_dir, root)) = site() else { return };
    let (_, known) = scan(&root, &FolderMemory::default(), at_once);
    let (read, known) = scan(&root, &known, at_once);
    assert_eq!(read, set(&["", "a", "a/b", "c"]));
    // It is read once more after the tick, and then no more.
    let (read, known) = scan(&root, &known, later);
    assert_eq!(read, set(&["", "a", "a/b", "c"]));
    assert_eq!(scan(&root, &known, at_once).0, set(&[]));
}

#[test]
fn a_folder_in_doubt_is_read_again_and_those_below_it_are_not() {
    let Some((_dir, root)) = site() else { return };
    let (_, mut known) = scan(&root, &FolderMemory::default(), later);
    known.doubt(b"a");
    assert_eq!(scan(&root, &known, later).0, set(&["a"]));
    known.doubt_all();
    assert_eq!(scan(&root, &known, later).0, set(&["", "a", "a/b", "c"]));
}

#[test]
fn a_mount_over_a_folder_and_its_end_are_seen() {
    let Some((dir, root)) = site() else { return };
    let over = dir.path().join("a");
    let mount = |root: &Path| {
        let done =
            std::process::Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(root).status();
        done.is_ok_and(|status| status.success())
    };
    let (_, known) = scan(&root, &FolderMemory::default(), later);
    if !mount(&over) {
        println!("left out: nothing can be mounted here");
        return;
    }
    write(&over.join("b/r.dat"), b"data");
    let (read, mounted) = scan(&root, &known, later);
    let ended = std::process::Command::new("umount").arg(&over).status();
    assert!(ended.is_ok_and(|status| status.success()), "unmounted");
    assert_eq!(read, set(&["a", "a/b"]));
    assert_eq!(scan(&root, &mounted, later).0, set(&["a", "a/b"]));
}
