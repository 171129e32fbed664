//! The conditions of the rules: what each says of the engine as it was seen, and who is to tell of it.

use std::collections::{BTreeMap, VecDeque};

use focus_common::clock;
use focus_common::config::Alerts;
use focus_common::status::{CatalogState, IndexState, RootState};
use focus_core::alert::{AlertKey, Observation, Rule, Thresholds};
use focus_core::lease::LastHolder;
use focus_engine::RootFacts;

use super::board::Board;
use super::watch::Look;

/// Samples of the number of unrecognised recordings are taken so often, milliseconds.
const SAMPLE_MS: u64 = 5_000;

/// Samples that are kept at most.
const SAMPLES_MAX: usize = 20_000;

/// A standby tells that the catalog is down after so many times as long: the holder may be dead.
const STANDBY_TIMES: u64 = 3;

/// A standby that sees its storage gone lets the holder tell of it for so long, milliseconds: to it, the storage may
/// be there.
const HOLDER_FIRST_MS: u64 = 10_000;

/// What a rule says: whether its condition is true, and what is wrong.
type Said = (bool, String);

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Numbers of unrecognised recordings by root, with the time of each.
    unrecognised: BTreeMap<String, VecDeque<(u64, u64)>>,
    /// Leases lost, by root.
    leases_lost: BTreeMap<String, u64>,
    /// When the last outage that has ended began, as the first look and later ones saw it.
    last_outage: Option<Option<String>>,
}

impl Conditions {
    /// What every rule that is not switched off says now.
    pub(super) fn see(&mut self, look: &Look, board: &Board, alerts: &Alerts) -> Vec<Observation> {
        let mut seen = Vec::new();
        let first = look.roots.iter().min_by_key(|root| root.id.clone().unwrap_or_default());
        for rule in Rule::ALL {
            let thresholds = alerts.thresholds(rule);
            if !thresholds.enabled {
                continue;
            }
            if let Some(said) = self.overall(rule, thresholds, look, alerts) {
                seen.push(observation(rule, thresholds, None, said, teller(board, first)));
                continue;
            }
            for root in &look.roots {
                let said = self.of_root(rule, thresholds, look, root);
                seen.push(observation(
                    rule,
                    thresholds,
                    Some(root),
                    said,
                    teller(board, Some(root)),
                ));
            }
        }
        for root in &look.roots {
            self.leases_lost.insert(root.path.clone(), root.lease_lost);
        }
        seen
    }

    /// What a rule without a root says; none of the others.
    fn overall(
        &mut self,
        rule: Rule,
        thresholds: Thresholds,
        look: &Look,
        alerts: &Alerts,
    ) -> Option<Said> {
        let status = &look.status;
        let why = || status.catalog_reason.clone().unwrap_or_default();
        Some(match rule {
            Rule::CatalogDown => {
                let down = status.catalog_state == CatalogState::Down && !status.catalog_refuses;
                (down, format!("The catalog takes no writes: {}", why()))
            }
            Rule::CatalogRefuses => {
                (status.catalog_refuses, format!("The catalog refuses this server: {}", why()))
            }
            Rule::CatalogRecovered => {
                let recovered = self.recovered(look, alerts.thresholds(Rule::CatalogDown).after_ms);
                (recovered.is_some(), recovered.unwrap_or_default())
            }
            Rule::DiskLow => {
                let (free, all) = look.disk.unwrap_or((u64::MAX, 0));
                let low = free < thresholds.below_bytes
                    || free.saturating_mul(100) < all.saturating_mul(thresholds.below_percent);
                (low, format!("{} MiB are free on the disk of the state folder", free >> 20))
            }
            Rule::IndexDamaged => {
                let rebuilding = look.roots.iter().any(|root| root.state == RootState::Unknown)
                    || status.complete_through.is_none()
                    || status.unsettled > 0;
                let damaged = status.index_state == IndexState::Damaged
                    || status.index_state == IndexState::Rebuilt && rebuilding;
                let why = status.index_reason.clone().unwrap_or_default();
                (damaged, format!("The index is made anew: {why}"))
            }
            Rule::DrillFailed => {
                let id = look.failed_drill.clone();
                let words = format!("The drill {} did not pass", id.as_deref().unwrap_or_default());
                (id.is_some(), words)
            }
            Rule::BacklogOld
            | Rule::StorageUnavailable
            | Rule::DeletionsHeld
            | Rule::UnrecognisedGrowth
            | Rule::LeaseLost
            | Rule::DriftFound => return None,
        })
    }

