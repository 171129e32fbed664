//! The keys of a root's table that say what its pairs are.

use std::fmt;

use focus_core::pair::{EndFrom, PairForm, Pointer, PointerFault, Preset, StartFrom, UuidFrom};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

/// What a mistake in one of them begins with.
pub(super) const WRONG: &str = "pairs: ";

/// What a root's table says of its pairs. Whatever it leaves out is as the preset has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPairs {
    /// The preset; none: `focus`.
    pub preset: Option<Preset>,
    /// Extensions of data files.
    pub data_extensions: Option<Vec<String>>,
    /// The extension of sidecars.
    pub sidecar_extension: Option<String>,
    /// Where the uuid is from.
    pub uuid: Option<UuidFrom>,
    /// Where the start is from.
    pub start_time: Option<StartFrom>,
    /// Where the end is from.
    pub end_time: Option<EndFrom>,
    /// Where a sidecar says that its recording is deleted.
    pub deleted: Option<Pointer>,
}

impl OwnPairs {
    /// The form of the pairs. `overall` are the extensions of data files where neither table nor preset says
    /// otherwise.
    pub(super) fn form(&self, overall: &[String]) -> PairForm {
        let preset = PairForm::of(self.preset.unwrap_or_default());
        let data_extensions = match (&self.data_extensions, self.preset) {
            (Some(own), _) => own.clone(),
            (None, None | Some(Preset::Focus)) => overall.to_vec(),
            (None, Some(_)) => preset.data_extensions.clone(),
        };
        let own = self.clone();
        PairForm {
            data_extensions,
            sidecar_extension: own.sidecar_extension.unwrap_or(preset.sidecar_extension),
            uuid: own.uuid.unwrap_or(preset.uuid),
            start_time: own.start_time.unwrap_or(preset.start_time),
            end_time: own.end_time.unwrap_or(preset.end_time),
            deleted: own.deleted.unwrap_or(preset.deleted),
            ..preset
        }
    }

    /// The keys that it has, with their values as the table has them.
    pub(super) fn shown(&self) -> [(&'static str, Option<Json>); 7] {
        let end_time = self.end_time.as_ref().map(|end| match end {
            EndFrom::Duration(pointer) => json!({ "duration_s": pointer.as_str() }),
            other => json!(other.to_string()),
        });
        [
            ("preset", self.preset.map(|preset| json!(preset.name()))),
            ("data_extensions", self.data_extensions.as_ref().map(|all| json!(all))),
            ("sidecar_extension", self.sidecar_extension.as_ref().map(|one| json!(one))),
            ("uuid", self.uuid.as_ref().map(|uuid| json!(uuid.to_string()))),
            ("start_time", self.start_time.as_ref().map(|start| json!(start.to_string()))),
            ("end_time", end_time),
            ("deleted", self.deleted.as_ref().map(|pointer| json!(pointer.as_str()))),
        ]
    }
}

/// A value of a key, as serde reads it.
pub(super) struct Of<T>(pub(super) T);

fn wrong<E: Error>(key: &str, wants: &str, fault: PointerFault) -> E {
    E::custom(format!("{WRONG}{key} wants {wants}: {fault}"))
}

impl<'de> Deserialize<'de> for Of<Preset> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Preset::from_name(&name).map(Of).ok_or_else(|| {
            let names = Preset::ALL.map(Preset::name).join(", ");
            D::Error::custom(format!("{WRONG}preset wants one of {names}"))
        })
    }
}

impl<'de> Deserialize<'de> for Of<UuidFrom> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wants = "\"path\" or a JSON pointer";
        UuidFrom::parse(&text).map(Of).map_err(|fault| wrong("uuid", wants, fault))
    }
}

impl<'de> Deserialize<'de> for Of<StartFrom> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wants = "\"sigmf\" or a JSON pointer";
        StartFrom::parse(&text).map(Of).map_err(|fault| wrong("start_time", wants, fault))
    }
}

impl<'de> Deserialize<'de> for Of<Pointer> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Pointer::new(&text).map(Of).map_err(|fault| wrong("deleted", "a JSON pointer", fault))
    }
}

/// An end is a text, or a table with the length.
impl<'de> Deserialize<'de> for Of<EndFrom> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            duration_s: String,
        }

        const WANTS: &str = "\"sigmf\", a JSON pointer or { duration_s = \"/POINTER\" }";

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Of<EndFrom>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WANTS)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Of<EndFrom>, E> {
                EndFrom::parse(text).map(Of).map_err(|fault| wrong("end_time", WANTS, fault))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Of<EndFrom>, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                let pointer = Pointer::new(&table.duration_s);
                let pointer = pointer.map_err(|fault| wrong("end_time", WANTS, fault))?;
                Ok(Of(EndFrom::Duration(pointer)))
            }
        }

        from.deserialize_any(TextOrTable)
    }
}
