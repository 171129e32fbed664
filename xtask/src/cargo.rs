//! Cargo, called from a program that cargo itself started.

use std::process::Command;

use anyhow::bail;

/// Cargo as from a shell. What `cargo run` set for this program would make build scripts run again
/// that look at it, and with them everything that is built upon them, at each change between
/// `cargo xtask test` and `cargo test`.
pub(crate) fn command() -> Command {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// Runs cargo with these arguments.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    if !command().args(args).status()?.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    Ok(())
}
