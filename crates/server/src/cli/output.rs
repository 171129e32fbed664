//! The output of commands: tables for people, JSON for programs. A closed pipe is no error.

use std::io::Write;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::Ending;
use crate::telemetry;

/// Where a command's output goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json }
    }

    /// A line for people; nothing for programs. Control characters are escaped: they may come from the
    /// names of files and from sidecars.
    pub(crate) fn line(self, text: &str) {
        if !self.json {
            self.raw(format!("{}\n", visible(text)).as_bytes());
        }
    }

    /// The result for programs; nothing for people.
    pub(crate) fn value(self, value: &Value) {
        if self.json {
            self.raw(format!("{value:#}\n").as_bytes());
        }
    }

    /// A table for people; nothing for programs.
    pub(crate) fn table(self, header: &[&str], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(header.to_vec());
        for row in rows {
            // A line break in a cell would begin a new row.
            table.add_row(row.iter().map(|cell| visible(cell).replace('\n', "\\n")));
        }
        self.line(&table.trim_fmt());
    }

    /// Bytes as they are.
    pub(crate) fn raw(self, bytes: &[u8]) {
        // The reader of the pipe may have gone. Nobody is left to tell.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// An error for people, where the result for programs has it too.
    pub(crate) fn complain(self, words: &str) {
        let _ = writeln!(std::io::stderr(), "error: {words}");
    }

    /// An error: for people on stderr, for programs on stdout, as the result.
    pub(crate) fn error(self, words: &str, ending: Ending) {
        let words = telemetry::clean(words);
        self.value(&json!({ "error": { "detail": words, "exit_code": ending.code() } }));
        let words = words.strip_prefix("error: ").unwrap_or(&words);
        let _ = writeln!(std::io::stderr(), "error: {}", visible(words));
    }
}

/// The text, with every character escaped that a terminal acts on or that changes the order of letters.
fn visible(text: &str) -> String {
    let acts = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}')
            || ('\u{202A}'..='\u{202E}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        assert_eq!(visible("a\u{1b}]52;c;eA==\u{7}b\nü"), "a\\u{1b}]52;c;eA==\\u{7}b\nü");
        assert_eq!(visible("gpj.\u{202e}tad"), "gpj.\\u{202e}tad");
    }
}
