//! The table `[alerts]`: who is told of what.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use focus_core::alert::{Rule, Severity, Thresholds};
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use super::Secret;
use super::value::{Kind, Value};

/// What a mistake in the table begins with.
pub(super) const WRONG: &str = "alerts: ";

/// Channels at most: each has a task of its own.
const CHANNELS_MAX: usize = 32;

/// Bytes that a webhook's secret has to have, and may have (Standard Webhooks 1.0).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What the address of an HTTP call begins with.
const WEB: [&str; 2] = ["https://", "http://"];

/// An address begins as it has to, where it is there.
fn begins(url: &Text, schemes: [&str; 2]) -> Result<(), String> {
    match url.expose().filter(|url| !url.is_empty()) {
        Some(url) if !schemes.iter().any(|scheme| url.starts_with(scheme)) => {
            Err(format!("its address has to begin with {}", schemes.join(" or ")))
        }
        _ => Ok(()),
    }
}

/// Who is told of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// An alert that lasts is told again after so long, milliseconds; 0: once.
    pub repeat_ms: u64,
    /// For a dead man's switch.
    pub heartbeat: Option<Heartbeat>,
    /// Who is told.
    pub channels: Vec<Channel>,
    /// Rules that are not as they are by default.
    rules: Vec<(Rule, Thresholds)>,
}

/// Something that is told at intervals that the server looks after its alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where it is told.
    pub url: Text,
    /// The interval, milliseconds.
    pub every_ms: u64,
}

/// A text that the settings have, or a file that they name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    text: Option<Secret>,
    file: Option<PathBuf>,
}

/// How a channel is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// A Slack incoming webhook.
    Slack,
    /// PagerDuty Events v2.
    Pagerduty,
    /// E-mail over SMTP.
    Email,
    /// Standard Webhooks 1.0 with CloudEvents 1.0.
    Webhook,
    /// A Prometheus Alertmanager, API v2.
    Alertmanager,
}

impl ChannelKind {
    /// As the settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            ChannelKind::Slack => "slack",
            ChannelKind::Pagerduty => "pagerduty",
            ChannelKind::Email => "email",
            ChannelKind::Webhook => "webhook",
            ChannelKind::Alertmanager => "alertmanager",
        }
    }

    /// What its address begins with.
    fn schemes(self) -> [&'static str; 2] {
        match self {
            ChannelKind::Email => ["smtps://", "smtp://"],
            _ => WEB,
        }
    }
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name; no other channel has it.
    pub name: String,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Its address.
    pub url: Text,
    /// PagerDuty's key, or the webhook's secret.
    pub key: Text,
    /// Of e-mail: the sender.
    pub from: String,
    /// Of e-mail: the addressees.
    pub to: Vec<String>,
    /// Of these rules alone; none: of all.
    rules: Option<Vec<Rule>>,
    /// Of alerts that are at least so bad.
    severity_at_least: Severity,
}

impl Channel {
    /// It is told of alerts of this rule.
    pub fn hears(&self, rule: Rule, severity: Severity) -> bool {
        // What is over at once is of no use to those who keep alerts open until they are resolved.
        let takes = !rule.is_event()
            || !matches!(self.kind, ChannelKind::Pagerduty | ChannelKind::Alertmanager);
        takes
            && severity >= self.severity_at_least
            && self.rules.as_ref().is_none_or(|rules| rules.contains(&rule))
    }

    /// What is given is of the right form.
    fn check(&self) -> Result<(), String> {
        begins(&self.url, self.kind.schemes())?;
        if self.kind == ChannelKind::Webhook
            && let Some(secret) = self.key.expose().filter(|secret| !secret.is_empty())
        {
            webhook_key(secret)?;
        }
        Ok(())
    }
}

impl Text {
    /// The text; none where it is not there.
    pub fn expose(&self) -> Option<&str> {
        self.text.as_ref().map(Secret::expose)
    }

    pub(super) fn of(
        text: Option<Secret>,
        file: Option<PathBuf>,
        name: &str,
    ) -> Result<Text, String> {
        if text.is_some() && file.is_some() {
            return Err(format!("{name} and {name}_file are both given: leave one away"));
        }
        Ok(Text { text, file })
    }

    pub(super) fn is_given(&self) -> bool {
        self.text.is_some() || self.file.is_some()
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(super) fn read(
        &mut self,
        read: &dyn Fn(&Path) -> std::io::Result<String>,
    ) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let text =
            read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        self.text = Some(Secret::new(text.trim().to_owned()));
        Ok(())
    }
}

