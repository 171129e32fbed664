//! The look at the engine: once a second, every rule.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use focus_common::clock;
use focus_common::config::Alerts;
use focus_common::status::{CatalogState, IndexState, RootLease, RootState, Status};
use focus_core::alert::{AlertKey, Observation, Rule, Thresholds};
use focus_engine::{Engine, RootFacts};
use tokio::sync::watch as hand;
use tokio::time::{MissedTickBehavior, interval};

use super::board::{self, Board};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Samples of the number of unrecognised recordings are taken so often, milliseconds.
const SAMPLE_MS: u64 = 5_000;

/// Samples that are kept at most.
const SAMPLES_MAX: usize = 20_000;

/// A standby tells that the catalog is down after so many times as long: the holder may be dead.
const STANDBY_TIMES: u64 = 3;

/// Looks at the engine until it is aborted.
pub(super) async fn run(
    board: Arc<Board>,
    engines: hand::Receiver<Arc<Engine>>,
    alerts: Arc<Alerts>,
) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::default();
    loop {
        ticks.tick().await;
        let engine = Arc::clone(&engines.borrow());
        let look = move || {
            let facts = engine.root_facts().ok()?;
            Some((engine.status(), facts, disk(engine.state_dir())))
        };
        // An index that cannot be read has its own state, and nothing is concluded from it.
        let Ok(Some((status, facts, disk))) = tokio::task::spawn_blocking(look).await else {
            continue;
        };
        if status.catalog_state == CatalogState::Unknown {
            continue;
        }
        let catalog = status.catalog_address.clone();
        let seen = watch.look(&status, &facts, disk, &alerts);
        if board.observe(seen, catalog) {
            // Before anybody is told: a message that is in flight at a crash is sent again as the same.
            board::keep(&board).await;
            board.changed.notify_waiters();
        }
    }
}

/// Free bytes and all bytes of the disk with this folder.
fn disk(folder: &std::path::Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some((bytes(stat.f_bavail), bytes(stat.f_blocks)))
}

/// What is remembered from look to look.
#[derive(Debug, Default)]
struct Watch {
    /// Numbers of unrecognised recordings by root, with the time of each.
    unrecognised: BTreeMap<String, VecDeque<(u64, u64)>>,
    /// Leases lost, by root.
    leases_lost: BTreeMap<String, u64>,
    /// When the last outage that has ended began, as the first look and later ones saw it.
    last_outage: Option<Option<String>>,
    /// This server held the lease of a root last, as far as is known.
    held: BTreeMap<String, bool>,
}

impl Watch {
    /// What every rule that is not switched off says now.
    fn look(
        &mut self,
        status: &Status,
        roots: &[RootFacts],
        disk: Option<(u64, u64)>,
        alerts: &Alerts,
    ) -> Vec<Observation> {
        let mut seen = Vec::new();
        for rule in Rule::ALL {
            if alerts.thresholds(rule).enabled {
                self.rule(rule, alerts, (status, roots, disk), &mut seen);
            }
        }
        for root in roots {
            self.leases_lost.insert(root.path.clone(), root.lease_lost);
        }
        seen
    }

    fn rule(
        &mut self,
        rule: Rule,
        alerts: &Alerts,
        (status, roots, disk): (&Status, &[RootFacts], Option<(u64, u64)>),
        seen: &mut Vec<Observation>,
    ) {
        let thresholds = alerts.thresholds(rule);
        let overall = |is_true, summary: String, tells, after_ms| Observation {
            key: AlertKey { rule, root: String::new() },
            is_true,
            path: String::new(),
            summary,
            tells,
            after_ms,
            clear_after_ms: thresholds.clear_after_ms,
        };
        let down = status.catalog_state == CatalogState::Down;
        let why = || status.catalog_reason.clone().unwrap_or_default();
        match rule {
            Rule::CatalogDown | Rule::CatalogRefuses => {
                let refuses = rule == Rule::CatalogRefuses;
                let is_true =
                    if refuses { status.catalog_refuses } else { down && !status.catalog_refuses };
                let leads = self.leads(roots);
                let times = if leads || refuses { 1 } else { STANDBY_TIMES };
                let words = if refuses {
                    "The catalog refuses this server"
                } else {
                    "The catalog takes no writes"
                };
                let summary = format!("{words}: {}", why());
                let after_ms = thresholds.after_ms.saturating_mul(times);
                seen.push(overall(is_true, summary, true, after_ms));
            }
            Rule::CatalogRecovered => {
                let recovered =
                    self.recovered(status, alerts.thresholds(Rule::CatalogDown).after_ms);
                let summary = recovered.clone().unwrap_or_default();
                let leads = self.leads(roots);
                seen.push(overall(recovered.is_some(), summary, leads, thresholds.after_ms));
            }
            Rule::DiskLow => {
                let Some((free, all)) = disk else { return };
                let low = free < thresholds.below_bytes
                    || free.saturating_mul(100) < all.saturating_mul(thresholds.below_percent);
                let summary =
                    format!("{} MiB are free on the disk of the state folder", free >> 20);
                seen.push(overall(low, summary, true, thresholds.after_ms));
            }
            Rule::IndexDamaged => {
                let rebuilding = roots.iter().any(|root| root.state == RootState::Unknown)
                    || status.complete_through.is_none()
                    || status.unsettled > 0;
                let is_true = status.index_state == IndexState::Damaged
                    || status.index_state == IndexState::Rebuilt && rebuilding;
                let why = status.index_reason.clone().unwrap_or_default();
                seen.push(overall(
                    is_true,
                    format!("The index is made anew: {why}"),
                    true,
                    thresholds.after_ms,
                ));
            }
            _ => {
                for root in roots {
                    seen.push(self.of_root(rule, thresholds, status, root));
                }
            }
        }
    }

