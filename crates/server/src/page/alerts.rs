//! `/alerts`: what is raised, what was, who is told, and silences.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use focus_common::alerts::{ListedAlert, ListedAlerts, ListedChannel, ListedSilence};
use maud::{Markup, html};
use serde::Deserialize;

use super::acts;
use super::files::RENEW;
use super::frame::{Frame, Place};
use super::parts::{self, Tone};
use super::refused;
use super::session::Session;
use crate::api::ask::{Ask, Filled, Nothing};
use crate::api::{AppState, Problem, end_silence, make_silence};

/// Alerts that are raised, and those that are over, each at most.
const SHOWN_MAX: usize = 200;

const PATH: &str = "/alerts";

/// For how long an alert can be silenced here; `focus alerts silence` takes any time.
const TIMES: [(u64, &str); 5] = [
    (1_800_000, "30 min"),
    (7_200_000, "2 h"),
    (28_800_000, "8 h"),
    (86_400_000, "1 d"),
    (604_800_000, "7 d"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertsForm {
    csrf: String,
    /// `silence` or `end`.
    act: String,
    rule: Option<String>,
    root: Option<String>,
    for_ms: Option<u64>,
    /// The silence that ends.
    silence: Option<String>,
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route(PATH, get(alerts).post(act))
}

async fn alerts(
    State(state): State<AppState>,
    frame: Frame,
    Ask(Nothing {}): Ask<Nothing>,
) -> Response {
    let listed = state.listed_alerts();
    let content = html! {
        h1 { "Alerts" }
        div #alerts data-renew="alert status" {
            (raised(&listed, &frame))
            (silences(&listed.silences, &frame))
            (channels(&listed.channels))
            (over(&listed))
        }
    };
    frame.page(Place::Alerts, "Alerts", &[&RENEW], &content)
}

async fn act(
    State(state): State<AppState>,
    headers: HeaderMap,
    Filled(form): Filled<AlertsForm>,
) -> Result<Response, Problem> {
    if let Some(response) = acts::check(&state, &headers, &form.csrf, PATH)? {
        return Ok(response);
    }
    match (form.act.as_str(), form.rule, form.for_ms, form.silence) {
        ("silence", Some(rule), Some(for_ms), _) => {
            let root = form.root.filter(|root| !root.is_empty());
            make_silence(&state, &rule, root.as_deref(), for_ms).await?;
        }
        ("end", _, _, Some(silence)) => end_silence(&state, &silence)?,
        _ => {
            let words = "act: it is silence, with rule and for_ms, or end, with silence";
            return Err(Problem::bad_value("act", words));
        }
    }
    Ok(refused::led_to(PATH))
}

fn severity(name: &str) -> Tone {
    match name {
        "critical" => Tone::Bad,
        "warning" => Tone::Warn,
        _ => Tone::Plain,
    }
}

fn raised(listed: &ListedAlerts, frame: &Frame) -> Markup {
    let raised: Vec<&ListedAlert> = listed.items.iter().filter(|one| one.is_firing()).collect();
    let session = acts::actor(frame, "silence alerts");
    html! {
        section {
            h2 #raised { "Now" }
            @if raised.is_empty() {
                (parts::empty("No alert is raised."))
            } @else {
                ul.cards {
                    @for (n, alert) in raised.iter().take(SHOWN_MAX).enumerate() {
                        li.card {
                            h3 { (parts::state(severity(&alert.severity), &alert.rule)) }
                            dl.facts {
                                dt { "Severity" } dd { (alert.severity) }
                                @if let Some(root) = &alert.root { dt { "Root" } dd { (parts::foreign(root)) } }
                                dt { "Since" } dd { (parts::time(&alert.since)) }
                            }
                            p { (parts::told(&alert.summary)) }
                            @if !alert.remedy.is_empty() { p { (parts::told(&alert.remedy)) "." } }
                            @if alert.silenced { p.soft { "Silenced: nobody is told that it fires." } }
                            @if !alert.tells { p.soft { "The root's holder tells of it." } }
                            @if !alert.silenced && let Ok(session) = session { (silence(n, alert, session)) }
                        }
                    }
                }
                (more(raised.len()))
                @if let Err(words) = &session { (words) }
            }
        }
    }
}

fn silence(n: usize, alert: &ListedAlert, session: &Session) -> Markup {
    let id = format!("for-{n}");
    html! {
        form.filters method="post" action=(PATH) {
            (acts::csrf(session))
            (acts::hidden("rule", &alert.rule))
            @if let Some(root) = &alert.root { (acts::hidden("root", root)) }
            div {
                label for=(id) { "Silence for" }
                select id=(id) name="for_ms" { @for (ms, name) in TIMES { option value=(ms) { (name) } } }
            }
            button.quiet name="act" value="silence" aria-label={ "Silence " (alert.rule) } { "Silence" }
        }
    }
}

fn silences(silences: &[ListedSilence], frame: &Frame) -> Markup {
    let session = frame.session.as_ref().filter(|session| session.may_operate);
    let path = |id: &str| {
        let known = frame.status.roots.iter().find(|root| root.id.as_deref() == Some(id));
        parts::foreign(known.map_or(id, |root| &root.path))
    };
    html! {
        @if !silences.is_empty() {
            section {
                h2 #silences { "Silences" }
                p { "While one lasts, nobody is told that an alert of its rule fires. That one is over is told." }
                div.scroll tabindex="0" role="region" aria-labelledby="silences" {
                    table {
                        thead { tr { th scope="col" { "Rule" } th scope="col" { "Root" } th scope="col" { "Until" } th scope="col" { "" span.unseen { "End" } } } }
                        tbody {
                            @for one in silences.iter().take(SHOWN_MAX) {
                                tr {
                                    td { (one.rule) }
                                    td { @match &one.root { Some(root) => { (path(root)) } None => { "all" } } }
                                    td { (parts::time(&one.until)) }
                                    td {
                                        @if let Some(session) = session {
                                            form method="post" action=(PATH) {
                                                (acts::csrf(session))
                                                (acts::hidden("silence", &one.id))
                                                button.quiet name="act" value="end" aria-label={ "End the silence of " (one.rule) } { "End" }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn channels(channels: &[ListedChannel]) -> Markup {
    html! {
        section {
            h2 #channels { "Channels" }
            @if channels.is_empty() {
                (parts::empty("Nobody is told: the settings have no [[alerts.channels]]."))
            } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="channels" {
                    table {
                        thead { tr { th scope="col" { "Name" } th scope="col" { "Kind" } th scope="col" { "State" } th scope="col" { "Told last" } th scope="col" { "Reason" } } }
                        tbody {
                            @for channel in channels.iter().take(SHOWN_MAX) {
                                tr {
                                    td { (parts::foreign(&channel.name)) }
                                    td { (channel.kind) }
                                    td { (parts::state(of_channel(&channel.state), &channel.state)) }
                                    td { @match &channel.told_at { Some(at) => { (parts::time(at)) } None => { "nothing yet" } } }
                                    td { @if let Some(reason) = &channel.reason { (parts::told(reason)) } }
                                }
                            }
                        }
                    }
                }
                p.soft { code { "focus alert test NAME" } " sends a message to try one out." }
            }
        }
    }
}

fn of_channel(state: &str) -> Tone {
    match state {
        "ok" => Tone::Good,
        "failing" => Tone::Bad,
        _ => Tone::Plain,
    }
}

fn over(listed: &ListedAlerts) -> Markup {
    let over: Vec<&ListedAlert> = listed.items.iter().filter(|one| !one.is_firing()).collect();
    html! {
        section {
            h2 #over { "The last 30 days" }
            @if over.is_empty() {
                (parts::empty("No alert has come to an end in the last 30 days."))
            } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="over" {
                    table {
                        thead { tr { th scope="col" { "Rule" } th scope="col" { "Severity" } th scope="col" { "Since" } th scope="col" { "Until" } th scope="col" { "Root" } th scope="col" { "What was wrong" } } }
                        tbody {
                            @for alert in over.iter().take(SHOWN_MAX) {
                                tr {
                                    td { (alert.rule) }
                                    td { (parts::state(severity(&alert.severity), &alert.severity)) }
                                    td { (parts::time(&alert.since)) }
                                    td { @if let Some(at) = &alert.ended { (parts::time(at)) } }
                                    td { @if let Some(root) = &alert.root { (parts::foreign(root)) } }
                                    td { (parts::told(&alert.summary)) }
                                }
                            }
                        }
                    }
                }
                (more(over.len()))
            }
        }
    }
}

fn more(all: usize) -> Markup {
    html! {
        @if all > SHOWN_MAX {
            p.soft { "And " (parts::number((all - SHOWN_MAX) as u64)) " more: " code { "focus alerts" } " lists them." }
        }
    }
}
