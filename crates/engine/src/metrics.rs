//! What the engine tells as metrics: states as they are now.

use std::collections::BTreeMap;

use focus_catalog::Reach;
use focus_common::clock;
use focus_common::metrics::Scrape;
use focus_common::status::{CatalogState, RootLease, RootState};
use focus_core::lease::LastHolder;
use focus_core::state::State;
use focus_core::verify::FindingKind;
use focus_index::{IndexError, RootCounts};

use crate::engine::Engine;
use crate::served_root::ServedRoot;

impl Engine {
    /// Adds every state that is told as a metric. It reads counters that are there already, and blocks for as
    /// long as that takes.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn tell_metrics(&self, scrape: &Scrape) -> Result<(), IndexError> {
        let one = |name: &str, value: f64| scrape.add(name, [(Vec::new(), value)]);
        scrape.add("focus_build_info", [(vec![env!("CARGO_PKG_VERSION")], 1.0)]);
        let is_up = matches!(*self.catalog.reach().borrow(), Reach::Up { .. });
        one("focus_catalog_up", truth(is_up));
        let state = self.state_of_catalog();
        let states = CatalogState::ALL.iter().map(|one| (vec![one.name()], truth(*one == state)));
        scrape.add("focus_catalog_state", states);
        one("focus_outages_total", self.outages.count() as f64);
        if let Some(free) = free_bytes(&self.settings.state_dir) {
            one("focus_state_disk_free_bytes", free as f64);
        }
        self.tell_roots(scrape)?;
        self.tell_verification(scrape);
        Ok(())
    }

    fn tell_roots(&self, scrape: &Scrape) -> Result<(), IndexError> {
        let roots = self.root_facts()?;
        let each = |name: &str, value: &dyn Fn(&RootFacts) -> f64| {
            scrape.add(name, roots.iter().map(|root| (vec![root.path.as_str()], value(root))));
        };
        each("focus_pending_recordings", &|root| root.counts.totals.pending as f64);
        each("focus_backlog_age_seconds", &|root| root.backlog_age_s());
        each("focus_held_deletions", &|root| root.counts.totals.held as f64);
        each("focus_root_present", &|root| truth(root.state == RootState::Present));
        each("focus_lease_held", &|root| truth(root.lease == RootLease::Held));
        each("focus_lease_lost_total", &|root| root.lease_lost as f64);
        each("focus_watch_missed_total", &|root| root.watch_missed as f64);
        let recordings = roots.iter().flat_map(|root| {
            let totals = root.counts.totals;
            let present = totals.recordings.saturating_sub(totals.vanished);
            let states = [
                ("present", present),
                ("vanished", totals.vanished),
                ("deleted", totals.marked),
                ("unsettled", totals.unsettled),
            ];
            states.map(|(state, count)| (vec![root.path.as_str(), state], count as f64))
        });
        scrape.add("focus_recordings", recordings);
        let unrecognised = roots.iter().flat_map(|root| {
            State::ALL.into_iter().map(|state| {
                let known = root.counts.unrecognised.iter();
                let count: u64 =
                    known.filter(|(name, _)| name == state.name()).map(|(_, count)| count).sum();
                (vec![root.path.as_str(), state.name()], count as f64)
            })
        });
        scrape.add("focus_unrecognised_recordings", unrecognised);
        Ok(())
    }

    /// Every configured root, as metrics and alerts see it. It reads counters, and blocks for as long as that
    /// takes.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn root_facts(&self) -> Result<Vec<RootFacts>, IndexError> {
        let drift = self.verifications.drift_of_roots();
        self.roots.iter().map(|root| self.facts_of(root, &drift)).collect()
    }

    fn facts_of(
        &self,
        root: &ServedRoot,
        drift: &BTreeMap<String, u64>,
    ) -> Result<RootFacts, IndexError> {
        let status = root.root_status();
        let known = root.memory.borrow().clone();
        let (marker, counts) = match known {
            Some((marker, memory)) => (Some(marker), self.reader.root_counts(memory.id)?),
            None => (None, RootCounts::default()),
        };
        let id = match status.id.or(marker) {
            Some(id) => Some(id),
            // It has not been there since the start.
            None => self.known_marker(&status.path)?,
        };
        Ok(RootFacts {
            drift: id.as_ref().and_then(|id| drift.get(id)).copied().unwrap_or(0),
            id,
            holder: root.last_holder(),
            token: root.lease().and_then(|lease| lease.token_held()),
            state: status.state,
            reason: status.reason,
            lease: status.lease,
            lease_lost: status.lease_lost,
            watch_missed: status.watch_missed,
            path: status.path,
            counts,
        })
    }

    /// The marker that the root at this path had when it was there last.
    fn known_marker(&self, path: &str) -> Result<Option<String>, IndexError> {
        let roots = self.reader.indexed_roots()?;
        Ok(roots.into_iter().find(|root| root.path == path).map(|root| root.marker))
    }

    /// What the last verification left, of this run or an earlier one.
    fn tell_verification(&self, scrape: &Scrape) {
        let Some(last) = self.last_verification() else { return };
        let paths: BTreeMap<String, String> = self
            .roots
            .iter()
            .map(|root| root.root_status())
            .filter_map(|status| Some((status.id?, status.path)))
            .collect();
        let of_roots =
            || last.roots.iter().filter_map(|(id, counts)| Some((paths.get(id)?, counts)));
        let findings = of_roots().flat_map(|(path, counts)| {
            FindingKind::ALL.into_iter().filter(|kind| kind.is_drift()).map(move |kind| {
                let count = counts.get(kind.name()).copied().unwrap_or(0);
                (vec![path.as_str(), kind.name()], count as f64)
            })
        });
        scrape.add("focus_drift_findings", findings);
        let ended = last.ended_ms().map(|ms| ms as f64 / 1_000.0);
        let ended =
            ended.iter().flat_map(|at| of_roots().map(|(path, _)| (vec![path.as_str()], *at)));
        scrape.add("focus_verify_finished_timestamp_seconds", ended);
    }
}

/// A root, as metrics and alerts see it.
#[derive(Clone, Debug)]
pub struct RootFacts {
    /// The configured path.
    pub path: String,
    /// The marker's id, once it is known.
    pub id: Option<String>,
    /// The state of the root.
    pub state: RootState,
    /// Why it is not there, and what to do.
    pub reason: Option<String>,
    /// Whose the lease is.
    pub lease: RootLease,
    /// Leases that were lost to another server.
    pub lease_lost: u64,
    /// What is counted of it in the index.
    pub counts: RootCounts,
    /// Differences that the last verification left.
    pub drift: u64,
    /// Who held the lease last, as far as this server knows.
    pub holder: LastHolder,
    /// The token under which this server holds the lease; none where it does not.
    pub token: Option<i64>,
    watch_missed: u64,
}

impl RootFacts {
    /// Age of the oldest pending recording in seconds; 0 without one.
    pub fn backlog_age_s(&self) -> f64 {
        let age = |since_ms: i64| clock::wall_ms().saturating_sub(since_ms).max(0) as f64 / 1_000.0;
        self.counts.pending_since_ms.map_or(0.0, age)
    }
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Bytes that are free for us on the disk with this folder.
fn free_bytes(folder: &std::path::Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
