//! `idle`: what a server takes whose recordings are all in step, and what it does by itself meanwhile.
//!
//! The bare limit is a process that does nothing, which takes nothing. So no ratio stands here, but the work that came by
//! itself, by the counters of `GET /metrics`.

use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;

use crate::options::Setup;
use crate::process::{ExactCpu, Usage};
use crate::report::{Measure, Report};
use crate::site::{Site, counter, until};

/// Threads are looked at so often; what one takes in its last second is not seen.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A server is at rest once it takes less than this part of a core for [`QUIET_FOR`].
const QUIET: f64 = 0.01;
const QUIET_FOR: Duration = Duration::from_secs(5);

/// What comes by itself, with its counter.
const PERIODIC: [(&str, &str); 5] = [
    ("scans", "focus_scan_seconds_count"),
    ("time of scans", "focus_scan_seconds_sum"),
    ("calls that write to the catalog", "focus_catalog_write_seconds_count"),
    ("documents sent to the catalog", "focus_catalog_writes_total"),
    ("hints of the watch", "focus_hints_total"),
];

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let site = Site::serving(setup, n).await;
    let mut report = setup.report("idle", n, site.storage.folder());
    // The rest of the text index comes a minute after the last recording.
    until(&site.focus, "the text index is made", |status| status["text_index"]["done"] == n).await;
    quiet(&site.focus).await;
    let before = metrics(&site.focus);
    let written = site.usage();
    let (cpu, lasted) = watched(&site.focus, Duration::from_secs(setup.seconds)).await;
    let after = metrics(&site.focus);
    let share = cpu.as_secs_f64() / lasted.as_secs_f64() * 100.0;
    report.add(Measure::of("processor time", share, "% of a core"));
    report.add(Measure::seconds("watched for", lasted));
    report.add(Measure::of(
        "written",
        site.usage().since(written).written_bytes as f64 / 1_024.0,
        "KiB",
    ));
    report.add(Measure::of("resident memory", site.usage().resident_kib as f64 / 1_024.0, "MiB"));
    for (name, of) in PERIODIC {
        let unit = if of.ends_with("_sum") { "s" } else { "times" };
        report.add(Measure::of(name, counter(&after, of) - counter(&before, of), unit));
    }
    report
}

fn metrics(focus: &Focus) -> String {
    focus.get("/metrics").expect("metrics")
}

/// Waits until the server does nothing that takes time.
///
/// # Panics
/// It does not come to rest.
pub(crate) async fn quiet(focus: &Focus) {
    let began = Instant::now();
    loop {
        let before = Usage::of(focus.pid());
        tokio::time::sleep(QUIET_FOR).await;
        let cpu = Usage::of(focus.pid()).since(before).cpu;
        if cpu.as_secs_f64() < QUIET * QUIET_FOR.as_secs_f64() {
            return;
        }
        assert!(began.elapsed() < crate::site::LIMIT, "{}", focus.log());
    }
}

/// The processor time of the server over so long, and how long that was.
async fn watched(focus: &Focus, time: Duration) -> (Duration, Duration) {
    let mut cpu = ExactCpu::default();
    let began = Instant::now();
    cpu.look(focus.pid());
    while began.elapsed() < time {
        tokio::time::sleep(LOOK_EVERY.min(time - began.elapsed().min(time))).await;
        cpu.look(focus.pid());
    }
    (cpu.taken(), began.elapsed())
}
