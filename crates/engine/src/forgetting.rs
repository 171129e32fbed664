//! Roots that are not configured any more leave the index when a person says so.

use std::time::{Duration, Instant};

use focus_index::{Index, IndexError, IndexedRoot};

use crate::engine::Engine;

/// One call forgets for about this long: its caller has a limit of its own, and repeats it.
const CALL: Duration = Duration::from_secs(1);

/// Why a root is not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The index has none of this path or id.
    #[error(
        "the index knows no root {wanted}: `focus status` names the roots that are not configured any more"
    )]
    Unknown {
        /// The path or id.
        wanted: String,
    },
    /// A scan would find it again.
    #[error(
        "the root {path} is configured: take it out of the settings and reload or restart the server, then forget it"
    )]
    Configured {
        /// Its path.
        path: String,
    },
    /// The index cannot be read or written.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// What one call forgot of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgottenRoot {
    /// The id in the root's marker.
    pub marker: String,
    /// The path where it was seen last.
    pub path: String,
    /// How many recordings this call forgot.
    pub recordings: u64,
    /// The root is not in the index any more.
    pub done: bool,
}

/// Forgets a part of a root that is not configured, given by its last path or its id. To be called until it
/// is done. Storage and catalog are not touched.
///
/// # Errors
/// The root is not known or configured, or the index cannot be used.
pub async fn forget(index: &Index, wanted: &str) -> Result<ForgottenRoot, ForgetError> {
    let reader = index.reader();
    let roots = tokio::task::spawn_blocking(move || reader.indexed_roots()).await;
    let roots = roots.map_err(|_| IndexError::Closed)??;
    let IndexedRoot { id, marker, path, .. } = which(roots, wanted)?;
    let mut forgotten = ForgottenRoot { marker, path, recordings: 0, done: false };
    let began = Instant::now();
    while !forgotten.done && began.elapsed() < CALL {
        let part = index.forget(id).await?;
        forgotten.recordings += part.recordings;
        forgotten.done = part.done;
    }
    if forgotten.done {
        tracing::info!("the index has forgotten the root {}", forgotten.path);
    }
    Ok(forgotten)
}

/// The root that is meant. Several may have been at one path: the one that is configured stays.
fn which(roots: Vec<IndexedRoot>, wanted: &str) -> Result<IndexedRoot, ForgetError> {
    let meant = |root: &IndexedRoot| root.marker == wanted || root.path == wanted;
    let (configured, removed): (Vec<_>, Vec<_>) =
        roots.into_iter().filter(meant).partition(|root| root.is_configured);
    match (removed.into_iter().next(), configured.into_iter().next()) {
        (Some(root), _) => Ok(root),
        (None, Some(root)) => Err(ForgetError::Configured { path: root.path }),
        (None, None) => Err(ForgetError::Unknown { wanted: wanted.to_owned() }),
    }
}

impl Engine {
    /// Forgets a part of a root, as [`forget`] does.
    ///
    /// # Errors
    /// As [`forget`].
    pub async fn forget(&self, wanted: &str) -> Result<ForgottenRoot, ForgetError> {
        forget(&self.index, wanted).await
    }
}
