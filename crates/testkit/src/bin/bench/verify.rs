//! `verify`: a whole verification, sidecars read, beside what it cannot do without: a bare walk of storage that reads
//! all sidecars, and a bare projection of the same fields from the catalog.

use std::time::{Duration, Instant};

use focus_testkit::stats;
use futures_util::TryStreamExt;
use mongodb::Client;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

use crate::bare;
use crate::options::Setup;
use crate::process::peak_from_now_on;
use crate::report::{Measure, Report};
use crate::site::Site;

/// Each is measured so often, in turn: the machine may be busy with something else for a while.
const ROUNDS: usize = 3;

/// The fields that a verification compares.
const FIELDS: [&str; 12] = [
    "uuid",
    "root",
    "version",
    "deleted",
    "path",
    "start_time",
    "end_time",
    "deleted_at",
    "recording_id",
    "size",
    "fingerprint",
    "metadata",
];

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let site = Site::serving(setup, n).await;
    let mut report = setup.report("verify", n, site.storage.folder());
    let client = site.server.client().await;
    // One walk and two projections: a verification reads the catalog before the scan and after it.
    let (mut bare_times, mut times) = (Vec::new(), Vec::new());
    let (mut before_kib, mut peak_kib) = (0, 0);
    for _ in 0..ROUNDS {
        let walk = bare::walk(site.storage.root()).await;
        let (documents, projection) = timed(async || projected(&client, &site).await).await;
        assert_eq!((walk.count, documents), (n, n), "sidecars and documents");
        bare_times.push(walk.took + 2 * projection);
        peak_from_now_on(site.focus.pid());
        before_kib = site.usage().resident_kib;
        let (told, verify) = timed(async || verified(&site)).await;
        assert_eq!(told["compared"], n, "{told:#}");
        peak_kib = site.usage().peak_kib.max(peak_kib);
        times.push(verify);
    }
    let median = |times: &[Duration]| stats::median(times);
    report.add(
        Measure::seconds("a verification", median(&times))
            .beside("a walk and two projections", median(&bare_times).as_secs_f64()),
    );
    report.add(Measure::of("peak memory", peak_kib as f64 / 1_024.0, "MiB"));
    report.add(Measure::of("resident before", before_kib as f64 / 1_024.0, "MiB"));
    report
}

async fn timed<T>(work: impl AsyncFnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let out = work().await;
    (out, began.elapsed())
}

/// What the running server says of a verification.
fn verified(site: &Site) -> Value {
    let output = site.focus.run(&["verify", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(told["in_order"], true, "{told:#}");
    told
}

/// Reads the compared fields of all documents by one cursor; how many there are.
async fn projected(client: &Client, site: &Site) -> u64 {
    let mut fields: Document =
        FIELDS.iter().map(|field| ((*field).to_owned(), Bson::Int32(1))).collect();
    fields.insert("_id", 0);
    let node4 = client.database(site.server.database()).collection::<RawDocumentBuf>("node4");
    let cursor = node4.find(doc! {}).projection(fields).await.expect("a cursor");
    cursor.try_fold(0, async |count, _| Ok(count + 1)).await.expect("documents")
}
