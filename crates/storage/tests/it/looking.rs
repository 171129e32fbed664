//! Looks at single recordings. Whatever is at a place, the result is a look.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use focus_core::look::{Look, SeenAs};
use focus_core::pair::PairForm;
use focus_core::recording::Place;
use focus_core::sidecar::SIDECAR_BYTES_MAX;
use focus_core::state::State;
use focus_storage::{Pair, Root, RootProblem, look};

use crate::{marked, write};

fn place(folder: &[u8], stem: &[u8]) -> Place {
    Place { folder: folder.to_vec(), stem: stem.to_vec() }
}

fn seen(root: &Root, stem: &str) -> Look {
    look::look(root, &Pair::default(), &place(b"", stem.as_bytes()), None)
        .expect("the root is there")
}

fn state(look: &Look) -> Option<State> {
    look.fault.as_ref().map(|fault| fault.state)
}

#[test]
fn a_sidecar_is_read_once_and_not_again_while_its_stat_is_the_same() {
    let (dir, root) = marked();
    write(&dir.path().join("r.dat"), b"data");
    write(&dir.path().join("r.json"), b"{}");
    let first = seen(&root, "r");
    assert_eq!(first.data.as_ref().map(|data| data.stat.size), Some(4));
    let sidecar = first.sidecar.clone().expect("a sidecar");
    assert_eq!(sidecar.bytes.as_deref(), Some(&b"{}"[..]));
    let seen = SeenAs { stat: sidecar.stat, identity: sidecar.identity };
    let again = look::look(&root, &Pair::default(), &place(b"", b"r"), Some(seen)).expect("there");
    assert_eq!(again.sidecar.expect("a sidecar").bytes, None);
}

#[test]
fn the_latest_of_all_times_of_both_files_is_told_where_their_clock_is_ours() {
    let (dir, root) = marked();
    write(&dir.path().join("r.dat"), b"data");
    assert_eq!(seen(&root, "r").changed_ns, None, "one of the two is not there");
    write(&dir.path().join("r.json"), b"{}");
    let look = seen(&root, "r");
    let ours = look.mount.as_ref().is_some_and(|mount| mount.has_our_clock());
    let ctime_ns = |name: &str| {
        let meta = fs::metadata(dir.path().join(name)).expect("there");
        std::os::unix::fs::MetadataExt::ctime(&meta) * 1_000_000_000
            + std::os::unix::fs::MetadataExt::ctime_nsec(&meta)
    };
    let latest_ns = ctime_ns("r.dat").max(ctime_ns("r.json"));
    assert_eq!(look.changed_ns, ours.then_some(latest_ns));
    // Whoever sets the modification time sets the time of change, and one of the future stands.
    let future = std::time::SystemTime::now() + std::time::Duration::from_secs(3_600);
    let file = fs::File::options().append(true).open(dir.path().join("r.dat")).expect("opened");
    file.set_modified(future).expect("set");
    let since = future.duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let future_ns = i64::try_from(since.as_nanos()).expect("small");
    assert_eq!(seen(&root, "r").changed_ns, ours.then_some(future_ns));
}

#[test]
fn the_first_of_the_extensions_counts() {
    let (dir, root) = marked();
    for name in ["r.raw", "r.bin", "r.json"] {
        write(&dir.path().join(name), b"{}");
    }
    let data_extensions = vec!["bin".to_owned(), "raw".to_owned()];
    let pair = Pair::of(PairForm { data_extensions, ..PairForm::focus().clone() });
    let look = look::look(&root, &pair, &place(b"", b"r"), None).expect("there");
    assert_eq!(look.data.expect("data").extension, "bin");
}

#[test]
fn data_under_an_extension_that_is_not_configured_is_seen_beside_its_sidecar() {
    let (dir, root) = marked();
    for name in ["CAM1.wav", "CAM1.json", "CAM2.MP4", "CAM2.json", "CAM3.txt", "CAM3.json"] {
        write(&dir.path().join(name), b"{}");
    }
    let beside = |stem: &str| seen(&root, stem).beside;
    assert_eq!(beside("CAM1").as_deref(), Some("wav"));
    assert_eq!(beside("CAM2").as_deref(), Some("MP4"));
    assert_eq!(beside("CAM3"), None);
    write(&dir.path().join("CAM1.dat"), b"data");
    assert_eq!(beside("CAM1"), None);
}

#[test]
fn a_pipe_in_place_of_a_file_holds_nothing_up() {
    let (dir, root) = marked();
    for (pipe, file) in [("a.json", "a.dat"), ("b.dat", "b.json")] {
        let path = dir.path().join(pipe);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        write(&dir.path().join(file), b"{}");
    }
    assert_eq!(state(&seen(&root, "a")), Some(State::DataWithoutSidecar));
    assert_eq!(state(&seen(&root, "b")), Some(State::SidecarWithoutData));
}

#[test]
fn symbolic_links_are_told_and_not_followed() {
    let (dir, root) = marked();
    let outside = tempfile::tempdir().expect("a folder");
    write(&outside.path().join("secret.json"), b"{}");
    write(&outside.path().join("r.json"), b"{}");
    write(&dir.path().join("r.dat"), b"");
    symlink(outside.path().join("secret.json"), dir.path().join("r.json")).expect("a link");
    let look = seen(&root, "r");
    assert!(look.sidecar.is_none(), "{look:?}");
    let fault = look.fault.expect("a fault");
    assert!(fault.reason.contains("r.json is a symbolic link"), "{}", fault.reason);

    // A folder that is a link, and one with a link on the way to it.
    symlink(outside.path(), dir.path().join("out")).expect("a link");
    fs::create_dir(outside.path().join("deep")).expect("a folder");
    write(&outside.path().join("deep/r.json"), b"{}");
    for folder in [&b"out"[..], b"out/deep", b"..", b"../..", b"/tmp", b"out/../out"] {
        let look = look::look(&root, &Pair::default(), &place(folder, b"r"), None).expect("there");
        assert!(look.sidecar.is_none() && look.data.is_none(), "{folder:?}: {look:?}");
    }
}

#[test]
fn a_sidecar_beyond_the_limit_is_not_read() {
    let (dir, root) = marked();
    write(&dir.path().join("r.dat"), b"");
    let file = fs::File::create(dir.path().join("r.json")).expect("a file");
    // Sparse: it would be terabytes to read.
    file.set_len(1 << 40).expect("a length");
    let look = seen(&root, "r");
    assert_eq!(state(&look), Some(State::SidecarInvalid));
    assert_eq!(look.sidecar.expect("there").bytes, None);
    file.set_len(SIDECAR_BYTES_MAX as u64).expect("a length");
    assert_eq!(state(&seen(&root, "r")), None, "the limit itself is allowed");
}

#[test]
fn names_of_any_bytes_are_looked_at() {
    let (dir, root) = marked();
    let name = std::ffi::OsStr::from_bytes(b"f\xff\xfe");
    write(&dir.path().join(name).join("r.dat"), b"");
    let look =
        look::look(&root, &Pair::default(), &place(b"f\xff\xfe", b"r"), None).expect("there");
    assert!(look.data.is_some());
}

#[test]
fn absence_counts_only_while_the_root_is_there() {
    let (dir, root) = marked();
    let none = seen(&root, "r");
    assert!(none.data.is_none() && none.sidecar.is_none() && none.fault.is_none());
    fs::remove_file(dir.path().join(focus_storage::marker::MARKER)).expect("removed");
    let gone = look::look(&root, &Pair::default(), &place(b"", b"r"), None);
    assert!(matches!(gone.expect_err("an outage of storage"), RootProblem::NoMarker { .. }));
}
