//! What a root's exclude hides is not there: for scans, watches, looks and proofs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::time::Duration;

use focus_core::exclude::{DEFAULT, Exclude, Glob};
use focus_core::look::Look;
use focus_core::recording::Place;
use focus_storage::absence::{Found, Proof, prove};
use focus_storage::look::look;
use focus_storage::walk::{Before, Detail, walk};
use focus_storage::watch::{Hint, Watch};
use focus_storage::{Pair, Root};

use crate::{marked, write};

fn excluding(root: Root, globs: &[&str]) -> Root {
    root.excluding(Exclude::new(globs.iter().map(|glob| Glob::new(glob).expect("a glob"))))
}

fn pair(root: &Path, stem: &str) {
    write(&root.join(format!("{stem}.dat")), b"x");
    write(&root.join(format!("{stem}.json")), b"{}");
}

#[test]
fn a_scan_reads_nothing_in_a_hidden_folder_and_tells_no_hidden_file() {
    let (dir, root) = marked();
    let root = excluding(root, &DEFAULT);
    pair(dir.path(), "a/r");
    pair(dir.path(), "a/.snapshot/r");
    write(&dir.path().join("a/._r.dat"), b"x");
    write(&dir.path().join("a/~$r.json"), b"x");
    // Whoever reads it is told that it cannot be read.
    let closed = dir.path().join(".Trash-1000");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closed");
    let files = Mutex::new(BTreeSet::new());
    let sink = |chunk: focus_storage::walk::Chunk| {
        let path = |name: &[u8]| {
            String::from_utf8_lossy(&[&chunk.folder, &b"/"[..], name].concat()).into_owned()
        };
        let names = chunk.entries.iter().map(|entry| path(&entry.name));
        files.lock().expect("no panic").extend(names);
    };
    for detail in [Detail::Names, Detail::Stat] {
        let report = walk(&root, b"", detail, Before::NOTHING, &AtomicBool::new(false), &sink)
            .expect("the root");
        assert_eq!((report.folders, report.files, report.failed), (2, 3, 0));
    }
    let expected = ["/.focus-root", "a/r.dat", "a/r.json"].map(str::to_owned);
    assert_eq!(files.into_inner().expect("no panic"), BTreeSet::from(expected));
}

#[test]
fn a_look_sees_no_hidden_file_and_opens_no_hidden_folder() {
    let (dir, root) = marked();
    let root = excluding(root, &["hid*", "*.json", "b/*.dat"]);
    pair(dir.path(), "hidden/r");
    pair(dir.path(), "a/r");
    pair(dir.path(), "b/r");
    let seen = |folder: &str| {
        let place = Place { folder: folder.into(), stem: b"r".to_vec() };
        look(&root, &Pair::default(), &place, None).expect("the root")
    };
    assert_eq!(seen("hidden"), Look::default());
    let one = seen("a");
    assert!(one.data.is_some() && one.sidecar.is_none(), "{one:?}");
    let none = seen("b");
    assert!(none.data.is_none() && none.sidecar.is_none(), "{none:?}");
}

#[test]
fn a_proof_tells_what_is_hidden_from_what_is_not_there() {
    let (dir, root) = marked();
    let root = excluding(root, &["hid*", "x.*"]);
    pair(dir.path(), "hidden/r");
    pair(dir.path(), "a/r");
    pair(dir.path(), "a/x");
    let proved = |folder: &str, stems: &[&[u8]]| {
        prove(&root, &Pair::default(), folder.as_bytes(), stems).expect("the root")
    };
    assert_eq!(proved("hidden/deeper", &[b"r"]), Proof::Hidden);
    let Proof::Read { found, .. } = proved("a", &[b"r", b"x", b"gone"]) else { panic!("no proof") };
    assert_eq!(found, [Found::File, Found::Hidden, Found::Nothing]);
}

#[test]
fn a_watch_tells_nothing_of_what_is_hidden_and_that_what_moved_there_has_gone() {
    let (dir, root) = marked();
    let root = excluding(root, &DEFAULT);
    pair(dir.path(), "a/r");
    fs::create_dir_all(dir.path().join(".Trashes/501")).expect("a folder");
    let (sender, hints) = channel();
    let sink = Box::new(move |hint| {
        // The test has seen enough.
        let _ = sender.send(hint);
    });
    let _watch = Watch::start(&root, sink).expect("a watch");
    write(&dir.path().join(".Trashes/501/t.dat"), b"x");
    fs::create_dir_all(dir.path().join("a/.snapshot/1")).expect("a folder");
    write(&dir.path().join("a/.snapshot/1/s.dat"), b"x");
    write(&dir.path().join("a/._r.dat"), b"x");
    fs::rename(dir.path().join("a/r.dat"), dir.path().join(".Trashes/501/r.dat")).expect("moved");
    write(&dir.path().join("last.dat"), b"x");
    let mut told = Vec::new();
    loop {
        match hints.recv_timeout(Duration::from_secs(20)).expect("a hint") {
            Hint::File { name, .. } if name == b"last.dat" => break,
            Hint::File { folder, name, .. } => told.push((folder, name)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, [(b"a".to_vec(), b"r.dat".to_vec())]);
}
