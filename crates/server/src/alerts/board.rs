//! What is raised, what each channel was told, and what is silenced. It is kept in the state folder, so that a
//! restart forgets and repeats nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use focus_common::config::Alerts;
use focus_common::{clock, state_dir};
use focus_core::alert::{
    AlertKey, Condition, Raised, Retry, Rule, Silence, Told, Tried, owed, owed_once,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::message::Message;

/// The file in the state folder.
const FILE: &str = "alerts.json";

/// Silences at most: the oldest end first.
const SILENCES_MAX: usize = 100;

/// Alertmanager takes an alert for over unless it is told again; milliseconds.
pub(super) const ALERTMANAGER_AGAIN_MS: u64 = 60_000;

/// What was seen of an alert's condition.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// Which alert.
    pub(super) key: AlertKey,
    /// The condition is true.
    pub(super) is_true: bool,
    /// The configured path of the root.
    pub(super) path: String,
    /// What is wrong, where it is true.
    pub(super) summary: String,
    /// This server tells of it; otherwise the holder of the root does.
    pub(super) tells: bool,
    /// So long it has to be true, milliseconds.
    pub(super) after_ms: u64,
}

/// An alert whose condition is, or was lately, true.
#[derive(Clone, Debug)]
struct Open {
    condition: Condition,
    path: String,
    summary: String,
    tells: bool,
}

/// What a channel was last told of an alert.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptTold {
    channel: String,
    rule: String,
    root: String,
    /// As it was told: a resolve has to have the same.
    identity: String,
    path: String,
    summary: String,
    firing_since_ms: Option<i64>,
    at_ms: i64,
    times: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptAlert {
    rule: String,
    root: String,
    path: String,
    summary: String,
    since_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptSilence {
    id: String,
    rule: String,
    root: Option<String>,
    until_ms: i64,
}

/// What the state folder has.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    alerts: Vec<KeptAlert>,
    told: Vec<KeptTold>,
    silences: Vec<KeptSilence>,
}

/// The state of a channel.
#[derive(Clone, Debug, Default)]
struct ChannelState {
    kind: &'static str,
    retry: Retry,
    /// Why the last try failed; none where it did not.
    failing: Option<String>,
    told_at_ms: Option<i64>,
}

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<AlertKey, Open>,
    told: BTreeMap<(String, AlertKey), KeptTold>,
    silences: Vec<Silence>,
    channels: BTreeMap<String, ChannelState>,
    /// The catalog, as identities name it.
    catalog: String,
    /// Something was observed since the start: until then what was told stands.
    is_seen: bool,
}

/// What is raised, told and silenced.
#[derive(Debug)]
pub struct Board {
    state: Mutex<State>,
    file: PathBuf,
    /// Something is owed, perhaps.
    pub(super) changed: Notify,
}

/// An alert, as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedAlert {
    /// The rule.
    pub rule: String,
    /// How bad.
    pub severity: String,
    /// The configured path of the root; none where there is none.
    pub root: Option<String>,
    /// Since when, RFC 3339.
    pub since: String,
    /// What is wrong.
    pub summary: String,
    /// What to do.
    pub remedy: String,
    /// A silence keeps it from being told.
    pub silenced: bool,
    /// This server tells of it; otherwise the root's holder does.
    pub tells: bool,
}

/// A channel, as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedChannel {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// `ok`, `failing`, or `idle` before the first message.
    pub state: String,
    /// Why it is failing.
    pub reason: Option<String>,
    /// When it was told something last, RFC 3339.
    pub told_at: Option<String>,
}

/// A silence, as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedSilence {
    /// Which it is.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// The root's path or id; none: of all.
    pub root: Option<String>,
    /// Until when, RFC 3339.
    pub until: String,
}

