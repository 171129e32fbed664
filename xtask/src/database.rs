//! The database server that the tests run against: found, or installed once per machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// MongoDB's protocol over WiredTiger: a program beside ours, never linked and never shipped.
const CRATE: (&str, &str) = ("secantus-mdb", "0.5.3-beta.193");

/// The user's folder for tools that this project installs.
pub(crate) fn tools() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap_or_default().join("focus-server/tools")
}

/// Finds a server, or installs one, and returns its name for people.
pub(crate) fn ensure() -> anyhow::Result<String> {
    if std::env::var_os("FOCUS_TEST_MONGODB_URI").is_some_and(|uri| !uri.is_empty()) {
        return Ok("the deployment in FOCUS_TEST_MONGODB_URI".to_owned());
    }
    if let Some(mongod) = on_path("mongod") {
        return Ok(version(&mongod));
    }
    let installed = tools().join("bin/secantusd-rs");
    if let Some(server) =
        on_path("secantusd-rs").or_else(|| installed.is_file().then(|| installed.clone()))
    {
        return Ok(format!("{} {} ({})", CRATE.0, CRATE.1, server.display()));
    }
    prerequisites()?;
    println!("installing {} {} once for this machine (about 5 minutes)", CRATE.0, CRATE.1);
    let status = Command::new("cargo")
        .args(["install", "--ignore-rust-version", "--root"])
        .arg(tools())
        .args([CRATE.0, "--version", CRATE.1])
        .status()?;
    if !status.success() {
        bail!(
            "the database server for tests could not be installed: put a mongod on the PATH, set FOCUS_TEST_MONGODB_URI, or leave its tests out with --embedded-only"
        );
    }
    Ok(format!("{} {} ({})", CRATE.0, CRATE.1, installed.display()))
}

fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let first =
        text.ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default();
    format!("{} ({first})", program.display())
}

/// Makes sure of what building the server needs: it installs that with `CI` set, and names it
/// otherwise.
fn prerequisites() -> anyhow::Result<()> {
    let missing = on_path("cmake").is_none() || !Path::new("/usr/include/zlib.h").exists();
    if !missing {
        return Ok(());
    }
    if std::env::var_os("CI").is_none() {
        bail!(
            "building the database server needs cmake and zlib's headers: `apt-get install cmake zlib1g-dev`, then run this again"
        );
    }
    for args in [&["update"][..], &["install", "-y", "cmake", "zlib1g-dev"]] {
        let status = Command::new("apt-get").args(args).status().context("apt-get")?;
        if !status.success() {
            bail!("apt-get {} failed: install cmake and zlib1g-dev by hand", args.join(" "));
        }
    }
    Ok(())
}

/// The program of that name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
