//! `fill`: the first fill, into the database and into the embedded catalog, beside a walk that reads all sidecars, bare
//! inserts of the same documents, and a bare SQLite table.

use std::process::Command;

use focus_testkit::mongo::MongoServer;

use crate::bare::{self, Bare};
use crate::options::Setup;
use crate::process::{self, Ended};
use crate::report::{Measure, Report};
use crate::site::Storage;

/// What a fill into the database may take, as a multiple of the longer of a walk and bare inserts.
const GOAL: f64 = 1.25;

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let storage = Storage::with(setup, n);
    storage.settled().await;
    let mut report = setup.report("fill", n, storage.folder());
    let walk = bare::walk(storage.root()).await;
    assert_eq!(walk.count, n, "sidecars");
    report.add(Measure::seconds("a walk that reads all sidecars", walk.took));
    database(setup, &storage, &walk, &mut report).await;
    embedded(setup, &storage, &walk, &mut report).await;
    report
}

async fn database(setup: &Setup, storage: &Storage, walk: &Bare, report: &mut Report) {
    let server = MongoServer::start().await;
    let args = server.args();
    let ended = filled(setup, storage, "database", &args).await;
    let inserts = bare::documents("insert", &server.uri(), server.database()).await;
    assert_eq!(inserts.count, report.n, "documents");
    let longer = walk.took.max(inserts.took).as_secs_f64();
    let n = report.n;
    report.add(
        Measure::seconds("database: time", ended.took)
            .beside("the longer of walk and bare inserts", longer)
            .goal(GOAL),
    );
    let rate = n as f64 / ended.took.as_secs_f64();
    report.add(
        Measure::of("database: recordings a second", rate, "1/s")
            .beside_higher("bare inserts", inserts.rate()),
    );
    taken("database", "walk and bare inserts", &ended, &[*walk, inserts], report);
}

async fn embedded(setup: &Setup, storage: &Storage, walk: &Bare, report: &mut Report) {
    let n = report.n;
    let ended = filled(setup, storage, "embedded", &[]).await;
    let rows = bare::sqlite(&storage.folder().join("bare.db"), n).await;
    let longer = walk.took.max(rows.took).as_secs_f64();
    report.add(
        Measure::seconds("embedded: time", ended.took)
            .beside("the longer of walk and bare SQLite", longer),
    );
    let rate = n as f64 / ended.took.as_secs_f64();
    report.add(
        Measure::of("embedded: recordings a second", rate, "1/s")
            .beside_higher("bare SQLite", rows.rate()),
    );
    taken("embedded", "walk and bare SQLite", &ended, &[*walk, rows], report);
}

/// Processor time, bytes and memory.
fn taken(into: &str, beside: &str, ended: &Ended, bare: &[Bare], report: &mut Report) {
    let n = report.n;
    let bare_cpu: f64 = bare.iter().map(|bare| bare.usage.cpu_us_each(n)).sum();
    let bare_bytes: f64 = bare.iter().map(|bare| bare.usage.bytes_each(n)).sum();
    report.add(
        Measure::of(&format!("{into}: processor time each"), ended.usage.cpu_us_each(n), "µs")
            .beside(beside, bare_cpu),
    );
    let bytes = Measure::of(&format!("{into}: written each"), ended.usage.bytes_each(n), "B");
    // Bare inserts write nothing themselves: the database does.
    report.add(if bare_bytes > 0.0 { bytes.beside(beside, bare_bytes) } else { bytes });
    report.add(Measure::of(&format!("{into}: peak memory"), ended.usage.peak_mib(), "MiB"));
}

/// A fill with a state folder of this name, by `focus scan`.
async fn filled(setup: &Setup, storage: &Storage, state: &str, args: &[String]) -> Ended {
    let state = storage.folder().join(state);
    let mut command = Command::new(&setup.binary);
    command.args(["scan", "--json", "--root"]).arg(storage.root()).arg("--state-dir").arg(state);
    let ended = process::run(command.args(args)).await;
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stdout);
    ended
}
