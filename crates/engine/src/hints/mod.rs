//! Hints from outside. `taking` takes those of a message, `hinted_root` tells which place of a root a path names, and
//! `outcomes` what came of the looks. In between they wait in the root's inbox.

mod hinted_root;
pub(crate) mod outcomes;
mod taking;

pub(crate) use hinted_root::HintedRoot;
pub use taking::HintCounts;
