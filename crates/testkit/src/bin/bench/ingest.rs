//! `ingest`: recordings handed over to the server, beside `cp` and `fsync` of the same files.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use focus_testkit::stats;

use crate::options::Setup;
use crate::report::{Measure, Report};
use crate::site::{NOWHERE, Storage, until};

/// Bytes of the data of recordings, and the part of `n` that there are of them.
const SIZES: [(usize, u64); 3] = [(16 << 10, 1), (4 << 20, 8), (64 << 20, 64)];

/// Rounds, each first the one and then the other.
const ROUNDS: usize = 3;

/// Time that it may take, beside `cp` and `fsync`: 70 % of their throughput.
const GOAL: f64 = 1.43;

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let storage = Storage::with(setup, 0);
    // What is measured is the way to storage and index.
    let mut focus = storage.focus(setup, "state", &["--mongodb-uri", NOWHERE]);
    focus.by = vec!["env".to_owned(), "FOCUS_INGEST=true".to_owned()];
    focus.serve().await;
    until(&focus, "the root is there", |status| status["roots"][0]["state"] == "present").await;
    let dir = storage.folder();
    let server = fs::read(dir.join("state/server.json")).expect("the server");
    let server: serde_json::Value = serde_json::from_slice(&server).expect("JSON");
    let text = |field: &str| server[field].as_str().expect("text").to_owned();
    let (address, token) = (text("address"), text("token"));
    let mut report = setup.report("ingest", n, dir);
    for (bytes, part) in SIZES {
        let sources = sources(&dir.join(format!("from-{bytes}")), (n / part).max(4), bytes);
        for at_once in [1, 4] {
            let (mut copied, mut handed) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                let name = format!("{bytes}-{at_once}-{round}");
                let to = dir.join("copies").join(&name);
                fs::create_dir_all(&to).expect("a folder");
                copied.push(all(&sources, at_once, |source| copy(source, &to)));
                fs::remove_dir_all(&to).expect("removed");
                handed.push(all(&sources, at_once, |source| {
                    hand_over(source, &address, &token, &name);
                }));
            }
            let (copied, handed) = (stats::median(&copied), stats::median(&handed));
            let name = format!("{} of {} KiB, {at_once} at once", sources.len(), bytes >> 10);
            let measure = Measure::seconds(&name, handed);
            report.add(measure.beside("cp and fsync", copied.as_secs_f64()).goal(GOAL));
        }
    }
    assert_eq!(focus.stop(), Some(0));
    report
}

/// Recordings to be copied and handed over; their data files.
fn sources(folder: &Path, count: u64, bytes: usize) -> Vec<PathBuf> {
    fs::create_dir(folder).expect("a folder");
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let data: Vec<u8> = (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect();
    (0..count)
        .map(|n| {
            let path = folder.join(format!("r{n}.dat"));
            fs::write(&path, &data).expect("written");
            path
        })
        .collect()
}

fn sidecar(uuid: &str) -> String {
    format!(
        "{{\"uuid\":\"{uuid}\",\"start_time\":1700000000,\"end_time\":1700000060,\"sensor\":\"north\"}}"
    )
}

/// How long it takes to do this with all of them, so many at once.
fn all(sources: &[PathBuf], at_once: usize, work: impl Fn(&Path) + Sync) -> Duration {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(source);
                }
            });
        }
    });
    began.elapsed()
}

/// Data and sidecar, each copied and synced.
fn copy(source: &Path, to: &Path) {
    let name = source.file_name().expect("a name");
    let data = to.join(name);
    fs::copy(source, &data).expect("copied");
    File::open(&data).and_then(|file| file.sync_all()).expect("synced");
    let mut written = File::create(data.with_extension("json")).expect("a sidecar");
    let stem = source.file_stem().expect("a stem").to_string_lossy();
    written.write_all(sidecar(&stem).as_bytes()).expect("written");
    written.sync_all().expect("synced");
}

fn hand_over(source: &Path, address: &str, token: &str, folder: &str) {
    let stem = source.file_stem().expect("a stem").to_string_lossy();
    let part = |name: &str| {
        format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n")
    };
    let uuid = format!("{folder}-{stem}");
    let before = format!("{}{}\r\n{}", part("sidecar"), sidecar(&uuid), part("data"));
    let after = "\r\n--b0undary--\r\n";
    let mut file = File::open(source).expect("a file");
    let size = file.metadata().expect("its size").len();
    let length = before.len() as u64 + size + after.len() as u64;
    let mut stream = TcpStream::connect(address).expect("connected");
    let head = format!(
        "POST /api/v1/recordings?path={folder}/{stem} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: multipart/form-data; boundary=b0undary\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{before}"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    std::io::copy(&mut file, &mut stream).expect("sent");
    stream.write_all(after.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
