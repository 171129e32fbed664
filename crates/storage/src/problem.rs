//! The ways in which a root is not there. None of them deletes a recording.

use std::path::PathBuf;

/// Why a root cannot be used now. Each of these is an outage of storage, and none is a deletion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootProblem {
    /// There is nothing at the path.
    #[error("the root {} is not there: mount it, or correct the path", path.display())]
    Absent {
        /// The root.
        path: PathBuf,
    },
    /// The path leads to something that is no folder.
    #[error("the root {} is not a folder: correct the path", path.display())]
    NotADirectory {
        /// The root.
        path: PathBuf,
    },
    /// The folder has no marker.
    #[error("the root {} has no marker .focus-root: if its storage is mounted, mark it with `focus init --root {}` and the settings of the server, which gives a root that is known its id again", path.display(), path.display())]
    NoMarker {
        /// The root.
        path: PathBuf,
    },
    /// The marker is not one of ours.
    #[error("the marker {} is damaged: restore it from a copy, or remove it and run `focus init --root DIR`, which gives a root that is known its id again", path.display())]
    MarkerDamaged {
        /// The marker.
        path: PathBuf,
    },
    /// Another folder, file system or marker has taken the root's place.
    #[error("the root {} was replaced: {words}", path.display())]
    Replaced {
        /// The root.
        path: PathBuf,
        /// What differs.
        words: String,
    },
    /// The marker is that of another configured root, which goes on.
    #[error("the root {} has the marker of the root {of}, so nothing in it counts as present or absent: {words}", path.display())]
    Duplicate {
        /// The root.
        path: PathBuf,
        /// The path of the root that has the marker.
        of: String,
        /// Why they are one, and what to do.
        words: String,
    },
    /// The root cannot be read or written.
    #[error("the root {}: {words}", path.display())]
    Unreadable {
        /// The root.
        path: PathBuf,
        /// What the operating system says.
        words: String,
    },
}
