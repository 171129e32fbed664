//! `cargo xtask bench`: figures as ratios against the limit, taken in the same run.

use std::process::Command;

use anyhow::bail;

use crate::{cargo, database};

/// Builds the server as it is shipped, and has the bench program of the testkit do what is asked.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let database = database::ensure()?;
    println!("the database is {database}");
    let built = cargo::command()
        .args(["build", "--profile", "dist", "-p", "focus-server", "-p", "focus-testkit", "--bins"])
        .status()?;
    if !built.success() {
        bail!("the build failed");
    }
    // Where the program lies is of this machine, and not of the result.
    let name = database.split(" (/").next().unwrap_or(&database);
    let done = Command::new("target/dist/bench")
        .arg("target/dist/focus")
        .args(args)
        .args(["--database", name])
        .status()?;
    if !done.success() {
        bail!("the bench failed");
    }
    Ok(())
}
