//! What has to hold of a value beyond its type and range.

use std::path::Path;

use super::Secret;
use super::value::RootSettings;

/// No root lies in another: a recording would belong to both.
pub(super) fn roots(roots: &[RootSettings]) -> Result<(), String> {
    for (at, root) in roots.iter().enumerate() {
        if root.path.as_os_str().is_empty() {
            return Err("a root is a folder, and not an empty text".to_owned());
        }
        for other in &roots[..at] {
            if root.path == other.path {
                return Err(format!("{} is there twice: remove one", root.path.display()));
            }
            if root.path.starts_with(&other.path) || other.path.starts_with(&root.path) {
                return Err(format!(
                    "{} and {} lie inside one another: a recording would belong to both",
                    root.path.display(),
                    other.path.display()
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn mongodb_uri(uri: &Option<Secret>) -> Result<(), String> {
    let uri = uri.as_ref().map_or("mongodb://", Secret::expose);
    if uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://") {
        return Ok(());
    }
    Err("a connection string begins with mongodb:// or mongodb+srv://".to_owned())
}

pub(super) fn state_dir(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("the state folder is a folder, and not an empty text".to_owned());
    }
    Ok(())
}

pub(super) fn database(name: &str) -> Result<(), String> {
    let bad = |c: char| c == '\0' || "/\\. \"$*<>:|?".contains(c);
    if (1..=63).contains(&name.len()) && !name.contains(bad) {
        return Ok(());
    }
    Err("MongoDB takes names of 1 to 63 bytes without /\\. \"$*<>:|?".to_owned())
}

pub(super) fn collection(name: &str) -> Result<(), String> {
    let taken = name.starts_with("system.") || name == "focus_meta";
    if (1..=120).contains(&name.len()) && !name.contains(['$', '\0']) && !taken {
        return Ok(());
    }
    Err("MongoDB takes names of 1 to 120 bytes without $; focus_meta and system. are taken"
        .to_owned())
}

pub(super) fn listen(address: &str) -> Result<(), String> {
    let is_address = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_address {
        return Ok(());
    }
    Err(format!("{address:?} is not an address with a port, such as 127.0.0.1:8480"))
}

pub(super) fn data_extensions(extensions: &[String]) -> Result<(), String> {
    let bad = |extension: &&String| {
        extension.is_empty() || *extension == "json" || extension.contains(['.', '/'])
    };
    match extensions.iter().find(bad) {
        Some(bad) => Err(format!("{bad:?} is no extension for data: without a dot, and not json")),
        None if extensions.is_empty() => Err("at least one is needed".to_owned()),
        None => Ok(()),
    }
}
