//! `restart`: a server starts anew with nothing changed, beside `find` over the same storage.

use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::stats;
use serde_json::Value;

use crate::options::Setup;
use crate::process::Usage;
use crate::report::{Measure, Report};
use crate::scan;
use crate::site::{Site, until};

/// A full scan behind the first scan has begun, or is none, once the server has taken less than a tenth of a core for so long.
const QUIET_FOR: Duration = Duration::from_secs(3);

/// Starts; the median counts.
const TIMES: usize = 3;

/// What one start took, each from the start of the process on.
struct Start {
    answered: Duration,
    first_scan: Duration,
    last_scan: Duration,
    in_step: Duration,
    cpu: Duration,
}

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let mut site = Site::serving(setup, n).await;
    let mut report = setup.report("restart", n, site.storage.folder());
    until(&site.focus, "the text index is made", |status| status["text_index"]["done"] == n).await;
    let mut starts = Vec::new();
    for _ in 0..TIMES {
        assert_eq!(site.focus.stop(), Some(0), "{}", site.focus.log());
        starts.push(started(&mut site.focus, n).await);
    }
    let of = |field: fn(&Start) -> Duration| {
        stats::median(&starts.iter().map(field).collect::<Vec<_>>())
    };
    let root = site.storage.root();
    let names = scan::find(root, &["-type", "f"]);
    let stats = scan::find(root, &["-type", "f", "-printf", "%s %T@ %C@\n"]);
    let empty = empty(setup).await;
    report.add(
        Measure::seconds("until the first answer", of(|start| start.answered))
            .beside("with no recordings", empty.as_secs_f64()),
    );
    report.add(
        Measure::seconds("until the first scan has ended", of(|start| start.first_scan))
            .beside("find", names.as_secs_f64()),
    );
    report.add(
        Measure::seconds("until the full scan has ended", of(|start| start.last_scan))
            .beside("find with sizes and times", stats.as_secs_f64()),
    );
    report.add(Measure::seconds("until the catalog is in step", of(|start| start.in_step)));
    report.add(Measure::seconds("processor time", of(|start| start.cpu)));
    report
}

/// Starts it, and waits until all that follows a start has ended.
async fn started(focus: &mut Focus, n: u64) -> Start {
    let began = Instant::now();
    let answered = answer(focus, began).await;
    let mut in_step = None;
    let mut first = Value::Null;
    let first_scan = loop {
        let status = focus.status().expect("a status");
        first.clone_from(&status["roots"][0]["last_scan_at"]);
        if in_step.is_none() && is_in_step(&status, n) {
            in_step = Some(began.elapsed());
        }
        if !first.is_null() {
            break began.elapsed();
        }
        pause().await;
    };
    let mut last_scan = first_scan;
    let (mut looked, mut usage) = (Instant::now(), Usage::of(focus.pid()));
    loop {
        let status = focus.status().expect("a status");
        if in_step.is_none() && is_in_step(&status, n) {
            in_step = Some(began.elapsed());
        }
        if status["roots"][0]["last_scan_at"] != first {
            last_scan = began.elapsed();
            if in_step.is_some() {
                break;
            }
        }
        if looked.elapsed() > QUIET_FOR {
            let now = Usage::of(focus.pid());
            let is_quiet = now.since(usage).cpu * 10 < looked.elapsed();
            if is_quiet && in_step.is_some() {
                break;
            }
            (looked, usage) = (Instant::now(), now);
        }
        pause().await;
    }
    Start {
        answered,
        first_scan,
        last_scan,
        in_step: in_step.unwrap_or_default(),
        cpu: Usage::of(focus.pid()).cpu,
    }
}

fn is_in_step(status: &Value, n: u64) -> bool {
    status["recordings"] == n && status["pending"] == 0 && status["catalog_state"] == "in_step"
}

/// Starts it; the time until it answers with its status.
async fn answer(focus: &mut Focus, began: Instant) -> Duration {
    focus.spawn();
    while focus.answers().is_err() || focus.status().is_err() {
        assert!(began.elapsed() < crate::site::LIMIT, "{}", focus.log());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    began.elapsed()
}

/// Seldom enough not to be in the figures.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// The same start with nothing on storage.
async fn empty(setup: &Setup) -> Duration {
    let mut site = Site::serving(setup, 0).await;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        site.focus.stop();
        times.push(answer(&mut site.focus, Instant::now()).await);
    }
    stats::median(&times)
}
