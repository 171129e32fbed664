//! How the kind of an outage is written: an empty text stands for none.

use serde::de::{Error, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serializer};

use crate::scenario::outage_kind::OutageKind;

pub(crate) fn serialize<S: Serializer>(
    kind: &Option<OutageKind>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.map_or("", OutageKind::name))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<OutageKind>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.is_empty() {
        return Ok(None);
    }
    let named: Result<OutageKind, serde::de::value::Error> =
        OutageKind::deserialize(name.as_str().into_deserializer());
    named.map(Some).map_err(D::Error::custom)
}
