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
    for file in sources(Path::new("crates"))?.into_iter().chain(sources(Path::new("xtask"))?) {
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
    if fs::read_to_string("crates/testkit/Cargo.toml")?.contains("focus-server") {
        breaches.push("crates/testkit depends on the server, which it is to check".to_owned());
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("the layout is broken:\n{}", breaches.join("\n"))
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
