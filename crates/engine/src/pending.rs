//! Where a driver takes pending recordings from.

use async_trait::async_trait;
use focus_core::batch::Item;
use focus_index::{EntryId, IndexError, Reader, RootId};

use super::blocking::blocking;

/// The pending recordings of one root.
#[async_trait]
pub(crate) trait PendingSource: Send + Sync {
    /// The newest of them: at most `limit`, at most `bytes_max` bytes but always one, and only entries
    /// below `before`.
    ///
    /// # Errors
    /// The index cannot be read.
    async fn pick(
        &mut self,
        limit: usize,
        bytes_max: usize,
        before: Option<EntryId>,
    ) -> Result<Vec<Item>, IndexError>;
}

/// What is pending in the index.
pub(crate) struct IndexedPending {
    pub(crate) reader: Reader,
    pub(crate) id: RootId,
}

#[async_trait]
impl PendingSource for IndexedPending {
    async fn pick(
        &mut self,
        limit: usize,
        bytes_max: usize,
        before: Option<EntryId>,
    ) -> Result<Vec<Item>, IndexError> {
        let (reader, id) = (self.reader.clone(), self.id);
        blocking(move || reader.pick(id, limit, bytes_max, before)).await
    }
}
