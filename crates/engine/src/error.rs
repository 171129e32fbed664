//! Why the engine cannot be started.

use focus_common::state_dir::StateDirError;
use focus_core::answer::Failure;
use focus_index::IndexError;

/// Why the engine cannot be started. A root or a database that is not there is none of these: it is
/// waited for.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The index cannot be opened, read or written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The connection string of the catalog cannot be used.
    #[error(transparent)]
    Catalog(#[from] Failure),
    /// The name under which this server holds leases cannot be read from, or written to, the state
    /// folder.
    #[error(transparent)]
    Identity(#[from] StateDirError),
    /// The system gives no thread.
    #[error(
        "no thread for {purpose}: raise the limit of threads (`ulimit -u`, `TasksMax=` of a unit)"
    )]
    Thread {
        /// What the thread is for.
        purpose: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The thread that opened the index was ended.
    #[error("the index was not opened: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

impl StartError {
    /// Whether the same start may succeed later without anybody's doing more than making room: the
    /// disk of the index is full, or fails.
    pub fn is_passing(&self) -> bool {
        matches!(self, StartError::Index(error) if error.is_full() || error.is_hardship())
    }
}
