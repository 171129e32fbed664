//! Lists of globs.

use std::ops::Deref;

use focus_core::exclude::{self, Glob};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::value::{Kind, Value};

/// Globs of a list at most: a scan tries every one of them on names that begin like it.
const GLOBS_MAX: usize = 1_000;

/// Characters of a glob that a message shows.
const SHOWN_MAX: usize = 60;

/// What a text that is no glob is told; what is wrong follows.
pub(super) const NO_GLOB: &str = "a glob is wrong";

/// A list of globs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globs(Vec<Glob>);

impl Globs {
    /// What is hidden where nobody says otherwise.
    pub(super) fn of_default() -> Globs {
        Globs(exclude::DEFAULT.iter().filter_map(|text| Glob::new(text).ok()).collect())
    }
}

impl Deref for Globs {
    type Target = [Glob];

    fn deref(&self) -> &[Glob] {
        &self.0
    }
}

impl Value for Globs {
    const KIND: Kind = Kind::Texts;

    fn shown(&self) -> Json {
        self.iter().map(Glob::text).collect()
    }
}

impl<'de> Deserialize<'de> for Globs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Globs, D::Error> {
        let globs = Vec::<GlobText>::deserialize(from)?;
        if globs.len() > GLOBS_MAX {
            let words = format!("{NO_GLOB}: there are more than {GLOBS_MAX}");
            return Err(serde::de::Error::custom(words));
        }
        Ok(Globs(globs.into_iter().map(|GlobText(glob)| glob).collect()))
    }
}

/// One of them.
struct GlobText(Glob);

impl<'de> Deserialize<'de> for GlobText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<GlobText, D::Error> {
        let text = String::deserialize(from)?;
        Glob::new(&text).map(GlobText).map_err(|problem| {
            let shown: String = text.chars().take(SHOWN_MAX).collect();
            serde::de::Error::custom(format!("{NO_GLOB}: {shown:?}: {problem}"))
        })
    }
}
