//! What has to hold of a value beyond its type and range. Each rule gives every mistake that it finds.

use std::path::Path;

use super::Secret;
use super::value::RootSettings;

/// What a root may say of itself, as the setting of that name.
const SCAN_INTERVAL_MS: std::ops::RangeInclusive<u64> = 100..=86_400_000;

/// No root lies in another: a recording would belong to both.
pub(super) fn roots(roots: &[RootSettings]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (at, root) in roots.iter().enumerate() {
        if root.path.as_os_str().is_empty() {
            mistakes.push("a root is a folder, and not an empty text".to_owned());
            continue;
        }
        if root.scan_interval_ms.is_some_and(|ms| !SCAN_INTERVAL_MS.contains(&ms)) {
            let (least, most) = (SCAN_INTERVAL_MS.start(), SCAN_INTERVAL_MS.end());
            let path = root.path.display();
            mistakes.push(format!("{path}: scan_interval_ms is {least} to {most}"));
        }
        mistakes.extend(roots[..at].iter().filter_map(|other| collision(root, other)));
    }
    mistakes
}

/// Why these two cannot both be roots, if they cannot.
fn collision(root: &RootSettings, other: &RootSettings) -> Option<String> {
    if root.path == other.path {
        return Some(format!("{} is there twice: remove one", root.path.display()));
    }
    let nested = root.path.starts_with(&other.path) || other.path.starts_with(&root.path);
    (nested && !other.path.as_os_str().is_empty()).then(|| {
        format!(
            "{} and {} lie inside one another: a recording would belong to both",
            root.path.display(),
            other.path.display()
        )
    })
}

pub(super) fn mongodb_uri(uri: &Option<Secret>) -> Vec<String> {
    let uri = uri.as_ref().map_or("mongodb://", Secret::expose);
    if uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://") {
        return Vec::new();
    }
    vec!["a connection string begins with mongodb:// or mongodb+srv://".to_owned()]
}

pub(super) fn external_url(url: &Option<String>) -> Vec<String> {
    let is_one = |url: &String| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        rest.is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            !host.is_empty() && !host.contains('@') && !url.contains(char::is_whitespace)
        })
    };
    match url {
        Some(url) if !is_one(url) => vec![
            "an address that people reach begins with https:// or http:// and a host, and has no user in it".to_owned(),
        ],
        _ => Vec::new(),
    }
}

pub(super) fn state_dir(path: &Path) -> Vec<String> {
    if path.as_os_str().is_empty() {
        return vec!["the state folder is a folder, and not an empty text".to_owned()];
    }
    Vec::new()
}

pub(super) fn database(name: &str) -> Vec<String> {
    let bad = |c: char| c == '\0' || "/\\. \"$*<>:|?".contains(c);
    if (1..=63).contains(&name.len()) && !name.contains(bad) {
        return Vec::new();
    }
    vec!["MongoDB takes names of 1 to 63 bytes without /\\. \"$*<>:|?".to_owned()]
}

pub(super) fn collection(name: &str) -> Vec<String> {
    let taken = name.starts_with("system.") || name == "focus_meta";
    if (1..=120).contains(&name.len()) && !name.contains(['$', '\0']) && !taken {
        return Vec::new();
    }
    vec![
        "MongoDB takes names of 1 to 120 bytes without $; focus_meta and system. are taken"
            .to_owned(),
    ]
}

pub(super) fn listen(address: &str) -> Vec<String> {
    let is_address = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_address {
        return Vec::new();
    }
    vec![format!("{address:?} is not an address with a port, such as 127.0.0.1:8480")]
}

pub(super) fn data_extensions(extensions: &[String]) -> Vec<String> {
    if extensions.is_empty() {
        return vec!["at least one is needed".to_owned()];
    }
    let bad = |extension: &&String| {
        extension.is_empty()
            || extension.eq_ignore_ascii_case("json")
            || extension.contains(['.', '/'])
    };
    let words =
        |bad: &String| format!("{bad:?} is no extension for data: without a dot, and not json");
    extensions.iter().filter(bad).map(words).collect()
}

/// A filter of the log: levels, and modules with levels.
pub(super) fn log(filter: &str) -> Vec<String> {
    let level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let module = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c))
    };
    let good = |part: &str| match part.split_once('=') {
        Some((name, word)) => module(name) && level(word),
        None => level(part),
    };
    let bad = |part: &&str| !good(part);
    let words = |part: &str| {
        format!(
            "{part:?} is no part of a filter of the log: a level is wanted ({}), or MODULE=LEVEL, such as debug,focus_engine=trace",
            LEVELS.join(", ")
        )
    };
    if filter.trim().is_empty() {
        return Vec::new();
    }
    filter.split(',').map(str::trim).filter(bad).map(words).collect()
}

/// The levels of the log, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
