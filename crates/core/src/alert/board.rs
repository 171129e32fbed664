//! The board: which alerts are raised, what each channel was told of them, and what it is owed now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::handover::{Lineage, Record};
use super::told::{Believed, Hearing, Owed, Retry, Told, Tried, owed, owed_once};
use super::{AlertKey, Condition, Raised, Silence};
use crate::broken::{self, Broken};
use crate::lease::LastHolder;

/// Silences at most: the one that ends first goes.
const SILENCES_MAX: usize = 100;

/// Alerts that are over and still listed, at most.
const PAST_MAX: usize = 1_000;

/// They are listed for so long, milliseconds: 30 days.
const PAST_MS: i64 = 30 * 86_400_000;

/// Two servers see the catalog go within this of one another, milliseconds.
const SKEW_MS: u64 = 2_000;

/// A holder that lives tells the end of an alert within this, milliseconds, or has handed over that it owes it.
const LIVES_MS: u64 = 30_000;

/// What was seen of an alert's condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Which alert.
    pub key: AlertKey,
    /// The condition is true.
    pub is_true: bool,
    /// The configured path of the root.
    pub path: String,
    /// What is wrong, where it is true.
    pub summary: String,
    /// Who held the root last, and so tells of it.
    pub holder: LastHolder,
    /// This server tells of it all the same once it has lasted so long, milliseconds: the holder may be dead, or
    /// not see it. None: never.
    pub stand_in_after_ms: Option<u64>,
    /// So long it has to be true, milliseconds.
    pub after_ms: u64,
    /// So long it has to be quiet until it is over, milliseconds.
    pub clear_after_ms: u64,
}

/// An alert whose condition is, or was lately, true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub(super) condition: Condition,
    /// The configured path of the root; empty where there is none.
    pub path: String,
    /// What is wrong.
    pub summary: String,
    holder: LastHolder,
    stand_in_after_ms: Option<u64>,
    after_ms: u64,
    /// Another server, which may be dead by now, may have told of this.
    maybe_told: Option<MaybeTold>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MaybeTold {
    raised: Raised,
    /// Since then it has been over and that server has lived, on the boot-time clock.
    over_ms: Option<u64>,
}

impl Open {
    pub(super) fn new(condition: Condition, path: String, summary: String) -> Open {
        Open {
            condition,
            path,
            summary,
            holder: LastHolder::Me,
            stand_in_after_ms: None,
            after_ms: 0,
            maybe_told: None,
        }
    }

    /// This server tells of it now.
    pub fn tells(&self) -> bool {
        let lasted_ms = self.condition.lasted_ms();
        self.holder == LastHolder::Me
            || self.stand_in_after_ms.is_some_and(|after_ms| lasted_ms >= after_ms)
    }

    fn observe(&mut self, one: Observation, now: Now) {
        self.condition.observe(one.is_true, now, one.after_ms, one.clear_after_ms);
        (self.holder, self.stand_in_after_ms) = (one.holder, one.stand_in_after_ms);
        self.after_ms = one.after_ms;
        if one.is_true {
            (self.path, self.summary) = (one.path, one.summary);
        }
        if self.holder == LastHolder::Me {
            return;
        }
        if let Some(raised) = self.condition.raised_elsewhere(self.after_ms, SKEW_MS) {
            self.maybe_told = Some(MaybeTold { raised, over_ms: None });
        }
        let is_over = self.condition == Condition::default();
        let lives = self.holder == LastHolder::OtherRenews && is_over;
        self.maybe_told = self.maybe_told.take().and_then(|told| {
            let over_ms = told.over_ms.filter(|_| lives).or(lives.then_some(now.0));
            // Whoever lived so long has told that this is over.
            let is_told = over_ms.is_some_and(|since_ms| now.0 - since_ms >= LIVES_MS);
            (!is_told).then_some(MaybeTold { over_ms, ..told })
        });
    }
}

/// An alert that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Which alert.
    pub key: AlertKey,
    /// The configured path of the root; empty where there is none.
    pub path: String,
    /// What was wrong.
    pub summary: String,
    /// Since when it was raised.
    pub raised: Raised,
    /// When it ended, milliseconds since 1970.
    pub ended_ms: i64,
}

/// What a channel was last told of an alert, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldOf {
    /// What it was told.
    pub told: Told,
    /// The identity under which it was told: a resolve has to have the same.
    pub identity: String,
    /// The configured path of the root.
    pub path: String,
    /// What was wrong.
    pub summary: String,
    /// Whoever takes the root over knows of it: once another holds the root, it is told no more from here.
    pub is_handed: bool,
}

