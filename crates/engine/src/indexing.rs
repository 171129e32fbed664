//! Indexed keys: what the setting names is indexed, and what it does not name any more is dropped, beside everything
//! else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_common::status::{IndexedKeyState, IndexedKeyStatus};
use focus_core::meta_filter::MetaKey;
use focus_index::{Index, IndexError, IndexedKey, KeyState, Reader};
use parking_lot::Mutex;

use crate::index_fault::IndexFault;

/// Between two looks at whether something is to be done.
const LOOK: Duration = Duration::from_secs(5);

/// The progress is looked at so often.
const PROGRESS: Duration = Duration::from_millis(200);

/// Follows the setting.
pub(crate) struct Indexing {
    pub(crate) index: Index,
    pub(crate) reader: Reader,
    pub(crate) fault: Arc<IndexFault>,
    /// What the setting names.
    pub(crate) keys: Vec<MetaKey>,
    /// The index knows that.
    pub(crate) is_set: bool,
    /// What the status shows.
    pub(crate) view: Arc<Mutex<Vec<IndexedKey>>>,
}

impl Indexing {
    /// Goes on for as long as there are indexed keys.
    pub(crate) async fn run(self) {
        let mut is_set = self.is_set;
        while !is_set {
            tokio::time::sleep(LOOK).await;
            is_set = self.index.index_metadata(self.keys.clone()).await.is_ok();
        }
        loop {
            match self.look().await {
                Ok(keys) if keys.is_empty() => return,
                Ok(keys) if keys.iter().any(|key| key.has_work) => {
                    if let Err(error) = self.work().await {
                        self.fault.tell(&error);
                        tokio::time::sleep(LOOK).await;
                        self.fault.clear();
                    }
                }
                Ok(_) => tokio::time::sleep(LOOK).await,
                Err(error) => {
                    self.fault.tell(&error);
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// How far the keys are.
    async fn look(&self) -> Result<Vec<IndexedKey>, IndexError> {
        let reader = self.reader.clone();
        let keys = tokio::task::spawn_blocking(move || reader.indexed_keys()).await;
        let keys = keys.map_err(|_| IndexError::Closed)??;
        let mut view = self.view.lock();
        for key in keys.iter().filter(|key| key.state == KeyState::Ready) {
            let before = view.iter().find(|before| before.key == key.key);
            if before.is_some_and(|before| before.state != KeyState::Ready) {
                tracing::info!("recordings are indexed by the metadata field {:?}", key.key);
            }
        }
        view.clone_from(&keys);
        Ok(keys)
    }

    /// Does a part of what is to be done. The writer serves others for at least as long in between.
    async fn work(&self) -> Result<(), IndexError> {
        let began = Instant::now();
        while began.elapsed() < PROGRESS {
            let step = Instant::now();
            if !self.index.metadata_step().await? {
                return Ok(());
            }
            tokio::time::sleep(step.elapsed()).await;
        }
        Ok(())
    }
}

/// An indexed key, as the status shows it.
pub fn indexed_key(key: IndexedKey) -> IndexedKeyStatus {
    IndexedKeyStatus {
        key: key.key,
        state: match key.state {
            KeyState::Indexing => IndexedKeyState::Indexing,
            KeyState::Ready => IndexedKeyState::Ready,
            KeyState::Leaving => IndexedKeyState::Leaving,
        },
        done: key.done,
        of: key.of,
        values: key.values,
    }
}
