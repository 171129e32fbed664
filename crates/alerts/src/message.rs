//! The message of an alert in each channel's form.

use focus_common::clock;
use focus_common::config::{Alerts, Channel, ChannelKind, webhook_key};
use focus_core::alert::{AlertKey, Due, Owed, Raised, Severity};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Where PagerDuty takes events, unless the settings say otherwise.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// Characters of a section that Slack takes.
const SLACK_MAX: usize = 3_000;

/// An alert that fires tells Alertmanager that it does for so long, milliseconds.
const ALERTMANAGER_MS: i64 = 4 * 60_000;

/// What every message says besides.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    /// Where people look; none where `external_url` is not set.
    pub(super) url: Option<String>,
    /// The drill under way.
    pub(super) drill: Option<String>,
}

/// What a channel is to be told.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// What it is owed.
    pub(super) due: Due,
    /// How bad.
    pub(super) severity: Severity,
    /// Now, milliseconds since 1970.
    pub(super) now_ms: i64,
    /// What every message says besides.
    pub(super) about: About,
}

/// A request to a channel.
pub(super) struct Delivery {
    /// The address.
    pub(super) url: String,
    /// Headers.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Body.
    pub(super) body: Vec<u8>,
}

impl Message {
    /// A message for trying a channel out.
    pub(super) fn test(now_ms: i64, alerts: &Alerts) -> Message {
        let rule = focus_core::alert::Rule::CatalogDown;
        Message {
            due: Due {
                key: AlertKey { rule, root: String::new() },
                identity: "focus/test".to_owned(),
                path: String::new(),
                summary: "This is a test of the channel. Nothing is wrong".to_owned(),
                owed: Owed::Firing { raised: Raised { since_ms: now_ms }, times: 0 },
                in_doubt: false,
            },
            severity: alerts.thresholds(rule).severity,
            now_ms,
            about: About::default(),
        }
    }

    fn is_test(&self) -> bool {
        matches!(self.due.owed, Owed::Firing { times: 0, .. })
    }

