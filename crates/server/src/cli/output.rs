//! The output of commands: tables for people, JSON for programs. A closed pipe is no error, and any other
//! output that cannot be written is one.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::Ending;
use crate::telemetry;

/// The width of a terminal that does not tell it.
const WIDTH: usize = 80;

/// Where a command's output goes. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    /// Why the first write failed. Nothing is written after it.
    failed: Arc<OnceLock<std::io::Error>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json, failed: Arc::default() }
    }

    /// Whether programs read this.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Nobody gets what is written from now on: the pipe was closed, or a write failed.
    pub(crate) fn is_closed(&self) -> bool {
        self.failed.get().is_some()
    }

    /// How a command ended, with regard to its output: what was not shown was not told.
    pub(crate) fn ended(&self, ending: Ending) -> Ending {
        let failed = self.failed.get().filter(|error| error.kind() != ErrorKind::BrokenPipe);
        let Some(error) = failed else { return ending };
        self.complain(&format!(
            "stdout cannot be written: {error}. What the command did stands, and its result was not shown in full"
        ));
        match ending {
            Ending::InOrder | Ending::NotInOrder => Ending::CouldNotTell,
            Ending::Refused | Ending::CouldNotTell => ending,
        }
    }

    /// A line for people; nothing for programs. Control characters are escaped: they may come from the
    /// names of files and from sidecars.
    pub(crate) fn line(&self, text: &str) {
        if !self.json {
            self.raw(format!("{}\n", visible(text)).as_bytes());
        }
    }

    /// The result for programs; nothing for people.
    pub(crate) fn value(&self, value: &Value) {
        if self.json {
            self.raw(format!("{value:#}\n").as_bytes());
        }
    }

    /// A table for people; nothing for programs.
    pub(crate) fn table(&self, header: &[&str], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(header.to_vec());
        for row in rows {
            table.add_row(row.iter().map(|text| cell(text)));
        }
        self.line(&table.trim_fmt());
    }

    /// Bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        if self.is_closed() {
            return;
        }
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            // The first failure says why; a later one says the same.
            let _ = self.failed.set(error);
        }
    }

    /// A text that is the whole result: as it is for people, under this name for programs.
    pub(crate) fn text(&self, name: &str, text: &str) {
        if self.json {
            self.value(&json!({ name: text }));
        } else {
            self.raw(text.as_bytes());
        }
    }

    /// A remark for people that is no part of the result, on stderr.
    pub(crate) fn remark(&self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr(), "{}", visible(text));
        }
    }

    /// An error for people, where the result for programs has it too.
    pub(crate) fn complain(&self, words: &str) {
        // Nobody is left to tell where stderr cannot be written either.
        let _ = writeln!(std::io::stderr(), "error: {words}");
    }

    /// An error: for people on stderr, for programs on stdout, as the result.
    pub(crate) fn error(&self, words: &str, ending: Ending) {
        let words = telemetry::clean(words);
        self.value(&json!({ "error": { "detail": words, "exit_code": ending.code() } }));
        let words = words.strip_prefix("error: ").unwrap_or(&words);
        let _ = writeln!(std::io::stderr(), "error: {}", visible(words));
    }
}

/// The text as part of a line: a line break would begin a new one.
pub(crate) fn cell(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}

/// The width of the terminal that stdout is, in columns; none where it is no terminal.
pub(crate) fn terminal_width() -> Option<usize> {
    let out = std::io::stdout();
    let width = || rustix::termios::tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col));
    // A terminal that does not know its size says 0.
    out.is_terminal().then(|| width().filter(|width| *width > 0).unwrap_or(WIDTH))
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
