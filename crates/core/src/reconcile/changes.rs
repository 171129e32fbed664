//! What others do to the catalog: looked into at once, and not with the next periodic comparison alone.
//!
//! Documents that are named are compared one by one. Where it is not told which documents were
//! changed (removed, dropped, too many), a comparison of everything is asked for: the first one at
//! once, and then so seldom that no more than a third of the time goes into comparing.

use std::collections::BTreeSet;

/// Documents that wait to be compared one by one at most; more, and everything is compared.
pub const NAMED_MAX: usize = 1_000;

/// Between the end of a comparison and the next one that is asked for here, at least.
const PAUSE_MIN_MS: u64 = 2_000;

/// A comparison is followed by a pause of so many times its length.
const PAUSE_FACTOR: u64 = 2;

/// Changes by others that have not been looked into.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Documents that are named.
    named: BTreeSet<String>,
    /// Others may be changed as well.
    everything: bool,
    asked: Option<Asked>,
    /// No comparison is asked for before this time, on the boot-time clock.
    not_before_ms: u64,
    /// Comparisons asked for since the start.
    comparisons: u64,
}

/// A comparison that was asked for, and has not finished.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// When, on the boot-time clock.
    at_ms: u64,
    /// How many had finished then.
    finished: u64,
}

impl Changes {
    /// Takes what was told.
    pub(super) fn add(&mut self, uuids: BTreeSet<String>, everything: bool) {
        self.everything |= everything;
        for uuid in uuids {
            if self.named.len() >= NAMED_MAX && !self.named.contains(&uuid) {
                self.everything = true;
                break;
            }
            self.named.insert(uuid);
        }
    }

    /// Which documents were changed cannot be told any more.
    pub(super) fn doubt_everything(&mut self) {
        self.everything = true;
    }

    /// There are documents to be compared one by one.
    pub(super) fn has_named(&self) -> bool {
        !self.named.is_empty()
    }

    /// The documents to be compared one by one now; none where there are none.
    pub(super) fn take_named(&mut self) -> Option<BTreeSet<String>> {
        (!self.named.is_empty()).then(|| std::mem::take(&mut self.named))
    }

    /// A comparison of everything is to be asked for now; `finished` counts those since the start.
    pub(super) fn take_comparison(&mut self, now_ms: u64, finished: u64) -> bool {
        if let Some(asked) = self.asked
            && finished > asked.finished
        {
            let took_ms = now_ms.saturating_sub(asked.at_ms);
            let pause_ms = took_ms.saturating_mul(PAUSE_FACTOR).max(PAUSE_MIN_MS);
            self.not_before_ms = now_ms.saturating_add(pause_ms);
            self.asked = None;
        }
        let due = self.everything && self.asked.is_none() && now_ms >= self.not_before_ms;
        if due {
            self.everything = false;
            self.comparisons += 1;
            self.asked = Some(Asked { at_ms: now_ms, finished });
        }
        due
    }

    /// Comparisons asked for since the start.
    pub(super) fn comparisons(&self) -> u64 {
        self.comparisons
    }

    /// When a comparison is to be asked for, where only time stands in the way.
    pub(super) fn comparison_at_ms(&self) -> Option<u64> {
        (self.everything && self.asked.is_none()).then_some(self.not_before_ms)
    }
}
