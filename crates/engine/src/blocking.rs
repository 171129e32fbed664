//! Reads of the index, beside the tasks that must not block.

use focus_catalog::cpu;
use focus_index::IndexError;

/// Reads the index on a thread that may block.
///
/// # Errors
/// As the read; [`IndexError::Closed`] where the runtime ends meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    tokio::task::spawn_blocking(|| cpu::counted(read)).await.map_err(|_| IndexError::Closed)?
}
