//! Why a recording that is handed over is not taken. Every message says what to do.

use focus_core::ingest::PathFault;
use focus_core::recording::quoted;
use focus_core::state::Fault;
use focus_index::IndexError;
use focus_storage::landing::LandingError;

/// Why a recording is not taken.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// No root takes recordings, or the one that was named does not.
    #[error("{0}: set `ingest = true` in the table of a root in focus.toml")]
    Off(String),
    /// There is no such root.
    #[error("this server has no such root: `focus status` lists them by path and id")]
    UnknownRoot,
    /// Several roots take recordings.
    #[error("several roots take recordings: give one of them by its id or its configured path")]
    WhichRoot,
    /// The root's storage is not there.
    #[error("{0}. Nothing was taken: ask again once the root is there, as `focus status` shows it")]
    Away(String),
    /// Deletions of the root are held.
    #[error(
        "{0} deletions of this root are held, so its storage may not be what it was: look at `focus held`, bring the storage back or approve them, then ask again"
    )]
    Held(u64),
    /// The path cannot be one of a recording.
    #[error(transparent)]
    Path(PathFault),
    /// A folder on the way is none.
    #[error("{0}")]
    Folder(LandingError),
    /// The sidecar cannot be catalogued.
    #[error("{}", .0.reason)]
    Sidecar(Fault),
    /// Something else is at the path.
    #[error(
        "another recording, or a file of one, is at this path, and nothing is ever replaced: give another path"
    )]
    PathTaken,
    /// Another recording has the uuid.
    #[error("the recording at {} has this uuid: hand this one over under a uuid of its own. If that one was removed, approve its deletion, or wait until it is marked", quoted(.0.as_bytes()))]
    UuidTaken(String),
    /// The data file is larger than the bound.
    #[error(
        "the data file has more than {0} bytes, which `ingest_max_bytes` allows: put it on storage as a file, or raise that setting"
    )]
    TooLarge(u64),
    /// The disk has too little room.
    #[error(
        "the disk of the root is too full: `ingest_keep_free_percent` leaves {0} % of it free. Make room, then ask again"
    )]
    Full(u64),
    /// Others hand the same path or uuid over, and take long.
    #[error("the same path or uuid is being handed over by another request: ask again in a second")]
    Busy,
    /// Storage fails.
    #[error("storage does not take it: {0}")]
    Storage(LandingError),
    /// The index fails.
    #[error("the index cannot be read now: {0}. Ask again in a second")]
    Index(#[from] IndexError),
    /// The index does not have it yet.
    #[error(
        "both files are in place and synced, and the index does not have them yet: ask again, a repeat is safe"
    )]
    NotYet,
    /// The server stops, or begins anew with other settings.
    #[error("the server was beginning anew: ask again, a repeat is safe")]
    Ended,
}

impl IngestError {
    /// A failure of storage; `keep_free_percent` is the setting.
    pub(crate) fn of(error: LandingError, keep_free_percent: u64) -> IngestError {
        match error {
            LandingError::NotAFolder(_) => IngestError::Folder(error),
            LandingError::Taken => IngestError::PathTaken,
            LandingError::Full => IngestError::Full(keep_free_percent),
            LandingError::NoSafeRename | LandingError::Denied(_) | LandingError::Failed(_) => {
                IngestError::Storage(error)
            }
        }
    }
}
