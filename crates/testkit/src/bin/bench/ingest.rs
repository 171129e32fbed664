//! `bench FOCUS ingest`: recordings handed over to the server, beside `cp` and `fsync` of the same files.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use tempfile::TempDir;

use crate::LIMIT;

/// Recordings of each size: their number, and bytes of their data.
const SIZES: [(usize, usize); 3] = [(400, 16 << 10), (60, 4 << 20), (6, 64 << 20)];

/// Rounds, each first the one and then the other.
const ROUNDS: usize = 3;

pub(crate) async fn run(binary: &str) {
    let dir = TempDir::new().expect("a folder");
    let (root, state) = (dir.path().join("root"), dir.path().join("state"));
    fs::create_dir(&root).expect("a root");
    let settings = dir.path().join("focus.toml");
    // Nothing listens on the first port: what is measured is the way to storage and index.
    let text = format!(
        "mongodb_uri = \"mongodb://127.0.0.1:1/\"\n[[roots]]\npath = \"{}\"\ningest = true\n",
        root.display()
    );
    fs::write(&settings, text).expect("settings");
    let args = [
        "--config".to_owned(),
        settings.display().to_string(),
        "--state-dir".to_owned(),
        state.display().to_string(),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut focus = Focus::with_args(binary, &state, &args);
    assert!(focus.run(&["init"]).status.success());
    focus.serve().await;
    focus.until_status("/roots/0/state", "present", LIMIT).await;
    let server = fs::read(state.join("server.json")).expect("the server");
    let server: serde_json::Value = serde_json::from_slice(&server).expect("JSON");
    let text = |field: &str| server[field].as_str().expect("text").to_owned();
    let (address, token) = (text("address"), text("token"));
    for (count, bytes) in SIZES {
        let sources = sources(&dir.path().join(format!("from-{bytes}")), count, bytes);
        for at_once in [1, 4] {
            let (mut copied, mut handed) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                let name = format!("{bytes}-{at_once}-{round}");
                let to = dir.path().join("copies").join(&name);
                fs::create_dir_all(&to).expect("a folder");
                copied.push(all(&sources, at_once, |source| copy(source, &to)));
                fs::remove_dir_all(&to).expect("removed");
                handed.push(all(&sources, at_once, |source| {
                    hand_over(source, &address, &token, &name);
                }));
            }
            let (copied, handed) = (median(copied), median(handed));
            let total = (count * bytes) as f64 / f64::from(1 << 20);
            println!(
                "{count} of {:>6} KiB, {at_once} at once: cp + fsync {:>6.1} MiB/s, handed over {:>6.1} MiB/s, {:.1} ms each; ratio {:.2}",
                bytes >> 10,
                total / copied.as_secs_f64(),
                total / handed.as_secs_f64(),
                handed.as_secs_f64() * 1e3 / count as f64,
                copied.as_secs_f64() / handed.as_secs_f64()
            );
        }
    }
    assert_eq!(focus.stop(), Some(0));
}

/// Recordings to be copied and handed over; their data files.
fn sources(folder: &Path, count: usize, bytes: usize) -> Vec<PathBuf> {
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

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
