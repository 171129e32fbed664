//! `allocations`: calls of the allocator for each recording of a first fill into the embedded catalog, beside those of a walk
//! that reads all sidecars and of a bare SQLite table.
//!
//! A library is preloaded into the program as it is shipped. It counts every call of malloc, calloc, realloc and their
//! like, those of SQLite too, and the bytes that they ask for. What the start of the program asks for is taken off: a
//! fill of one recording is counted beside that of all.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bare;
use crate::options::Setup;
use crate::process;
use crate::report::{Measure, Report};
use crate::site::Storage;

const LIBRARY: &str = include_str!("allocations.c");

/// The variable that tells the library where its counts go.
const COUNTS: &str = "FOCUS_BENCH_ALLOCATIONS";

/// Calls of the allocator, and bytes that they asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    calls: f64,
    bytes: f64,
}

impl Counted {
    /// For each of the recordings that one count has more than the other.
    fn each(self, of_one: Counted, n: u64) -> Counted {
        let more = n.saturating_sub(1).max(1) as f64;
        Counted {
            calls: (self.calls - of_one.calls) / more,
            bytes: (self.bytes - of_one.bytes) / more,
        }
    }

    fn and(self, other: Counted) -> Counted {
        Counted { calls: self.calls + other.calls, bytes: self.bytes + other.bytes }
    }
}

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let storage = Storage::with(setup, n);
    let one = Storage::with(setup, 1);
    storage.settled().await;
    let mut report = setup.report("allocations", n, storage.folder());
    let library = library(storage.folder());
    let ours = fill(setup, &storage, &library).await.each(fill(setup, &one, &library).await, n);
    let walk = walk(&storage, &library).await.each(walk(&one, &library).await, n);
    let rows = rows(&storage, &library, n).await.each(rows(&one, &library, 1).await, n);
    let bare = walk.and(rows);
    let beside = "walk and bare SQLite";
    report.add(Measure::of("allocations each", ours.calls, "calls").beside(beside, bare.calls));
    report.add(Measure::of("allocated each", ours.bytes, "B").beside(beside, bare.bytes));
    report
}

/// Builds the library.
fn library(folder: &Path) -> PathBuf {
    let file = folder.join("allocations.so");
    let mut compiler = Command::new("cc")
        .args(["-x", "c", "-O2", "-shared", "-fPIC", "-fno-builtin", "-o"])
        .arg(&file)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .expect("a C compiler, `cc`, which the build of SQLite needs too");
    let mut source = compiler.stdin.take().expect("its input");
    source.write_all(LIBRARY.as_bytes()).expect("it reads");
    drop(source);
    assert!(compiler.wait().expect("its end").success(), "the library compiles");
    file
}

async fn fill(setup: &Setup, storage: &Storage, library: &Path) -> Counted {
    let mut command = Command::new(&setup.binary);
    command.args(["scan", "--json", "--root"]).arg(storage.root());
    command.arg("--state-dir").arg(storage.folder().join("counted"));
    counted(command, library, storage.folder()).await
}

async fn walk(storage: &Storage, library: &Path) -> Counted {
    let root = storage.root().display().to_string();
    counted(bare::command(&["walk", &root]), library, storage.folder()).await
}

async fn rows(storage: &Storage, library: &Path, n: u64) -> Counted {
    let file = storage.folder().join("bare.db").display().to_string();
    counted(bare::command(&["sqlite", &file, &n.to_string()]), library, storage.folder()).await
}

/// Runs a program with the library in it.
async fn counted(mut command: Command, library: &Path, folder: &Path) -> Counted {
    let counts = folder.join("allocations");
    let _ = std::fs::remove_file(&counts);
    command.env("LD_PRELOAD", library).env(COUNTS, &counts);
    let ended = process::run(&mut command).await;
    assert!(ended.status.success(), "{command:?}: {}", ended.status);
    let text = std::fs::read_to_string(&counts)
        .expect("counts: the library is not for a program that is linked statically");
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    let (calls, bytes) = numbers.next().zip(numbers.next()).expect("two numbers");
    Counted { calls, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_recording_takes_is_taken_off() {
        let (all, one) =
            (Counted { calls: 1_100.0, bytes: 10_800.0 }, Counted { calls: 110.0, bytes: 900.0 });
        assert_eq!(all.each(one, 100), Counted { calls: 10.0, bytes: 100.0 });
    }

    #[tokio::test]
    async fn calls_of_a_program_are_counted() {
        let dir = tempfile::TempDir::new().unwrap();
        let library = library(dir.path());
        let mut command = Command::new("find");
        command.arg("--version");
        let counted = counted(command, &library, dir.path()).await;
        assert!(counted.calls >= 1.0 && counted.bytes >= counted.calls, "{counted:?}");
    }
}