impl Board {
    /// With what an earlier server has kept. A file that cannot be read says nothing.
    pub(super) fn of(state_dir: &Path) -> Board {
        let file = state_dir.join(FILE);
        let kept: Kept = std::fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let key = |rule: &str, root: &str| {
            Some(AlertKey { rule: Rule::from_name(rule)?, root: root.to_owned() })
        };
        let now_ms = clock::boot_ms();
        let open = kept.alerts.into_iter().filter_map(|one| {
            let raised = Raised { since_ms: one.since_ms };
            let condition = Condition::resumed(raised, now_ms);
            let KeptAlert { path, summary, .. } = one;
            Some((key(&one.rule, &one.root)?, Open { condition, path, summary, tells: true }))
        });
        let told = kept
            .told
            .into_iter()
            .filter_map(|one| Some(((one.channel.clone(), key(&one.rule, &one.root)?), one)));
        let silences = kept.silences.into_iter().filter_map(|one| {
            let KeptSilence { id, rule, root, until_ms } = one;
            Some(Silence { id, rule: Rule::from_name(&rule)?, root, until_ms })
        });
        let state = State {
            open: open.collect(),
            told: told.collect(),
            silences: silences.collect(),
            ..State::default()
        };
        Board { state: Mutex::new(state), file, changed: Notify::new() }
    }

    /// The channels are these from now on. What a channel that is gone was told is forgotten.
    pub(super) fn channels(&self, alerts: &Alerts) {
        let mut state = self.state.lock();
        let names: BTreeSet<&str> = alerts.channels.iter().map(|one| one.name.as_str()).collect();
        state.channels.retain(|name, _| names.contains(name.as_str()));
        state.told.retain(|(name, _), _| names.contains(name.as_str()));
        for channel in &alerts.channels {
            let known = state.channels.entry(channel.name.clone()).or_default();
            known.kind = channel.kind.name();
            // Another address may be another's: it is tried at once.
            known.retry = Retry::default();
        }
    }

    /// Takes what was seen in one look. True: something is raised that was not, or the reverse.
    pub(super) fn observe(&self, seen: Vec<Observation>, alerts: &Alerts, catalog: String) -> bool {
        let now = (clock::boot_ms(), clock::wall_ms());
        let mut state = self.state.lock();
        let before: Vec<AlertKey> = state.raised().map(|(key, _, _)| key.clone()).collect();
        state.catalog = catalog;
        state.is_seen = true;
        let mut gone: BTreeSet<AlertKey> = state.open.keys().cloned().collect();
        for one in seen {
            gone.remove(&one.key);
            if !one.is_true && !state.open.contains_key(&one.key) {
                continue;
            }
            let open = state.open.entry(one.key.clone()).or_insert(Open {
                condition: Condition::default(),
                path: one.path.clone(),
                summary: String::new(),
                tells: one.tells,
            });
            let clear_ms = alerts.thresholds(one.key.rule).clear_after_ms;
            open.condition.observe(one.is_true, now, one.after_ms, clear_ms);
            open.tells = one.tells;
            if one.is_true {
                (open.path, open.summary) = (one.path, one.summary);
            }
        }
        // What nobody looks at any more, as a rule that was switched off or a root that was removed.
        state
            .open
            .retain(|key, open| !gone.contains(key) && open.condition != Condition::default());
        state.silences.retain(|silence| now.1 < silence.until_ms);
        // What happened once is forgotten when it is no news any more.
        let State { open, told, .. } = &mut *state;
        told.retain(|(_, key), _| !key.rule.is_event() || open.contains_key(key));
        before.iter().ne(state.raised().map(|(key, _, _)| key))
    }