    fn state(&self) -> &'static str {
        match self.due.owed {
            Owed::Firing { .. } => "firing",
            Owed::Resolved { .. } => "resolved",
        }
    }

    pub(super) fn since_ms(&self) -> i64 {
        match self.due.owed {
            Owed::Firing { raised, .. } | Owed::Resolved { raised, .. } => raised.since_ms,
        }
    }

    /// When it ended, milliseconds since 1970; none where it fires.
    pub(super) fn ended_ms(&self) -> Option<i64> {
        match self.due.owed {
            Owed::Firing { .. } => None,
            Owed::Resolved { ended_ms, .. } => Some(ended_ms),
        }
    }

    /// The lines of a message for people, after its head.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |name: &str, value: &str| format!("{name}: {value}");
        let mut lines = vec![self.due.summary.clone()];
        if !self.due.path.is_empty() {
            lines.push(line("Root", &self.due.path));
        }
        lines.push(line("Severity", self.severity.name()));
        lines.push(line("Since", &clock::rfc3339(self.since_ms())));
        lines.extend(self.ended_ms().map(|at_ms| line("Ended", &clock::rfc3339(at_ms))));
        lines.extend(self.about.drill.iter().map(|id| line("drill", id)));
        lines.extend(Some(self.remedy().to_owned()).filter(|remedy| !remedy.is_empty()));
        lines.extend(self.about.url.clone());
        lines
    }

    /// `firing: catalog_down`, or that it is a test.
    pub(super) fn head(&self) -> String {
        if self.is_test() {
            return "test: focus".to_owned();
        }
        format!("{}: {}", self.state(), self.due.key.rule.name())
    }

    pub(super) fn remedy(&self) -> &'static str {
        match self.due.owed {
            Owed::Firing { times, .. } if times > 0 => self.due.key.rule.remedy(),
            _ => "",
        }
    }

    /// The same for the same message, also when it is sent again: whoever gets it twice can tell.
    pub(super) fn id(&self) -> String {
        let times = match self.due.owed {
            Owed::Firing { times, .. } => times,
            Owed::Resolved { .. } => 0,
        };
        self.id_of(self.state(), times)
    }

    fn id_of(&self, state: &str, times: u32) -> String {
        let text = format!("{}|{state}|{}|{times}", self.due.identity, self.since_ms());
        let hash = Sha256::digest(text.as_bytes());
        hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The id of the message that began this alert.
    pub(super) fn first_id(&self) -> String {
        self.id_of("firing", 1)
    }

    /// The subject of every mail about this alert.
    pub(super) fn subject(&self) -> String {
        let place =
            if self.due.path.is_empty() { String::new() } else { format!(" {}", self.due.path) };
        let head = if self.is_test() { "test" } else { self.due.key.rule.name() };
        // A path may have anything in it, and a subject is one line.
        let place: String = place.chars().filter(|c| !c.is_control()).take(200).collect();
        format!("[focus] {head}{place}")
    }

    /// The request that tells it to a channel; none where the channel's key or address is not there.
    pub(super) fn delivery(&self, channel: &Channel) -> Option<Delivery> {
        let json = ("content-type", "application/json".to_owned());
        let url = channel.url.expose().map(str::to_owned);
        Some(match channel.kind {
            ChannelKind::Slack => {
                Delivery { url: url?, headers: vec![json], body: bytes(&self.slack()) }
            }
            ChannelKind::Pagerduty => Delivery {
                url: url.filter(|url| !url.is_empty()).unwrap_or_else(|| PAGERDUTY.to_owned()),
                headers: vec![json],
                body: bytes(&self.pagerduty(channel.key.expose()?)),
            },
            ChannelKind::Webhook => {
                let body = bytes(&self.event());
                let headers = self.signed(channel.key.expose()?, &body)?;
                Delivery { url: url?, headers, body }
            }
            // It is no request.
            ChannelKind::Email => return None,
            ChannelKind::Alertmanager => Delivery {
                url: format!("{}/api/v2/alerts", url?.trim_end_matches('/')),
                headers: vec![json],
                body: bytes(&json!([self.alertmanager()])),
            },
        })
    }

    /// Slack incoming webhook: blocks, and the text for what shows no blocks.
    fn slack(&self) -> Value {
        let head = escaped(&self.head());
        let lines = escaped(&self.lines().join("\n"));
        let text: String = format!("*{head}*\n{lines}").chars().take(SLACK_MAX).collect();
        let summary: String = escaped(&self.due.summary).chars().take(SLACK_MAX / 2).collect();
        json!({
            "text": format!("{head}: {summary}"),
            "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": text } }],
        })
    }

    /// PagerDuty Events v2.
    fn pagerduty(&self, routing_key: &str) -> Value {
        let action = if self.state() == "firing" { "trigger" } else { "resolve" };
        let summary: String =
            format!("{}: {}", self.head(), self.due.summary).chars().take(1_024).collect();
        let links = self.about.url.iter().map(|url| json!({ "href": url, "text": "Focus Server" }));
        json!({
            "links": links.collect::<Vec<_>>(),
            "routing_key": routing_key,
            "event_action": action,
            "dedup_key": self.due.identity,
            "payload": {
                "summary": summary,
                "source": if self.due.path.is_empty() { "focus" } else { &self.due.path },
                "severity": self.severity.name(),
                "component": "focus-server",
                "class": self.due.key.rule.name(),
                "timestamp": clock::rfc3339(self.since_ms()),
                "custom_details": self.data(),
            },
        })
    }

    fn data(&self) -> Value {
        json!({
            "rule": self.due.key.rule.name(),
            "state": self.state(),
            "severity": self.severity.name(),
            "root": self.due.path,
            "since": clock::rfc3339(self.since_ms()),
            "ended": self.ended_ms().map(clock::rfc3339),
            "summary": self.due.summary,
            "remedy": self.remedy(),
            "url": self.about.url,
            "drill": self.about.drill,
        })
    }

    /// A CloudEvents 1.0 event, structured.
    fn event(&self) -> Value {
        json!({
            "specversion": "1.0",
            "id": self.id(),
            "source": "/focus",
            "type": format!("io.focus-server.alert.{}", self.state()),
            "subject": self.due.identity,
            "time": clock::rfc3339(self.now_ms),
            "datacontenttype": "application/json",
            "data": self.data(),
        })
    }

    /// The headers of Standard Webhooks 1.0: id, time and signature over both and the body.
    fn signed(&self, secret: &str, body: &[u8]) -> Option<Vec<(&'static str, String)>> {
        use base64::Engine;
        let key = webhook_key(secret).ok()?;
        let (id, timestamp) = (self.id(), self.now_ms / 1_000);
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
        let signature = ring::hmac::sign(&key, &signed);
        let signature = base64::engine::general_purpose::STANDARD.encode(signature);
        Some(vec![
            ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ])
    }

    /// An alert of Alertmanager's API v2.
    fn alertmanager(&self) -> Value {
        let ends_ms = self.ended_ms().unwrap_or(self.now_ms + ALERTMANAGER_MS);
        let mut alert = json!({
            "labels": {
                "alertname": self.due.key.rule.name(),
                "severity": self.severity.name(),
                "root": self.due.path,
                "catalog": self.due.key.catalog_of(&self.due.identity),
            },
            "annotations": { "summary": self.due.summary, "description": self.remedy() },
            "startsAt": clock::rfc3339(self.since_ms()),
            "endsAt": clock::rfc3339(ends_ms),
        });
        if let Some(url) = &self.about.url {
            alert["generatorURL"] = json!(url);
        }
        if let Some(drill) = &self.about.drill {
            alert["annotations"]["drill"] = json!(drill);
        }
        alert
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Text from storage in Slack's own markup means nothing there.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
