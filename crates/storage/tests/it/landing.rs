//! Recordings that are handed over, landed on a real file system.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::AtomicBool;

use focus_core::exclude::{Exclude, Glob};
use focus_core::ingest::{self, There};
use focus_core::pair::PairForm;
use focus_storage::landing::{Landing, LandingError, LandingPart, remove_parts};
use focus_storage::walk::{Before, Detail, walk};
use focus_storage::{Pair, Root};
use parking_lot::Mutex;

use crate::{marked, write};

fn landing(root: &Root, path: &str) -> Result<Landing, LandingError> {
    let target = ingest::target(path, ("dat", "json"), root.exclude()).expect("a path");
    Landing::open(root, target)
}

fn part(landing: &Landing, number: &str, bytes: &[u8]) -> LandingPart {
    let mut part = landing.part(ingest::part_name("s", number)).expect("a part");
    part.add(bytes).expect("written");
    part.sync().expect("synced");
    part
}

fn names(root: &Root) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The pairs of a root with these data extensions.
fn pair_of(data_extensions: &[&str]) -> Pair {
    let data_extensions = data_extensions.iter().map(|&one| one.to_owned()).collect();
    Pair::of(PairForm { data_extensions, ..PairForm::focus().clone() })
}

#[test]
fn what_lands_is_there_as_it_was_handed_over_and_leaves_no_part() {
    let (_dir, root) = marked();
    let mut landing = landing(&root, "a/b/c").expect("a landing");
    let (mut data, mut sidecar) = (part(&landing, "1", b"data"), part(&landing, "2", b"{}"));
    let there = landing.there(&Pair::default(), Some(&data), b"{}").expect("looked");
    assert_eq!(there, (There::Nothing, There::Nothing));
    assert!(!root.path().join("a").exists(), "a folder is made only when it is needed");
    landing.make_folders().expect("made");
    landing.put_data(&mut data).expect("put");
    landing.put_sidecar(&mut sidecar).expect("put");
    landing.sync().expect("synced");
    assert_eq!(landing.data_stat().expect("there").size, 4);
    drop((data, sidecar));
    assert_eq!(fs::read(root.path().join("a/b/c.dat")).expect("there"), b"data");
    assert_eq!(fs::read(root.path().join("a/b/c.json")).expect("there"), b"{}");
    assert_eq!(names(&root), [".focus-root", "a"]);
}

#[test]
fn nothing_that_is_there_is_replaced() {
    let (_dir, root) = marked();
    write(&root.path().join("x.dat"), b"theirs");
    let landing = landing(&root, "x").expect("a landing");
    let mut data = part(&landing, "1", b"ours");
    assert!(matches!(landing.put_data(&mut data), Err(LandingError::Taken)));
    drop(data);
    assert_eq!(fs::read(root.path().join("x.dat")).expect("there"), b"theirs");
    assert_eq!(names(&root), [".focus-root", "x.dat"]);
}

#[test]
fn data_whose_sidecar_cannot_be_put_beside_it_is_taken_back_if_it_is_still_the_same_file() {
    let (_dir, root) = marked();
    let landing = landing(&root, "x").expect("a landing");
    let mut data = part(&landing, "1", b"ours");
    landing.put_data(&mut data).expect("put");
    landing.take_back(&data);
    assert_eq!(names(&root), [".focus-root"]);
    write(&root.path().join("x.dat"), b"theirs");
    landing.take_back(&data);
    assert_eq!(names(&root), [".focus-root", "x.dat"]);
}

#[test]
fn what_is_there_is_compared_to_its_last_byte() {
    let (_dir, root) = marked();
    let pair = pair_of(&["dat", "bin"]);
    let mut landing = landing(&root, "x").expect("a landing");
    let long = vec![7; 600_000];
    let data = part(&landing, "1", &long);
    let mut there = |sidecar: &[u8]| landing.there(&pair, Some(&data), sidecar).expect("looked");
    let at = |name: &str| root.path().join(name);
    write(&at("x.dat"), &long);
    assert_eq!(there(b"{}"), (There::Equal, There::Nothing));
    let mut other = long.clone();
    other[599_999] = 8;
    for bytes in [&other[..], &long[..599_999], &[&long[..], b"7"].concat()] {
        write(&at("x.dat"), bytes);
        assert_eq!(there(b"{}").0, There::Other, "{}", bytes.len());
    }
    fs::remove_file(at("x.dat")).expect("removed");
    // Names under which the same recording may have its files.
    for name in ["x.bin", "x.DAT"] {
        write(&at(name), &long);
        assert_eq!(there(b"{}").0, There::Other, "{name}");
        fs::remove_file(at(name)).expect("removed");
    }
    symlink("/etc/passwd", at("x.dat")).expect("a link");
    assert_eq!(there(b"{}").0, There::Other);
    write(&at("x.json"), b"{}");
    assert_eq!(there(b"{}").1, There::Equal);
    for other in [&b"{ }"[..], b"{", b"[]"] {
        assert_eq!(there(other).1, There::Other);
    }
}

#[test]
fn a_link_on_the_way_is_not_followed() {
    let (dir, root) = marked();
    let outside = tempfile::tempdir().expect("a folder");
    symlink(outside.path(), dir.path().join("link")).expect("a link");
    write(&dir.path().join("file"), b"");
    for path in ["link/x", "link/more/x", "file/x"] {
        let opened = landing(&root, path);
        assert!(matches!(opened, Err(LandingError::NotAFolder(_))), "{path}: {opened:?}");
    }
    // One that takes the place of a folder which is to be made.
    let mut late = landing(&root, "late/x").expect("a landing");
    symlink(outside.path(), dir.path().join("late")).expect("a link");
    assert!(matches!(late.make_folders(), Err(LandingError::NotAFolder(_))));
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 0);
}

#[test]
fn a_folder_that_another_made_meanwhile_is_looked_into() {
    let (_dir, root) = marked();
    let mut landing = landing(&root, "a/x").expect("a landing");
    let data = part(&landing, "1", b"data");
    write(&root.path().join("a/x.dat"), b"data");
    let there = landing.there(&Pair::default(), Some(&data), b"{}").expect("looked");
    assert_eq!(there, (There::Equal, There::Nothing));
}

#[test]
fn scans_tell_parts_apart_whatever_is_excluded_and_they_can_be_removed() {
    let (_dir, root) = marked();
    let root = root.excluding(Exclude::new([Glob::new(".*").expect("a glob")]));
    let name = ingest::part_name("s", "1");
    write(&root.path().join(&name), b"");
    write(&root.path().join(".hidden.dat"), b"");
    write(&root.path().join("x.dat"), b"");
    fs::create_dir(root.path().join(".focus-ingest-folder")).expect("a folder");
    let seen = Mutex::new(Vec::new());
    let sink = |chunk| seen.lock().push(chunk);
    let stop = AtomicBool::new(false);
    walk(&root, b"", Detail::Names, Before::NOTHING, &stop, &sink).expect("walked");
    let chunks = seen.into_inner();
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].parts, [name.clone().into_bytes()]);
    let entries: Vec<&[u8]> = chunks[0].entries.iter().map(|entry| &*entry.name).collect();
    assert_eq!(entries, [b"x.dat"]);
    remove_parts(&root, b"", &[name.as_bytes(), b".focus-ingest-gone"]).expect("removed");
    assert!(!root.path().join(name).exists());
}

#[test]
fn a_part_is_no_file_of_any_recording() {
    let name = ingest::part_name("5f0c2d4e-0000-4000-8000-000000000000", "1");
    let pair = pair_of(&["dat", "part"]);
    assert_eq!(pair.part(name.as_bytes()), None);
}
