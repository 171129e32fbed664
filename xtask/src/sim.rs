//! `cargo xtask sim`: builds the simulation with its broken variants, apart from everything else.

use std::process::Command;

use anyhow::Context;

/// Builds and runs it.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--package", "focus-sim", "--target-dir"])
        .arg("target/sim")
        .arg("--")
        .args(args)
        // The flag is the simulation's alone: no other build has the broken variants in it.
        .env("RUSTFLAGS", "--cfg focus_sim -C debug-assertions=on")
        .status()
        .context("cargo cannot be run")?;
    anyhow::ensure!(status.success(), "the simulation failed");
    Ok(())
}