/// What a channel is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which alert.
    pub key: AlertKey,
    /// Its identity.
    pub identity: String,
    /// The configured path of the root.
    pub path: String,
    /// What is, or was, wrong.
    pub summary: String,
    /// That it fires, or is resolved.
    pub owed: Owed,
    /// It may have been told before.
    pub in_doubt: bool,
}

impl Due {
    fn told(&self, told: Told) -> ToldOf {
        ToldOf {
            told,
            identity: self.identity.clone(),
            path: self.path.clone(),
            summary: self.summary.clone(),
            is_handed: false,
        }
    }
}

/// Of an alert of a root that another holds, this server owes what nobody else can know that it owes.
fn owes_itself(told: Option<&ToldOf>, is_raised: bool, tells: bool) -> bool {
    match told {
        Some(told) if told.is_handed => false,
        Some(told) => !is_raised || tells || told.told.in_doubt,
        None => tells,
    }
}

/// What a board keeps over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What is raised: since when, the root's path, and what is wrong.
    pub raised: Vec<(AlertKey, Raised, String, String)>,
    /// What each channel was told of each alert.
    pub told: Vec<(String, AlertKey, ToldOf)>,
    /// What is silenced.
    pub silences: Vec<Silence>,
    /// What is over, oldest first.
    pub past: Vec<Past>,
    /// The record that the catalog had of each root when this server wrote it last.
    pub lineages: BTreeMap<String, Lineage>,
    /// The records of roots that others hold, as this server saw them last.
    pub seen: BTreeMap<String, Record>,
}

/// Now: the boot-time clock, and the wall clock in milliseconds since 1970.
pub type Now = (u64, i64);

/// What is raised, told and silenced.
#[derive(Clone, Debug, Default)]
pub struct Board {
    pub(super) open: BTreeMap<AlertKey, Open>,
    pub(super) told: BTreeMap<(String, AlertKey), ToldOf>,
    silences: Vec<Silence>,
    pub(super) channels: BTreeMap<String, (Hearing, Retry)>,
    past: VecDeque<Past>,
    /// The record of each root that this server wrote last.
    pub(super) lineages: BTreeMap<String, Lineage>,
    /// The record of each root that another holds, as it was seen last.
    pub(super) seen: BTreeMap<String, Record>,
    /// Alerts of roots that another server holds.
    of_others: BTreeSet<AlertKey>,
    /// The catalog, as identities name it.
    catalog: String,
    /// Something was observed since the start: until then what was told stands.
    is_seen: bool,
}

impl Board {
    /// With what an earlier process has kept.
    pub fn resumed(kept: Kept, (now_ms, _): Now) -> Board {
        let open = kept.raised.into_iter().map(|(key, raised, path, summary)| {
            (key, Open::new(Condition::resumed(raised, now_ms), path, summary))
        });
        let told = kept.told.into_iter().map(|(channel, key, told)| ((channel, key), told));
        let forgets = broken::is(Broken::AlertForgottenAtRestart);
        Board {
            open: open.collect(),
            told: told.filter(|_| !forgets).collect(),
            silences: kept.silences,
            past: kept.past.into(),
            lineages: kept.lineages,
            seen: kept.seen,
            ..Board::default()
        }
    }

    /// What is kept over a restart.
    pub fn kept(&self) -> Kept {
        let raised = self.raised();
        let told = self.told.iter();
        Kept {
            raised: raised
                .map(|(key, open, raised)| {
                    (key.clone(), raised, open.path.clone(), open.summary.clone())
                })
                .collect(),
            told: told
                .map(|((channel, key), told)| (channel.clone(), key.clone(), told.clone()))
                .collect(),
            silences: self.silences.clone(),
            past: self.past.iter().cloned().collect(),
            lineages: self.lineages.clone(),
            seen: self.seen.clone(),
        }
    }

    /// The channels are these from now on. What a channel that is gone was told is forgotten, and one that is
    /// there is tried at once: its address may be another.
    pub fn set_channels(&mut self, channels: BTreeMap<String, Hearing>) {
        self.told.retain(|(name, _), _| channels.contains_key(name));
        let begun = channels.into_iter().map(|(name, hearing)| (name, (hearing, Retry::default())));
        self.channels = begun.collect();
    }