    fn of_root(
        &mut self,
        rule: Rule,
        thresholds: Thresholds,
        status: &Status,
        root: &RootFacts,
    ) -> Observation {
        let totals = root.counts.totals;
        let holds = self.holds(root);
        let (is_true, summary, tells) = match rule {
            Rule::BacklogOld => {
                let age_ms = root.backlog_age_s() * 1_000.0;
                let up = status.catalog_state != CatalogState::Down;
                let summary = format!(
                    "{} recordings wait for the catalog, the oldest for {:.0} s",
                    totals.pending,
                    root.backlog_age_s()
                );
                (up && age_ms > thresholds.older_than_ms as f64, summary, holds)
            }
            Rule::StorageUnavailable => {
                let is_there = matches!(root.state, RootState::Present | RootState::Unknown);
                let why = root.reason.clone().unwrap_or_else(|| root.state.to_string());
                (!is_there, format!("The root is not there: {why}"), true)
            }
            Rule::DeletionsHeld => {
                let summary = format!("{} deletions wait for approval", totals.held);
                (totals.held > 0, summary, holds)
            }
            Rule::UnrecognisedGrowth => {
                let now: u64 = root.counts.unrecognised.iter().map(|(_, count)| count).sum();
                let more = self.growth(&root.path, now, thresholds.within_ms);
                let summary = format!("{more} more recordings cannot be catalogued, {now} in all");
                (more > thresholds.more_than, summary, holds)
            }
            Rule::LeaseLost => {
                let before = self.leases_lost.get(&root.path).copied().unwrap_or(root.lease_lost);
                let summary = "Another server took the lease of the root".to_owned();
                (root.lease_lost > before, summary, true)
            }
            _ => {
                let drift = status.drift.unwrap_or(0);
                (drift > 0, format!("The last verification left {drift} differences"), holds)
            }
        };
        Observation {
            key: AlertKey { rule, root: root.id.clone().unwrap_or_else(|| root.path.clone()) },
            is_true,
            path: root.path.clone(),
            summary,
            tells,
            after_ms: thresholds.after_ms,
            clear_after_ms: thresholds.clear_after_ms,
        }
    }

    /// What is told of an outage of `after_ms` or longer that is over and caught up with since the last look.
    fn recovered(&mut self, status: &Status, after_ms: u64) -> Option<String> {
        let ended = status.last_outage.as_ref().filter(|outage| outage.converge_ms.is_some());
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

    /// This server holds the root's lease, or did when that was last known.
    fn holds(&mut self, root: &RootFacts) -> bool {
        match root.lease {
            RootLease::Held => self.held.insert(root.path.clone(), true),
            RootLease::Standby => self.held.insert(root.path.clone(), false),
            RootLease::Unknown => None,
        };
        // Where nobody has ever said otherwise, it is the only one.
        self.held.get(&root.path).copied().unwrap_or(true)
    }

    /// This server tells what is of no root: it holds the one with the smallest id.
    fn leads(&mut self, roots: &[RootFacts]) -> bool {
        let first = roots.iter().min_by_key(|root| root.id.clone().unwrap_or_default());
        first.is_none_or(|root| self.holds(root))
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
