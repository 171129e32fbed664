//! The project's own commands: `cargo xtask test`, `bench`, `lint` and others.

mod bench;
mod browser;
mod cargo;
mod database;
mod deb;
mod deploy;
mod fuzz;
mod kubernetes;
mod layout;
mod lint;
mod python;
mod reliability;
mod sim;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test [--all] [--embedded-only]   run the tests; --all adds the long ones
cargo xtask browser [SCENE] [--minutes N]    the page in a real browser: outage, live, links, looks, empty,
                                             other-site, weight, lasting
cargo xtask bench NAME [N ...] [--json PATH] [--seconds S]
                                             figures, as ratios: fill, land, drain, restart, idle, memory,
                                             allocations, queries, ingest, requests, scan, text, verify
cargo xtask bench --check [NAME ...] [--store]
                                             ratios of small runs beside the stored ones
cargo xtask bench svg [--svg FILE]           a picture of the results
cargo xtask lint                             format, clippy, layout, dependencies
cargo xtask kubernetes                       install the control plane for tests, once
cargo xtask deploy [--container]             check chart, manifests, unit and package; or the static program
cargo xtask deb [--output FOLDER]            build the Debian package
cargo xtask layout                           the rules of the folder layout
cargo xtask fuzz [TARGET] [--seconds N]       any bytes into every parser; 60 s a target
cargo xtask sim [--schedules N] [--seed S] [--broken] [--json] | replay SEED | swarm
                                             the core on simulated schedules of faults";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test", flags @ ..] => test::run(flags),
        ["bench", args @ ..] => bench::run(args),
        ["browser", args @ ..] => browser::run(args),
        ["lint"] => lint::run(),
        ["layout"] => layout::check(),
        ["kubernetes"] => kubernetes::ensure().map(|what| println!("{what}")),
        ["deploy"] => deploy::run(),
        ["deploy", "--container"] => deploy::container(),
        ["deb", args @ ..] => deb::run(args),
        ["fuzz", args @ ..] => fuzz::run(args),
        ["sim", args @ ..] => sim::run(args),
        _ => Err(anyhow::anyhow!("{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
