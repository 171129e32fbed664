//! The types of settings, and how a value of each is read from a file, a variable or a flag.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use focus_core::iso8601;
use focus_core::pair::{EndFrom, PairForm, Pointer, Preset, StartFrom, UuidFrom};
use focus_core::time::TimeUnit;
use jiff::tz::TimeZone;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};
use toml::Spanned;
use toml::de::DeValue;

use super::globs::NO_GLOB;
use super::pairs::{Of, OwnPairs};
use super::{Globs, Secret};

/// A value as somebody gave it.
pub(super) enum Given<'a> {
    /// In the settings file.
    Toml(Spanned<DeValue<'a>>),
    /// In an environment variable, or with a flag that is given once.
    Text(&'a OsStr),
    /// With a flag that may be given several times, or in a variable that separates values by colons.
    Texts(&'a [OsString]),
}

/// A value that is none of the setting's type.
#[derive(Debug)]
pub(super) enum Wrong {
    /// The setting says what it wants.
    Type {
        /// The byte of the settings file where the value begins.
        at: Option<usize>,
    },
    /// There is more to tell.
    Told {
        /// As above.
        at: Option<usize>,
        /// What is wrong. It holds nothing of the value, which may be a secret.
        words: String,
    },
}

/// The kind of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// Any text.
    Text,
    /// A path of a file or folder.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts; JSON in the environment.
    Texts,
    /// A list of folders, each a path or a table; JSON in the environment.
    Folders,
    /// A table; JSON in the environment.
    Table,
    /// A list of tables; JSON in the environment.
    Tables,
    /// `true` or `false`.
    Switch,
}

impl Kind {
    pub(super) fn example(self) -> &'static str {
        match self {
            Kind::Number => "1000",
            Kind::Text => "\"text\"",
            Kind::Path => "\"/var/lib/focus\"",
            Kind::Choice(words) => words[0],
            Kind::Texts => "[\"focus.example\"]",
            Kind::Folders => "[\"/data\"]",
            Kind::Table => "{}",
            Kind::Tables => "[]",
            Kind::Switch => "true",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Number => "a whole number without quotes",
            Kind::Text => "a text in quotes",
            Kind::Path => "a path in quotes",
            Kind::Choice(words) => return write!(f, "one of {}", words.join(", ")),
            Kind::Texts => "a list of texts",
            Kind::Folders => "a list of folders",
            Kind::Table => "a table",
            Kind::Tables => "a list of tables",
            Kind::Switch => "true or false without quotes",
        })
    }
}

/// A type that a setting may have.
pub(super) trait Value: DeserializeOwned {
    const KIND: Kind;

    /// The value of a variable or a flag. Lists and tables are JSON.
    fn from_text(text: &OsStr) -> Result<Self, Wrong> {
        serde_json::from_slice(text.as_encoded_bytes())
            .map_err(|error| Wrong::told(None, &error.to_string()))
    }

    /// The values of a flag that was given several times: the last one counts.
    fn from_texts(texts: &[OsString]) -> Result<Self, Wrong> {
        texts.last().map_or(Err(Wrong::Type { at: None }), |text| Self::from_text(text))
    }

    /// The value for people and programs; a secret is hidden.
    fn shown(&self) -> Json;

    fn read(given: Given<'_>) -> Result<Self, Wrong> {
        match given {
            Given::Text(text) => Self::from_text(text),
            Given::Texts(texts) => Self::from_texts(texts),
            Given::Toml(value) => {
                let begins = value.span().start;
                Self::deserialize(serde::de::IntoDeserializer::into_deserializer(value)).map_err(
                    |error: toml::de::Error| {
                        let at = error.span().map_or(begins, |span| span.start);
                        Wrong::told(Some(at), error.message())
                    },
                )
            }
        }
    }
}

impl Wrong {
    /// The parser's message without the value, whatever that is.
    fn told(at: Option<usize>, message: &str) -> Wrong {
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
        let words = if message.starts_with("unknown field `") {
            super::suggestion::unknown_field(message)
        } else if let (true, Some(expected)) = (message.starts_with("unknown variant"), expected) {
            format!("{expected} is wanted")
        } else if message.starts_with(NO_SUCH_ZONE) {
            NO_SUCH_ZONE.to_owned()
        } else if [
            "missing field `",
            NO_GLOB,
            super::indexed_metadata::WRONG,
            super::alerts::WRONG,
            super::tokens::WRONG,
            super::fdsn::WRONG,
            super::hints::WRONG,
            super::pairs::WRONG,
        ]
        .iter()
        .any(|one| message.starts_with(one))
        {
            message.split(" at line ").next().unwrap_or(message).to_owned()
        } else {
            return Wrong::Type { at };
        };
        Wrong::Told { at, words }
    }

