//! One pass over everything, as `focus scan` makes it: scan all roots once, and wait until the catalog
//! has what they hold.

use std::sync::Arc;
use std::time::Duration;

use focus_catalog::Reach;
use focus_common::clock;
use focus_common::config::Settings;
use focus_core::reconcile::Phase;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::engine::Engine;
use crate::inbox::ScanAsked;
use crate::served_root::ServedRoot;
use crate::status::PassReport;
use crate::view::ReconcilerView;

/// Time between two looks at what the pass waits for.
const LOOK: Duration = Duration::from_millis(20);

/// A pass ends without its result where the index cannot be used for so long.
const FAULT_LIMIT: Duration = Duration::from_secs(10);

/// For what a pass waits, and until when.
struct Patience {
    /// A live recording's file may grow for ever: what is unsettled is waited for within this, while it does not become
    /// less.
    settle: Duration,
    /// When the wait for what is unsettled ends, and the least number of it so far; none until all roots are scanned.
    settled_by: Option<(Instant, u64)>,
    /// Another server's lease is no outage, but nothing is written under it. It may lapse until then.
    standby_by: Instant,
    /// Since when the index cannot be used; none where it can.
    faulty_since: Option<Instant>,
}

impl Patience {
    fn new(settings: &Settings) -> Patience {
        Patience {
            settle: Duration::from_millis(settings.settle_ms * 3 + 10_000),
            settled_by: None,
            standby_by: Instant::now() + Duration::from_millis(settings.lease_ms + 3_000),
            faulty_since: None,
        }
    }

    /// Whether the wait for so much that is unsettled is over. A first fill takes as long as it takes: while there is
    /// less and less of it, the wait goes on.
    fn is_over(&mut self, now: Instant, unsettled: u64) -> bool {
        let anew = (now + self.settle, unsettled);
        let (by, least) = *self.settled_by.get_or_insert(anew);
        if unsettled < least {
            self.settled_by = Some(anew);
            return false;
        }
        now >= by
    }
}

/// What a pass is over.
struct Over<'a> {
    /// The marker of the only root; none: all of them.
    only: Option<&'a str>,
    roots: Vec<Arc<ServedRoot>>,
    views: Vec<Arc<Mutex<ReconcilerView>>>,
    /// How many scans of each had finished before.
    before: Vec<u64>,
}

impl Over<'_> {
    /// Whether the catalog has everything of every root that is known.
    fn is_in_step(&self) -> bool {
        self.views.iter().all(|view| {
            let view = view.lock();
            view.phase == Phase::InStep && !view.owed || view.phase == Phase::Unknown
        })
    }

    /// Whether the reconciler of any root is in this phase.
    fn has_phase(&self, phase: Phase) -> bool {
        self.views.iter().any(|view| view.lock().phase == phase)
    }
}

impl Engine {
    /// Waits until all roots were scanned once more and nothing is unsettled or pending, or until what
    /// is missing is known not to be there.
    pub async fn pass(&self) -> PassReport {
        self.pass_over(None).await
    }

    /// As [`Engine::pass`], over the root with this marker alone; none: over all of them.
    pub async fn pass_over(&self, only: Option<&str>) -> PassReport {
        let sides: Vec<(Arc<ServedRoot>, Arc<Mutex<ReconcilerView>>)> =
            self.roots.iter().cloned().zip(self.views.iter().cloned()).collect();
        let chosen = sides.into_iter().filter(|(root, _)| root.is_chosen(only));
        let (roots, views): (Vec<_>, Vec<_>) = chosen.unzip();
        let over =
            Over { only, before: roots.iter().map(|root| root.scans()).collect(), roots, views };
        for root in &over.roots {
            root.inbox.ask_scan(ScanAsked::Stat);
        }
        let mut patience = Patience::new(&self.settings);
        loop {
            if let Some(report) = self.pass_result(&over, &mut patience) {
                return report;
            }
            if let Some(report) = self.pass_without_index(&over, &mut patience) {
                return report;
            }
            sleep(LOOK).await;
        }
    }

