//! Runs the core on simulated schedules; `cargo xtask sim` builds it and passes its arguments on.

mod alerts;
mod catalog;
mod copied;
mod index;
mod invariants;
mod log;
mod marker;
mod schedule;
mod server;
mod storage;
mod summary;
mod words;
mod world;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask sim [--schedules N] [--seed S] [--json]   run schedules; fails on a violation
cargo xtask sim --broken [--variant NAME] [--json]    every broken variant must be caught
cargo xtask sim replay SEED                           one schedule, its events told, least faults
cargo xtask sim swarm                                 run on all cores until stopped";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match summary::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::schedule;

    #[test]
    fn some_schedules_keep_every_invariant_and_converge() {
        for seed in 1..=600 {
            let ran = schedule::run(seed, &BTreeSet::new(), false);
            assert_eq!(ran.violation, None, "seed {seed}: cargo xtask sim replay {seed}");
        }
    }

    #[test]
    fn a_seed_is_a_schedule() {
        let run = || schedule::run(7, &BTreeSet::new(), true);
        assert_eq!(run().log, run().log);
    }
}