    pub(super) fn at(&self) -> Option<usize> {
        match self {
            Wrong::Type { at } | Wrong::Told { at, .. } => *at,
        }
    }
}

/// A variable or flag whose value is text. One that is not UTF-8 is of no use to these types.
fn text(text: &OsStr) -> Result<&str, Wrong> {
    text.to_str().ok_or_else(|| Wrong::Told { at: None, words: "it is not UTF-8".to_owned() })
}

impl Value for bool {
    const KIND: Kind = Kind::Switch;

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl Value for u64 {
    const KIND: Kind = Kind::Number;

    fn from_text(given: &OsStr) -> Result<u64, Wrong> {
        text(given)?.parse().map_err(|_| Wrong::Type { at: None })
    }

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn from_text(given: &OsStr) -> Result<String, Wrong> {
        text(given).map(str::to_owned)
    }

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl Value for Secret {
    const KIND: Kind = Kind::Text;

    fn from_text(given: &OsStr) -> Result<Secret, Wrong> {
        text(given).map(|text| Secret::new(text.to_owned()))
    }

    fn shown(&self) -> Json {
        json!("***")
    }
}

impl Value for PathBuf {
    const KIND: Kind = Kind::Path;

    fn from_text(given: &OsStr) -> Result<PathBuf, Wrong> {
        Ok(PathBuf::from(given))
    }

    fn shown(&self) -> Json {
        json!(self.to_string_lossy())
    }
}

impl Value for Layout {
    const KIND: Kind = Kind::Choice(&["collection", "base_paths"]);

    fn from_text(given: &OsStr) -> Result<Layout, Wrong> {
        Layout::deserialize(StrDeserializer::<serde::de::value::Error>::new(text(given)?))
            .map_err(|_| Wrong::Type { at: None })
    }

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn from_text(given: &OsStr) -> Result<Option<T>, Wrong> {
        T::from_text(given).map(Some)
    }

    fn shown(&self) -> Json {
        self.as_ref().map_or(Json::Null, Value::shown)
    }
}

impl Value for Vec<String> {
    const KIND: Kind = Kind::Texts;

    fn shown(&self) -> Json {
        json!(self)
    }
}

impl Value for Vec<RootSettings> {
    const KIND: Kind = Kind::Folders;

    fn from_texts(paths: &[OsString]) -> Result<Vec<RootSettings>, Wrong> {
        Ok(paths.iter().map(|path| RootSettings::of(PathBuf::from(path))).collect())
    }

    fn shown(&self) -> Json {
        self.iter().map(RootSettings::shown).collect()
    }
}

/// How recordings lie in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// All in one collection.
    Collection,
    /// A collection per root, named by the `base_paths` collection.
    BasePaths,
}

/// One root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSettings {
    /// Its folder, absolute.
    pub path: PathBuf,
    /// The unit of numbers in its sidecars; none: told by the size of the number.
    pub time_unit: Option<TimeUnit>,
    /// Where times without an offset are meant in its sidecars; none: they are no times.
    pub time_zone: Option<TimeZone>,
    /// What is not there in it; none: what the setting `exclude` says.
    pub exclude: Option<Globs>,
    /// What is not there besides.
    pub exclude_more: Option<Globs>,
    /// Whether it is watched; none: what the setting `watch` says.
    pub watch: Option<bool>,
    /// Time between scans of names in it; none: what the setting of that name says.
    pub scan_interval_ms: Option<u64>,
    /// What it says of its pairs.
    pub pairs: OwnPairs,
    /// Whether it takes recordings by the API; none: what the setting `ingest` says.
    pub ingest: Option<bool>,
}

impl RootSettings {
    /// A root with nothing of its own.
    pub fn of(path: PathBuf) -> RootSettings {
        RootSettings {
            path: absolute(&path),
            time_unit: None,
            time_zone: None,
            exclude: None,
            exclude_more: None,
            watch: None,
            scan_interval_ms: None,
            pairs: OwnPairs::default(),
            ingest: None,
        }
    }

    /// The form of its pairs. `data_extensions` are those of data files where neither its table nor its preset
    /// says otherwise.
    pub(super) fn form(&self, data_extensions: &[String]) -> PairForm {
        let form = self.pairs.form(data_extensions);
        PairForm {
            time_unit: self.time_unit.or(form.time_unit),
            time_zone: self.time_zone.clone(),
            ..form
        }
    }

