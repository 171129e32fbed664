//! `cargo xtask fuzz`: builds the fuzz targets apart from everything else, and runs them within
//! bounds.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::database;

const CARGO_FUZZ: &str = "0.13.2";

/// The targets, and the longest input of each, in bytes. Longer inputs reach nothing that shorter
/// ones do not.
const TARGETS: [(&str, u32); 12] = [
    ("amqp", 512),
    ("configuration", 512),
    ("documents", 2_048),
    ("forms", 512),
    ("hints", 512),
    ("index_file", 97),
    ("mqtt", 512),
    ("names", 600),
    ("other_fields", 1_024),
    ("requests", 512),
    ("sidecars", 2_048),
    ("times", 64),
];

/// The longest time of one input. An input that takes longer counts as one that hangs.
const TIMEOUT_S: u32 = 10;

/// The most memory of one target. A target that takes more counts as one that grows.
const MEMORY_MB: u32 = 1_024;

/// Runs one target or all, each for the given time, and prints their executions and coverage.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let mut seconds = 60;
    let mut chosen = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if *arg == "--seconds" {
            let value = args.next().context("--seconds needs a number")?;
            seconds = value.parse().context("--seconds needs a number")?;
        } else {
            let known = TARGETS.iter().find(|(name, _)| name == arg);
            let names = TARGETS.map(|(name, _)| name).join(", ");
            chosen.push(known.with_context(|| format!("{arg} is none of {names}"))?);
        }
    }
    if chosen.is_empty() {
        chosen.extend(&TARGETS);
    }
    let cargo_fuzz = ensure()?;
    // What is fuzzed is what is shipped, down to the dependencies' versions.
    fs::copy("Cargo.lock", "fuzz/Cargo.lock").context("Cargo.lock")?;
    let sanitizer = ["address", "none"]
        .into_iter()
        .find(|sanitizer| build(&cargo_fuzz, sanitizer))
        .context("the fuzz targets cannot be built")?;
    println!("sanitizer: {sanitizer}");
    let mut bad = Vec::new();
    for (name, length) in chosen {
        match fuzz(&cargo_fuzz, sanitizer, name, *length, seconds)? {
            Some(reached) => println!("{name}: {reached}"),
            None => bad.push(*name),
        }
    }
    if !bad.is_empty() {
        bail!("found something in {}: the input is below fuzz/artifacts", bad.join(", "));
    }
    Ok(())
}

/// The driver with this verb. Its environment lets a stable compiler take the flags that it passes.
fn command(cargo_fuzz: &Path, verb: &str, sanitizer: &str) -> Command {
    let mut command = Command::new("nice");
    command.arg(cargo_fuzz).args(["fuzz", verb, "--sanitizer", sanitizer, "--fuzz-dir", "fuzz"]);
    command.args(["--target-dir", "fuzz/target"]).env("RUSTC_BOOTSTRAP", "1");
    command
}

fn build(cargo_fuzz: &Path, sanitizer: &str) -> bool {
    command(cargo_fuzz, "build", sanitizer).status().is_ok_and(|status| status.success())
}

/// Runs a target. Returns what it reached; none if it found something.
fn fuzz(
    cargo_fuzz: &Path,
    sanitizer: &str,
    name: &str,
    length: u32,
    seconds: u64,
) -> anyhow::Result<Option<String>> {
    // New inputs go into the first folder, which is not in the repository.
    let (found, corpus) = (format!("fuzz/found/{name}"), format!("fuzz/corpus/{name}"));
    fs::create_dir_all(&found)?;
    let mut child = command(cargo_fuzz, "run", sanitizer)
        .args([name, &found, &corpus, "--"])
        .args([format!("-max_total_time={seconds}"), format!("-max_len={length}")])
        .args([format!("-timeout={TIMEOUT_S}"), format!("-rss_limit_mb={MEMORY_MB}")])
        .args(["-print_final_stats=1", "-verbosity=1"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut last = String::new();
    let mut stats = Vec::new();
    let mut trouble = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if line.starts_with('#') && line.contains(" cov: ") {
                last = line;
            } else if let Some(stat) = line.strip_prefix("stat::") {
                stats.push(stat.to_owned());
            } else if trouble.len() < 200 {
                trouble.push(line);
            }
        }
    }
    if !child.wait()?.success() {
        println!("{}", trouble.join("\n"));
        return Ok(None);
    }
    let words: Vec<&str> = last.split_whitespace().collect();
    let after = |key: &str| {
        words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1)).unwrap_or(&"?")
    };
    let stat = |key: &str| {
        let line = stats.iter().find_map(|stat| stat.strip_prefix(key));
        line.map_or("?", |rest| rest.trim_start_matches(':').trim()).to_owned()
    };
    Ok(Some(format!(
        "{} executions, {} a second, cov {}, ft {}, corpus {}, {} MB at most",
        stat("number_of_executed_units"),
        stat("average_exec_per_sec"),
        after("cov:"),
        after("ft:"),
        after("corp:"),
        stat("peak_rss_mb"),
    )))
}

/// The driver: found, or installed once per machine.
fn ensure() -> anyhow::Result<PathBuf> {
    if let Some(found) = database::on_path("cargo-fuzz") {
        return Ok(found);
    }
    let installed = database::tools().join("bin/cargo-fuzz");
    if !installed.is_file() {
        println!("installing cargo-fuzz {CARGO_FUZZ} once for this machine");
        let status = Command::new("cargo")
            .args(["install", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ, "--root"])
            .arg(database::tools())
            .status()?;
        if !status.success() {
            bail!("cargo-fuzz could not be installed");
        }
    }
    Ok(installed)
}
