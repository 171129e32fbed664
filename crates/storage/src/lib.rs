//! Storage: roots and their markers, scans, watches, and looks at single recordings.
//!
//! This crate writes the marker of a root, and recordings that are handed over. It never follows symbolic links, and opens
//! every path below the root's own descriptor, so no name can lead out of a root.

pub mod absence;
mod beneath;
pub mod folders;
pub mod landing;
pub mod look;
pub mod marker;
mod mounts;
pub mod pair;
pub mod problem;
pub mod root;
pub mod sample;
pub mod walk;
pub mod watch;

pub use pair::{Pair, Part, PartKind};
pub use problem::RootProblem;
pub use root::{FolderThere, Root};