impl Default for Alerts {
    fn default() -> Alerts {
        Alerts { repeat_ms: 14_400_000, heartbeat: None, channels: Vec::new(), rules: Vec::new() }
    }
}

impl Alerts {
    /// When a rule raises an alert.
    pub fn thresholds(&self, rule: Rule) -> Thresholds {
        let given = self.rules.iter().find(|(given, _)| *given == rule);
        given.map_or_else(|| rule.defaults(), |(_, thresholds)| *thresholds)
    }

    /// Every address and key: none of them is ever shown.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let of_channels = self.channels.iter().flat_map(|channel| [&channel.url, &channel.key]);
        let of_heartbeat = self.heartbeat.iter().map(|heartbeat| &heartbeat.url);
        of_channels.chain(of_heartbeat).filter_map(Text::expose)
    }

    /// Reads the files that are named, and checks what is in them.
    pub(super) fn read(&mut self, read: &dyn Fn(&Path) -> std::io::Result<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(heartbeat) = &mut self.heartbeat {
            let told = heartbeat.url.read(read);
            let told = told.and_then(|()| begins(&heartbeat.url, WEB));
            wrong.extend(told.err().map(|words| format!("heartbeat: {words}")));
        }
        for channel in &mut self.channels {
            let told = channel.url.read(read).and_then(|()| channel.key.read(read));
            let told = told.and_then(|()| channel.check());
            wrong
                .extend(told.err().map(|words| format!("the channel {:?}: {words}", channel.name)));
        }
        wrong
    }
}

