//! The keys of the metadata that are indexed.

use std::fmt;
use std::ops::Deref;

use focus_core::meta_filter::MetaKey;
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::value::{Kind, Value};

/// Keys at most: each of them has an entry for each recording.
const KEYS_MAX: usize = 16;

/// Characters of a key that a message shows.
const SHOWN_MAX: usize = 60;

/// What a text that is no key is told; what is wrong follows.
pub(super) const WRONG: &str = "a key is wrong";

/// Keys that are indexed, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexedMetadata(Vec<MetaKey>);

impl Deref for IndexedMetadata {
    type Target = [MetaKey];

    fn deref(&self) -> &[MetaKey] {
        &self.0
    }
}

impl Value for IndexedMetadata {
    const KIND: Kind = Kind::Texts;

    fn shown(&self) -> Json {
        self.iter().map(MetaKey::as_str).collect()
    }
}

impl<'de> Deserialize<'de> for IndexedMetadata {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<IndexedMetadata, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = IndexedMetadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of keys")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<IndexedMetadata, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = list.next_element_seed(Next(&keys))? {
                    keys.push(key);
                }
                Ok(IndexedMetadata(keys))
            }
        }

        from.deserialize_seq(Keys)
    }
}

/// The key after these: a mistake in it is told with its own line.
struct Next<'a>(&'a [MetaKey]);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = MetaKey;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<MetaKey, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Next<'_> {
    type Value = MetaKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<MetaKey, E> {
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        let wrong = |words: String| E::custom(format!("{WRONG}: {shown:?}: {words}"));
        let key = MetaKey::new(text).map_err(|fault| wrong(fault.to_string()))?;
        if self.0.contains(&key) {
            return Err(wrong("it is there twice: remove one".to_owned()));
        }
        if self.0.len() == KEYS_MAX {
            return Err(wrong(format!("there are more than {KEYS_MAX} keys")));
        }
        Ok(key)
    }
}
