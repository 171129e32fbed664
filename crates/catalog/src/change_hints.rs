//! Hints of what others did to the documents of a root, as far as the database tells. A hint has the
//! engine look, and decides nothing: it may be late, doubled, wrong or lost.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Documents that hints may name at once. Beyond it a comparison of everything is cheaper than looking at
/// each, and is asked for instead.
const UUIDS_MAX: usize = 1_000;

/// Hints that wait to be looked into.
#[derive(Debug, Default)]
pub struct ChangeHints {
    waiting: Mutex<ChangedDocuments>,
    news: Notify,
}

/// The hints that came in since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedDocuments {
    /// Documents with these uuids were changed.
    pub uuids: BTreeSet<String>,
    /// Something was changed, and it is not known which documents.
    pub everything: bool,
}

impl ChangeHints {
    /// Takes the hint that somebody changed the document with this uuid.
    pub fn document(&self, uuid: String) {
        let mut waiting = self.waiting();
        if waiting.uuids.len() < UUIDS_MAX || waiting.uuids.contains(&uuid) {
            waiting.uuids.insert(uuid);
        } else {
            waiting.everything = true;
        }
        self.news.notify_one();
    }

    /// Takes the hint that somebody changed documents that it does not name: they were removed or
    /// dropped, or changes were missed.
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
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
