//! Hints about what others did to the documents of a root, as far as the database reports it. A
//! hint wakes its reader and decides nothing: it may be late, doubled, wrong or lost.

use std::collections::BTreeSet;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// Documents that hints name at most. Beyond that, everything is in doubt: one comparison costs less
/// than so many looks.
const UUIDS_MAX: usize = 1_000;

/// The hints that wait to be followed up.
#[derive(Debug, Default)]
pub struct ChangeHints {
    waiting: Mutex<ChangedDocuments>,
    news: Notify,
}

/// The hints of a while, taken together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedDocuments {
    /// Documents with these uuids were changed.
    pub uuids: BTreeSet<String>,
    /// Something was changed, in documents that are not known.
    pub everything: bool,
}

impl ChangeHints {
    /// Adds that somebody changed the document with this uuid.
    pub fn document(&self, uuid: String) {
        let mut waiting = self.waiting();
        if waiting.uuids.len() < UUIDS_MAX || waiting.uuids.contains(&uuid) {
            waiting.uuids.insert(uuid);
        } else {
            waiting.everything = true;
        }
        self.news.notify_one();
    }

    /// Adds that somebody changed something that the database does not name, or named too late.
    pub fn everything(&self) {
        self.waiting().everything = true;
        self.news.notify_one();
    }

    /// Waits for hints, and takes them all.
    pub async fn next(&self) -> ChangedDocuments {
        loop {
            let hinted = std::mem::take(&mut *self.waiting());
            if hinted != ChangedDocuments::default() {
                return hinted;
            }
            self.news.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, ChangedDocuments> {
        self.waiting.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_documents_than_are_kept_put_everything_in_doubt() {
        let hints = ChangeHints::default();
        for n in 0..UUIDS_MAX {
            hints.document(n.to_string());
            hints.document(n.to_string());
        }
        let hinted = hints.next().await;
        assert_eq!((hinted.uuids.len(), hinted.everything), (UUIDS_MAX, false));
        (0..=UUIDS_MAX).for_each(|n| hints.document(n.to_string()));
        assert!(hints.next().await.everything);
        hints.everything();
        assert_eq!(
            hints.next().await,
            ChangedDocuments { everything: true, ..ChangedDocuments::default() }
        );
    }
}
