//! `fill`: the first fill, into the database and into the embedded catalog, beside a walk that reads all sidecars, bare
//! inserts of the same documents, and a bare SQLite table.

use std::process::Command;

use focus_testkit::mongo::MongoServer;

use crate::bare::{self, Bare};
use crate::options::Setup;
use crate::process::{self, Ended, Usage};
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
    let n = report.n;
    let server = MongoServer::start().await;
    let args = server.args();
    let written = || Usage::of(server.pid()).written_bytes;
    let before = written();
    let ended = filled(setup, storage, "database", &args).await;
    let between = written();
    let inserts = bare::documents("insert", &server.uri(), server.database()).await;
    let (ours, bare) = (between - before, written() - between);
    assert_eq!(inserts.count, n, "documents");
    let longer = walk.took.max(inserts.took).as_secs_f64();
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
    report.add(Measure::of("database: written each", ended.usage.bytes_each(n), "B"));
    // An existing deployment's process is not known, and counts as 0.
    report.add(
        Measure::of("database: written each by the database", ours as f64 / n as f64, "B")
            .beside("bare inserts", bare as f64 / n as f64),
    );
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
    report.add(
        Measure::of("embedded: written each", ended.usage.bytes_each(n), "B")
            .beside("bare SQLite", rows.usage.bytes_each(n)),
    );
}

/// Processor time and memory.
fn taken(into: &str, beside: &str, ended: &Ended, bare: &[Bare], report: &mut Report) {
    let n = report.n;
    let bare_us = bare.iter().map(Bare::cpu_us_each).sum();
    report.add(
        Measure::of(&format!("{into}: processor time each"), ended.usage.cpu_us_each(n), "µs")
            .beside(beside, bare_us),
    );
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