    /// The result of the pass; none while there is something to wait for.
    fn pass_result(&self, over: &Over<'_>, patience: &mut Patience) -> Option<PassReport> {
        for (root, before) in over.roots.iter().zip(&over.before) {
            if root.scans() <= *before && root.is_present() {
                return None;
            }
        }
        let now = Instant::now();
        let (unsettled, pending) = self.waiting(over.only);
        let is_over = patience.is_over(now, unsettled);
        let settled = unsettled == 0 && !self.is_due(over) && !self.is_deciding(over);
        let settled = settled || is_over;
        let stood_by = over.has_phase(Phase::Standby) && now >= patience.standby_by;
        let reached = self.is_reached(over) && !stood_by;
        let written = pending == 0 && over.is_in_step() || !reached;
        (settled && written).then(|| self.pass_report(reached, over.only))
    }

    /// How many places are unsettled, and how many recordings are pending.
    fn waiting(&self, only: Option<&str>) -> (u64, u64) {
        match only {
            None => {
                let totals = self.reader.totals().unwrap_or_default();
                (totals.unsettled, totals.pending)
            }
            Some(marker) => {
                let root = self.reader.root_with_marker(marker).ok().flatten();
                let totals = root.and_then(|(id, _)| self.reader.root_totals(id).ok());
                totals.map_or((0, 0), |totals| (totals.unsettled, totals.pending))
            }
        }
    }

    /// The result of a pass whose index has been unusable for long; none before.
    fn pass_without_index(&self, over: &Over<'_>, patience: &mut Patience) -> Option<PassReport> {
        let Some((_, words)) = self.index_fault.get() else {
            patience.faulty_since = None;
            return None;
        };
        let since = *patience.faulty_since.get_or_insert_with(Instant::now);
        if since.elapsed() < FAULT_LIMIT {
            return None;
        }
        let mut report = self.pass_report(self.is_reached(over), over.only);
        report.problems.push(words);
        Some(report)
    }

    /// Whether a root that is there has places that are to be looked at again by now.
    fn is_due(&self, over: &Over<'_>) -> bool {
        over.roots.iter().any(|served| {
            let id = served.memory.borrow().as_ref().map(|(_, memory)| memory.id);
            let due_ms = id.and_then(|id| self.reader.next_due(id).ok().flatten());
            served.is_present() && due_ms.is_some_and(|due_ms| due_ms <= clock::boot_ms())
        })
    }

    /// Whether something is gone from a root that is there, and no decision on it is made yet.
    fn is_deciding(&self, over: &Over<'_>) -> bool {
        over.roots.iter().any(|served| {
            let id = served.memory.borrow().as_ref().map(|(_, memory)| memory.id);
            served.is_present()
                && id.is_some_and(|id| self.reader.has_vanish_candidates(id).unwrap_or(false))
        })
    }

    /// False once the catalog is known not to be there, or to refuse us.
    fn is_reached(&self, over: &Over<'_>) -> bool {
        let down = matches!(*self.catalog.reach().borrow(), Reach::Down { .. });
        !down && !over.has_phase(Phase::Down) && self.lease_trouble().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unsettled_is_waited_for_while_it_becomes_less() {
        let mut patience = Patience::new(&Settings::default());
        let (began, step) = (Instant::now(), patience.settle / 2);
        let at = |steps: u32| began + step * steps;
        for (steps, unsettled) in [(0, 10), (1, 9), (2, 9), (3, 5)] {
            assert!(!patience.is_over(at(steps), unsettled), "{steps}");
        }
        assert!(!patience.is_over(at(4), 5));
        assert!(!patience.is_over(at(4), 8), "more of it is no progress");
        assert!(patience.is_over(at(5), 5));
    }
}
