//! The rules of the folder layout that the compiler does not enforce.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

/// Lines in a source file at most.
const LINES_MAX: usize = 800;

/// What the core must not touch.
const CORE_FORBIDDEN: [&str; 7] =
    ["std::fs", "std::net", "std::time::Instant", "SystemTime", "tokio", "fastrand", "rusqlite"];

/// Crates that must not know one another.
const SIDEWAYS: [&str; 3] = ["storage", "index", "catalog"];

/// Checks all rules and tells every breach.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut breaches = Vec::new();
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "fuzz/fuzz_targets"] {
        files.extend(sources(Path::new(folder))?);
    }
    for file in files {
        let text = fs::read_to_string(&file)?;
        let name = file.display();
        if text.lines().count() > LINES_MAX {
            breaches.push(format!("{name} has more than {LINES_MAX} lines: split it"));
        }
        if !text.starts_with("//!") && !name.to_string().ends_with("_tests.rs") {
            breaches.push(format!("{name} does not begin by saying what it is for"));
        }
        if file.starts_with("crates/core/src") {
            for word in CORE_FORBIDDEN.iter().filter(|word| text.contains(**word)) {
                breaches.push(format!("{name} uses {word}: the core decides, the shell does"));
            }
        }
    }
    for name in SIDEWAYS {
        let manifest = fs::read_to_string(format!("crates/{name}/Cargo.toml"))?;
        for other in SIDEWAYS.iter().filter(|other| **other != name) {
            if manifest.contains(&format!("focus-{other}")) {
                breaches.push(format!(
                    "crates/{name} depends on crates/{other}: they meet in the server alone"
                ));
            }
        }
    }
    breaches.extend(unsafe_allowed()?);
    if fs::read_to_string("crates/testkit/Cargo.toml")?.contains("focus-server") {
        breaches.push("crates/testkit depends on the server, which it is to check".to_owned());
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("the layout is broken:\n{}", breaches.join("\n"))
}

/// The one crate that may hold `unsafe`, in one file.
const UNSAFE: &str = "crates/heap";

/// Manifests that do not take the workspace's lints, which forbid `unsafe`; the fuzz targets stand
/// apart and forbid it themselves, and one small crate is there for what has to be unsafe.
fn unsafe_allowed() -> anyhow::Result<Vec<String>> {
    let mut manifests = vec![PathBuf::from("xtask/Cargo.toml")];
    for entry in fs::read_dir("crates")? {
        manifests.push(entry?.path().join("Cargo.toml"));
    }
    let mut breaches = Vec::new();
    for path in manifests.into_iter().filter(|path| path.is_file()) {
        if path.starts_with(UNSAFE) {
            continue;
        }
        if !fs::read_to_string(&path)?.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{} does not take the workspace's lints", path.display()));
        }
    }
    if sources(Path::new(UNSAFE))?.len() != 1 {
        breaches.push(format!("{UNSAFE} is to stay one file: it may hold unsafe code"));
    }
    for path in ["Cargo.toml", "fuzz/Cargo.toml"] {
        if !fs::read_to_string(path)?.contains("unsafe_code = \"forbid\"") {
            breaches.push(format!("{path} does not forbid unsafe code"));
        }
    }
    Ok(breaches)
}

fn sources(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
