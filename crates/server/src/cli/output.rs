//! What commands print: tables for people, JSON for programs. A reader that has gone is no error.

use std::io::Write;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::Ending;

/// Where a command's output goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json }
    }

    /// A line for people; nothing for programs.
    pub(crate) fn line(self, text: &str) {
        if !self.json {
            self.raw(format!("{text}\n").as_bytes());
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
            table.add_row(row);
        }
        self.line(&table.trim_fmt());
    }

    /// Bytes as they are.
    pub(crate) fn raw(self, bytes: &[u8]) {
        // The reader of a pipe may have gone: nothing is left to tell it.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// What went wrong, for people, where the result says it too.
    pub(crate) fn complain(self, words: &str) {
        let _ = writeln!(std::io::stderr(), "error: {words}");
    }

    /// What went wrong; for programs on stdout too, as the result.
    pub(crate) fn error(self, words: &str, ending: Ending) {
        self.value(&json!({ "error": { "detail": words, "exit_code": ending.code() } }));
        let words = words.strip_prefix("error: ").unwrap_or(words);
        let _ = writeln!(std::io::stderr(), "error: {words}");
    }
}
