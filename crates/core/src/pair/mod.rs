//! The form of the pairs in a root: which two files a recording is, and where its sidecar says what.
//!
//! A form is made of a preset and of what the root's settings say otherwise. Everything that depends on it
//! asks it: which names are parts of recordings, what a sidecar means, and what a drill plants.

mod path_uuid;
mod pointer;
mod sigmf;

use std::fmt;
use std::sync::LazyLock;

use jiff::tz::TimeZone;

use crate::time::TimeUnit;

pub use path_uuid::path_uuid;
pub use pointer::{Pointer, PointerFault};
pub(crate) use sigmf::Described;

/// What the word for the times of SigMF is.
const SIGMF: &str = "sigmf";

/// A form that has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// `NAME.dat` and `NAME.json`, as this product describes them.
    #[default]
    Focus,
    /// `NAME.sigmf-data` and `NAME.sigmf-meta`.
    Sigmf,
    /// `NAME.wav` or `NAME.m4a`, and `NAME.json`, as trunk-recorder writes them.
    TrunkRecorder,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 3] = [Preset::Focus, Preset::Sigmf, Preset::TrunkRecorder];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Focus => "focus",
            Preset::Sigmf => SIGMF,
            Preset::TrunkRecorder => "trunk-recorder",
        }
    }

    /// The preset of that name.
    pub fn from_name(name: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.name() == name)
    }
}

/// Where the uuid of a recording is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UuidFrom {
    /// It is derived from the root's id and the path, and is another one at another path.
    Path,
    /// The sidecar has it here; the recording id where it has none.
    Field(Pointer),
}

/// Where the start of a recording is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// The sidecar has it here.
    Field(Pointer),
    /// It is the date of the first capture that has one.
    Sigmf,
}

/// Where the end of a recording is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndFrom {
    /// The sidecar has it here; it is live where there is none.
    Field(Pointer),
    /// The sidecar has the length in seconds here; it is live where there is none.
    Duration(Pointer),
    /// It follows from the date of the last capture that has one, the size of the data file and the type of the
    /// samples.
    Sigmf,
}

/// The form of the pairs in a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairForm {
    /// Extensions of data files, without the dot. Where a recording has several, the first one counts.
    pub data_extensions: Vec<String>,
    /// The extension of sidecars, without the dot.
    pub sidecar_extension: String,
    /// Where the uuid is from.
    pub uuid: UuidFrom,
    /// Where the start is from.
    pub start_time: StartFrom,
    /// Where the end is from.
    pub end_time: EndFrom,
    /// Where the sidecar says that the recording is deleted.
    pub deleted: Pointer,
    /// The unit of numbers that are times; none: told by the size of the number.
    pub time_unit: Option<TimeUnit>,
    /// Where texts without an offset are meant; none: they are no times.
    pub time_zone: Option<TimeZone>,
}

impl PairForm {
    /// The form of a preset.
    pub fn of(preset: Preset) -> PairForm {
        let focus = PairForm {
            data_extensions: vec!["dat".to_owned()],
            sidecar_extension: "json".to_owned(),
            uuid: UuidFrom::Field(Pointer::of_field("uuid")),
            start_time: StartFrom::Field(Pointer::of_field("start_time")),
            end_time: EndFrom::Field(Pointer::of_field("end_time")),
            deleted: Pointer::of_field("deleted"),
            time_unit: None,
            time_zone: None,
        };
        match preset {
            Preset::Focus => focus,
            Preset::Sigmf => PairForm {
                data_extensions: vec!["sigmf-data".to_owned()],
                sidecar_extension: "sigmf-meta".to_owned(),
                uuid: UuidFrom::Path,
                start_time: StartFrom::Sigmf,
                end_time: EndFrom::Sigmf,
                ..focus
            },
            Preset::TrunkRecorder => PairForm {
                data_extensions: vec!["wav".to_owned(), "m4a".to_owned()],
                uuid: UuidFrom::Path,
                end_time: EndFrom::Field(Pointer::of_field("stop_time")),
                time_unit: Some(TimeUnit::Seconds),
                ..focus
            },
        }
    }

