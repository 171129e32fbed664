//! Documents on their way to the catalog, and as they are read back.

use crate::broken::{self, Broken};
use crate::recording::Recording;

/// The low 32 bits of a version hold the generation.
const GENERATION_BITS: u32 = 32;

/// The version of a document: the lease's token in the high 32 bits, the generation in the low.
///
/// Both are kept within 31 and 32 bits, so versions compare as their pairs do.
pub fn version(token: i64, generation: i64) -> i64 {
    let token = if broken::is(Broken::TokenNotInVersion) { 1 } else { token };
    let token = token.clamp(0, i64::from(i32::MAX));
    let generation = generation.clamp(0, i64::from(u32::MAX));
    (token << GENERATION_BITS) | generation
}

/// Tokens are drawn one by one, from 1: one this high or low is no lease's, but somebody's hand, or damage.
const TOKENS: std::ops::RangeInclusive<i64> = 1..=0x7000_0000;

/// A version that no writer under a lease can have given.
pub fn is_spoilt(version: i64) -> bool {
    !TOKENS.contains(&token(version))
}

/// The token in a version.
pub fn token(version: i64) -> i64 {
    version >> GENERATION_BITS
}

/// The generation in a version.
pub fn generation(version: i64) -> i64 {
    version & i64::from(u32::MAX)
}

/// A recording on its way to the catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The content.
    pub recording: Recording,
    /// The token in the high 32 bits, the generation in the low.
    pub version: i64,
}

/// A document read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its `uuid`.
    pub uuid: String,
    /// Its `root`, if it has one that is a string.
    pub root: Option<String>,
    /// Its `version`, if it has one that is an integer.
    pub version: Option<i64>,
    /// Its `deleted`; false where that is no boolean.
    pub deleted: bool,
    /// Its `path`, if it has one that is a string.
    pub path: Option<String>,
    /// Our fields of it; none where one is missing or not of its type, which is a mismatch.
    pub recording: Option<Recording>,
}

impl Stored {
    /// A drill planted its recording.
    pub fn is_drilled(&self) -> bool {
        self.recording.as_ref().is_some_and(Recording::is_drilled)
    }

    /// It has these values, under a version that a writer can have given.
    pub fn is_true_to(&self, recording: &Recording) -> bool {
        self.recording.as_ref() == Some(recording)
            && self.version.is_some_and(|version| !is_spoilt(version))
    }
}

/// What a database shows of itself before anything is written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedCatalog {
    /// Who it is: the random value in `focus_meta` made on first use, and, where the server gives
    /// one, the UUID of the collection that holds this root's recordings. Equal strings: the same one.
    pub identity: String,
    /// The last watermark written for this root, if any.
    pub watermark: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_token_and_its_generation() {
        let v = version(3, 7);
        assert_eq!((token(v), generation(v)), (3, 7));
        assert!(version(2, 1) > version(1, i64::from(u32::MAX)));
        assert!(version(i64::MAX, i64::MAX) > 0);
        assert!(!is_spoilt(version(1, 1)) && !is_spoilt(version(1_000_000_000, 1)));
        for spoilt in [i64::MAX, i64::MIN, -1, -19_786_914_332_671, 0, version(0, 7)] {
            assert!(is_spoilt(spoilt), "{spoilt}");
        }
    }
}
