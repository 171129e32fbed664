//! Watches: every change gives a hint, in whatever way it happens.

use std::fs;
use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use focus_storage::watch::{Hint, Watch};

use crate::{marked, write};

const LIMIT: Duration = Duration::from_secs(20);

struct Watched {
    dir: tempfile::TempDir,
    hints: Receiver<Hint>,
    watch: Watch,
}

fn watched(prepare: impl FnOnce(&std::path::Path)) -> Watched {
    let (dir, root) = marked();
    prepare(dir.path());
    let (sender, hints) = channel();
    let sink = Box::new(move |hint| {
        // The test has seen enough.
        let _ = sender.send(hint);
    });
    let watch = Watch::start(&root, sink).expect("a watch");
    Watched { dir, hints, watch }
}

impl Watched {
    /// Waits for a hint, passing over others.
    #[track_caller]
    fn until(&self, what: &str, mut is: impl FnMut(&Hint) -> bool) {
        let deadline = Instant::now() + LIMIT;
        let mut seen = Vec::new();
        while let Ok(hint) =
            self.hints.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            if is(&hint) {
                return;
            }
            seen.push(hint);
        }
        panic!("no hint of {what}; seen {seen:?}");
    }

    #[track_caller]
    fn until_file(&self, folder: &str, name: &str, closed: bool) {
        let expected = Hint::File {
            folder: folder.as_bytes().to_vec(),
            name: name.as_bytes().to_vec(),
            closed,
        };
        self.until(&format!("{expected:?}"), |hint| *hint == expected);
    }
}

#[test]
fn a_file_is_hinted_at_when_made_closed_moved_and_deleted() {
    let watched = watched(|root| fs::create_dir(root.join("sub")).expect("a folder"));
    let path = watched.dir.path().join("sub/r.dat");
    let mut file = fs::File::create(&path).expect("a file");
    watched.until_file("sub", "r.dat", false);
    file.write_all(b"x").expect("written");
    drop(file);
    watched.until_file("sub", "r.dat", true);
    fs::rename(&path, watched.dir.path().join("s.dat")).expect("moved");
    watched.until_file("sub", "r.dat", false);
    watched.until_file("", "s.dat", true);
    fs::remove_file(watched.dir.path().join("s.dat")).expect("removed");
    watched.until_file("", "s.dat", false);
}

#[test]
fn new_folders_are_watched_with_all_below_them() {
    let watched = watched(|_| {});
    fs::create_dir_all(watched.dir.path().join("a/b/c")).expect("folders");
    watched
        .until("the new folder", |hint| matches!(hint, Hint::Folder { folder } if folder == b"a"));
    // Whichever of them the watch saw made, the deepest is watched by now or hinted at later.
    write(&watched.dir.path().join("a/b/c/r.dat"), b"");
    watched.until("the file, or a folder above it", |hint| match hint {
        Hint::File { folder, .. } => folder == b"a/b/c",
        Hint::Folder { folder } => b"a/b/c".starts_with(folder),
        _ => false,
    });
    write(&watched.dir.path().join("a/b/c/s.dat"), b"");
    watched.until_file("a/b/c", "s.dat", true);
}

#[test]
fn a_folder_moved_within_the_root_is_known_by_its_new_name() {
    let watched = watched(|root| fs::create_dir_all(root.join("old/sub")).expect("folders"));
    fs::rename(watched.dir.path().join("old"), watched.dir.path().join("new")).expect("moved");
    watched
        .until("the new name", |hint| matches!(hint, Hint::Folder { folder } if folder == b"new"));
    write(&watched.dir.path().join("new/sub/r.dat"), b"");
    watched.until_file("new/sub", "r.dat", true);
}

#[test]
fn a_folder_that_goes_is_hinted_at() {
    let watched = watched(|root| write(&root.join("sub/r.dat"), b""));
    fs::remove_dir_all(watched.dir.path().join("sub")).expect("removed");
    watched.until("the folder", |hint| matches!(hint, Hint::Folder { folder } if folder == b"sub"));
}

#[test]
fn the_roots_own_end_is_told_and_ends_the_watch() {
    let watched = watched(|_| {});
    let away = tempfile::tempdir().expect("a folder");
    fs::rename(watched.dir.path(), away.path().join("root")).expect("moved");
    watched.until("the root's end", |hint| *hint == Hint::RootGone);
    // The sender goes with the thread.
    while watched.hints.recv_timeout(LIMIT).is_ok() {}
    assert!(watched.watch.has_ended() || watched.hints.recv().is_err());
}

#[test]
fn events_lost_for_want_of_room_ask_for_a_rescan() {
    let (dir, root) = marked();
    let (sender, hints) = channel();
    let (open, gate) = channel::<()>();
    let sink = Box::new(move |hint| {
        // Held up at the first hint, until the system's queue has run over.
        let _ = gate.recv();
        let _ = sender.send(hint);
    });
    let watch = Watch::start(&root, sink).expect("a watch");
    let room: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .expect("the limit")
        .trim()
        .parse()
        .expect("a number");
    assert!(room < 1_000_000, "the limit {room} is too high for this test: lower it");
    let (one, other) = (dir.path().join("a.dat"), dir.path().join("b.dat"));
    write(&one, b"");
    // Two events each; in turn, because the system joins like ones that follow each other.
    for _ in 0..room / 2 + 1_000 {
        fs::rename(&one, &other).expect("renamed");
        fs::rename(&other, &one).expect("renamed");
    }
    drop(open);
    let deadline = Instant::now() + LIMIT;
    let left = || deadline.saturating_duration_since(Instant::now());
    while hints.recv_timeout(left()).expect("a rescan is asked for") != Hint::Rescan {}
    drop(watch);
}
