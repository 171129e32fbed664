//! `cargo xtask test`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::bail;

use crate::{cargo, database, deploy, kubernetes, reliability, sim};

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
    let mut command = cargo::command();
    command.args(["test", "--workspace", "--no-fail-fast", "--"]);
    command.args(["--nocapture", "--test-threads=3"]);
    command.env("FOCUS_TEST_LONG", if all { "1" } else { "" });
    command.env("FOCUS_TEST_EMBEDDED_ONLY", if embedded_only { "1" } else { "" });
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let (mut passed, mut failed) = (0, 0);
    let mut names = BTreeSet::new();
    let mut left_out_by_tests = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if let Some(counts) = line.strip_prefix("test result: ") {
                passed += count(counts, "passed");
                failed += count(counts, "failed");
            }
            names.extend(reliability::passed(&line));
            if line.contains("left out, ") {
                left_out_by_tests.push(line.clone());
            }
            println!("{line}");
        }
    }
    let status = child.wait()?;
    for words in &left_out {
        println!("left out: {words}");
    }
    for words in &left_out_by_tests {
        println!("{words}");
    }
    if let Some(server) = &against {
        println!("the database tests ran against {server}");
    }
    if let Some(control_plane) = &control_plane {
        println!("the Kubernetes tests ran against {control_plane}");
    }
    println!("{passed} passed, {failed} failed");
    if !status.success() || failed > 0 || passed == 0 {
        bail!("tests failed");
    }
    if all && !embedded_only {
        reliability::check(&names)?;
    }
    if all {
        if control_plane.is_some() {
            deploy::check()?;
        }
        sim::run(&["--schedules", "50000"])?;
        sim::run(&["--broken"])?;
    }
    // What the kernel or the database of this machine cannot do is told; what could be put in fails.
    let anything =
        !left_out.is_empty() || left_out_by_tests.iter().any(|line| could_be_put_in(line));
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

/// The number before a word, as in `ok. 3 passed; 0 failed`.
fn count(text: &str, word: &str) -> u64 {
    let mut last = "";
    for part in text.split([' ', ';']) {
        if part == word {
            return last.parse().unwrap_or(0);
        }
        last = part;
    }
    0
}
