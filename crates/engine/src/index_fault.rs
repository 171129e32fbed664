//! The index's own trouble: what the status shows, and what ends the engine.

use focus_common::status::IndexState;
use focus_index::IndexError;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is wrong with the index, shared by everybody who uses it.
#[derive(Debug, Default)]
pub(crate) struct IndexFault {
    /// State and reason, until a call succeeds again.
    current: Mutex<Option<(IndexState, String)>>,
    /// How the file was found to be damaged. Stays: a damaged file does not mend itself.
    damage: Mutex<Option<String>>,
    damaged: Notify,
}

impl IndexFault {
    /// Takes note of an error of the index, and logs the first one of each state.
    pub(crate) fn tell(&self, error: &IndexError) {
        let state = if error.is_full() {
            IndexState::DiskFull
        } else if error.is_damage() {
            let mut damage = self.damage.lock();
            damage.get_or_insert_with(|| error.to_string());
            self.damaged.notify_one();
            IndexState::Damaged
        } else {
            IndexState::Failed
        };
        let mut current = self.current.lock();
        if current.as_ref().is_none_or(|(before, _)| *before != state) {
            tracing::error!("{error}");
        }
        *current = Some((state, error.to_string()));
    }

    /// Waits until the file is found to be damaged, and says how.
    pub(crate) async fn damaged(&self) -> String {
        self.damaged.notified().await;
        self.damage().unwrap_or_default()
    }

    /// How the file was found to be damaged; none where it was not.
    pub(crate) fn damage(&self) -> Option<String> {
        self.damage.lock().clone()
    }

    /// Takes note that a call on the index succeeded.
    pub(crate) fn clear(&self) {
        *self.current.lock() = None;
    }

    /// State and reason of the trouble that lasts; none where the index works.
    pub(crate) fn get(&self) -> Option<(IndexState, String)> {
        self.current.lock().clone()
    }
}