    fn of_root(
        &mut self,
        rule: Rule,
        thresholds: Thresholds,
        look: &Look,
        root: &RootFacts,
    ) -> Said {
        let totals = root.counts.totals;
        match rule {
            Rule::BacklogOld => {
                let age_s = root.backlog_age_s();
                let up = look.status.catalog_state != CatalogState::Down;
                let old = age_s * 1_000.0 > thresholds.older_than_ms as f64;
                let summary = format!(
                    "{} recordings wait for the catalog, the oldest for {age_s:.0} s",
                    totals.pending
                );
                (up && old, summary)
            }
            Rule::StorageUnavailable => {
                let is_there = matches!(root.state, RootState::Present | RootState::Unknown);
                let why = root.reason.clone().unwrap_or_else(|| root.state.to_string());
                (!is_there, format!("The root is not there: {why}"))
            }
            Rule::DeletionsHeld => {
                (totals.held > 0, format!("{} deletions wait for approval", totals.held))
            }
            Rule::UnrecognisedGrowth => {
                let now: u64 = root.counts.unrecognised.iter().map(|(_, count)| count).sum();
                let more = self.growth(&root.path, now, thresholds.within_ms);
                let summary = format!("{more} more recordings cannot be catalogued, {now} in all");
                (more > thresholds.more_than, summary)
            }
            Rule::LeaseLost => {
                let before = self.leases_lost.get(&root.path).copied().unwrap_or(root.lease_lost);
                let summary = "Another server took the lease of the root".to_owned();
                (root.lease_lost > before, summary)
            }
            Rule::DriftFound => {
                let summary = format!("The last verification left {} differences", root.drift);
                (root.drift > 0, summary)
            }
            Rule::CatalogDown
            | Rule::CatalogRefuses
            | Rule::CatalogRecovered
            | Rule::DiskLow
            | Rule::IndexDamaged
            | Rule::DrillFailed => (false, String::new()),
        }
    }

    /// What is told of an outage of `after_ms` or longer that is over and caught up with since the last look.
    fn recovered(&mut self, look: &Look, after_ms: u64) -> Option<String> {
        let last = look.status.last_outage.as_ref();
        let ended = last.filter(|outage| outage.converge_ms.is_some());
        let began = ended.map(|outage| outage.began_at.clone());
        let before = self.last_outage.replace(began.clone());
        // The first look tells nothing: it may be of an earlier server.
        let outage = ended.filter(|_| before.is_some_and(|before| before != began))?;
        (outage.outage_ms >= after_ms).then(|| {
            format!(
                "The outage of {} s is over: {} recordings were pending, and all were in the catalog {} ms after its end",
                outage.outage_ms / 1_000,
                outage.pending,
                outage.converge_ms.unwrap_or(0)
            )
        })
    }

    /// By how much a number has grown within a time.
    fn growth(&mut self, root: &str, now: u64, within_ms: u64) -> u64 {
        let now_ms = clock::boot_ms();
        let samples = self.unrecognised.entry(root.to_owned()).or_default();
        while samples.len() > 1
            && samples.front().is_some_and(|(at, _)| now_ms.saturating_sub(*at) > within_ms)
            || samples.len() >= SAMPLES_MAX
        {
            samples.pop_front();
        }
        if samples.back().is_none_or(|(at, _)| now_ms.saturating_sub(*at) >= SAMPLE_MS) {
            samples.push_back((now_ms, now));
        }
        let least = samples.iter().map(|(_, count)| *count).min().unwrap_or(now);
        now.saturating_sub(least)
    }
}

/// Who tells of a root, and whether it also tells that its storage is gone.
fn teller(board: &Board, root: Option<&RootFacts>) -> (LastHolder, bool) {
    let Some(root) = root else { return (LastHolder::Me, false) };
    let told_elsewhere = root.id.as_ref().is_some_and(|id| board.is_told_elsewhere(id));
    (board.teller(root.id.as_deref(), root.holder, root.token), told_elsewhere)
}

fn observation(
    rule: Rule,
    thresholds: Thresholds,
    root: Option<&RootFacts>,
    (is_true, summary): Said,
    (holder, told_elsewhere): (LastHolder, bool),
) -> Observation {
    let holder = if rule.is_own() { LastHolder::Me } else { holder };
    let after_ms = thresholds.after_ms;
    let stand_in_after_ms = match rule {
        Rule::CatalogDown | Rule::CatalogRefuses => Some(after_ms.saturating_mul(STANDBY_TIMES)),
        Rule::StorageUnavailable if !told_elsewhere => {
            Some(after_ms.saturating_add(HOLDER_FIRST_MS))
        }
        _ => None,
    };
    let of_root = |root: &RootFacts| root.id.clone().unwrap_or_else(|| root.path.clone());
    Observation {
        key: AlertKey { rule, root: root.map(of_root).unwrap_or_default() },
        is_true,
        path: root.map(|root| root.path.clone()).unwrap_or_default(),
        summary,
        holder,
        stand_in_after_ms,
        after_ms,
        clear_after_ms: thresholds.clear_after_ms,
    }
}