    /// The form of the preset `focus`.
    pub fn focus() -> &'static PairForm {
        static FOCUS: LazyLock<PairForm> = LazyLock::new(|| PairForm::of(Preset::Focus));
        &FOCUS
    }

    /// The fields of a sidecar whose values a document has by themselves. The other ones are its metadata.
    pub fn own_fields(&self) -> [Option<&str>; 4] {
        let uuid = match &self.uuid {
            UuidFrom::Path => None,
            UuidFrom::Field(pointer) => pointer.field(),
        };
        let start = match &self.start_time {
            StartFrom::Sigmf => None,
            StartFrom::Field(pointer) => pointer.field(),
        };
        let end = match &self.end_time {
            // A length is not the end itself.
            EndFrom::Sigmf | EndFrom::Duration(_) => None,
            EndFrom::Field(pointer) => pointer.field(),
        };
        [uuid, start, end, self.deleted.field()]
    }

    /// The name of the start, for people.
    pub(crate) fn start_shown(&self) -> &str {
        match &self.start_time {
            StartFrom::Sigmf => "its first capture",
            StartFrom::Field(pointer) => pointer.shown(),
        }
    }

    /// What a sidecar means by it, as a text that is equal where that is: a sidecar that was read under another
    /// one is read again.
    pub fn meaning(&self) -> String {
        let unit = self.time_unit.map_or("", TimeUnit::name);
        let zone = self.time_zone.as_ref().and_then(TimeZone::iana_name).unwrap_or_default();
        let PairForm { uuid, start_time, end_time, deleted, .. } = self;
        format!("{uuid} {start_time} {end_time} {deleted} {unit} {zone}")
    }

    /// Every extension that a part of a recording has.
    pub fn extensions(&self) -> impl Iterator<Item = &String> {
        self.data_extensions.iter().chain([&self.sidecar_extension])
    }

    /// Sidecars mean what they mean by the preset `focus`, whatever the unit and the time zone of their times are.
    pub fn means_as_focus(&self) -> bool {
        let form = PairForm { time_unit: None, time_zone: None, ..self.clone() };
        form.meaning() == PairForm::focus().meaning()
    }

    /// Why this cannot be a form, if it cannot.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.data_extensions.is_empty() {
            mistakes.push("at least one extension of data files is needed".to_owned());
        }
        for extension in self.extensions() {
            if extension.is_empty() || extension.contains(['.', '/', '\0', '\n']) {
                mistakes.push(format!("{extension:?} is no extension: it has no dot and no slash"));
            }
        }
        let is_sidecar = |one: &&String| one.eq_ignore_ascii_case(&self.sidecar_extension);
        mistakes.extend(self.data_extensions.iter().find(is_sidecar).map(|one| {
            format!("{one:?} cannot be the extension of data files and of sidecars: change one of the two")
        }));
        mistakes
    }
}

impl fmt::Display for UuidFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UuidFrom::Path => f.write_str("path"),
            UuidFrom::Field(pointer) => pointer.fmt(f),
        }
    }
}

impl fmt::Display for StartFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartFrom::Sigmf => f.write_str(SIGMF),
            StartFrom::Field(pointer) => pointer.fmt(f),
        }
    }
}

impl fmt::Display for EndFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndFrom::Sigmf => f.write_str(SIGMF),
            EndFrom::Field(pointer) => pointer.fmt(f),
            EndFrom::Duration(pointer) => write!(f, "duration_s={pointer}"),
        }
    }
}

impl UuidFrom {
    /// What this text says: `path`, or a JSON pointer.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<UuidFrom, PointerFault> {
        match text {
            "path" => Ok(UuidFrom::Path),
            pointer => Pointer::new(pointer).map(UuidFrom::Field),
        }
    }
}

impl StartFrom {
    /// What this text says: `sigmf`, or a JSON pointer.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<StartFrom, PointerFault> {
        match text {
            SIGMF => Ok(StartFrom::Sigmf),
            pointer => Pointer::new(pointer).map(StartFrom::Field),
        }
    }
}

impl EndFrom {
    /// What this text says: `sigmf`, or a JSON pointer.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<EndFrom, PointerFault> {
        match text {
            SIGMF => Ok(EndFrom::Sigmf),
            pointer => Pointer::new(pointer).map(EndFrom::Field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_a_name_and_a_form_without_mistakes() {
        for preset in Preset::ALL {
            assert_eq!(Preset::from_name(preset.name()), Some(preset));
            assert_eq!(PairForm::of(preset).mistakes(), Vec::<String>::new(), "{preset:?}");
        }
        assert_eq!(Preset::from_name("Focus"), None);
    }

    #[test]
    fn another_meaning_has_another_text_and_other_extensions_alone_have_not() {
        let focus = PairForm::focus().meaning();
        let sigmf = PairForm::of(Preset::Sigmf).meaning();
        assert_ne!(focus, sigmf);
        assert_ne!(sigmf, PairForm::of(Preset::TrunkRecorder).meaning());
        let wav = PairForm { data_extensions: vec!["wav".to_owned()], ..PairForm::focus().clone() };
        assert_eq!(wav.meaning(), focus);
        let ms = PairForm { time_unit: Some(TimeUnit::Millis), ..PairForm::focus().clone() };
        assert_ne!(ms.meaning(), focus);
    }

    #[test]
    fn extensions_that_no_pair_can_have_are_named() {
        let with = |data: &[&str], sidecar: &str| {
            PairForm {
                data_extensions: data.iter().map(|one| (*one).to_owned()).collect(),
                sidecar_extension: sidecar.to_owned(),
                ..PairForm::focus().clone()
            }
            .mistakes()
            .join("; ")
        };
        assert_eq!(with(&["json", "wav"], "meta"), "");
        assert!(with(&[], "json").contains("at least one"));
        assert!(with(&["wav", "JSON"], "json").contains("\"JSON\" cannot be"));
        assert!(with(&["tar.gz"], "json").contains("\"tar.gz\" is no extension"));
        assert!(with(&["wav"], "").contains("\"\" is no extension"));
    }
}
