//! `cargo xtask test`: it runs the tests of the workspace and counts their results.

mod binaries;
mod harness;

use std::collections::BTreeSet;

use anyhow::bail;
use binaries::{Binary, Ran};
use harness::Outcome;

use crate::{database, deploy, kubernetes, reliability, sim};

/// Runs the tests, says what they ran against and what was left out.
pub(crate) fn run(flags: &[&str]) -> anyhow::Result<()> {
    if let Some(unknown) = flags.iter().find(|flag| !["--all", "--embedded-only"].contains(flag)) {
        bail!("{unknown} is not known: --all, --embedded-only");
    }
    let all = flags.contains(&"--all");
    let embedded_only = flags.contains(&"--embedded-only");
    let against = if embedded_only { None } else { Some(database::ensure()?) };
    if let Some(server) = &against {
        println!("the database tests run against {server}");
    }
    let control_plane = if all && !embedded_only { Some(kubernetes::ensure()?) } else { None };
    if all && !embedded_only {
        // The drills of units and of containers run against real ones, and a real clock is set.
        let programs = [
            ("podman", "podman"),
            ("crun", "crun"),
            ("systemctl", "systemd"),
            ("faketime", "faketime"),
        ];
        for (program, package) in programs {
            kubernetes::package(program, package)?;
        }
    }
    if let Some(control_plane) = &control_plane {
        println!("the Kubernetes tests run against {control_plane}");
    }
    let mut left_out = Vec::new();
    if embedded_only {
        left_out.push("database tests: leave --embedded-only away");
    }
    if !all {
        left_out.push("long tests and the long simulation: `cargo xtask test --all`");
        left_out
            .push("Kubernetes tests: `cargo xtask test --all`, which builds a control plane once");
        left_out.push("checks of chart, manifests, unit and package: `cargo xtask deploy`");
    }
    let variables = [
        ("FOCUS_TEST_LONG", if all { "1" } else { "" }),
        ("FOCUS_TEST_EMBEDDED_ONLY", if embedded_only { "1" } else { "" }),
    ];
    let results = Results::of(&binaries::build()?, &variables)?;
    for words in &left_out {
        println!("left out: {words}");
    }
    for words in &results.left_out {
        println!("{words}");
    }
    if let Some(server) = &against {
        println!("the database tests ran against {server}");
    }
    if let Some(control_plane) = &control_plane {
        println!("the Kubernetes tests ran against {control_plane}");
    }
    for words in &results.failed {
        println!("failed: {words}");
    }
    println!("{} passed, {} failed", results.passed, results.failed.len());
    if !results.failed.is_empty() || results.passed == 0 {
        bail!("tests failed");
    }
    if all && !embedded_only {
        reliability::check(&results.names)?;
    }
    if all {
        if control_plane.is_some() {
            deploy::check()?;
        }
        sim::run(&["--schedules", "50000"])?;
        sim::run(&["--broken"])?;
    }
    // What the kernel or the database of this machine cannot do is told; what could be put in
    // fails.
    let anything =
        !left_out.is_empty() || results.left_out.iter().any(|line| could_be_put_in(line));
    if std::env::var_os("CI").is_some() && anything {
        bail!("with CI set nothing may be left out");
    }
    Ok(())
}

/// A test was left out for want of something that a command puts in place.
fn could_be_put_in(line: &str) -> bool {
    ["needs a database", "needs libfaketime", "control plane", "ends its own server"]
        .iter()
        .any(|why| line.contains(why))
}

/// The results of all binaries.
#[derive(Debug, Default)]
struct Results {
    /// How many tests passed.
    passed: usize,
    /// The names of those that passed, without their modules.
    names: BTreeSet<String>,
    /// Those that failed, and binaries that ended without a result, each as one.
    failed: Vec<String>,
    /// Lines in which tests said that they were left out.
    left_out: Vec<String>,
}

impl Results {
    /// Runs all binaries, and the examples in documentation.
    fn of(binaries: &[Binary], variables: &[(&str, &str)]) -> anyhow::Result<Results> {
        let mut results = Results::default();
        for binary in binaries {
            println!("\n{}", binary.told());
            let ran = binary.run(variables)?;
            results.add(&binary.told(), ran);
        }
        let (passed, failed) = binaries::run_examples()?;
        results.passed += passed;
        results.failed.extend((0..failed).map(|_| "an example in documentation".to_owned()));
        Ok(results)
    }

    fn add(&mut self, binary: &str, ran: Ran) {
        self.left_out.extend(ran.left_out);
        match ran.outcome {
            Outcome::Told { passed, failed } => {
                self.passed += passed.len();
                let name = |path: &String| path.rsplit("::").next().unwrap_or(path).to_owned();
                self.names.extend(passed.iter().map(name));
                self.failed.extend(failed.iter().map(|test| format!("{binary}: {test}")));
            }
            Outcome::Untold(why) => {
                self.failed.push(format!("{binary}: {why}, so none of its tests counts as passed"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::harness::Outcome;
    use super::{Ran, Results};

    #[test]
    fn a_binary_without_a_result_counts_as_one_failure_and_as_nothing_passed() {
        let mut results = Results::default();
        let passed = ["m::it_holds".to_owned()].into();
        let failed = ["m::it_does_not".to_owned()].into();
        results
            .add("core: it", Ran { outcome: Outcome::Told { passed, failed }, left_out: vec![] });
        let untold = Outcome::Untold("it ended with 7".to_owned());
        results.add("index: it", Ran { outcome: untold, left_out: vec!["left out, x".to_owned()] });
        assert_eq!((results.passed, results.failed.len(), results.left_out.len()), (1, 2, 1));
        assert_eq!(results.names, ["it_holds".to_owned()].into());
        assert_eq!(results.failed[0], "core: it: m::it_does_not");
    }
}
