//! `cargo xtask lint`: format, clippy, the layout check, and the dependencies.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use crate::{cargo, database, layout};

const DENY: &str = "0.20.2";

/// Runs all checks, and ends with the first one that fails.
pub(crate) fn run() -> anyhow::Result<()> {
    cargo::run(&["fmt", "--all", "--check"])?;
    cargo::run(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    layout::check()?;
    let deny = ensure_deny()?;
    let check = |what: &[&str]| -> anyhow::Result<bool> {
        Ok(Command::new(&deny)
            .args(["--log-level", "error", "check"])
            .args(what)
            .status()?
            .success())
    };
    if !check(&["bans", "licenses", "sources"])? {
        bail!("a dependency breaks a rule of deny.toml");
    }
    // Fetched first, so that a network that is not there is told from an advisory that is.
    if !Command::new(&deny).args(["--log-level", "off", "fetch", "db"]).status()?.success() {
        println!("not checked: advisories, because their database cannot be fetched here");
        return Ok(());
    }
    if !check(&["advisories"])? {
        bail!("a dependency has an advisory against it");
    }
    Ok(())
}

fn ensure_deny() -> anyhow::Result<PathBuf> {
    let installed = database::tools().join("bin/cargo-deny");
    if let Some(deny) = database::on_path("cargo-deny") {
        return Ok(deny);
    }
    if !installed.is_file() {
        println!("installing cargo-deny {DENY} once for this machine");
        let status = Command::new("cargo")
            .args(["install", "--locked", "cargo-deny", "--version", DENY, "--root"])
            .arg(database::tools())
            .status()?;
        if !status.success() {
            bail!("cargo-deny could not be installed");
        }
    }
    Ok(installed)
}
