//! `focus alerts` and `focus alert test`: what is raised, silences, and whether a channel takes messages.

use std::time::Duration;

use focus_common::alerts::{ListedAlert, ListedAlerts};
use focus_common::client::escape;
use focus_common::config::{Settings, Source};
use serde_json::{Value, json};

use super::output::{Output, cell};
use super::{Ending, Stop, running_server, runtime};

const LIMIT: Duration = Duration::from_secs(30);

/// Alerts that are over and shown to people, at most; `--json` has all.
const PAST_SHOWN: usize = 10;

/// What `focus alerts` does.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum AlertsCommand {
    /// Keep alerts of a rule from being told for a while
    Silence {
        /// The rule
        rule: String,
        /// How long: 30m, 2h, 1d
        #[arg(long = "for", value_name = "TIME")]
        lasting: String,
    },
    /// End a silence
    Unsilence {
        /// Its id, as `focus alerts` lists it
        id: String,
    },
}

/// What `focus alert` does.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum AlertCommand {
    /// Send a test to a channel, or to all
    Test {
        /// The channel's name
        channel: Option<String>,
    },
}

pub(super) fn alerts(
    settings: &Settings,
    command: Option<AlertsCommand>,
    out: &Output,
) -> anyhow::Result<Ending> {
    let Some(server) = running_server(&settings.state_dir)? else {
        return Err(Stop::error(
            Ending::CouldNotTell,
            "no server runs on this state folder, so nobody looks after alerts. Start `focus serve`",
        ));
    };
    runtime()?.block_on(async {
        match command {
            None => {
                let answer = server.get("/api/v1/alerts", LIMIT).await.map_err(Stop::of)?;
                out.value(&answer);
                let listed: ListedAlerts = serde_json::from_value(answer)?;
                Ok(show(&listed, out))
            }
            Some(AlertsCommand::Silence { rule, lasting }) => {
                let for_ms = lasting_ms(&lasting).ok_or_else(|| {
                    Stop::error(Ending::Refused, "--for: a number with s, m, h or d, such as 2h")
                })?;
                // A root that was given with the command is meant, not all that are configured.
                let given = matches!(settings.source("roots"), Source::Flag(_));
                let root = settings.roots.first().filter(|_| given);
                let root = root.map(|root| root.path.display().to_string());
                let body = json!({ "rule": rule, "root": root, "for_ms": for_ms });
                let made = server.post("/api/v1/alerts/silences", Some(&body), LIMIT).await;
                let made = made.map_err(Stop::of)?;
                out.value(&made);
                let until = made["until"].as_str().unwrap_or_default();
                out.line(&format!("{rule} is not told until {until}"));
                Ok(Ending::InOrder)
            }
            Some(AlertsCommand::Unsilence { id }) => {
                let path = format!("/api/v1/alerts/silences/{}", escape(&id));
                server.delete(&path, LIMIT).await.map_err(Stop::of)?;
                out.line("the silence is over");
                Ok(Ending::InOrder)
            }
        }
    })
}

fn show(listed: &ListedAlerts, out: &Output) -> Ending {
    let (firing, past): (Vec<&ListedAlert>, Vec<&ListedAlert>) =
        listed.items.iter().partition(|alert| alert.is_firing());
    if firing.is_empty() {
        out.line("no alert is raised");
    } else {
        let rows = firing.iter().map(|alert| {
            let told = match (alert.silenced, alert.tells) {
                (true, _) => "silenced",
                (false, true) => "told",
                (false, false) => "told by the holder",
            };
            let root = alert.root.clone().unwrap_or_default();
            [&alert.rule, &alert.severity, &alert.since, &root, told].map(cell).to_vec()
        });
        out.table(&["rule", "severity", "since", "root", ""], rows.collect());
        for alert in &firing {
            out.line(&format!("{}: {}. {}", alert.rule, alert.summary, alert.remedy));
        }
    }
    if !past.is_empty() {
        out.line(&format!("over, of the last 30 days ({} in all):", past.len()));
        for alert in past.iter().take(PAST_SHOWN) {
            let ended = alert.ended.as_deref().unwrap_or_default();
            let root = alert.root.as_ref().map_or_else(String::new, |root| format!(" of {root}"));
            out.line(&format!("  {} to {ended}: {}{root}", alert.since, alert.rule));
        }
    }
    for channel in &listed.channels {
        let reason = channel.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        out.line(&format!("channel {} ({}) {}{reason}", channel.name, channel.kind, channel.state));
    }
    for silence in &listed.silences {
        let root = silence.root.as_ref().map_or_else(String::new, |root| format!(" of {root}"));
        out.line(&format!(
            "silence {}: {}{root} until {}",
            silence.id, silence.rule, silence.until
        ));
    }
    if firing.is_empty() { Ending::InOrder } else { Ending::NotInOrder }
}

pub(super) fn alert(
    settings: &Settings,
    AlertCommand::Test { channel }: AlertCommand,
    out: &Output,
) -> anyhow::Result<Ending> {
    let alerts = &settings.alerts;
    let asked = |name: &str| channel.as_deref().is_none_or(|channel| channel == name);
    let channels: Vec<_> = alerts.channels.iter().filter(|one| asked(&one.name)).collect();
    if channels.is_empty() {
        let names: Vec<&str> = alerts.channels.iter().map(|one| one.name.as_str()).collect();
        let words = match names.as_slice() {
            [] => "the settings have no channel: see docs/alerts.md".to_owned(),
            names => format!("there is no such channel; there are {}", names.join(", ")),
        };
        return Err(Stop::error(Ending::Refused, words));
    }
    runtime()?.block_on(async {
        let (mut results, mut ending) = (Vec::new(), Ending::InOrder);
        for channel in channels {
            let tested = focus_alerts::test(channel, alerts).await;
            let (ok, words) = match tested {
                Ok(words) => (true, words),
                Err(words) => (false, words),
            };
            if !ok {
                ending = Ending::CouldNotTell;
            }
            let said = if ok { "took the test" } else { "did not take the test" };
            out.line(&format!("{} ({}) {said}: {words}", channel.name, channel.kind.name()));
            results.push(json!({ "channel": channel.name, "ok": ok, "reason": words }));
        }
        out.value(&Value::from(results));
        Ok(ending)
    })
}

/// `30m`, `2h`, `1d` in milliseconds.
fn lasting_ms(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let unit_ms: u64 = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::lasting_ms;

    #[test]
    fn a_time_is_a_number_with_its_unit() {
        assert_eq!(lasting_ms("30m"), Some(1_800_000));
        assert_eq!(lasting_ms("2h"), Some(7_200_000));
        assert_eq!([lasting_ms("2"), lasting_ms("h"), lasting_ms("2w"), lasting_ms("")], [None; 4]);
    }
}
