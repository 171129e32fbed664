//! `bench FOCUS NAME [N …]`: run by `cargo xtask bench`, which says what there is.

mod allocations;
mod bare;
mod check;
mod fill;
mod hints;
mod idle;
mod ingest;
mod memory;
mod options;
mod outage;
mod process;
mod queries;
mod report;
mod requests;
mod restart;
mod scan;
mod series;
mod site;
mod svg;
mod text;
mod verify;

use std::process::ExitCode;

use options::{Options, Setup};
use report::Report;

/// Every bench, with the number of recordings where none is given.
const BENCHES: [(&str, u64); 14] = [
    ("fill", 100_000),
    ("land", 100_000),
    ("drain", 100_000),
    ("restart", 100_000),
    ("idle", 100_000),
    ("hints", 500),
    ("ingest", 400),
    ("memory", 100_000),
    ("allocations", 20_000),
    ("queries", 100_000),
    ("requests", 1_000_000),
    ("scan", 1_000_000),
    ("text", 1_000_000),
    ("verify", 100_000),
];

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((word, rest)) if word == "bare" => {
            bare::main(rest).await;
            Ok(())
        }
        Some((binary, rest)) => asked(binary, rest).await,
        None => Err(usage()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("error: {words}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
    format!("which bench? There are {}, and svg", names.join(", "))
}

/// Does what the command line asks for.
async fn asked(binary: &str, words: &[String]) -> Result<(), String> {
    let options = Options::read(words)?;
    let setup = Setup::of(binary, &options);
    if options.check || options.store {
        return check::run(&setup, &options).await;
    }
    let draws = options.svg.is_some() || options.names.iter().any(|name| name == "svg");
    let names: Vec<&String> = options.names.iter().filter(|name| *name != "svg").collect();
    if names.is_empty() && !draws {
        return Err(usage());
    }
    for name in names {
        let usual = BENCHES.iter().find(|(bench, _)| bench == name).ok_or_else(usage)?.1;
        let sizes = if options.sizes.is_empty() { vec![usual] } else { options.sizes.clone() };
        for n in sizes {
            let report = take(&setup, name, n).await;
            let file = options.json.clone().unwrap_or_else(|| report.file());
            report.write(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            println!("  written to {}", file.display());
        }
    }
    if draws { svg::run(options.svg.as_deref()) } else { Ok(()) }
}

/// Runs one bench.
///
/// # Panics
/// It fails, or there is no such bench.
async fn take(setup: &Setup, bench: &str, n: u64) -> Report {
    match bench {
        "allocations" => allocations::run(setup, n).await,
        "drain" => outage::drain(setup, n).await,
        "fill" => fill::run(setup, n).await,
        "hints" => hints::run(setup, n).await,
        "idle" => idle::run(setup, n).await,
        "ingest" => ingest::run(setup, n).await,
        "land" => outage::land(setup, n).await,
        "memory" => memory::run(setup, n).await,
        "queries" => queries::run(setup, n).await,
        "requests" => requests::run(setup, n).await,
        "restart" => restart::run(setup, n).await,
        "scan" => scan::run(setup, n).await,
        "text" => text::run(setup, n).await,
        "verify" => verify::run(setup, n).await,
        other => panic!("{other} is no bench: {}", usage()),
    }
}
