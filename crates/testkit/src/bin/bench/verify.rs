//! `bench FOCUS verify [N]`: a whole verification, sidecars read, beside what it cannot do without: a bare walk of
//! storage that reads all sidecars, and a bare projection of the same fields from the catalog.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::Client;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

use crate::{LIMIT, Site, peak_from_now_on, resident};
use focus_testkit::tree::Writing;

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

/// The times of one round.
struct Round {
    walk: Duration,
    projection: Duration,
    verify: Duration,
}

impl Round {
    /// The verification against one walk and two projections: it reads the catalog before the scan and after it.
    fn ratio(&self) -> f64 {
        self.verify.as_secs_f64() / (self.walk + 2 * self.projection).as_secs_f64()
    }
}

pub(crate) async fn run(binary: &str, n: usize) {
    let mut site = Site::new(binary).await;
    site.tree.add(n, Writing::Moved);
    site.focus.serve().await;
    site.focus.until_status("recordings", n, LIMIT).await;
    site.in_step().await;
    let client = site.server.client().await;
    let root = site.tree.root().to_owned();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (sidecars, walk) = timed(async || walked(&root)).await;
        let (documents, projection) = timed(async || projected(&client).await).await;
        assert_eq!((sidecars, documents), (n, n), "sidecars and documents");
        peak_from_now_on(site.focus.pid());
        let (before, _) = resident(site.focus.pid());
        let (told, verify) = timed(async || verified(&site)).await;
        assert_eq!(told["compared"], n, "{told:#}");
        let (_, peak) = resident(site.focus.pid());
        let round = Round { walk, projection, verify };
        println!(
            "{n} recordings: walk {:.2} s, projection {:.2} s, verify {:.2} s, ratio {:.2}; resident {before} KiB before, {peak} KiB at the most",
            walk.as_secs_f64(),
            projection.as_secs_f64(),
            verify.as_secs_f64(),
            round.ratio(),
        );
        rounds.push(round);
    }
    let mut ratios: Vec<f64> = rounds.iter().map(Round::ratio).collect();
    ratios.sort_by(f64::total_cmp);
    println!("ratio to a walk and two projections: {:.2}", ratios[ROUNDS / 2]);
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

/// Reads every sidecar below this folder; how many there are.
fn walked(folder: &Path) -> usize {
    let mut count = 0;
    for found in std::fs::read_dir(folder).expect("a folder") {
        let found = found.expect("an entry");
        let path = found.path();
        if found.file_type().expect("a type").is_dir() {
            count += walked(&path);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            std::hint::black_box(std::fs::read(&path).expect("a sidecar"));
            count += 1;
        }
    }
    count
}

/// Reads the compared fields of all documents by one cursor; how many there are.
async fn projected(client: &Client) -> usize {
    let mut fields: Document =
        FIELDS.iter().map(|field| ((*field).to_owned(), Bson::Int32(1))).collect();
    fields.insert("_id", 0);
    let node4 = client.database("focus").collection::<RawDocumentBuf>("node4");
    let cursor = node4.find(doc! {}).projection(fields).await.expect("a cursor");
    cursor.try_fold(0, async |count, _| Ok(count + 1)).await.expect("documents")
}