/// The bytes of a webhook's secret, `whsec_` and base64.
///
/// # Errors
/// It is none; the words say why and show nothing of it.
pub fn webhook_key(secret: &str) -> Result<Vec<u8>, String> {
    use base64::Engine;
    let words = || {
        format!(
            "its secret has to be whsec_ and {} to {} bytes in base64, such as `echo whsec_$(head -c 32 /dev/urandom | base64)` prints",
            SECRET_BYTES.start(),
            SECRET_BYTES.end()
        )
    };
    let text = secret.strip_prefix("whsec_").ok_or_else(words)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| words())?;
    if SECRET_BYTES.contains(&bytes.len()) { Ok(bytes) } else { Err(words()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    repeat_ms: Option<u64>,
    heartbeat: Option<HeartbeatTable>,
    #[serde(default)]
    channels: Vec<Channel>,
    #[serde(default)]
    rules: std::collections::BTreeMap<String, RuleTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeartbeatTable {
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    every_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    enabled: Option<bool>,
    severity: Option<String>,
    after_ms: Option<u64>,
    clear_after_ms: Option<u64>,
    older_than_ms: Option<u64>,
    more_than: Option<u64>,
    within_ms: Option<u64>,
    below_percent: Option<u64>,
    below_bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelTable {
    name: String,
    kind: ChannelKind,
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    routing_key: Option<Secret>,
    routing_key_file: Option<PathBuf>,
    secret: Option<Secret>,
    secret_file: Option<PathBuf>,
    smtp_url: Option<Secret>,
    smtp_url_file: Option<PathBuf>,
    from: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    rules: Option<Vec<String>>,
    severity_at_least: Option<String>,
}

fn rule(name: &str) -> Result<Rule, String> {
    Rule::from_name(name).ok_or_else(|| {
        let all: Vec<&str> = Rule::ALL.into_iter().map(Rule::name).collect();
        format!("there is no such rule; the rules are {}", all.join(", "))
    })
}

fn severity(name: &str) -> Result<Severity, String> {
    Severity::from_name(name).ok_or_else(|| "a severity is info, warning or critical".to_owned())
}

impl TryFrom<ChannelTable> for Channel {
    type Error = String;

    fn try_from(table: ChannelTable) -> Result<Channel, String> {
        let named = |words: String| format!("the channel {:?}: {words}", table.name);
        let kind = table.kind;
        let url = if kind == ChannelKind::Email {
            Text::of(table.smtp_url, table.smtp_url_file, "smtp_url")
        } else {
            Text::of(table.url, table.url_file, "url")
        };
        let url = url.map_err(named)?;
        if kind == ChannelKind::Email
            && (!url.is_given() || table.from.is_none() || table.to.is_empty())
        {
            return Err(named("an email needs smtp_url or smtp_url_file, from and to".to_owned()));
        }
        let (key, name) = match kind {
            ChannelKind::Pagerduty => {
                let key = Text::of(table.routing_key, table.routing_key_file, "routing_key");
                (key.map_err(named)?, "routing_key")
            }
            ChannelKind::Webhook => {
                (Text::of(table.secret, table.secret_file, "secret").map_err(named)?, "secret")
            }
            ChannelKind::Slack | ChannelKind::Email | ChannelKind::Alertmanager => {
                (Text::default(), "")
            }
        };
        if kind != ChannelKind::Pagerduty && !url.is_given() {
            return Err(named(format!("a {} needs url or url_file", kind.name())));
        }
        if !name.is_empty() && !key.is_given() {
            return Err(named(format!("a {} needs {name} or {name}_file", kind.name())));
        }
        let rules = table.rules.map(|rules| rules.iter().map(|name| rule(name)).collect());
        let least = table.severity_at_least.as_deref().map(severity).transpose().map_err(named)?;
        let channel = Channel {
            kind,
            url,
            key,
            from: table.from.unwrap_or_default(),
            to: table.to,
            rules: rules.transpose().map_err(named)?,
            severity_at_least: least.unwrap_or(Severity::Info),
            name: table.name.clone(),
        };
        channel.check().map_err(named)?;
        Ok(channel)
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Channel, D::Error> {
        Channel::try_from(ChannelTable::deserialize(from)?).map_err(told)
    }
}

fn told<E: serde::de::Error>(words: String) -> E {
    E::custom(format!("{WRONG}{words}"))
}

impl Table {
    fn alerts(self) -> Result<Alerts, String> {
        let mut names = BTreeSet::new();
        for channel in &self.channels {
            if !names.insert(channel.name.clone()) {
                return Err(format!("two channels are called {:?}", channel.name));
            }
        }
        if self.channels.len() > CHANNELS_MAX {
            return Err(format!("there are more than {CHANNELS_MAX} channels"));
        }
        let rules = self.rules.into_iter().map(|(name, table)| {
            let rule = rule(&name).map_err(|words| format!("{name:?}: {words}"))?;
            let defaults = rule.defaults();
            let severity = table.severity.as_deref().map(severity).transpose()?;
            Ok((
                rule,
                Thresholds {
                    enabled: table.enabled.unwrap_or(defaults.enabled),
                    severity: severity.unwrap_or(defaults.severity),
                    after_ms: table.after_ms.unwrap_or(defaults.after_ms),
                    clear_after_ms: table.clear_after_ms.unwrap_or(defaults.clear_after_ms),
                    older_than_ms: table.older_than_ms.unwrap_or(defaults.older_than_ms),
                    more_than: table.more_than.unwrap_or(defaults.more_than),
                    within_ms: table.within_ms.unwrap_or(defaults.within_ms),
                    below_percent: table.below_percent.unwrap_or(defaults.below_percent),
                    below_bytes: table.below_bytes.unwrap_or(defaults.below_bytes),
                },
            ))
        });
        let heartbeat = self.heartbeat.map(|table| {
            let url = Text::of(table.url, table.url_file, "url")?;
            if !url.is_given() {
                return Err("a heartbeat needs url or url_file".to_owned());
            }
            let every_ms = table.every_ms.unwrap_or(60_000);
            if every_ms < 1_000 {
                return Err("every_ms of the heartbeat: 1000 or more".to_owned());
            }
            Ok(Heartbeat { url, every_ms })
        });
        Ok(Alerts {
            repeat_ms: self.repeat_ms.unwrap_or(Alerts::default().repeat_ms),
            heartbeat: heartbeat.transpose()?,
            channels: self.channels,
            rules: rules.collect::<Result<_, String>>()?,
        })
    }
}

impl<'de> Deserialize<'de> for Alerts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Alerts, D::Error> {
        Table::deserialize(from)?.alerts().map_err(told)
    }
}

impl Value for Alerts {
    const KIND: Kind = Kind::Table;

    fn shown(&self) -> Json {
        let channels: Vec<Json> = self
            .channels
            .iter()
            .map(|channel| json!({ "name": channel.name, "kind": channel.kind.name() }))
            .collect();
        json!({
            "repeat_ms": self.repeat_ms,
            "heartbeat": self.heartbeat.as_ref().map(|heartbeat| json!({ "every_ms": heartbeat.every_ms })),
            "channels": channels,
            "rules": self.rules.iter().map(|(rule, _)| rule.name()).collect::<Vec<_>>(),
        })
    }
}
