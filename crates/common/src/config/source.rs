//! Where the value of a setting comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where the value of a setting comes from. A later kind wins over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody gave the setting.
    Default,
    /// The settings file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The column of the key in characters, from 1.
        column: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl Source {
    /// Whether a value from here stands against one from there: flags before the environment, and that
    /// before the file.
    pub(super) fn wins_over(&self, other: &Source) -> bool {
        let rank = |source: &Source| match source {
            Source::Default => 0,
            Source::File { .. } => 1,
            Source::Environment(_) => 2,
            Source::Flag(_) => 3,
        };
        rank(self) >= rank(other)
    }

    /// The place for a message about this key: where to look for its value.
    pub(super) fn place(&self, key: &str) -> String {
        match self {
            Source::Default => key.to_owned(),
            Source::File { .. } => format!("{self}: {key}"),
            Source::Environment(_) | Source::Flag(_) => format!("{key} ({self})"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line, column } => {
                write!(f, "{}, line {line}, column {column}", path.display())
            }
            Source::Environment(name) | Source::Flag(name) => f.write_str(name),
        }
    }
}

/// The source of every setting that was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(BTreeMap<&'static str, Source>);

impl Sources {
    pub(super) fn of(&self, key: &str) -> &Source {
        self.0.get(key).unwrap_or(&Source::Default)
    }

    pub(super) fn set(&mut self, key: &'static str, source: Source) {
        self.0.insert(key, source);
    }
}
