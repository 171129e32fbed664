//! `cargo xtask test`: it runs the tests of the workspace and counts their results.

mod binaries;
mod harness;

use std::collections::BTreeSet;

use anyhow::bail;
use binaries::{Binary, Ran};
use harness::Outcome;

use crate::{browser, database, deploy, kubernetes, python, reliability, sim};

/// Runs the tests, says what they ran against and what was left out.
pub(crate) fn run(flags: &[&str]) -> anyhow::Result<()> {
    if let Some(unknown) = flags.iter().find(|flag| !["--all", "--embedded-only"].contains(flag)) {
        bail!("{unknown} is not known: --all, --embedded-only");
    }
    let all = flags.contains(&"--all");
    let embedded_only = flags.contains(&"--embedded-only");
    let peers = Peers::ensure(all, embedded_only)?;
    peers.tell("run");
    let variables = [
        ("FOCUS_TEST_LONG", if all { "1" } else { "" }),
        ("FOCUS_TEST_EMBEDDED_ONLY", if embedded_only { "1" } else { "" }),
    ];
    let results = Results::of(&binaries::build()?, &variables)?;
    let left_out = left_out(all, embedded_only);
    for words in &left_out {
        println!("left out: {words}");
    }
    for words in &results.left_out {
        println!("{words}");
    }
    peers.tell("ran");
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
        if peers.control_plane.is_some() {
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

/// What the tests run against, besides the product.
struct Peers {
    /// The database server, and where it is from; none where only the embedded catalog is tested.
    database: Option<String>,
    /// The control plane of Kubernetes; none where its tests are left out.
    control_plane: Option<String>,
}

impl Peers {
    /// Finds them, and installs what is missing.
    fn ensure(all: bool, embedded_only: bool) -> anyhow::Result<Peers> {
        let database = if embedded_only { None } else { Some(database::ensure()?) };
        let mut peers = Peers { database, control_plane: None };
        if all && !embedded_only {
            peers.control_plane = Some(kubernetes::ensure()?);
            // The drills of units and of containers run against real ones, and a real clock is set.
            for (program, package) in [
                ("podman", "podman"),
                ("crun", "crun"),
                ("systemctl", "systemd"),
                ("faketime", "faketime"),
                ("promtool", "prometheus"),
                ("prometheus-alertmanager", "prometheus-alertmanager"),
                ("smtp-sink", "postfix"),
                ("nats-server", "nats-server"),
                ("mosquitto", "mosquitto"),
                ("rabbitmqctl", "rabbitmq-server"),
                ("amqp-publish", "amqp-tools"),
                ("mosquitto_pub", "mosquitto-clients"),
            ] {
                kubernetes::package(program, package)?;
            }
            python::ensure()?;
            browser::ensure()?;
        }
        Ok(peers)
    }

    /// Prints them, with `run` or `ran` as the verb.
    fn tell(&self, verb: &str) {
        if let Some(server) = &self.database {
            println!("the database tests {verb} against {server}");
        }
        if let Some(control_plane) = &self.control_plane {
            println!("the Kubernetes tests {verb} against {control_plane}");
        }
    }
}

/// What these flags leave out, with the command that would put it in.
fn left_out(all: bool, embedded_only: bool) -> Vec<&'static str> {
    let mut left_out = Vec::new();
    if embedded_only {
        left_out.push("database tests: leave --embedded-only away");
    }
    if !all {
        left_out.extend([
            "long tests and the long simulation: `cargo xtask test --all`",
            "Kubernetes tests: `cargo xtask test --all`, which builds a control plane once",
            "checks of chart, manifests, unit and package: `cargo xtask deploy`",
        ]);
    }
    left_out
}

/// A test was left out for want of something that a command puts in place.
fn could_be_put_in(line: &str) -> bool {
    [
        "needs a database",
        "needs libfaketime",
        "needs openssl",
        "apt-get install",
        "cargo xtask test --all",
        "control plane",
        "ends its own server",
    ]
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
