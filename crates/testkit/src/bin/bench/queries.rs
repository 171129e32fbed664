//! `queries`: the latency of range queries of one caller during an outage, beside an answer that asks nothing of the index.

use std::time::{Duration, Instant};

use focus_testkit::focus::Focus;
use focus_testkit::stats;

use crate::options::Setup;
use crate::report::{Measure, Report};
use crate::series;
use crate::site::Site;

/// Requests of each kind.
const TIMES: usize = 500;

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let mut site = Site::serving(setup, n).await;
    let mut report = setup.report("queries", n, site.storage.folder());
    site.outage().await;
    let (ack, asked) = ask(&site.focus, n);
    let ms = |times: &[Duration], permille| stats::at(times, permille).as_secs_f64() * 1e3;
    for (name, times) in asked {
        for (which, permille) in [("median", 500), ("p99", 990)] {
            report.add(
                Measure::of(&format!("{name}, {which}"), ms(&times, permille), "ms")
                    .beside("/ack", ms(&ack, permille)),
            );
        }
    }
    report
}

/// Asks for ranges in the middle of the first `n`: times of the bare answer, and of each range with its name.
pub(crate) fn ask(focus: &Focus, n: u64) -> (Vec<Duration>, Vec<(String, Vec<Duration>)>) {
    let middle = series::start_ms(n / 2);
    let ack = timed(|| focus.get("/ack").map(drop));
    let ranges = [("1 s", 1_000), ("1 hour", 3_600_000)].map(|(name, ms)| {
        let body = format!("{{\"start_time\": {middle}, \"end_time\": {}}}", middle + ms);
        let times = timed(|| focus.post("/recordings_in_time_range", &body).map(drop));
        (format!("recordings of {name}"), times)
    });
    (ack, ranges.into())
}

fn timed(ask: impl Fn() -> Result<(), String>) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        ask().expect("an answer during the outage");
        times.push(began.elapsed());
    }
    times
}
