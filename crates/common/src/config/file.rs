//! The settings file: TOML, read with the place of every key.

use std::io::Read;
use std::path::Path;

use toml::de::DeTable;

use super::declaration::{SETTINGS, Settings};
use super::setting::Setting;
use super::value::{Given, Wrong};
use super::{Mistake, Source, suggestion};

/// Bytes of a settings file at most.
const BYTES_MAX: u64 = 1 << 20;

/// Mistakes of one file that are told at most: a file of another format has thousands.
const MISTAKES_MAX: usize = 20;

/// Reads a small file; a larger one is a mistake in its path.
///
/// # Errors
/// The file cannot be read, is not UTF-8, or has more than 1 MiB.
pub(super) fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(std::io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Puts what the text of a settings file says into the settings; the mistakes in it, by line.
pub(super) fn apply(settings: &mut Settings, path: &Path, text: &str) -> Vec<Mistake> {
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            return vec![syntax(path, text, at, error.message())];
        }
    };
    let mut mistakes = Vec::new();
    for (key, value) in table {
        let begins = key.span().start;
        let Some(setting) = Setting::named(key.get_ref()) else {
            let known = SETTINGS.iter().map(|setting| setting.key);
            let words = suggestion::unknown_key(key.get_ref(), known);
            mistakes.push((begins, None, words));
            continue;
        };
        match (setting.read)(settings, Given::Toml(value)) {
            Ok(()) => settings.sources.set(setting.key, place(path, text, begins)),
            Err(wrong) => {
                let at = wrong.at().unwrap_or(begins);
                let words = match wrong {
                    Wrong::Type { .. } => setting.wanted(),
                    Wrong::Told { words, .. } => words,
                };
                mistakes.push((at, Some(setting.key), words));
            }
        }
    }
    mistakes.sort_by_key(|(at, ..)| *at);
    let more = mistakes.len().saturating_sub(MISTAKES_MAX);
    let told = mistakes.into_iter().take(MISTAKES_MAX).map(|(at, key, words)| {
        let place = place(path, text, at);
        let place = key.map_or_else(|| place.to_string(), |key| place.place(key));
        Mistake::new(place, words)
    });
    let rest = (more > 0).then(|| {
        let words = format!("and {more} more mistakes: mend these first");
        Mistake::new(path.display().to_string(), words)
    });
    told.chain(rest).collect()
}

/// What a text that is no TOML is told: the parser's words, and the key of the line. The rest of the line
/// may be a password.
fn syntax(path: &Path, text: &str, at: usize, message: &str) -> Mistake {
    let place = place(path, text, at);
    let before = text.get(..at).unwrap_or(text);
    let begins = before.rfind('\n').map_or(0, |end| end + 1);
    let line = text[begins..].lines().next().unwrap_or("");
    let key = line.split('=').next().unwrap_or("").trim();
    let words = message.lines().next().unwrap_or(message);
    match Setting::named(key) {
        Some(setting) => Mistake::new(place.place(setting.key), words),
        None => Mistake::new(place.to_string(), words),
    }
}

fn place(path: &Path, text: &str, at: usize) -> Source {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Source::File { path: path.to_owned(), line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        let mistakes = apply(&mut Settings::default(), Path::new("focus.toml"), text);
        assert!(!mistakes.is_empty(), "{text}");
        mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
    }

    #[test]
    fn a_mistake_is_told_with_file_line_and_key() {
        let words = mistakes("database = \"x\"\nsettle = 5\n");
        assert!(words.starts_with("focus.toml, line 2, column 1:"), "{words}");
        assert!(words.contains("\"settle\""), "{words}");
        let words = mistakes("colection = \"x\"\n");
        assert!(words.contains("did you mean \"collection\""), "{words}");
        let words = mistakes("\n\nsettle_ms = \"2000\"\n");
        assert!(words.contains("line 3") && words.contains("settle_ms"), "{words}");
    }

    #[test]
    fn every_mistake_is_told_in_the_order_of_its_lines() {
        let told = mistakes("settle_ms = \"2\"\nlayot = 1\n\nallowed_hosts = [\"a\",\n  5]\n");
        assert_eq!(
            told,
            "focus.toml, line 1, column 13: settle_ms: a whole number without quotes is wanted, such as 2000\n\
             focus.toml, line 2, column 1: the key \"layot\" is not known: did you mean \"layout\"?\n\
             focus.toml, line 5, column 3: allowed_hosts: a list of texts is wanted, such as [\"focus.example\"]\n"
        );
    }

    #[test]
    fn a_mistake_inside_a_table_is_told_with_its_own_line() {
        let told = mistakes("[[roots]]\npath = \"/a\"\ntime_unt = \"ms\"\n");
        assert_eq!(
            told,
            "focus.toml, line 3, column 1: roots: the key \"time_unt\" is not known: did you mean \"time_unit\"?\n"
        );
        let told = mistakes("[[roots]]\npath = \"/a\"\ntime_unit = \"h\"\n");
        assert_eq!(
            told,
            "focus.toml, line 3, column 13: roots: one of `s`, `ms`, `us`, `ns` is wanted\n"
        );
        let told = mistakes("[[roots]]\npath = \"/a\"\ntime_zone = \"Europe/Berlim\"\n");
        assert_eq!(
            told,
            "focus.toml, line 3, column 13: roots: time_zone wants the IANA name of a time zone, such as Europe/Berlin\n"
        );
        let told = mistakes("\nroots = [{ time_unit = \"s\" }]\n");
        assert!(told.contains("line 2") && told.contains("missing field `path`"), "{told}");
    }

    #[test]
    fn a_wrong_key_of_the_metadata_is_told_with_its_own_line() {
        let lines =
            |line: &str| mistakes(&format!("indexed_metadata = [\n  'sensor',\n  {line},\n]\n"));
        let begin = "focus.toml, line 3, column 3: indexed_metadata: ";
        for (line, words) in [
            (
                "''",
                "a key is wrong: \"\": a key has 1 to 256 bytes: give the name of a field, or a JSON pointer such as /site/name",
            ),
            ("'sensor'", "a key is wrong: \"sensor\": it is there twice: remove one"),
            ("'/a~2'", "a key is wrong: \"/a~2\": in a JSON pointer, ~0 stands for ~ and ~1 for /"),
            ("5", "a list of texts is wanted, such as []"),
        ] {
            assert_eq!(lines(line), format!("{begin}{words}\n"), "{line}");
        }
        let many: Vec<String> = (0..17).map(|n| format!("'k{n}'")).collect();
        let told = mistakes(&format!("indexed_metadata = [{}]", many.join(", ")));
        assert!(told.contains("there are more than 16 keys"), "{told}");
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
            "roots = [{ path = \"/a\", time_unit = \"hunter22\" }]\n",
        ] {
            assert!(!mistakes(text).contains("hunter22"), "{}", mistakes(text));
        }
        // A password of digits alone, without quotes.
        assert!(!mistakes("mongodb_uri = 20242025\n").contains("20242025"));
        assert!(!mistakes("settle_ms = 99999999999999999999\n").contains("999"));
    }
}
