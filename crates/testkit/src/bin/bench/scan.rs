//! `bench FOCUS scan [N | ROOT STATE]`: scans in which nothing has changed, beside `find` over the same folders.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use focus_testkit::focus::Focus;
use focus_testkit::stats;
use serde_json::Value;
use tempfile::TempDir;

use crate::{LIMIT, cpu_ms, series};

/// Scans of each kind.
const SCANS: usize = 5;

/// A folder has to have been as it is for 3 s when it is read.
const SKIPPED_AFTER: Duration = Duration::from_secs(4);

/// Scans of names come so often, milliseconds.
const EVERY_MS: u64 = 500;

pub(crate) async fn run(binary: &str, args: &[String]) {
    let made = match args {
        [_, _] => None,
        [n] => Some(n.parse().expect("a number of recordings")),
        _ => Some(1_000_000),
    };
    let dir = TempDir::new().expect("a folder");
    let (root, state) = match args {
        [root, state] => (PathBuf::from(root), PathBuf::from(state)),
        _ => (dir.path().join("root"), dir.path().join("state")),
    };
    std::fs::create_dir_all(&root).expect("a root");
    if let Some(n) = made {
        series::write(&root, n);
        assert!(Focus::new(binary, &root, &state, &[]).run(&["init"]).status.success());
    }
    let every = EVERY_MS.to_string();
    // Nothing listens on the first port.
    let args = ["--mongodb-uri", "mongodb://127.0.0.1:1/", "--scan-interval-ms", &every];
    let mut focus = Focus::new(binary, &root, &state, &args);
    focus.serve().await;
    if let Some(n) = made {
        focus.until_status("recordings", n, LIMIT).await;
    }
    focus.until_status("unsettled", 0, LIMIT).await;
    println!("{} recordings, nothing changes", focus.status().expect("a status")["recordings"]);
    let names = of_names(&focus, &root).await;
    let of_names = beside("find", &root, &["-type", "f"]);
    let skipped = of_skipped(&focus).await;
    let stats = of_stats(&focus).await;
    let of_stats =
        beside("find with sizes and times", &root, &["-type", "f", "-printf", "%s %T@ %C@\n"]);
    println!("ratio of a scan of names to find: {:.2}", ratio(&names, &of_names));
    println!("ratio of a scan that skips all folders to find: {:.2}", ratio(&skipped, &of_names));
    println!("ratio of a scan of sizes and times to find: {:.2}", ratio(&stats, &of_stats));
}

/// Scans of names, as they come by themselves, of folders that have changed just now.
async fn of_names(focus: &Focus, root: &Path) -> Vec<Duration> {
    // The scan of sizes and times that follows a start has come first.
    let _ = next_scan(focus).await;
    let before = cpu_ms(focus);
    let mut times = Vec::new();
    for _ in 0..SCANS {
        touch(root);
        times.push(next_scan(focus).await);
    }
    told("scan of names", &times, cpu_ms(focus) - before);
    times
}

/// Scans of names in which no folder has changed for long.
async fn of_skipped(focus: &Focus) -> Vec<Duration> {
    tokio::time::sleep(SKIPPED_AFTER).await;
    // One that reads them as they will stay, and one that may have been under way.
    for _ in 0..2 {
        let _ = next_scan(focus).await;
    }
    let before = cpu_ms(focus);
    let mut times = Vec::new();
    for _ in 0..SCANS {
        times.push(next_scan(focus).await);
    }
    told("scan that skips folders", &times, cpu_ms(focus) - before);
    times
}

/// Gives a folder, and all below it, the present time.
fn touch(folder: &Path) {
    let opened = std::fs::File::open(folder).expect("a folder");
    opened.set_modified(SystemTime::now()).expect("its time");
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            touch(&entry.path());
        }
    }
}

/// Scans of sizes and times, as a person asks for them.
async fn of_stats(focus: &Focus) -> Vec<Duration> {
    let mut times = Vec::new();
    let before = cpu_ms(focus);
    for _ in 0..SCANS {
        let began = Instant::now();
        focus.job("/api/v1/jobs", r#"{"kind": "scan"}"#).await.expect("a scan");
        times.push(began.elapsed());
    }
    told("scan of sizes and times", &times, cpu_ms(focus) - before);
    times
}

fn told(what: &str, times: &[Duration], cpu_ms: u64) {
    let each = cpu_ms / SCANS as u64;
    println!("  {what:<26} {}; {each} ms of CPU each, all of the server", stats::describe(times));
}

/// How long the next scan takes that ends.
async fn next_scan(focus: &Focus) -> Duration {
    let of = |status: &Value, field: &str| status["roots"][0][field].clone();
    let last = of(&focus.status().expect("a status"), "last_scan_at");
    let until = Instant::now() + LIMIT;
    loop {
        let status = focus.status().expect("a status");
        if of(&status, "last_scan_at") != last {
            return Duration::from_millis(of(&status, "last_scan_ms").as_u64().expect("a time"));
        }
        assert!(Instant::now() < until, "no scan ended within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn beside(name: &str, root: &Path, args: &[&str]) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..SCANS {
        let began = Instant::now();
        let ended = Command::new("find").arg(root).args(args).stdout(Stdio::null()).status();
        assert!(ended.expect("find is there").success());
        times.push(began.elapsed());
    }
    println!("  {name:<26} {}", stats::describe(&times));
    times
}

/// Of the medians: a scan that was under way already is joined, and ends early.
fn ratio(ours: &[Duration], bare: &[Duration]) -> f64 {
    let median = |times: &[Duration]| {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map_or(0.0, Duration::as_secs_f64)
    };
    median(ours) / median(bare).max(f64::EPSILON)
}
