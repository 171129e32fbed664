//! Environment and flags: every command takes every one of them, and ignores what it does not need.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::declaration::{SETTINGS, Settings};
use super::setting::{Flag, Setting};
use super::value::{Given, Kind, Wrong};
use super::{Mistake, Source};

/// The heading in `--help` of what every command takes.
const HEADING: &str = "Global options";

/// The variable that names the settings file.
const CONFIG: &str = "FOCUS_CONFIG";

/// Settings given by environment or flags; they win over the file.
#[derive(Clone, Default)]
pub struct Overrides {
    /// The settings file, where one was named.
    pub config: Option<PathBuf>,
    /// The environment first, so that flags win.
    given: Vec<Override>,
}

/// One setting, given by a variable or a flag.
#[derive(Clone)]
struct Override {
    setting: &'static Setting,
    source: Source,
    text: Text,
}

#[derive(Clone)]
enum Text {
    One(OsString),
    Several(Vec<OsString>),
}

impl Override {
    fn read(&self, settings: &mut Settings) -> Result<(), Wrong> {
        (self.setting.read)(
            settings,
            match &self.text {
                Text::One(text) => Given::Text(text),
                Text::Several(texts) => Given::Texts(texts),
            },
        )
    }
}

impl std::fmt::Debug for Overrides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.given.iter().map(|given| given.setting.key);
        f.debug_list().entries(keys).finish()
    }
}

impl Overrides {
    /// What the environment gives. `variable` looks one up by its name.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Overrides {
        let mut given = Vec::new();
        for setting in SETTINGS {
            let name = setting.environment();
            if let Some(text) = variable(&name) {
                let source = Source::Environment(name);
                given.push(Override { setting, source, text: Text::One(text) });
            }
            let Some(name) = setting.environment_of_several() else { continue };
            if let Some(text) = variable(&name) {
                let texts = std::env::split_paths(&text).map(PathBuf::into_os_string).collect();
                let source = Source::Environment(name);
                given.push(Override { setting, source, text: Text::Several(texts) });
            }
        }
        let config = variable(CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from);
        Overrides { config, given }
    }

    /// Adds what the flags give.
    fn add_flags(&mut self, matches: &ArgMatches) {
        if let Some(path) = matches.get_one::<PathBuf>("config") {
            self.config = Some(path.clone());
        }
        for (setting, flag) in flags() {
            let texts: Vec<OsString> = match setting.kind {
                Kind::Choice(_) => matches
                    .get_many::<String>(setting.key)
                    .map(|texts| texts.map(OsString::from).collect()),
                _ => {
                    matches.get_many::<OsString>(setting.key).map(|texts| texts.cloned().collect())
                }
            }
            .unwrap_or_default();
            if !texts.is_empty() {
                let source = Source::Flag(format!("--{}", flag.name));
                self.given.push(Override { setting, source, text: Text::Several(texts) });
            }
        }
    }

    /// Every flag, as an argument that all commands take. Its id is the setting's key, and `config` for the
    /// settings file.
    pub fn args() -> impl Iterator<Item = Arg> {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .global(true)
            .help_heading(HEADING)
            .help("Settings file [default: ./focus.toml or /etc/focus/focus.toml, where there is one]");
        [config].into_iter().chain(flags().map(|(setting, flag)| arg(setting, flag)))
    }

    /// What was given without the flags of one setting, by its key.
    #[must_use]
    pub fn without_flags_of(mut self, key: &str) -> Overrides {
        self.given
            .retain(|given| given.setting.key != key || !matches!(given.source, Source::Flag(_)));
        self
    }

    /// The connection string, where environment or flags give one.
    pub fn mongodb_uri(&self) -> Option<&str> {
        let given = self.given.iter().rfind(|given| given.setting.key == "mongodb_uri")?;
        let text = match &given.text {
            Text::One(text) => Some(text),
            Text::Several(texts) => texts.last(),
        };
        text.and_then(|text| text.to_str()).filter(|text| !text.is_empty())
    }

    /// Puts what was given into the settings; the mistakes in it.
    pub(super) fn apply(&self, settings: &mut Settings) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for given in &self.given {
            let key = given.setting.key;
            match given.read(settings) {
                Ok(()) => settings.sources.set(key, given.source.clone()),
                Err(wrong) => {
                    let words = match wrong {
                        Wrong::Type { .. } => given.setting.wanted(),
                        Wrong::Told { words, .. } => words,
                    };
                    mistakes.push(Mistake::new(given.source.place(key), words));
                }
            }
        }
        mistakes
    }
}

fn flags() -> impl Iterator<Item = (&'static Setting, Flag)> {
    SETTINGS.iter().filter_map(|setting| Some((setting, setting.flag?)))
}

impl clap::FromArgMatches for Overrides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Overrides, clap::Error> {
        let mut overrides = Overrides::of_environment(|name| std::env::var_os(name));
        overrides.add_flags(matches);
        Ok(overrides)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.add_flags(matches);
        Ok(())
    }
}

impl clap::Args for Overrides {
    fn augment_args(command: Command) -> Command {
        command.args(Overrides::args())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Overrides::augment_args(command)
    }
}

fn arg(setting: &Setting, flag: Flag) -> Arg {
    let several = setting.environment_of_several().is_some();
    let help = setting.help();
    let sentence = help.split_once(". ").map_or(help.as_str(), |(first, _)| first);
    let sentence = sentence.trim_end_matches('.');
    let more = if several { "; may be given several times" } else { "" };
    let unit = if setting.key.ends_with("_ms") { " ms" } else { "" };
    let default = match setting.default() {
        none if none == "none" => String::new(),
        default => format!(" [default: {default}{unit}]"),
    };
    let arg = Arg::new(setting.key)
        .long(flag.name)
        .value_name(flag.value_name)
        .global(true)
        .help_heading(HEADING)
        .help(format!("{sentence}{more}{default}"))
        .action(if several { ArgAction::Append } else { ArgAction::Set });
    match setting.kind {
        Kind::Choice(words) => arg.value_parser(PossibleValuesParser::new(words)),
        _ => arg.value_parser(OsStringValueParser::new()),
    }
}
