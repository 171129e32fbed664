//! `cargo xtask layout`: the rules of the repository that the compiler does not enforce.
//!
//! Each rule is a pure function over the files of the repository and returns the breaches that it
//! found. A test plants a breach in a few files of its own and sees the rule find it.

mod circles;
mod crates;
mod documents;
mod modules;
mod paths;
mod rust;
mod size;
mod terms;
mod unsafe_code;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// Folders below the repository that hold its files.
const FOLDERS: [&str; 7] =
    ["crates", "xtask", "docs", "deploy", "fuzz/fuzz_targets", ".cargo", ".ci"];

/// Endings of the files that a rule reads.
const ENDINGS: [&str; 8] = ["rs", "toml", "md", "yaml", "yml", "json", "service", "txt"];

/// Files that are read beside those of the folders.
const FILES: [&str; 8] = [
    "Cargo.toml",
    "fuzz/Cargo.toml",
    "README.md",
    "DESIGN.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "Containerfile",
    "justfile",
];

/// One file of the repository.
#[derive(Clone, Debug)]
struct File {
    /// The path from the repository's folder, with `/` between its parts.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Checks every rule and reports every breach.
pub(crate) fn check() -> anyhow::Result<()> {
    let files = read()?;
    let mut breaches = Vec::new();
    breaches.extend(size::breaches(&files));
    breaches.extend(crates::breaches(&files));
    breaches.extend(documents::breaches(&files));
    breaches.extend(circles::breaches(&files));
    breaches.extend(unsafe_code::breaches(&files));
    breaches.extend(terms::breaches(&files));
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("the layout breaks {} rules:\n{}", breaches.len(), breaches.join("\n"))
}

/// The repository's files, in the order of their paths.
fn read() -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        read_folder(Path::new(folder), &mut files)?;
    }
    for path in FILES {
        files.push(read_file(path)?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_folder(folder: &Path, files: &mut Vec<File>) -> anyhow::Result<()> {
    let told = || folder.display().to_string();
    for entry in fs::read_dir(folder).with_context(told)? {
        let path = entry.with_context(told)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() {
            read_folder(&path, files)?;
        } else if ENDINGS.contains(&ending) {
            let path = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
            files.push(read_file(path)?);
        }
    }
    Ok(())
}

fn read_file(path: &str) -> anyhow::Result<File> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    Ok(File { path: path.to_owned(), text })
}

/// The files of a test, by path and text.
#[cfg(test)]
fn files(given: &[(&str, &str)]) -> Vec<File> {
    given
        .iter()
        .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    /// Runs in the folder of its crate.
    #[test]
    fn the_rules_read_every_crate_of_the_repository() {
        std::env::set_current_dir("..").unwrap();
        let files = super::read().unwrap();
        for path in ["crates/core/src/lib.rs", "crates/core/Cargo.toml", "docs/http.md"] {
            assert!(files.iter().any(|file| file.path == path), "{path}");
        }
    }
}
