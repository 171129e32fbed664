//! The settings file.

use std::io::Read;
use std::path::{Path, PathBuf};

use focus_core::time::TimeUnit;
use serde::Deserialize;

use super::{Layout, Mistake, RootSettings, absolute};

/// The keys of `focus.toml`, for telling the nearest one where a key is not known.
const KEYS: [&str; 21] = [
    "roots",
    "mongodb_uri",
    "mongodb_uri_file",
    "database",
    "collection",
    "layout",
    "state_dir",
    "listen",
    "allowed_hosts",
    "settle_ms",
    "scan_interval_ms",
    "stat_interval_ms",
    "compare_interval_ms",
    "refused_retry_ms",
    "lease_ms",
    "verify_interval_ms",
    "max_vanished_percent",
    "max_vanished_at_least",
    "probe_timeout_ms",
    "data_extensions",
    "path",
];

/// Bytes of a settings file at most.
const BYTES_MAX: u64 = 1 << 20;

/// Characters of a key that are told.
const KEY_SHOWN: usize = 60;

/// What a settings file may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    roots: Option<Vec<Root>>,
    pub(super) mongodb_uri: Option<String>,
    pub(super) mongodb_uri_file: Option<PathBuf>,
    pub(super) database: Option<String>,
    pub(super) collection: Option<String>,
    pub(super) layout: Option<Layout>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) listen: Option<String>,
    pub(super) allowed_hosts: Option<Vec<String>>,
    pub(super) settle_ms: Option<u64>,
    pub(super) scan_interval_ms: Option<u64>,
    pub(super) stat_interval_ms: Option<u64>,
    pub(super) compare_interval_ms: Option<u64>,
    pub(super) refused_retry_ms: Option<u64>,
    pub(super) lease_ms: Option<u64>,
    pub(super) verify_interval_ms: Option<u64>,
    pub(super) max_vanished_percent: Option<u64>,
    pub(super) max_vanished_at_least: Option<u64>,
    pub(super) probe_timeout_ms: Option<u64>,
    pub(super) data_extensions: Option<Vec<String>>,
}

/// A root: its path alone, or a table.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Root {
    Path(PathBuf),
    Table(RootTable),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RootTable {
    path: PathBuf,
    time_unit: Option<String>,
}

impl File {
    pub(super) fn roots(&self, place: &str, mistakes: &mut Vec<Mistake>) -> Vec<RootSettings> {
        let mut settings = Vec::new();
        for root in self.roots.iter().flatten() {
            let (path, unit) = match root {
                Root::Path(path) => (path, None),
                Root::Table(table) => (&table.path, table.time_unit.as_deref()),
            };
            let time_unit = unit.and_then(TimeUnit::from_name);
            if let (Some(unit), None) = (unit, time_unit) {
                let words = format!("time_unit {unit:?} is not one of s, ms, us, ns");
                mistakes.push(Mistake::new(place, words));
            }
            settings.push(RootSettings { path: absolute(path), time_unit });
        }
        settings
    }
}

/// Reads a settings file.
pub(super) fn read(path: &Path) -> Result<File, Mistake> {
    let text = bounded(path).map_err(|error| {
        Mistake::new(
            path.display().to_string(),
            format!("the settings file cannot be read: {error}"),
        )
    })?;
    parse(path, &text)
}

/// A small file of settings; a larger one is a mistake in its path.
pub(super) fn bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(std::io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

pub(super) fn parse(path: &Path, text: &str) -> Result<File, Mistake> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let place = format!("{}, line {line}, column {column}", path.display());
        Mistake::new(place, explain(error.message(), text.lines().nth(line - 1).unwrap_or("")))
    })
}

/// The parser's words with the key in question. The line itself may hold a password, so of it only
/// the key is told.
fn explain(message: &str, line: &str) -> String {
    let key = line.split('=').next().unwrap_or("").trim();
    let message = message.lines().next().unwrap_or(message);
    if let Some(unknown) =
        message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
    {
        let shown: String = unknown.chars().take(KEY_SHOWN).collect();
        let near = KEYS.iter().min_by_key(|known| distance(&shown, known));
        return match near.filter(|known| distance(&shown, known) <= 3) {
            Some(known) => format!("the key {shown:?} is not known: did you mean {known:?}?"),
            None => format!("the key {shown:?} is not known"),
        };
    }
    let words = without_value(message);
    if KEYS.contains(&key) { format!("{key}: {words}") } else { words }
}

/// `invalid type: string "x", expected u64` without the value, whatever it is. The parser's
/// other words name what it expected, and nothing of the text.
fn without_value(message: &str) -> String {
    for kind in ["invalid type", "invalid value", "invalid length", "unknown variant"] {
        if message.starts_with(kind) {
            return match message.rfind(", expected ") {
                Some(at) => format!("{kind}{}", &message[at..]),
                None => kind.to_owned(),
            };
        }
    }
    message.to_owned()
}

/// Edits from one word to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        parse(Path::new("focus.toml"), text).expect_err(text).to_string()
    }

    #[test]
    fn a_mistake_is_told_with_file_line_and_key() {
        let words = mistake("database = \"x\"\nsettle = 5\n");
        assert!(words.starts_with("focus.toml, line 2, column 1:"), "{words}");
        assert!(words.contains("\"settle\""), "{words}");
        let words = mistake("colection = \"x\"\n");
        assert!(words.contains("did you mean \"collection\""), "{words}");
        let words = mistake("\n\nsettle_ms = \"2000\"\n");
        assert!(words.contains("line 3") && words.contains("settle_ms"), "{words}");
    }

    #[test]
    fn no_value_is_told_because_it_may_be_a_secret() {
        for text in [
            "mongodb_uri = 5 \"hunter22\"\n",
            "settle_ms = \"hunter22\"\n",
            "mongodb_uri = \"hunter22\n",
            "layout = \"hunter22\"\n",
            "mongodb_uri = [\"hunter22\"]\n",
            "mongodb_uri = \"a\"\nmongodb_uri = \"hunter22\"\n",
        ] {
            assert!(!mistake(text).contains("hunter22"), "{}", mistake(text));
        }
        // A password of digits alone, without quotes.
        assert!(!mistake("mongodb_uri = 20242025\n").contains("20242025"));
    }

    #[test]
    fn roots_are_paths_or_tables() {
        let file =
            parse(Path::new("f"), "roots = [\"/a\", { path = \"/b\", time_unit = \"ms\" }]\n")
                .expect("good");
        let roots = file.roots("roots", &mut Vec::new());
        assert_eq!(roots[0].path, Path::new("/a"));
        assert_eq!(roots[1].time_unit, Some(TimeUnit::Millis));
    }
}
