//! What is known of one setting, whatever its type.

use serde_json::Value as Json;

use super::declaration::{SETTINGS, Settings};
use super::value::{Given, Kind, Wrong};

/// A setting: what the file, the environment, the flags, `--help` and the documentation say of it.
pub struct Setting {
    /// The key in the settings file.
    pub key: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// The flag that gives it, where there is one.
    pub flag: Option<Flag>,
    /// The least and the largest number, both included.
    pub range: Option<(u64, u64)>,
    pub(super) help: &'static [&'static str],
    pub(super) default_is: Option<&'static str>,
    /// How a running server takes another value of it.
    pub reload: Reload,
    pub(super) same: fn(&Settings, &Settings) -> bool,
    pub(super) keep: fn(&mut Settings, &Settings),
    pub(super) read: fn(&mut Settings, Given<'_>) -> Result<(), Wrong>,
    pub(super) shown: fn(&Settings) -> Json,
    pub(super) rule: Option<Rule>,
}

/// How a running server takes another value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// At once.
    AtOnce,
    /// The engine starts anew with it; the server goes on.
    EngineAnew,
    /// Only when the server is started again.
    Restart,
}

/// What has to hold of a setting: every mistake, as what is wrong and what to do.
pub(super) type Rule = fn(&Settings) -> Vec<String>;

/// A flag of the command line.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// What `--help` calls its value.
    pub value_name: &'static str,
}

impl Setting {
    /// The setting with this key.
    pub fn named(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Its environment variable: `FOCUS_` and the key in capitals.
    pub fn environment(&self) -> String {
        variable(self.key)
    }

    /// The variable with several values, separated by colons: `FOCUS_` and the flag in capitals, where
    /// the flag may be given several times.
    pub fn environment_of_several(&self) -> Option<String> {
        let flag = self.flag.filter(|_| self.kind == Kind::Folders)?;
        Some(variable(flag.name))
    }

    /// What the setting means, in sentences.
    pub fn help(&self) -> String {
        let lines: Vec<&str> = self.help.iter().map(|line| line.trim()).collect();
        lines.join(" ")
    }

    /// Its default, in words where the value itself says nothing to people.
    pub fn default(&self) -> String {
        match self.default_is {
            Some(words) => words.to_owned(),
            None => plain(&(self.shown)(&Settings::default())),
        }
    }

    /// Its value in these settings; a secret is hidden.
    pub fn value(&self, settings: &Settings) -> Json {
        (self.shown)(settings)
    }

    /// Whether its value is the same in both.
    pub fn is_same(&self, one: &Settings, other: &Settings) -> bool {
        (self.same)(one, other)
    }

    /// Takes its value over from other settings.
    pub fn keep(&self, settings: &mut Settings, from: &Settings) {
        (self.keep)(settings, from);
    }

    /// What a value of the wrong type is told.
    pub(super) fn wanted(&self) -> String {
        let example = match (self.default_is, self.kind) {
            (None, Kind::Number | Kind::Texts) => plain(&(self.shown)(&Settings::default())),
            (_, kind) => kind.example().to_owned(),
        };
        format!("{} is wanted, such as {example}", self.kind)
    }

    /// What keeps the product from working with the value in these settings; empty where nothing does.
    pub(super) fn check(&self, settings: &Settings) -> Vec<String> {
        if let (Some((least, most)), Some(value)) = (self.range, (self.shown)(settings).as_u64())
            && !(least..=most).contains(&value)
        {
            return vec![format!("{value} is not within {least} to {most}")];
        }
        self.rule.map_or_else(Vec::new, |mistakes| mistakes(settings))
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting").field("key", &self.key).finish_non_exhaustive()
    }
}

fn variable(name: &str) -> String {
    format!("FOCUS_{}", name.replace('-', "_").to_uppercase())
}

/// A text without its quotes; anything else as JSON.
fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