    /// Nothing but the path is its own.
    pub(super) fn is_bare(&self) -> bool {
        *self == RootSettings::of(self.path.clone())
    }

    fn shown(&self) -> Json {
        let unit = self.time_unit.map(TimeUnit::name);
        let zone = self.time_zone.as_ref().and_then(TimeZone::iana_name);
        let globs = |globs: &Option<Globs>| globs.as_ref().map(Value::shown);
        let own = [
            ("time_unit", unit.map(Json::from)),
            ("time_zone", zone.map(Json::from)),
            ("exclude", globs(&self.exclude)),
            ("exclude_more", globs(&self.exclude_more)),
            ("ingest", self.ingest.map(Json::from)),
            ("watch", self.watch.map(Json::from)),
            ("scan_interval_ms", self.scan_interval_ms.map(Json::from)),
        ];
        let own = own.into_iter().chain(self.pairs.shown());
        let own: Vec<_> = own.filter_map(|(key, value)| Some((key, value?))).collect();
        if own.is_empty() {
            return self.path.shown();
        }
        let mut table = json!({ "path": self.path.shown() });
        for (key, value) in own {
            table[key] = value;
        }
        table
    }
}

/// A root is a path, or a table.
impl<'de> Deserialize<'de> for RootSettings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RootSettings, D::Error> {
        struct PathOrTable;

        impl<'de> Visitor<'de> for PathOrTable {
            type Value = RootSettings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a table with `path`")
            }

            fn visit_str<E>(self, path: &str) -> Result<RootSettings, E> {
                Ok(RootSettings::of(PathBuf::from(path)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RootSettings, A::Error> {
                let table = RootTable::deserialize(MapAccessDeserializer::new(map))?;
                let time_unit = table.time_unit.map(TimeUnitName::unit);
                let time_zone = table.time_zone.map(|ZoneName(zone)| zone);
                let pairs = OwnPairs {
                    preset: table.preset.map(|Of(preset)| preset),
                    data_extensions: table.data_extensions,
                    sidecar_extension: table.sidecar_extension,
                    uuid: table.uuid.map(|Of(uuid)| uuid),
                    start_time: table.start_time.map(|Of(start)| start),
                    end_time: table.end_time.map(|Of(end)| end),
                    deleted: table.deleted.map(|Of(deleted)| deleted),
                };
                let RootTable {
                    path, exclude, exclude_more, ingest, watch, scan_interval_ms, ..
                } = table;
                Ok(RootSettings {
                    time_unit,
                    time_zone,
                    exclude,
                    exclude_more,
                    watch,
                    scan_interval_ms,
                    pairs,
                    ingest,
                    ..RootSettings::of(path)
                })
            }
        }

        from.deserialize_any(PathOrTable)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RootTable {
    path: PathBuf,
    time_unit: Option<TimeUnitName>,
    time_zone: Option<ZoneName>,
    exclude: Option<Globs>,
    exclude_more: Option<Globs>,
    watch: Option<bool>,
    scan_interval_ms: Option<u64>,
    preset: Option<Of<Preset>>,
    data_extensions: Option<Vec<String>>,
    sidecar_extension: Option<String>,
    uuid: Option<Of<UuidFrom>>,
    start_time: Option<Of<StartFrom>>,
    end_time: Option<Of<EndFrom>>,
    deleted: Option<Of<Pointer>>,
    ingest: Option<bool>,
}

/// A time zone, by its name.
struct ZoneName(TimeZone);

impl<'de> Deserialize<'de> for ZoneName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ZoneName, D::Error> {
        let name = String::deserialize(from)?;
        iso8601::zone(&name).map(ZoneName).ok_or_else(|| serde::de::Error::custom(NO_SUCH_ZONE))
    }
}

/// What a name that is none of a time zone is told.
const NO_SUCH_ZONE: &str = "time_zone wants the IANA name of a time zone, such as Europe/Berlin";

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum TimeUnitName {
    S,
    Ms,
    Us,
    Ns,
}

impl TimeUnitName {
    fn unit(self) -> TimeUnit {
        match self {
            TimeUnitName::S => TimeUnit::Seconds,
            TimeUnitName::Ms => TimeUnit::Millis,
            TimeUnitName::Us => TimeUnit::Micros,
            TimeUnitName::Ns => TimeUnit::Nanos,
        }
    }
}

/// An absolute path without `.` parts and without a `/` at its end, so that one folder has one spelling;
/// `..` stays, because links may be on the way.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.components().collect()
}
