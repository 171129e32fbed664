//! What a helper prints: into a file of the drill's folder, because a helper may outlive the drill.

use std::process::Stdio;

use anyhow::Context;

use crate::redaction::without_logins;

/// Standard output and standard error of a helper, both into this file.
///
/// # Errors
/// The file cannot be created.
pub fn output(log: &std::path::Path) -> anyhow::Result<(Stdio, Stdio)> {
    let file = std::fs::File::create(log)
        .with_context(|| format!("{} cannot be written", log.display()))?;
    let second = file.try_clone()?;
    Ok((Stdio::from(file), Stdio::from(second)))
}

/// The last 400 bytes of a log, for an error; logins in URLs are left out.
pub fn tail(log: &std::path::Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(400);
    without_logins(String::from_utf8_lossy(&text[from..]).trim())
}
