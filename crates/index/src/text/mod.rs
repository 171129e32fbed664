//! Which recordings may have a text in their path or uuid, without reading them.
//!
//! | file | what it does |
//! |---|---|
//! | `posting` | sets of rows of a chunk, and how they are stored |
//! | `build` | indexes new and changed rows, a chunk at a time |
//! | `search` | tells which rows may have a text |
//! | `gather` | finds the first of them in the order of a listing |
//! | `check` | holds the text index against the rows |
//!
//! A chunk is 4,096 neighbouring rows. `text_postings` has a row for each chunk and trigram (three bytes of a path or a
//! uuid, letters in lower case) with the set of the chunk's rows that have it, and one with the starts of its rows. A text
//! is in none but the rows that have all of its trigrams, and each of these is read before it is told.
//!
//! Nothing of this is done by whoever writes to `recordings`. New rows are above `through`, and triggers note the row of
//! what changes below. These rows are read until they are indexed: an answer is the same however far the text index
//! is. What is gone stays in its chunk until that is made anew, and is not found when it is read.

mod build;
mod check;
mod gather;
mod posting;
mod search;

pub use build::{TextDue, TextIndexed};
pub(crate) use check::wrong;
pub(crate) use gather::Range;
pub(crate) use search::Search;

#[cfg(test)]
pub(crate) use build::step;
#[cfg(test)]
mod tests;
