//! `focus man`: the manual page, with the options of every command, the environment, the files and the exit
//! codes. All of it follows from the declarations of commands and settings.

use std::fmt::Write;

use clap::{Arg, Command};
use focus_common::config::SETTINGS;

use super::help;

/// The exit codes, in the words of the other documents.
const EXIT_CODES: [(&str, &str); 4] = [
    ("0", "Done and in order."),
    (
        "1",
        "Done and not in order: drift, lost recordings, held deletions, something refused or damaged.",
    ),
    ("2", "Wrong use, or refused."),
    (
        "3",
        "Could not tell: server, root or catalog were not there, or the output could not be written.",
    ),
];

/// Files, and what is in them.
const FILES: [(&str, &str); 6] = [
    (
        "./focus.toml, /etc/focus/focus.toml",
        "The settings, where --config and FOCUS_CONFIG name no file; the first one that is there.",
    ),
    ("DIR/.focus-root", "The marker that makes the folder DIR a root."),
    (
        "STATE/index.db",
        "The index. It can be removed while no server runs; the next start makes it anew from storage.",
    ),
    ("STATE/catalog/catalog.db", "The embedded catalog."),
    ("STATE/server.json", "Address and token of the server that runs."),
    ("STATE/drill/", "Plans and reports of drills."),
];

/// The page, in the language of man(7).
pub(super) fn page(command: Command) -> String {
    let command = help::shown(command);
    let mut page = Page::default();
    let version = command.get_version().unwrap_or_default();
    page.line(&format!(".TH FOCUS 1 \"\" \"focus {version}\" \"User Commands\""));
    page.section("NAME");
    page.text("focus - keep a catalog of recordings true to storage, through every outage of its database");
    page.section("SYNOPSIS");
    page.line("\\fBfocus\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]");
    page.section("DESCRIPTION");
    page.text(&sentence(command.get_about().map(ToString::to_string)));
    page.section("COMMANDS");
    commands(&mut page, &command, "focus");
    page.section("GLOBAL OPTIONS");
    page.text("Every command takes them, and ignores those that it does not need.");
    options(&mut page, command.get_arguments().filter(|arg| !is_own(arg)));
    page.section("ENVIRONMENT");
    page.text("A variable wins over the settings file, and an option over the variable.");
    page.item("FOCUS_CONFIG", "The settings file.");
    for setting in SETTINGS {
        let several = setting.environment_of_several().map(|name| format!("{name}, "));
        let names = format!("{}{}", several.unwrap_or_default(), setting.environment());
        page.item(
            &names,
            &format!("{} Default: {}.", without_links(&setting.help()), setting.default()),
        );
    }
    page.section("FILES");
    page.text("STATE is the state folder: --state-dir.");
    FILES.iter().for_each(|(name, words)| page.item(name, words));
    page.section("EXIT STATUS");
    EXIT_CODES.iter().for_each(|(code, words)| page.item(code, words));
    page.0
}

/// Each command with its own arguments, and those below it.
fn commands(page: &mut Page, command: &Command, path: &str) {
    let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for command in command.get_subcommands().filter(shown) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            commands(page, command, &path);
            continue;
        }
        let operands: String =
            command.get_positionals().map(|arg| format!(" {}", value(arg))).collect();
        page.line(&format!(".SS \\fB{}\\fR{}", escaped(&path), escaped(&operands)));
        page.text(&sentence(command.get_about().map(ToString::to_string)));
        options(page, command.get_arguments().filter(|arg| is_own(arg)));
    }
}

/// An argument of the command itself: neither a global option nor one that every program has.
fn is_own(arg: &Arg) -> bool {
    !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str())
}

fn options<'a>(page: &mut Page, args: impl Iterator<Item = &'a Arg>) {
    for arg in args.filter(|arg| !arg.is_hide_set()) {
        let value_is_named = arg.get_action().takes_values();
        let value = if value_is_named { value(arg) } else { String::new() };
        let name = match arg.get_long() {
            Some(long) if value.is_empty() => format!("--{long}"),
            Some(long) => format!("--{long} {value}"),
            None => value,
        };
        let mut words = sentence(arg.get_help().map(ToString::to_string));
        let possible = if value_is_named { arg.get_possible_values() } else { Vec::new() };
        for possible in possible.iter().filter(|value| !value.is_hide_set()) {
            let meaning = possible.get_help().map(|help| format!(": {help}")).unwrap_or_default();
            let _ = write!(words, "\n{}{meaning}.", possible.get_name());
        }
        page.item(&name, &words);
    }
}

/// The sentences that lead nowhere else: a page has no links.
fn without_links(words: &str) -> String {
    let sentences = words.split_inclusive(". ").filter(|sentence| !sentence.contains("]("));
    sentences.collect::<String>().trim_end().to_owned()
}

/// What stands for the value of an argument.
fn value(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn sentence(words: Option<String>) -> String {
    let words = words.unwrap_or_default();
    let words = words.trim();
    if words.is_empty() || words.ends_with(['.', '?', '!']) {
        words.to_owned()
    } else {
        format!("{words}.")
    }
}

/// A page that is written.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A line in the language of man(7).
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, name: &str) {
        self.line(&format!(".SH {name}"));
    }

    fn text(&mut self, words: &str) {
        let mut lines = words.lines();
        self.line(&escaped(lines.next().unwrap_or_default()));
        for line in lines {
            self.line(".br");
            self.line(&escaped(line));
        }
    }

    fn item(&mut self, name: &str, words: &str) {
        self.line(".TP");
        self.line(&format!("\\fB{}\\fR", escaped(name)));
        self.text(words);
    }
}

/// A text in which nothing is an instruction: the characters that man(7) acts on are escaped.
fn escaped(text: &str) -> String {
    let mut escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if escaped.starts_with(['.', '\'']) {
        escaped.insert_str(0, "\\&");
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_an_instruction() {
        assert_eq!(escaped(".focus-root"), "\\&.focus\\-root");
        assert_eq!(escaped("'a\\b'"), "\\(aqa\\eb\\(aq");
    }
}
