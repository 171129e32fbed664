//! What is kept of alerts: in the state folder over a restart, and in the catalog for whoever takes over.

use std::collections::BTreeMap;

use focus_core::alert::{
    self, AlertKey, Believed, Handed, Lineage, Past, Raised, Record, Rule, Silence, Told, ToldOf,
};
use serde::{Deserialize, Serialize};

/// What the state folder has.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    alerts: Vec<KeptAlert>,
    told: Vec<KeptTold>,
    silences: Vec<KeptSilence>,
    past: Vec<KeptPast>,
    /// By root: the record that this server wrote last.
    lineages: BTreeMap<String, KeptLineage>,
    /// By root: the record of another server that was seen last.
    seen: BTreeMap<String, KeptHandover>,
}

/// Which record of a root it is, and which ones were known to whoever wrote it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct KeptLineage {
    id: String,
    count: u64,
    before: Vec<(String, u64)>,
}

/// What a holder hands over.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct KeptHandover {
    /// The state folder whose server wrote it.
    #[serde(default)]
    pub(super) holder: String,
    told: Vec<KeptTold>,
    #[serde(default)]
    lineage: KeptLineage,
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
    since_ms: i64,
    /// When it ended; none where it was told that it fires.
    ended_ms: Option<i64>,
    at_ms: i64,
    times: u32,
    in_doubt: bool,
    is_handed: bool,
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
struct KeptPast {
    #[serde(flatten)]
    alert: KeptAlert,
    ended_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptSilence {
    id: String,
    rule: String,
    root: Option<String>,
    until_ms: i64,
}

fn key(rule: &str, root: &str) -> Option<AlertKey> {
    Some(AlertKey { rule: Rule::from_name(rule)?, root: root.to_owned() })
}

/// What is of a rule that this version does not have is left out.
fn told(kept: Vec<KeptTold>) -> Handed {
    let told = kept.into_iter().filter_map(|one| {
        let raised = Raised { since_ms: one.since_ms };
        let believed = match one.ended_ms {
            None => Believed::Firing(raised),
            Some(ended_ms) => Believed::Resolved { raised, ended_ms },
        };
        let told = Told { believed, at_ms: one.at_ms, times: one.times, in_doubt: one.in_doubt };
        let of = ToldOf {
            told,
            identity: one.identity,
            path: one.path,
            summary: one.summary,
            is_handed: one.is_handed,
        };
        Some((one.channel, key(&one.rule, &one.root)?, of))
    });
    told.collect()
}

fn kept_told(told: Handed) -> Vec<KeptTold> {
    let kept = told.into_iter().map(|(channel, key, of)| {
        let (since_ms, ended_ms) = match of.told.believed {
            Believed::Firing(raised) => (raised.since_ms, None),
            Believed::Resolved { raised, ended_ms } => (raised.since_ms, Some(ended_ms)),
        };
        KeptTold {
            channel,
            rule: key.rule.name().to_owned(),
            root: key.root,
            identity: of.identity,
            path: of.path,
            summary: of.summary,
            since_ms,
            ended_ms,
            at_ms: of.told.at_ms,
            times: of.told.times,
            in_doubt: of.told.in_doubt,
            is_handed: of.is_handed,
        }
    });
    kept.collect()
}

fn kept_alert(key: AlertKey, raised: Raised, path: String, summary: String) -> KeptAlert {
    let rule = key.rule.name().to_owned();
    KeptAlert { rule, root: key.root, path, summary, since_ms: raised.since_ms }
}

impl From<Kept> for alert::Kept {
    fn from(kept: Kept) -> alert::Kept {
        let raised = kept.alerts.into_iter().filter_map(|one| {
            let raised = Raised { since_ms: one.since_ms };
            Some((key(&one.rule, &one.root)?, raised, one.path, one.summary))
        });
        let silences = kept.silences.into_iter().filter_map(|one| {
            let KeptSilence { id, rule, root, until_ms } = one;
            Some(Silence { id, rule: Rule::from_name(&rule)?, root, until_ms })
        });
        let past = kept.past.into_iter().filter_map(|KeptPast { alert, ended_ms }| {
            let raised = Raised { since_ms: alert.since_ms };
            let key = key(&alert.rule, &alert.root)?;
            Some(Past { key, path: alert.path, summary: alert.summary, raised, ended_ms })
        });
        alert::Kept {
            raised: raised.collect(),
            told: told(kept.told),
            silences: silences.collect(),
            past: past.collect(),
            lineages: kept.lineages.into_iter().map(|(root, one)| (root, one.into())).collect(),
            seen: kept.seen.into_iter().map(|(root, one)| (root, one.record())).collect(),
        }
    }
}

impl From<alert::Kept> for Kept {
    fn from(kept: alert::Kept) -> Kept {
        let alerts = kept.raised.into_iter();
        let alerts =
            alerts.map(|(key, raised, path, summary)| kept_alert(key, raised, path, summary));
        let silences = kept.silences.into_iter().map(|silence| KeptSilence {
            id: silence.id,
            rule: silence.rule.name().to_owned(),
            root: silence.root,
            until_ms: silence.until_ms,
        });
        let past = kept.past.into_iter().map(|past| KeptPast {
            alert: kept_alert(past.key, past.raised, past.path, past.summary),
            ended_ms: past.ended_ms,
        });
        Kept {
            alerts: alerts.collect(),
            told: kept_told(kept.told),
            silences: silences.collect(),
            past: past.collect(),
            lineages: kept.lineages.into_iter().map(|(root, one)| (root, one.into())).collect(),
            seen: kept
                .seen
                .into_iter()
                .map(|(root, one)| (root, KeptHandover::of("", one)))
                .collect(),
        }
    }
}

impl From<KeptLineage> for Lineage {
    fn from(KeptLineage { id, count, before }: KeptLineage) -> Lineage {
        Lineage { id, count, before }
    }
}

impl From<Lineage> for KeptLineage {
    fn from(Lineage { id, count, before }: Lineage) -> KeptLineage {
        KeptLineage { id, count, before }
    }
}

impl KeptHandover {
    pub(super) fn of(holder: &str, record: Record) -> KeptHandover {
        KeptHandover {
            holder: holder.to_owned(),
            told: kept_told(record.handed),
            lineage: record.lineage.into(),
        }
    }

    pub(super) fn record(self) -> Record {
        Record { lineage: self.lineage.into(), handed: told(self.told) }
    }
}
