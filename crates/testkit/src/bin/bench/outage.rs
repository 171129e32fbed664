//! `land` and `drain`: recordings land while the database is away, and are written once it is back.

use std::time::{Duration, Instant};

use focus_testkit::oracle;

use crate::bare;
use crate::options::Setup;
use crate::report::{Measure, Report};
use crate::series;
use crate::site::{Site, until};

/// So many are there before the outage.
const BEFORE: u64 = 10;

/// What the rate of a drain should reach, as a part of that of bare inserts.
const GOAL: f64 = 0.9;

/// Up to so many are compared one by one.
const COMPARED_MAX: u64 = 200_000;

/// Up to so many are written with nobody watching; the time of more is reckoned from theirs.
const UNWATCHED_MAX: u64 = 100_000;

/// What lands is indexed, beside the same files written with nobody watching.
pub(crate) async fn land(setup: &Setup, n: u64) -> Report {
    let mut site = Site::serving(setup, BEFORE).await;
    let mut report = setup.report("land", n, site.storage.folder());
    site.outage().await;
    let unwatched = site.storage.folder().join("unwatched");
    let written = n.min(UNWATCHED_MAX);
    let began = Instant::now();
    series::write(&unwatched, BEFORE..BEFORE + written);
    let bare = began.elapsed().mul_f64(n as f64 / written as f64);
    let before = site.usage();
    let took = landed(&mut site, n).await;
    let usage = site.usage().since(before);
    let beside = "the same files, unwatched";
    report.add(
        Measure::seconds("time until all are pending", took).beside(beside, bare.as_secs_f64()),
    );
    let rate = |time: Duration| n as f64 / time.as_secs_f64();
    report.add(
        Measure::of("recordings a second", rate(took), "1/s").beside_higher(beside, rate(bare)),
    );
    report.add(Measure::of("processor time each", usage.cpu_us_each(n), "µs"));
    report.add(Measure::of("written each", usage.bytes_each(n), "B"));
    report.add(Measure::of("peak memory", usage.peak_mib(), "MiB"));
    report
}

/// What is pending is written, beside bare inserts and upserts of the same documents.
pub(crate) async fn drain(setup: &Setup, n: u64) -> Report {
    let mut site = Site::serving(setup, BEFORE).await;
    let mut report = setup.report("drain", n, site.storage.folder());
    site.outage().await;
    landed(&mut site, n).await;
    let before = site.usage();
    site.server.restart().await;
    let back = Instant::now();
    until(&site.focus, "nothing is pending", |status| status["pending"] == 0).await;
    let took = back.elapsed();
    let usage = site.usage().since(before);
    compared(&site, n).await;
    let (uri, database) = (site.server.uri(), site.server.database());
    let inserts = bare::documents("insert", &uri, database).await;
    let upserts = bare::documents("upsert", &uri, database).await;
    assert_eq!((inserts.count, upserts.count), (n + BEFORE, n + BEFORE), "documents");
    let rate = n as f64 / took.as_secs_f64();
    report.add(
        Measure::of("recordings a second", rate, "1/s")
            .beside_higher("bare inserts", inserts.rate())
            .goal(GOAL),
    );
    report.add(Measure::of("bare upserts a second", upserts.rate(), "1/s"));
    report.add(
        Measure::seconds("time until nothing is pending", took)
            .beside("bare inserts", n as f64 / inserts.rate()),
    );
    report.add(
        Measure::of("processor time each", usage.cpu_us_each(n), "µs")
            .beside("bare inserts", inserts.cpu_us_each()),
    );
    report.add(Measure::of("written each", usage.bytes_each(n), "B"));
    report.add(Measure::of("peak memory", usage.peak_mib(), "MiB"));
    report
}

/// Has `n` land; the time until they are pending, from the first file on.
pub(crate) async fn landed(site: &mut Site, n: u64) -> Duration {
    let began = Instant::now();
    site.storage.land(n);
    until(&site.focus, "all that landed is pending", |status| status["pending"] == n).await;
    began.elapsed()
}

/// The catalog has each recording once, as it is on storage.
async fn compared(site: &Site, n: u64) {
    let client = site.server.client().await;
    let database = site.server.database();
    if n <= COMPARED_MAX {
        let planted = series::planted(0..BEFORE + n);
        let verdict =
            oracle::compare(&client, database, "node4", &site.storage.marker(), &planted).await;
        assert!(
            verdict.missing.is_empty() && verdict.duplicated.is_empty() && verdict.wrong.is_empty(),
            "{verdict:?}"
        );
        println!("  {n} compared: none missing, twice or wrong");
    }
}
