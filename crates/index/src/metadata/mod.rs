//! Recordings by the values of indexed keys: fields of their metadata that a setting names.
//!
//! | file | what it does |
//! |---|---|
//! | `keys` | which keys are indexed, and how far; the triggers that note what a transaction changes |
//! | `settle` | brings the entries in step with the rows before the commit |
//! | `build` | indexes a new key and drops an old one, a step at a time |
//! | `lookup` | finds the values that a listing or a lane is about |
//! | `check` | holds the entries against the rows |
//!
//! `metadata_values` has a row for each value of a key in a root, by its text ([`focus_core::meta_filter`]), and
//! `metadata_entries` one for each recording with a value, with its times, so that a listing by a value walks them in
//! order. What recordings with a value cover is kept beside what roots cover ([`crate::coverage`]), under the negative of
//! the value's number.
//!
//! The file itself says which keys are kept up, so that whoever writes to it keeps them up. An entry is kept up from
//! the time on at which its key is known, whether or not the key is wholly indexed: until it is, nobody asks by it.

mod build;
mod check;
mod keys;
mod lookup;
mod settle;

pub(crate) use check::wrong;
pub use keys::{IndexedKey, KeyState};
pub(crate) use keys::{VALUES_MAX, watch};
pub(crate) use lookup::{OfKey, classes_of, of_key, of_listing};
pub(crate) use settle::settle;

#[cfg(test)]
pub(crate) use {build::step, keys::set};
#[cfg(test)]
mod tests;
