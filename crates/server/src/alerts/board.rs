//! What is raised, what each channel was told, and what is silenced. It is kept in the state folder, so that a
//! restart forgets and repeats nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use focus_common::config::{Alerts, Channel, ChannelKind};
use focus_common::{clock, state_dir};
use focus_core::alert::{
    self, AlertKey, Due, Observation, Raised, Rule, Silence, Told, ToldOf, Tried,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::message::Message;

/// The file in the state folder.
const FILE: &str = "alerts.json";

/// Alertmanager takes an alert for over unless it is told again; milliseconds.
pub(super) const ALERTMANAGER_AGAIN_MS: u64 = 60_000;

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
    #[serde(default)]
    in_doubt: bool,
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

/// The state of a channel, for people.
#[derive(Clone, Debug, Default)]
struct ChannelState {
    kind: &'static str,
    /// Why the last try failed; none where it did not.
    failing: Option<String>,
    told_at_ms: Option<i64>,
}

/// What is raised, told and silenced.
#[derive(Debug)]
pub struct Board {
    rules: Mutex<alert::Board>,
    channels: Mutex<BTreeMap<String, ChannelState>>,
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

fn now() -> alert::Now {
    (clock::boot_ms(), clock::wall_ms())
}

impl Board {
    /// With what an earlier server has kept. A file that cannot be read says nothing.
    pub(super) fn of(state_dir: &Path) -> Board {
        let file = state_dir.join(FILE);
        let kept: Kept = std::fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Board {
            rules: Mutex::new(alert::Board::resumed(kept.into(), now())),
            channels: Mutex::default(),
            file,
            changed: Notify::new(),
        }
    }

    /// The channels are these from now on.
    pub(super) fn set_channels(&self, alerts: &Alerts) {
        let names = alerts.channels.iter().map(|channel| channel.name.clone()).collect();
        self.rules.lock().set_channels(&names);
        let mut channels = self.channels.lock();
        channels.retain(|name, _| names.contains(name));
        for channel in &alerts.channels {
            channels.entry(channel.name.clone()).or_default().kind = channel.kind.name();
        }
    }

    /// Takes what was seen in one look. True: something is raised that was not, or the reverse.
    pub(super) fn observe(&self, seen: Vec<Observation>, catalog: String) -> bool {
        self.rules.lock().observe(seen, now(), catalog)
    }

    /// What a channel is owed now; nothing before its next try is due.
    pub(super) fn owed(&self, channel: &Channel, alerts: &Alerts) -> Vec<Message> {
        let repeat_ms = match channel.kind {
            ChannelKind::Alertmanager => ALERTMANAGER_AGAIN_MS,
            _ => alerts.repeat_ms,
        };
        let severity = |rule| alerts.thresholds(rule).severity;
        let now = now();
        let hears = |rule| channel.hears(rule, severity(rule));
        let due = self.rules.lock().owed(&channel.name, &hears, repeat_ms, now);
        let message = |due: Due| Message { severity: severity(due.key.rule), now_ms: now.1, due };
        due.into_iter().map(message).collect()
    }

    /// A channel is about to be told.
    pub(super) fn begin(&self, channel: &str, message: &Message) {
        self.rules.lock().begin(channel, &message.due);
    }

    /// A channel was told, or a try failed.
    pub(super) fn tried(&self, channel: &str, message: &Message, tried: Tried, words: &str) {
        self.rules.lock().tried(channel, &message.due, tried, now());
        if let Some(known) = self.channels.lock().get_mut(channel) {
            known.failing = (tried != Tried::Delivered).then(|| words.to_owned());
            if tried == Tried::Delivered {
                known.told_at_ms = Some(message.now_ms);
            }
        }
    }

    /// Writes what is known into the state folder. Where the disk is full, only a restart repeats something.
    pub(super) fn keep(&self) {
        let kept = Kept::from(self.rules.lock().kept());
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
        let rules = self.rules.lock();
        let now_ms = clock::wall_ms();
        let listed = rules.raised().map(|(key, open, raised)| ListedAlert {
            rule: key.rule.name().to_owned(),
            severity: alerts.thresholds(key.rule).severity.name().to_owned(),
            root: Some(open.path.clone()).filter(|path| !path.is_empty()),
            since: clock::rfc3339(raised.since_ms),
            summary: open.summary.clone(),
            remedy: key.rule.remedy().to_owned(),
            silenced: rules.is_silenced(key, now_ms),
            tells: open.tells,
        });
        listed.collect()
    }

    /// The channels.
    pub fn listed_channels(&self) -> Vec<ListedChannel> {
        let channels = self.channels.lock();
        let listed = channels.iter().map(|(name, channel)| ListedChannel {
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
        self.rules.lock().silences(clock::wall_ms()).map(listed).collect()
    }

    /// Keeps alerts of this rule, and of this root alone (its id), from being told for so long.
    pub fn silence(&self, rule: Rule, root: Option<String>, for_ms: u64) -> ListedSilence {
        let until_ms = clock::wall_ms().saturating_add(i64::try_from(for_ms).unwrap_or(i64::MAX));
        let id = uuid::Uuid::new_v4().simple().to_string();
        let silence = Silence { id, rule, root, until_ms };
        let made = listed(&silence);
        self.rules.lock().silence(silence);
        self.keep();
        made
    }

    /// Ends a silence. False: there is none of this id.
    pub fn end_silence(&self, id: &str) -> bool {
        let ended = self.rules.lock().end_silence(id);
        if ended {
            self.keep();
            self.changed.notify_waiters();
        }
        ended
    }

    /// How many alerts of each rule are raised.
    pub fn firing(&self) -> BTreeMap<Rule, u64> {
        let mut firing = BTreeMap::new();
        for (key, _, _) in self.rules.lock().raised() {
            *firing.entry(key.rule).or_default() += 1;
        }
        firing
    }
}

fn listed(silence: &Silence) -> ListedSilence {
    ListedSilence {
        id: silence.id.clone(),
        rule: silence.rule.name().to_owned(),
        root: silence.root.clone(),
        until: clock::rfc3339(silence.until_ms),
    }
}

fn key(rule: &str, root: &str) -> Option<AlertKey> {
    Some(AlertKey { rule: Rule::from_name(rule)?, root: root.to_owned() })
}

/// What is of a rule that this version does not have is left out.
impl From<Kept> for alert::Kept {
    fn from(kept: Kept) -> alert::Kept {
        let raised = kept.alerts.into_iter().filter_map(|one| {
            let raised = Raised { since_ms: one.since_ms };
            Some((key(&one.rule, &one.root)?, raised, one.path, one.summary))
        });
        let told = kept.told.into_iter().filter_map(|one| {
            let firing = one.firing_since_ms.map(|since_ms| Raised { since_ms });
            let told = Told { firing, at_ms: one.at_ms, times: one.times, in_doubt: one.in_doubt };
            let of = ToldOf { told, identity: one.identity, path: one.path, summary: one.summary };
            Some((one.channel, key(&one.rule, &one.root)?, of))
        });
        let silences = kept.silences.into_iter().filter_map(|one| {
            let KeptSilence { id, rule, root, until_ms } = one;
            Some(Silence { id, rule: Rule::from_name(&rule)?, root, until_ms })
        });
        alert::Kept { raised: raised.collect(), told: told.collect(), silences: silences.collect() }
    }
}

impl From<alert::Kept> for Kept {
    fn from(kept: alert::Kept) -> Kept {
        let alerts = kept.raised.into_iter().map(|(key, raised, path, summary)| KeptAlert {
            rule: key.rule.name().to_owned(),
            root: key.root,
            path,
            summary,
            since_ms: raised.since_ms,
        });
        let told = kept.told.into_iter().map(|(channel, key, of)| KeptTold {
            channel,
            rule: key.rule.name().to_owned(),
            root: key.root,
            identity: of.identity,
            path: of.path,
            summary: of.summary,
            firing_since_ms: of.told.firing.map(|raised| raised.since_ms),
            at_ms: of.told.at_ms,
            times: of.told.times,
            in_doubt: of.told.in_doubt,
        });
        let silences = kept.silences.into_iter().map(|silence| KeptSilence {
            id: silence.id,
            rule: silence.rule.name().to_owned(),
            root: silence.root,
            until_ms: silence.until_ms,
        });
        Kept { alerts: alerts.collect(), told: told.collect(), silences: silences.collect() }
    }
}

/// Writes the board where waiting for a disk stops nothing else.
pub(super) async fn keep(board: &Arc<Board>) {
    let board = Arc::clone(board);
    // A panic there has been told.
    let _ = tokio::task::spawn_blocking(move || board.keep()).await;
}
