//! The files that a report is written to: JUnit XML for CI, HTML for people.

use std::path::Path;

use anyhow::Context;

use crate::report::Report;

/// Writes the report as the files that were asked for.
///
/// # Errors
/// A file cannot be written.
pub fn write(report: &Report, junit: Option<&Path>, html: Option<&Path>) -> anyhow::Result<()> {
    if let Some(path) = junit {
        put(path, &super::junit::render(report)?)?;
    }
    if let Some(path) = html {
        put(path, &super::html::render(report))?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Checks that these files can be written; they are created where they are missing.
///
/// # Errors
/// A file cannot be written: which, and why.
pub fn may_write(paths: [&Option<std::path::PathBuf>; 2]) -> anyhow::Result<()> {
    for path in paths.into_iter().flatten() {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
