//! Where a driver takes pending recordings from.

use async_trait::async_trait;
use focus_core::batch::{Pick, Picked};
use focus_index::{IndexError, Reader, RootId};

use super::blocking::blocking;

/// The pending recordings of one root.
#[async_trait]
pub(crate) trait PendingSource: Send + Sync {
    /// The newest of them.
    ///
    /// # Errors
    /// The index cannot be read.
    async fn pick(&mut self, pick: Pick) -> Result<Picked, IndexError>;
}

/// What is pending in the index.
pub(crate) struct IndexedPending {
    pub(crate) reader: Reader,
    pub(crate) id: RootId,
}

#[async_trait]
impl PendingSource for IndexedPending {
    async fn pick(&mut self, pick: Pick) -> Result<Picked, IndexError> {
        let (reader, id) = (self.reader.clone(), self.id);
        blocking(move || reader.pick(id, &pick)).await
    }
}