    /// What a channel is owed now; nothing before its next try is due.
    pub(super) fn owed(
        &self,
        channel: &focus_common::config::Channel,
        alerts: &Alerts,
    ) -> Vec<Message> {
        let state = self.state.lock();
        let now_ms = clock::wall_ms();
        let known = state.channels.get(&channel.name);
        if !state.is_seen || !known.is_some_and(|known| known.retry.is_due(clock::boot_ms())) {
            return Vec::new();
        }
        let again_ms = match channel.kind {
            focus_common::config::ChannelKind::Alertmanager => ALERTMANAGER_AGAIN_MS,
            _ => alerts.repeat_ms,
        };
        let told = state.told.keys().filter(|(name, _)| *name == channel.name).map(|(_, key)| key);
        let keys: BTreeSet<&AlertKey> = state.open.keys().chain(told).collect();
        let message = |key: &AlertKey| {
            let severity = alerts.thresholds(key.rule).severity;
            let told = state.told.get(&(channel.name.clone(), key.clone()));
            let open = state.open.get(key);
            let hears = channel.hears(key.rule, severity);
            let raised =
                open.filter(|open| open.tells && hears).and_then(|open| open.condition.raised());
            let silenced = state.is_silenced(key, now_ms);
            let known = told.map(KeptTold::told);
            let owed = match key.rule.is_event() {
                true => owed_once(raised, known, silenced)?,
                false => owed(raised, known, silenced, again_ms, now_ms)?,
            };
            let (path, summary) = match (open, told) {
                (Some(open), _) => (&open.path, &open.summary),
                (None, Some(told)) => (&told.path, &told.summary),
                (None, None) => return None,
            };
            Some(Message {
                identity: told
                    .map_or_else(|| key.identity(&state.catalog), |told| told.identity.clone()),
                key: key.clone(),
                root: path.clone(),
                owed,
                severity,
                summary: summary.clone(),
                now_ms,
            })
        };
        keys.into_iter().filter_map(message).collect()
    }

    /// A channel was told, or a try failed.
    pub(super) fn tried(&self, channel: &str, message: &Message, tried: Tried, words: &str) {
        let mut state = self.state.lock();
        let Some(known) = state.channels.get_mut(channel) else { return };
        known.retry = known.retry.after(tried, clock::boot_ms());
        known.failing = (tried != Tried::Delivered).then(|| words.to_owned());
        if tried != Tried::Delivered {
            return;
        }
        known.told_at_ms = Some(message.now_ms);
        let at = (channel.to_owned(), message.key.clone());
        match message.owed {
            focus_core::alert::Owed::Firing { raised, times } => {
                let told = KeptTold {
                    channel: channel.to_owned(),
                    rule: message.key.rule.name().to_owned(),
                    root: message.key.root.clone(),
                    identity: message.identity.clone(),
                    path: message.root.clone(),
                    summary: message.summary.clone(),
                    firing_since_ms: Some(raised.since_ms),
                    at_ms: message.now_ms,
                    times,
                };
                state.told.insert(at, told);
            }
            // What is resolved is as if it had never been told.
            focus_core::alert::Owed::Resolved { .. } => drop(state.told.remove(&at)),
        }
    }

    /// Writes what is known into the state folder. Where the disk is full, only a restart repeats something.
    pub(super) fn keep(&self) {
        let kept = self.state.lock().kept();
        let part = self.file.with_extension("part");
        let stored = serde_json::to_vec(&kept)
            .map_err(std::io::Error::from)
            .and_then(|bytes| state_dir::write_private(&part, &bytes))
            .and_then(|()| std::fs::rename(&part, &self.file));
        if let Err(error) = stored {
            tracing::warn!("{} cannot be written: {error}", self.file.display());
        }
    }

    /// The alerts that are raised.
    pub fn alerts(&self, alerts: &Alerts) -> Vec<ListedAlert> {
        let state = self.state.lock();
        let now_ms = clock::wall_ms();
        let listed = state.raised().map(|(key, open, raised)| ListedAlert {
            rule: key.rule.name().to_owned(),
            severity: alerts.thresholds(key.rule).severity.name().to_owned(),
            root: Some(open.path.clone()).filter(|path| !path.is_empty()),
            since: clock::rfc3339(raised.since_ms),
            summary: open.summary.clone(),
            remedy: key.rule.remedy().to_owned(),
            silenced: state.is_silenced(key, now_ms),
            tells: open.tells,
        });
        listed.collect()
    }

