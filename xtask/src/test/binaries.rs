//! The test binaries of the workspace: built by cargo, listed and run one after the other.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use super::harness::{self, Listed, Outcome};
use crate::cargo;

/// Tests of one binary that run at a time.
const THREADS: &str = "3";

/// One binary with tests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Binary {
    /// The folder of its crate, in which its tests expect to run.
    folder: PathBuf,
    /// The name of the target: a library, a program, or a file in `tests`.
    name: String,
    program: PathBuf,
}

/// What a binary came to.
pub(super) struct Ran {
    pub(super) outcome: Outcome,
    /// Lines in which a test said that it was left out.
    pub(super) left_out: Vec<String>,
}

/// Builds all tests; cargo says where the binaries are.
pub(super) fn build() -> anyhow::Result<Vec<Binary>> {
    let output = cargo::command()
        .args(["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("the tests do not build");
    }
    let mut binaries = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        binaries.extend(binary(line)?);
    }
    binaries.sort();
    Ok(binaries)
}

/// The test binary that one of cargo's messages names; none for other messages.
fn binary(message: &str) -> anyhow::Result<Option<Binary>> {
    let message: Value = serde_json::from_str(message).context("what cargo printed is not JSON")?;
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    let for_tests = message.pointer("/profile/test") == Some(&Value::Bool(true));
    let (true, Some(program)) = (for_tests, text("/executable")) else { return Ok(None) };
    let manifest = text("/manifest_path").context("cargo names no manifest")?;
    let folder = Path::new(manifest).parent().context("cargo names no manifest")?;
    Ok(Some(Binary {
        folder: folder.to_owned(),
        name: text("/target/name").unwrap_or_default().to_owned(),
        program: PathBuf::from(program),
    }))
}

impl Binary {
    /// The crate's folder and the target, for people.
    pub(super) fn told(&self) -> String {
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("{folder}: {}", self.name)
    }

    /// Lists its tests, runs them, and passes on what they print.
    pub(super) fn run(&self, variables: &[(&str, &str)]) -> anyhow::Result<Ran> {
        let listed = Listed { tests: self.list(&[])?, ignored: self.list(&["--ignored"])? };
        let mut child = self
            .command()
            .args(["--nocapture", "--test-threads", THREADS])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        let stdout = child.stdout.take().context("the tests have no output")?;
        let lines = pass_on(stdout)?;
        let outcome = harness::outcome(&listed, child.wait()?.code(), &lines);
        let left_out = lines.into_iter().filter(|line| line.contains("left out, ")).collect();
        Ok(Ran { outcome, left_out })
    }

    fn list(&self, more: &[&str]) -> anyhow::Result<BTreeSet<String>> {
        let told = || format!("the tests of {}", self.program.display());
        let output = self.command().args(["--list", "--format", "terse"]).args(more).output();
        let output = output.with_context(told)?;
        if !output.status.success() {
            bail!("{} cannot be listed", told());
        }
        harness::listed(&String::from_utf8_lossy(&output.stdout)).with_context(told)
    }

    /// The binary as cargo would start it.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        cargo::remove_own_variables(&mut command);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }
}

/// Prints a stream line by line while it comes, and returns its lines. A test may print any bytes.
fn pass_on(stream: impl Read) -> anyhow::Result<Vec<String>> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        println!("{text}");
        lines.push(text);
        line.clear();
    }
    Ok(lines)
}

/// Runs the examples in documentation, which cargo builds one by one; how many passed and failed.
/// Where one fails all count as failed, since only cargo's output tells them apart.
pub(super) fn run_examples() -> anyhow::Result<(usize, usize)> {
    let cargo_test = || {
        let mut command = cargo::command();
        command.args(["test", "--workspace", "--doc", "--quiet"]);
        command
    };
    let output = cargo_test().args(["--", "--list", "--format", "terse"]).output()?;
    if !output.status.success() {
        bail!(
            "the examples in documentation cannot be listed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // Beside the list rustdoc says how long it took.
    let text = String::from_utf8_lossy(&output.stdout);
    let count = text.lines().filter(|line| line.ends_with(": test")).count();
    if count == 0 {
        return Ok((0, 0));
    }
    let passed = cargo_test().status()?.success();
    Ok(if passed { (count, 0) } else { (0, count) })
}

#[cfg(test)]
mod tests {
    use super::{binary, pass_on};

    #[test]
    fn a_test_binary_is_told_from_a_program_and_from_other_messages() {
        let message = |test: bool, program: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/w/crates/core/Cargo.toml\",\"target\":{{\"name\":\"it\"}},\"profile\":{{\"test\":{test}}},\"executable\":{program}}}"
            )
        };
        let found = binary(&message(true, "\"/w/target/it-1\"")).unwrap().unwrap();
        assert_eq!(found.told(), "core: it");
        assert_eq!(binary(&message(false, "\"/w/target/focus\"")).unwrap(), None);
        assert_eq!(binary(&message(true, "null")).unwrap(), None);
        assert_eq!(binary("{\"reason\":\"build-finished\",\"success\":true}").unwrap(), None);
        assert!(binary("words").is_err());
    }

    #[test]
    fn bytes_that_are_no_text_end_no_run() {
        let lines = pass_on(&b"one\n\xff two\nthree"[..]).unwrap();
        assert_eq!(lines, ["one", "\u{fffd} two", "three"]);
    }
}
