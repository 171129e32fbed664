//! `cargo xtask bench`: figures as ratios against the limit, taken in the same run.

use std::process::Command;

use anyhow::bail;

use crate::{cargo, database};

/// Builds the server as it is shipped, and runs one bench on it.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    println!("the database is {}", database::ensure()?);
    let built = cargo::command()
        .args(["build", "--profile", "dist", "-p", "focus-server", "-p", "focus-testkit", "--bins"])
        .status()?;
    if !built.success() {
        bail!("the build failed");
    }
    let done = Command::new("target/dist/bench").arg("target/dist/focus").args(args).status()?;
    if !done.success() {
        bail!("the bench failed");
    }
    Ok(())
}