    /// The channels.
    pub fn listed_channels(&self) -> Vec<ListedChannel> {
        let state = self.state.lock();
        let listed = state.channels.iter().map(|(name, channel)| ListedChannel {
            name: name.clone(),
            kind: channel.kind.to_owned(),
            state: match (&channel.failing, channel.told_at_ms) {
                (Some(_), _) => "failing",
                (None, Some(_)) => "ok",
                (None, None) => "idle",
            }
            .to_owned(),
            reason: channel.failing.clone(),
            told_at: channel.told_at_ms.map(clock::rfc3339),
        });
        listed.collect()
    }

    /// The silences that last.
    pub fn silences(&self) -> Vec<ListedSilence> {
        let now_ms = clock::wall_ms();
        let state = self.state.lock();
        let lasting = state.silences.iter().filter(|silence| now_ms < silence.until_ms);
        let listed = lasting.map(|silence| ListedSilence {
            id: silence.id.clone(),
            rule: silence.rule.name().to_owned(),
            root: silence.root.clone(),
            until: clock::rfc3339(silence.until_ms),
        });
        listed.collect()
    }

    /// Keeps alerts of this rule, and of this root alone (its id), from being told for so long.
    pub fn silence(&self, rule: Rule, root: Option<String>, for_ms: u64) -> ListedSilence {
        let until_ms = clock::wall_ms().saturating_add(i64::try_from(for_ms).unwrap_or(i64::MAX));
        let id = uuid::Uuid::new_v4().simple().to_string();
        let mut state = self.state.lock();
        if state.silences.len() >= SILENCES_MAX {
            state.silences.sort_by_key(|silence| silence.until_ms);
            state.silences.remove(0);
        }
        state.silences.push(Silence { id: id.clone(), rule, root: root.clone(), until_ms });
        drop(state);
        self.keep();
        ListedSilence { id, rule: rule.name().to_owned(), root, until: clock::rfc3339(until_ms) }
    }

    /// Ends a silence. False: there is none of this id.
    pub fn end_silence(&self, id: &str) -> bool {
        let mut state = self.state.lock();
        let before = state.silences.len();
        state.silences.retain(|silence| silence.id != id);
        let ended = state.silences.len() < before;
        drop(state);
        if ended {
            self.keep();
            self.changed.notify_waiters();
        }
        ended
    }

    /// How many alerts of each rule are raised.
    pub fn firing(&self) -> BTreeMap<Rule, u64> {
        let mut firing = BTreeMap::new();
        for (key, _, _) in self.state.lock().raised() {
            *firing.entry(key.rule).or_default() += 1;
        }
        firing
    }
}

impl KeptTold {
    fn told(&self) -> Told {
        Told {
            firing: self.firing_since_ms.map(|since_ms| Raised { since_ms }),
            at_ms: self.at_ms,
            times: self.times,
        }
    }
}

impl State {
    fn raised(&self) -> impl Iterator<Item = (&AlertKey, &Open, Raised)> {
        self.open.iter().filter_map(|(key, open)| Some((key, open, open.condition.raised()?)))
    }

    fn is_silenced(&self, key: &AlertKey, now_ms: i64) -> bool {
        self.silences.iter().any(|silence| silence.covers(key, now_ms))
    }

    fn kept(&self) -> Kept {
        let alerts = self.raised().map(|(key, open, raised)| KeptAlert {
            rule: key.rule.name().to_owned(),
            root: key.root.clone(),
            path: open.path.clone(),
            summary: open.summary.clone(),
            since_ms: raised.since_ms,
        });
        let silences = self.silences.iter().map(|silence| KeptSilence {
            id: silence.id.clone(),
            rule: silence.rule.name().to_owned(),
            root: silence.root.clone(),
            until_ms: silence.until_ms,
        });
        Kept {
            alerts: alerts.collect(),
            told: self.told.values().cloned().collect(),
            silences: silences.collect(),
        }
    }
}

/// Writes the board where waiting for a disk stops nothing else.
pub(super) async fn keep(board: &Arc<Board>) {
    let board = Arc::clone(board);
    // A panic there has been told.
    let _ = tokio::task::spawn_blocking(move || board.keep()).await;
}
