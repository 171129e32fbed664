//! Settings: built-in defaults, then `focus.toml`, then the environment, then flags.
//!
//! `declaration.rs` declares every setting, with its default, in one place. The other files are the way
//! from there to a value: `value.rs` has the types, `file.rs` and `overrides.rs` read what was given,
//! `rules.rs` has what must hold of a value, and `source.rs` remembers where each value came from.

mod alerts;
mod declaration;
mod fdsn;
mod file;
mod globs;
mod hints;
mod indexed_metadata;
mod overrides;
mod pairs;
mod rules;
mod secret;
mod setting;
mod source;
mod suggestion;
mod tokens;
mod value;

use std::path::Path;

pub use alerts::{Alerts, Channel, ChannelKind, Heartbeat, webhook_key};
pub use declaration::{SETTINGS, Settings};
pub use fdsn::{CodeFrom, Codes, Fdsn};
pub use globs::Globs;
pub use hints::{Broker, HintQueue, HintQueues, SERVER};
pub use indexed_metadata::IndexedMetadata;
pub use overrides::Overrides;
pub use pairs::OwnPairs;
pub use secret::Secret;
pub use setting::{Flag, Reload, Setting};
pub use source::Source;
pub use tokens::{Right, Tokens};
pub use value::{Kind, Layout, RootSettings};

/// A mistake in the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Mistake {
    /// Where to look: file with line and column, environment variable or flag, and the key.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Mistake {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Mistake {
        Mistake { place: place.into(), message: message.into() }
    }
}

/// Joins defaults, file, environment and flags (`overrides` holds the last two).
///
/// # Errors
/// Every mistake that was found, the file's first.
pub fn load(overrides: &Overrides) -> Result<Settings, Vec<Mistake>> {
    let found = || {
        let places = [Path::new("focus.toml"), Path::new("/etc/focus/focus.toml")];
        places.into_iter().find(|path| path.is_file()).map(Path::to_owned)
    };
    let mut settings =
        Settings { file: overrides.config.clone().or_else(found), ..Settings::default() };
    let mut mistakes = Vec::new();
    if let Some(path) = settings.file.clone() {
        match file::read(&path) {
            Ok(text) => mistakes.extend(file::apply(&mut settings, &path, &text)),
            Err(error) => mistakes.push(Mistake::new(
                path.display().to_string(),
                format!("the settings file cannot be read: {error}"),
            )),
        }
    }
    let in_file = settings.roots.clone();
    mistakes.extend(overrides.apply(&mut settings));
    keep_tables(&mut settings.roots, &in_file);
    finish(settings, mistakes, &read_connection_string)
}

/// Settings from the text of a file alone: nothing else is read, also not what it refers to.
///
/// # Errors
/// As [`load`].
pub fn from_text(path: &Path, text: &str) -> Result<Settings, Vec<Mistake>> {
    let mut settings = Settings { file: Some(path.to_owned()), ..Settings::default() };
    let mistakes = file::apply(&mut settings, path, text);
    finish(settings, mistakes, &|_| Ok(String::new()))
}

/// A root that environment or flags name by its path alone is the one that the file has a table for.
fn keep_tables(roots: &mut [RootSettings], in_file: &[RootSettings]) {
    for root in roots.iter_mut().filter(|root| root.is_bare()) {
        if let Some(known) = in_file.iter().find(|known| known.path == root.path) {
            root.clone_from(known);
        }
    }
}

/// Reads what the settings refer to, and checks every value.
fn finish(
    mut settings: Settings,
    mut mistakes: Vec<Mistake>,
    read: &dyn Fn(&Path) -> std::io::Result<String>,
) -> Result<Settings, Vec<Mistake>> {
    mistakes.extend(read_uri_file(&mut settings, read).err());
    for (key, wrong) in [
        ("alerts", settings.alerts.read(read)),
        ("tokens", settings.tokens.read(read)),
        ("hints", settings.hints.read(read)),
    ] {
        let place = settings.source(key).place(key);
        mistakes.extend(wrong.into_iter().map(|words| Mistake::new(place.clone(), words)));
    }
    // An empty text is the way to say in the environment what a file cannot unsay: no database.
    settings.mongodb_uri = settings.mongodb_uri.filter(|uri| !uri.expose().is_empty());
    settings.state_dir = value::absolute(&settings.state_dir);
    for setting in SETTINGS {
        for words in setting.check(&settings) {
            mistakes.push(Mistake::new(settings.source(setting.key).place(setting.key), words));
        }
    }
    let place = settings.source("roots").place("roots");
    let own = |root: &&RootSettings| root.pairs != OwnPairs::default();
    for root in settings.roots.iter().filter(own) {
        let path = root.path.display();
        let wrong = settings.form_of(root).mistakes();
        mistakes.extend(wrong.iter().map(|words| Mistake::new(&place, format!("{path}: {words}"))));
    }
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

/// The connection string that `mongodb_uri_file` holds, unless `mongodb_uri` is given in the same place
/// or in one that wins over it.
fn read_uri_file(
    settings: &mut Settings,
    read: &dyn Fn(&Path) -> std::io::Result<String>,
) -> Result<(), Mistake> {
    let Some(path) = &settings.mongodb_uri_file else { return Ok(()) };
    let source = settings.source("mongodb_uri_file").clone();
    if settings.mongodb_uri.is_some() && settings.source("mongodb_uri").wins_over(&source) {
        return Ok(());
    }
    let text = read(path).map_err(|error| {
        let words = format!("{} cannot be read: {error}", path.display());
        Mistake::new(source.place("mongodb_uri_file"), words)
    })?;
    settings.mongodb_uri = Some(Secret::new(text.trim().to_owned()));
    settings.sources.set("mongodb_uri", source);
    Ok(())
}

/// Reads a file that holds a connection string, or another secret. An empty one is a secret that was not filled in, and not a
/// wish for the embedded catalog.
fn read_connection_string(path: &Path) -> std::io::Result<String> {
    let text = file::read(path)?;
    if text.trim().is_empty() {
        return Err(std::io::Error::other("it is empty: write what it is to hold into it"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
