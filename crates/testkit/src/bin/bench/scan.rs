//! `scan`: scans in which nothing has changed, beside `find` over the same folders.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use focus_testkit::focus::Focus;
use focus_testkit::stats;
use serde_json::Value;

use crate::options::Setup;
use crate::process::Usage;
use crate::report::{Measure, Report};
use crate::site::{LIMIT, NOWHERE, Storage, until};

/// Scans of each kind.
const SCANS: usize = 5;

/// A folder has to have been as it is for 3 s when it is read.
const SKIPPED_AFTER: Duration = Duration::from_secs(4);

/// Scans of names come so often, milliseconds.
const EVERY_MS: u64 = 500;

/// Times of some scans, and the processor time of the server for each.
struct Scans {
    times: Vec<Duration>,
    cpu: Duration,
}

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let every = EVERY_MS.to_string();
    let args = ["--mongodb-uri", NOWHERE, "--scan-interval-ms", &every];
    let made = setup.given.is_none().then(|| Storage::with(setup, n));
    let (mut focus, root) = match (&made, &setup.given) {
        (Some(storage), _) => (storage.focus(setup, "state", &args), storage.root()),
        (None, Some((root, state))) => (Focus::new(&setup.binary, root, state, &args), &**root),
        (None, None) => unreachable!("one of both is there"),
    };
    focus.serve().await;
    let status = until(&focus, "everything is indexed", |status| {
        (made.is_none() || status["recordings"] == n) && status["unsettled"] == 0
    })
    .await;
    let n = status["recordings"].as_u64().expect("a number");
    let mut report = setup.report("scan", n, root);
    let names = of_names(&focus, root).await;
    let names_bare = find(root, &["-type", "f"]);
    let skipping = of_skipping(&focus).await;
    let of_stats = of_stats(&focus).await;
    let stats_bare = find(root, &["-type", "f", "-printf", "%s %T@ %C@\n"]);
    for (name, scans, bare, words) in [
        ("names, all folders touched", names, names_bare, "find"),
        ("names, folders unchanged", skipping, names_bare, "find"),
        ("sizes and times", of_stats, stats_bare, "find with sizes and times"),
    ] {
        // Of the medians: a scan that was under way already is joined, and ends early.
        let median = stats::median(&scans.times);
        report.add(Measure::seconds(name, median).beside(words, bare.as_secs_f64()));
        let cpu_ms = scans.cpu.as_secs_f64() * 1e3 / SCANS as f64;
        report.add(Measure::of(&format!("{name}: processor time of the server"), cpu_ms, "ms"));
    }
    report
}

/// Scans of names, as they come by themselves, of folders that have changed just now.
async fn of_names(focus: &Focus, root: &Path) -> Scans {
    // The scan of sizes and times that follows a start has come first.
    let _ = next_scan(focus).await;
    let before = Usage::of(focus.pid());
    let mut times = Vec::new();
    for _ in 0..SCANS {
        touch(root);
        times.push(next_scan(focus).await);
    }
    Scans { times, cpu: Usage::of(focus.pid()).since(before).cpu }
}

/// Scans of names in which no folder has changed for long.
async fn of_skipping(focus: &Focus) -> Scans {
    tokio::time::sleep(SKIPPED_AFTER).await;
    // One that reads them as they will stay, and one that may have been under way.
    for _ in 0..2 {
        let _ = next_scan(focus).await;
    }
    let before = Usage::of(focus.pid());
    let mut times = Vec::new();
    for _ in 0..SCANS {
        times.push(next_scan(focus).await);
    }
    Scans { times, cpu: Usage::of(focus.pid()).since(before).cpu }
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
async fn of_stats(focus: &Focus) -> Scans {
    let before = Usage::of(focus.pid());
    let mut times = Vec::new();
    for _ in 0..SCANS {
        let began = Instant::now();
        let body = r#"{"kind": "scan"}"#;
        focus.job_within("/api/v1/jobs", body, LIMIT).await.expect("a scan");
        times.push(began.elapsed());
    }
    Scans { times, cpu: Usage::of(focus.pid()).since(before).cpu }
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

/// The median time of `find`.
pub(crate) fn find(root: &Path, args: &[&str]) -> Duration {
    let mut times = Vec::new();
    for _ in 0..SCANS {
        let began = Instant::now();
        let ended = Command::new("find").arg(root).args(args).stdout(Stdio::null()).status();
        assert!(ended.expect("find is there").success());
        times.push(began.elapsed());
    }
    stats::median(&times)
}