    /// Takes what was seen in one look: every alert that there can be. True: something is raised that was not,
    /// or the reverse.
    pub fn observe(&mut self, seen: Vec<Observation>, now: Now, catalog: String) -> bool {
        let before = self.raised_now();
        (self.catalog, self.is_seen) = (catalog, true);
        let mut gone: BTreeSet<AlertKey> = self.open.keys().cloned().collect();
        let of_others = seen.iter().filter(|one| one.holder != LastHolder::Me);
        self.of_others = of_others.map(|one| one.key.clone()).collect();
        for one in seen {
            gone.remove(&one.key);
            if !one.is_true && !self.open.contains_key(&one.key) {
                continue;
            }
            let empty = || Open::new(Condition::default(), String::new(), String::new());
            self.open.entry(one.key.clone()).or_insert_with(empty).observe(one, now);
        }
        // What nobody looks at any more, as a rule that was switched off or a root that was removed.
        gone.iter().for_each(|key| drop(self.open.remove(key)));
        self.take_doubts(now);
        let is_idle = |open: &Open| open.condition == Condition::default();
        self.open.retain(|_, open| !is_idle(open) || open.maybe_told.is_some());
        self.silences.retain(|silence| now.1 < silence.until_ms);
        self.forget_told(now);
        let after = self.raised_now();
        for (key, past) in &before {
            if !after.contains_key(key) {
                self.past.push_back(Past { ended_ms: now.1, ..past.clone() });
            }
        }
        let is_old = |past: &Past| now.1.saturating_sub(past.ended_ms) > PAST_MS;
        while self.past.len() > PAST_MAX || self.past.front().is_some_and(is_old) {
            self.past.pop_front();
        }
        before.keys().ne(after.keys())
    }

    /// Takes over what a dead holder may have told: every channel may believe it.
    fn take_doubts(&mut self, (_, wall_ms): Now) {
        if broken::is(Broken::AlertOfDeadHolderStands) {
            self.open.values_mut().for_each(|open| open.maybe_told = None);
        }
        for (key, open) in &mut self.open {
            if open.holder != LastHolder::Me {
                continue;
            }
            let Some(MaybeTold { raised, .. }) = open.maybe_told.take() else { continue };
            for (channel, (hearing, _)) in &self.channels {
                if !hearing.rules.contains(&key.rule) || key.rule.is_event() {
                    continue;
                }
                let believed = Believed::Firing(raised);
                let told = Told { believed, at_ms: wall_ms, times: 1, in_doubt: true };
                self.told.entry((channel.clone(), key.clone())).or_insert(ToldOf {
                    told,
                    identity: key.identity(&self.catalog),
                    path: open.path.clone(),
                    summary: open.summary.clone(),
                    is_handed: false,
                });
            }
        }
    }

    /// Forgets what is no news any more.
    fn forget_told(&mut self, (_, wall_ms): Now) {
        let Board { open, told, channels, .. } = self;
        told.retain(|(channel, key), of| {
            if key.rule.is_event() {
                return open.contains_key(key);
            }
            let Believed::Resolved { ended_ms, .. } = of.told.believed else { return true };
            let for_ms = channels.get(channel).map_or(0, |(hearing, _)| hearing.resolved_for_ms);
            let age_ms = u64::try_from(wall_ms.saturating_sub(ended_ms)).unwrap_or(0);
            of.told.in_doubt || age_ms < for_ms
        });
    }

    fn raised_now(&self) -> BTreeMap<AlertKey, Past> {
        let raised = self.raised().map(|(key, open, raised)| {
            let (path, summary) = (open.path.clone(), open.summary.clone());
            (key.clone(), Past { key: key.clone(), path, summary, raised, ended_ms: 0 })
        });
        raised.collect()
    }

    /// What a channel is owed now; nothing before its next try is due.
    pub fn owed(&self, channel: &str, now: Now) -> Vec<Due> {
        let Some((hearing, retry)) = self.channels.get(channel) else { return Vec::new() };
        if !self.is_seen || !retry.is_due(now.0) {
            return Vec::new();
        }
        let told = self.told.keys().filter(|(name, _)| name == channel).map(|(_, key)| key);
        let keys: BTreeSet<&AlertKey> = self.open.keys().chain(told).collect();
        keys.into_iter().filter_map(|key| self.due(channel, hearing, key, now)).collect()
    }

    fn due(
        &self,
        channel: &str,
        hearing: &Hearing,
        key: &AlertKey,
        (_, wall_ms): Now,
    ) -> Option<Due> {
        let told = self.told.get(&(channel.to_owned(), key.clone()));
        let open = self.open.get(key);
        let raised = open.filter(|_| hearing.rules.contains(&key.rule));
        let raised = raised.and_then(|open| open.condition.raised());
        let tells = open.is_none_or(|open| open.tells());
        let is_begun = open.is_some_and(|open| open.condition != Condition::default());
        if raised.is_none() && is_begun {
            // It is true, though not for long enough: neither its end nor its beginning is told.
            return None;
        }
        if self.of_others.contains(key) && !owes_itself(told, raised.is_some(), tells) {
            return None;
        }
        let silenced = self.is_silenced(key, wall_ms);
        let known = told.map(|told| told.told);
        let owed = match key.rule.is_event() {
            true => owed_once(raised, known, silenced)?,
            false => owed(raised, known, silenced, hearing, wall_ms)?,
        };
        let (path, summary) = match (open, told) {
            (Some(open), _) => (&open.path, &open.summary),
            (None, Some(told)) => (&told.path, &told.summary),
            (None, None) => return None,
        };
        let identity =
            told.map_or_else(|| key.identity(&self.catalog), |told| told.identity.clone());
        let (path, summary) = (path.clone(), summary.clone());
        let in_doubt = known.is_some_and(|known| known.in_doubt);
        Some(Due { key: key.clone(), identity, path, summary, owed, in_doubt })
    }

