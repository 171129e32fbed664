//! What is raised, what each channel was told, and what is silenced. It is kept in the state folder, so that a
//! restart forgets and repeats nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use focus_common::alerts::{AlertsStatus, ListedAlert, ListedAlerts, ListedChannel, ListedSilence};
use focus_common::config::{Alerts, Channel, ChannelKind};
use focus_common::metrics::counters;
use focus_common::{clock, state_dir};
use focus_core::alert::{
    self, Due, Handed, Hearing, Holds, Lineage, Observation, Record, Rule, Severity, Silence, Tried,
};
use focus_core::lease::LastHolder;
use focus_engine::RootHolder;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::kept::Kept;
use super::message::{About, Message};

/// The file in the state folder.
const FILE: &str = "alerts.json";

/// Alertmanager takes an alert for over unless it is told again; milliseconds.
const ALERTMANAGER_AGAIN_MS: u64 = 60_000;

/// One that was away while an alert ended is told of the end for so long, milliseconds: 15 minutes.
const ALERTMANAGER_RESOLVED_MS: u64 = 900_000;

/// How a delivery ends, as its metric says it.
const DELIVERED: [&str; 3] = ["delivered", "failed", "refused"];

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
    about: Mutex<About>,
    /// The token under which each root was taken over, with what its last holder had told.
    taken: Mutex<BTreeMap<String, i64>>,
    /// Roots whose storage is gone, as their holder tells.
    told_elsewhere: Mutex<BTreeSet<String>>,
    file: PathBuf,
    /// Something is owed, perhaps.
    pub(super) changed: Notify,
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
            about: Mutex::default(),
            taken: Mutex::default(),
            told_elsewhere: Mutex::default(),
            file,
            changed: Notify::new(),
        }
    }

    /// The channels are these from now on, and links in messages begin with this address.
    pub(super) fn set_channels(&self, alerts: &Alerts, external_url: Option<&str>) {
        let hearing = |channel: &Channel| {
            let hears = |rule: &Rule| channel.hears(*rule, alerts.thresholds(*rule).severity);
            let rules = Rule::ALL.into_iter().filter(hears).collect();
            let (repeat_ms, resolved_for_ms) = match channel.kind {
                ChannelKind::Alertmanager => (ALERTMANAGER_AGAIN_MS, ALERTMANAGER_RESOLVED_MS),
                _ => (alerts.repeat_ms, 0),
            };
            Hearing { rules, repeat_ms, resolved_for_ms }
        };
        let hearing: BTreeMap<String, Hearing> = alerts
            .channels
            .iter()
            .map(|channel| (channel.name.clone(), hearing(channel)))
            .collect();
        self.about.lock().url =
            external_url.map(|url| format!("{}/alerts", url.trim_end_matches('/')));
        let mut channels = self.channels.lock();
        channels.retain(|name, _| hearing.contains_key(name));
        for channel in &alerts.channels {
            channels.entry(channel.name.clone()).or_default().kind = channel.kind.name();
            for result in DELIVERED {
                counters().alert_deliveries.with_label_values(&[channel.name.as_str(), result]);
            }
        }
        self.rules.lock().set_channels(hearing);
    }

    /// Takes what was seen in one look, and the drill under way. True: something is raised that was not, or the
    /// reverse.
    pub(super) fn observe(
        &self,
        seen: Vec<Observation>,
        catalog: String,
        drill: Option<String>,
    ) -> bool {
        self.about.lock().drill = drill;
        self.rules.lock().observe(seen, now(), catalog)
    }

    /// In how many milliseconds the next alert is raised, if its condition stays true.
    pub(super) fn next_in_ms(&self) -> Option<u64> {
        self.rules.lock().next_at_ms().map(|at_ms| at_ms.saturating_sub(now().0))
    }

    /// What a channel is owed now; nothing before its next try is due.
    pub(super) fn owed(&self, channel: &Channel, alerts: &Alerts) -> Vec<Message> {
        let now = now();
        let due = self.rules.lock().owed(&channel.name, now);
        let about = self.about.lock().clone();
        let message = |due: Due| {
            let severity = alerts.thresholds(due.key.rule).severity;
            Message { severity, now_ms: now.1, about: about.clone(), due }
        };
        due.into_iter().map(message).collect()
    }

    /// Who tells of a root: its last holder, and nobody while this server has not yet read what another told.
    pub(super) fn teller(
        &self,
        id: Option<&str>,
        holder: LastHolder,
        token: Option<i64>,
    ) -> LastHolder {
        match (id, token) {
            (Some(id), Some(token)) if !self.is_taken(id, token) => LastHolder::Other,
            _ => holder,
        }
    }

    /// This server tells of this root, which it holds under this token.
    pub(super) fn is_taken(&self, root: &str, token: i64) -> bool {
        self.taken.lock().get(root) == Some(&token)
    }

    /// This server tells of this root from now on, with what another told before.
    pub(super) fn take(&self, root: &RootHolder, token: i64, leads: bool, theirs: Option<Record>) {
        self.rules.lock().take_over(&root.id, leads, theirs, root.was_renewed, now());
        self.taken.lock().insert(root.id.clone(), token);
    }

    /// What the channels were told of a root, for whoever takes it over.
    pub(super) fn handed(&self, root: &str, leads: bool) -> Handed {
        self.rules.lock().handed(root, leads)
    }

    /// Which record this server writes next, where the catalog has `there`.
    pub(super) fn next_lineage(&self, root: &str, there: Option<&Lineage>) -> Lineage {
        let fresh = || uuid::Uuid::new_v4().simple().to_string();
        self.rules.lock().next_lineage(root, there, fresh)
    }

    /// The catalog has this record of a root, which this server wrote.
    pub(super) fn set_handed(&self, root: &str, record: &Record) {
        self.rules.lock().set_handed(root, record);
    }

    /// The catalog, which may be another than before, has this record of a root.
    pub(super) fn met(&self, root: &str, leads: bool, there: Option<&Lineage>, holds: Holds) {
        self.rules.lock().met(root, leads, there, holds);
    }

    /// Another server, which holds the root, has written this record of it. False: it is known already.
    pub(super) fn saw(&self, root: &str, record: Record) -> bool {
        self.rules.lock().saw(root, record)
    }

    /// An alert of this rule and root is raised.
    pub(super) fn is_raised(&self, rule: Rule, root: &str) -> bool {
        self.rules.lock().raised().any(|(key, _, _)| key.rule == rule && key.root == root)
    }

    /// The root's holder tells that its storage is gone.
    pub(super) fn set_told_elsewhere(&self, root: &str, is_told: bool) {
        let mut told = self.told_elsewhere.lock();
        if is_told {
            told.insert(root.to_owned());
        } else {
            told.remove(root);
        }
    }

    /// Whether the root's holder tells that its storage is gone.
    pub(super) fn is_told_elsewhere(&self, root: &str) -> bool {
        self.told_elsewhere.lock().contains(root)
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

    /// What is raised, what is over, who is told, and what is silenced.
    pub fn listed(&self, alerts: &Alerts) -> ListedAlerts {
        ListedAlerts {
            items: self.alerts(alerts),
            next_cursor: None,
            channels: self.listed_channels(),
            silences: self.silences(),
        }
    }

    /// What the status says of alerts.
    pub fn status(&self) -> AlertsStatus {
        AlertsStatus {
            firing: self.firing().values().sum(),
            channels: self.listed_channels(),
            silences: self.silences(),
        }
    }

    fn alerts(&self, alerts: &Alerts) -> Vec<ListedAlert> {
        let rules = self.rules.lock();
        let now_ms = clock::wall_ms();
        let severity = |rule| Severity::name(alerts.thresholds(rule).severity).to_owned();
        let root = |path: &str| Some(path.to_owned()).filter(|path| !path.is_empty());
        let raised = rules.raised().map(|(key, open, raised)| ListedAlert {
            state: "firing".to_owned(),
            rule: key.rule.name().to_owned(),
            severity: severity(key.rule),
            root: root(&open.path),
            since: clock::rfc3339(raised.since_ms),
            ended: None,
            summary: open.summary.clone(),
            remedy: key.rule.remedy().to_owned(),
            silenced: rules.is_silenced(key, now_ms),
            tells: open.tells(),
        });
        let past = rules.past().map(|past| ListedAlert {
            state: "resolved".to_owned(),
            rule: past.key.rule.name().to_owned(),
            severity: severity(past.key.rule),
            root: root(&past.path),
            since: clock::rfc3339(past.raised.since_ms),
            ended: Some(clock::rfc3339(past.ended_ms)),
            summary: past.summary.clone(),
            remedy: String::new(),
            silenced: false,
            tells: true,
        });
        raised.chain(past).collect()
    }

    fn listed_channels(&self) -> Vec<ListedChannel> {
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

/// Writes the board where waiting for a disk stops nothing else.
pub(super) async fn keep(board: &Arc<Board>) {
    let board = Arc::clone(board);
    // A panic there has been told.
    let _ = tokio::task::spawn_blocking(move || board.keep()).await;
}
