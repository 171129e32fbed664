//! The board: which alerts are raised, what each channel was told of them, and what it is owed now.

use std::collections::{BTreeMap, BTreeSet};

use super::told::{Owed, Retry, Told, Tried, owed, owed_once};
use super::{AlertKey, Condition, Raised, Rule, Silence};
use crate::broken::{self, Broken};

/// Silences at most: the one that ends first goes.
const SILENCES_MAX: usize = 100;

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
    /// This server tells of it; otherwise the holder of the root does.
    pub tells: bool,
    /// So long it has to be true, milliseconds.
    pub after_ms: u64,
    /// So long it has to be quiet until it is over, milliseconds.
    pub clear_after_ms: u64,
}

/// An alert whose condition is, or was lately, true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    condition: Condition,
    /// The configured path of the root; empty where there is none.
    pub path: String,
    /// What is wrong.
    pub summary: String,
    /// This server tells of it.
    pub tells: bool,
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
        }
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
}

/// Now: the boot-time clock, and the wall clock in milliseconds since 1970.
pub type Now = (u64, i64);

/// What is raised, told and silenced.
#[derive(Clone, Debug, Default)]
pub struct Board {
    open: BTreeMap<AlertKey, Open>,
    told: BTreeMap<(String, AlertKey), ToldOf>,
    silences: Vec<Silence>,
    channels: BTreeMap<String, Retry>,
    /// The catalog, as identities name it.
    catalog: String,
    /// Something was observed since the start: until then what was told stands.
    is_seen: bool,
}

impl Board {
    /// With what an earlier process has kept.
    pub fn resumed(kept: Kept, (now_ms, _): Now) -> Board {
        let open = kept.raised.into_iter().map(|(key, raised, path, summary)| {
            let condition = Condition::resumed(raised, now_ms);
            (key, Open { condition, path, summary, tells: true })
        });
        let told = kept.told.into_iter().map(|(channel, key, told)| ((channel, key), told));
        let forgets = broken::is(Broken::AlertForgottenAtRestart);
        Board {
            open: open.collect(),
            told: told.filter(|_| !forgets).collect(),
            silences: kept.silences,
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
        }
    }

    /// The channels are these from now on. What a channel that is gone was told is forgotten, and one that is
    /// there is tried at once: its address may be another.
    pub fn set_channels(&mut self, names: &BTreeSet<String>) {
        self.told.retain(|(name, _), _| names.contains(name));
        self.channels = names.iter().map(|name| (name.clone(), Retry::default())).collect();
    }

    /// Takes what was seen in one look: every alert that there can be. True: something is raised that was not,
    /// or the reverse.
    pub fn observe(&mut self, seen: Vec<Observation>, now: Now, catalog: String) -> bool {
        let before: Vec<AlertKey> = self.raised().map(|(key, _, _)| key.clone()).collect();
        (self.catalog, self.is_seen) = (catalog, true);
        let mut gone: BTreeSet<AlertKey> = self.open.keys().cloned().collect();
        for one in seen {
            gone.remove(&one.key);
            if !one.is_true && !self.open.contains_key(&one.key) {
                continue;
            }
            let open = self.open.entry(one.key).or_insert(Open {
                condition: Condition::default(),
                path: String::new(),
                summary: String::new(),
                tells: one.tells,
            });
            open.condition.observe(one.is_true, now, one.after_ms, one.clear_after_ms);
            open.tells = one.tells;
            if one.is_true {
                (open.path, open.summary) = (one.path, one.summary);
            }
        }
        // What nobody looks at any more, as a rule that was switched off or a root that was removed.
        self.open.retain(|key, open| !gone.contains(key) && open.condition != Condition::default());
        self.silences.retain(|silence| now.1 < silence.until_ms);
        // What happened once is forgotten when it is no news any more.
        let Board { open, told, .. } = self;
        told.retain(|(_, key), _| !key.rule.is_event() || open.contains_key(key));
        before.iter().ne(self.raised().map(|(key, _, _)| key))
    }

    /// What a channel is owed now; nothing before its next try is due. It `hears` of some rules alone.
    pub fn owed(
        &self,
        channel: &str,
        hears: &dyn Fn(Rule) -> bool,
        repeat_ms: u64,
        (now_ms, wall_ms): Now,
    ) -> Vec<Due> {
        let retry = self.channels.get(channel);
        if !self.is_seen || !retry.is_some_and(|retry| retry.is_due(now_ms)) {
            return Vec::new();
        }
        let told = self.told.keys().filter(|(name, _)| name == channel).map(|(_, key)| key);
        let keys: BTreeSet<&AlertKey> = self.open.keys().chain(told).collect();
        let due = |key: &AlertKey| {
            let told = self.told.get(&(channel.to_owned(), key.clone()));
            let open = self.open.get(key);
            let raised = open
                .filter(|open| open.tells && hears(key.rule))
                .and_then(|open| open.condition.raised());
            let silenced = self.is_silenced(key, wall_ms);
            let known = told.map(|told| told.told);
            let owed = match key.rule.is_event() {
                true => owed_once(raised, known, silenced)?,
                false => owed(raised, known, silenced, repeat_ms, wall_ms)?,
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
        };
        keys.into_iter().filter_map(due).collect()
    }

    /// A channel is about to be told. Until it is known how that ended, it counts as told, and in doubt: to be
    /// kept before the message goes, so that a process that is killed then resolves what may have come.
    pub fn begin(&mut self, channel: &str, due: &Due) {
        let at = (channel.to_owned(), due.key.clone());
        let Owed::Firing { raised, times } = due.owed else {
            // Should it be raised again, it is told again, because the resolve may have come.
            self.told.entry(at).and_modify(|known| known.told.in_doubt = true);
            return;
        };
        let at_ms = self.told.get(&at).map_or(0, |told| told.told.at_ms);
        let told = Told { firing: Some(raised), at_ms, times, in_doubt: true };
        self.told.insert(at, due.told(told));
    }

    /// A channel was told, or a try failed.
    pub fn tried(&mut self, channel: &str, due: &Due, tried: Tried, (now_ms, wall_ms): Now) {
        let Some(retry) = self.channels.get_mut(channel) else { return };
        *retry = retry.after(tried, now_ms);
        let at = (channel.to_owned(), due.key.clone());
        let delivered = tried == Tried::Delivered || broken::is(Broken::AlertFailureIsTold);
        match (due.owed, delivered) {
            (Owed::Firing { raised, times }, true) => {
                let told = Told { firing: Some(raised), at_ms: wall_ms, times, in_doubt: false };
                self.told.insert(at, due.told(told));
            }
            // What is resolved is as if it had never been told.
            (Owed::Resolved { .. }, true) => drop(self.told.remove(&at)),
            (_, false) if due.in_doubt || matches!(tried, Tried::Failed { in_doubt: true, .. }) => {
            }
            // It has not come: as before this try.
            (Owed::Firing { times: 0 | 1, .. }, false) => drop(self.told.remove(&at)),
            (owed, false) => {
                let one = u32::from(matches!(owed, Owed::Firing { .. }));
                self.told.entry(at).and_modify(|known| {
                    known.told.times -= one.min(known.told.times);
                    known.told.in_doubt = false;
                });
            }
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

    /// A silence keeps this alert back.
    pub fn is_silenced(&self, key: &AlertKey, wall_ms: i64) -> bool {
        self.silences.iter().any(|silence| silence.covers(key, wall_ms))
    }
}