    /// A channel is about to be told. Until it is known how that ended, it counts as told, and in doubt: to be
    /// kept before the message goes, so that a process that is killed then resolves what may have come.
    pub fn begin(&mut self, channel: &str, due: &Due) {
        let at = (channel.to_owned(), due.key.clone());
        let before = self.told.get(&at).map(|of| of.told);
        let at_ms = before.map_or(0, |told| told.at_ms);
        let (believed, times) = match due.owed {
            Owed::Firing { raised, times } => (Believed::Firing(raised), times),
            // Should it be raised again, it is told again, because the resolve may have come.
            Owed::Resolved { raised, ended_ms } => (Believed::Resolved { raised, ended_ms }, 0),
        };
        self.told.insert(at, due.told(Told { believed, at_ms, times, in_doubt: true }));
    }

    /// A channel was told, or a try failed.
    pub fn tried(&mut self, channel: &str, due: &Due, tried: Tried, (now_ms, wall_ms): Now) {
        let Some((hearing, retry)) = self.channels.get_mut(channel) else { return };
        *retry = retry.after(tried, now_ms);
        let is_once = hearing.resolved_for_ms == 0;
        let at = (channel.to_owned(), due.key.clone());
        let delivered = tried == Tried::Delivered || broken::is(Broken::AlertFailureIsTold);
        let has_not_come = !due.in_doubt && !matches!(tried, Tried::Failed { in_doubt: true, .. });
        match (due.owed, delivered) {
            // What is resolved is as if it had never been told.
            (Owed::Resolved { .. }, true) if is_once => drop(self.told.remove(&at)),
            (_, true) => {
                let known = self.told.get_mut(&at).map(|of| &mut of.told);
                if let Some(known) = known {
                    (known.at_ms, known.in_doubt) = (wall_ms, false);
                }
            }
            // It has not come: as before this try.
            (Owed::Firing { times: 0 | 1, .. }, false) if has_not_come => {
                drop(self.told.remove(&at))
            }
            (Owed::Firing { .. }, false) if has_not_come => {
                self.told.entry(at).and_modify(|known| {
                    known.told.times -= 1.min(known.told.times);
                    known.told.in_doubt = false;
                });
            }
            // It may have come, and the end of an alert is owed until it is known to have.
            (_, false) => {}
        }
    }

    /// Adds a silence.
    pub fn silence(&mut self, silence: Silence) {
        if self.silences.len() >= SILENCES_MAX {
            self.silences.sort_by_key(|silence| silence.until_ms);
            self.silences.remove(0);
        }
        self.silences.push(silence);
    }

    /// Ends a silence. False: there is none of this id.
    pub fn end_silence(&mut self, id: &str) -> bool {
        let before = self.silences.len();
        self.silences.retain(|silence| silence.id != id);
        self.silences.len() < before
    }

    /// The silences that last.
    pub fn silences(&self, wall_ms: i64) -> impl Iterator<Item = &Silence> {
        self.silences.iter().filter(move |silence| wall_ms < silence.until_ms)
    }

    /// The alerts that are raised.
    pub fn raised(&self) -> impl Iterator<Item = (&AlertKey, &Open, Raised)> {
        self.open.iter().filter_map(|(key, open)| Some((key, open, open.condition.raised()?)))
    }

    /// When the next alert is raised, if its condition stays true: on the boot-time clock; none where none is near.
    pub fn next_at_ms(&self) -> Option<u64> {
        let waiting = self.open.values().filter(|open| open.condition.raised().is_none());
        waiting.filter_map(|open| open.condition.due_ms(open.after_ms)).min()
    }

    /// The alerts that are over: those of the last 30 days, newest first, 1,000 at most.
    pub fn past(&self) -> impl Iterator<Item = &Past> {
        self.past.iter().rev()
    }

    /// A silence keeps this alert back.
    pub fn is_silenced(&self, key: &AlertKey, wall_ms: i64) -> bool {
        self.silences.iter().any(|silence| silence.covers(key, wall_ms))
    }
}
