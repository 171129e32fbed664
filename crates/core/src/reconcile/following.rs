//! When a standby looks up its own pending recordings and held deletions: the holder of the lease writes
//! and approves them, and tells nobody.

use crate::entry::EntryId;

/// After a recording has landed the holder gets so long to write it.
const FIRST_MS: u64 = 1_000;

/// While recordings are pending they are looked up this often: what the holder writes shows within 5 s.
const AGAIN_MS: u64 = 2_000;

/// Between two pages of a long backlog, at least.
const PAGE_PAUSE_MS: u64 = 200;

/// A page is followed by a pause of so many times its length, so that a long backlog takes the database a
/// fifth of the time of one reader at most.
const PAUSE_FACTOR: u64 = 4;

/// What is held is looked up this often. Of many deletions the first page is enough: approved are all up to
/// one of them, and the next ones are the first page then.
const HELD_MS: u64 = 4_000;

/// How far a standby has looked up what is pending.
#[derive(Clone, Debug, Default)]
pub(super) struct Following {
    /// The index may have something pending that was not looked up yet.
    woken: bool,
    /// When the next page is due, on the boot-time clock; none: nothing is due, or `pause_ms` tells.
    due_ms: Option<u64>,
    /// After the present page, before the next one; none: there is no next one.
    pause_ms: Option<u64>,
    /// The next page begins below this entry; none: with the newest.
    before: Option<EntryId>,
    /// When the present page began.
    began_ms: u64,
    /// When held deletions are due; none: not known yet.
    held_at_ms: Option<u64>,
}

impl Following {
    /// The index may have something pending.
    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    /// A page is due now: below which entry it begins.
    pub(super) fn take_page(&mut self, now_ms: u64) -> Option<Option<EntryId>> {
        if let Some(pause_ms) = self.pause_ms.take() {
            let took_ms = now_ms.saturating_sub(self.began_ms);
            let pause_ms = pause_ms.max(took_ms.saturating_mul(PAUSE_FACTOR));
            self.due_ms = Some(now_ms.saturating_add(pause_ms));
        }
        if self.due_ms.is_none() && std::mem::take(&mut self.woken) {
            self.due_ms = Some(now_ms.saturating_add(FIRST_MS));
        }
        self.due_ms.filter(|due_ms| *due_ms <= now_ms)?;
        self.due_ms = None;
        self.began_ms = now_ms;
        Some(self.before)
    }

    /// Held deletions are due now.
    pub(super) fn take_held(&mut self, now_ms: u64) -> bool {
        let next_ms = now_ms.saturating_add(HELD_MS);
        let due = *self.held_at_ms.get_or_insert(next_ms) <= now_ms;
        if due {
            self.held_at_ms = Some(next_ms);
        }
        due
    }

    /// When something is due, where only time stands in the way.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due_ms.into_iter().chain(self.held_at_ms).min()
    }

    /// The page has so many recordings, of `limit` that it may have, and this is the lowest of them.
    pub(super) fn picked(&mut self, count: usize, limit: usize, lowest: Option<EntryId>) {
        let is_first = self.before.is_none();
        self.before = lowest.filter(|_| count >= limit);
        self.pause_ms = match (count, self.before) {
            (0, _) if is_first => None,
            (_, Some(_)) => Some(PAGE_PAUSE_MS),
            (_, None) => Some(AGAIN_MS),
        };
    }

    /// The page came to nothing: it is looked up again from the newest on.
    pub(super) fn failed(&mut self) {
        *self = Following { woken: true, ..Following::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: i64) -> Option<EntryId> {
        Some(EntryId(id))
    }

    #[test]
    fn what_is_pending_is_looked_up_until_nothing_is() {
        let mut following = Following::default();
        assert_eq!((following.take_page(0), following.due_ms()), (None, None));
        following.wake();
        assert_eq!((following.take_page(10), following.due_ms()), (None, Some(10 + FIRST_MS)));
        assert_eq!(following.take_page(10 + FIRST_MS), Some(None));
        following.picked(3, 5, id(7));
        assert_eq!(following.take_page(2_000), None);
        let due_ms = following.due_ms().expect("looked up again");
        assert!(due_ms <= 2_000 + 4 * AGAIN_MS, "{due_ms}");
        assert_eq!(following.take_page(due_ms), Some(None));
        following.picked(0, 5, None);
        assert_eq!((following.take_page(u64::MAX), following.due_ms()), (None, None));
    }

    #[test]
    fn what_is_held_is_looked_up_again_and_again() {
        let mut following = Following::default();
        assert!(!following.take_held(10));
        assert_eq!(following.due_ms(), Some(10 + HELD_MS));
        assert!(following.take_held(10 + HELD_MS));
        assert!(!following.take_held(10 + HELD_MS));
        assert!(following.take_held(10 + 2 * HELD_MS));
    }

    #[test]
    fn a_long_backlog_is_looked_up_page_by_page_with_pauses_as_long_as_the_pages() {
        let mut following = Following::default();
        following.wake();
        following.take_page(0);
        assert_eq!(following.take_page(FIRST_MS), Some(None));
        following.picked(5, 5, id(20));
        // It took a second.
        assert_eq!(following.take_page(FIRST_MS + 1_000), None);
        assert_eq!(following.due_ms(), Some(FIRST_MS + 1_000 + 4_000));
        assert_eq!(following.take_page(FIRST_MS + 5_000), Some(id(20)));
        following.picked(0, 5, None);
        following.take_page(FIRST_MS + 5_000);
        assert_eq!(following.due_ms(), Some(FIRST_MS + 5_000 + AGAIN_MS), "a new round");
    }
}
