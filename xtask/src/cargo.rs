//! Calls of cargo from a program that cargo started.

use std::process::Command;

use anyhow::bail;

/// Cargo, with the environment of a shell. Some build scripts look at variables that `cargo run`
/// set for this program. With these, each change between `cargo xtask test` and `cargo test` would
/// run the scripts again, and build everything that depends on them.
pub(crate) fn command() -> Command {
    let mut command = Command::new("cargo");
    remove_own_variables(&mut command);
    command
}

/// Takes out of a command's environment what `cargo run` set for this program.
pub(crate) fn remove_own_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
}

/// Runs cargo with these arguments.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    if !command().args(args).status()?.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    Ok(())
}
