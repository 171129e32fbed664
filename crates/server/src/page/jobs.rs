//! Jobs on pages: forms that start one, how far each is, and how to cancel it.

use axum::http::HeaderMap;
use axum::response::Response;
use focus_common::status::Status;
use focus_core::job::{JobKind, JobRequest};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::acts;
use super::frame::Frame;
use super::now::progress;
use super::parts::{self, Tone};
use super::refused;
use crate::api::{AppState, Problem, cancel_job, submit_job};
use crate::jobs::ShownJob;

/// Jobs that are shown.
const JOBS_MAX: usize = 20;

/// The kinds that a person starts here, each with what it does.
const KINDS: [(JobKind, &str, &str); 3] = [
    (JobKind::Scan, "Scan", "one pass over storage and into the catalog"),
    (JobKind::Verify, "Verify", "compares storage, index and catalog, and changes nothing"),
    (JobKind::Repair, "Repair", "verifies, and mends what can be mended"),
];

/// A form that starts or cancels a job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobForm {
    csrf: String,
    /// The name of a kind, or `cancel`.
    act: String,
    /// The only root that it is about: its id; empty: all.
    root: Option<String>,
    /// The job that is cancelled.
    job: Option<u64>,
}

/// Does what a form asks for, and leads back to the page at `path`.
pub(super) async fn act(
    state: &AppState,
    headers: &HeaderMap,
    form: JobForm,
    path: &str,
) -> Result<Response, Problem> {
    if let Some(response) = acts::check(state, headers, &form.csrf, path)? {
        return Ok(response);
    }
    let kind = KINDS.iter().map(|(kind, _, _)| *kind).find(|kind| kind.name() == form.act);
    match (kind, form.job) {
        (Some(kind), _) => {
            let root = match form.root.filter(|root| !root.is_empty()) {
                Some(root) => Some(state.root_id(&root).await?),
                None => None,
            };
            submit_job(state, JobRequest { kind, root, through: None, quick: false }).await?;
        }
        (None, Some(job)) if form.act == "cancel" => cancel_job(state, job).await?,
        (None, _) => {
            return Err(Problem::bad_value("act", "act: it is scan, verify, repair or cancel"));
        }
    }
    Ok(refused::led_to(&format!("{path}#jobs")))
}

/// The form that starts jobs.
pub(super) fn form(frame: &Frame, path: &str) -> Markup {
    let session = match acts::actor(frame, "scan, verify or repair") {
        Ok(session) => session,
        Err(words) => return words,
    };
    let roots: Vec<_> = frame
        .status
        .roots
        .iter()
        .filter_map(|root| Some((root.id.as_deref()?, &root.path)))
        .collect();
    html! {
        form.filters method="post" action=(path) {
            (acts::csrf(session))
            @if roots.len() > 1 {
                div {
                    label for="job-root" { "Root" }
                    select #job-root name="root" {
                        option value="" { "all of them" }
                        @for (id, path) in &roots { option value=(id) { (parts::shown(path)) } }
                    }
                }
            }
            @for (kind, name, words) in KINDS {
                button.quiet[kind != JobKind::Scan] name="act" value=(kind.name()) title=(words) { (name) }
            }
        }
        ul.soft.plain { @for (_, name, words) in KINDS { li { strong { (name) } ": " (words) "." } } }
    }
}

/// The newest of these jobs.
pub(super) fn list(jobs: &[ShownJob], frame: &Frame, path: &str) -> Markup {
    if jobs.is_empty() {
        return parts::empty("No job is known on this state folder.");
    }
    html! {
        ul.jobs { @for job in jobs.iter().take(JOBS_MAX) { (row(job, frame, path)) } }
        @if jobs.len() > JOBS_MAX {
            p.soft { "And " (parts::number((jobs.len() - JOBS_MAX) as u64)) " older ones: " code { "focus jobs" } " lists them." }
        }
    }
}

/// Whether one of them runs or waits: then it moves.
pub(super) fn is_under_way(jobs: &[ShownJob]) -> bool {
    jobs.iter().any(|job| matches!(text(&job.value, "state"), "queued" | "running"))
}

fn row(job: &ShownJob, frame: &Frame, path: &str) -> Markup {
    let value = &job.value;
    let (kind, state) = (text(value, "kind"), text(value, "state"));
    let at = value["ended_at"].as_str().or(value["started_at"].as_str());
    let at = at.unwrap_or_else(|| text(value, "created_at"));
    html! {
        li id={ "job-" (job.id) } {
            div.words {
                strong { (kind) " " span.soft { "#" (job.id) } }
                (parts::state(tone(state), state))
                span { (parts::time(at)) }
                span { (root(value, &frame.status)) }
                @if let Some(words) = outcome(value) { span { (words) } }
                @if let Some(reason) = value["reason"].as_str() { span { (parts::told(reason)) } }
            }
            @if matches!(state, "queued" | "running") {
                @if let Some(done) = value["done"].as_u64() {
                    @let pace = value["rate_per_s"].as_f64().map(|rate| (rate, value["left_ms"].as_u64()));
                    (progress(kind, done, value["of"].as_u64(), pace))
                }
                @if let Some(session) = frame.session.as_ref().filter(|session| session.may_operate)
                    && kind != JobKind::Approve.name()
                {
                    form method="post" action=(path) {
                        (acts::csrf(session))
                        (acts::hidden("job", &job.id.to_string()))
                        button.quiet name="act" value="cancel" aria-label={ "Cancel job " (job.id) } { "Cancel" }
                    }
                }
            }
        }
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn tone(state: &str) -> Tone {
    match state {
        "done" => Tone::Good,
        "queued" | "running" => Tone::Busy,
        "failed" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// The root that a job is about, by its path where it is known.
fn root(value: &Value, status: &Status) -> Markup {
    let Some(id) = value["root"].as_str() else { return html! { span.soft { "all roots" } } };
    let known = status.roots.iter().find(|root| root.id.as_deref() == Some(id));
    parts::foreign(known.map_or(id, |root| &root.path))
}

/// What a job that is done came to, in some words.
fn outcome(value: &Value) -> Option<String> {
    let result = &value["result"];
    let number = |field: &str| result[field].as_u64();
    match text(value, "kind") {
        "verify" | "repair" if result["in_order"] == true => Some("in order".to_owned()),
        "verify" | "repair" => {
            let counts = result["counts"].as_object()?;
            let found: Vec<String> = counts
                .iter()
                .filter_map(|(kind, count)| {
                    Some((kind, count.as_u64().filter(|count| *count > 0)?))
                })
                .map(|(kind, count)| format!("{} {kind}", parts::number(count)))
                .collect();
            let mended = number("repaired").filter(|count| *count > 0);
            let mended = mended.map(|count| format!("{} mended", parts::number(count)));
            Some(found.into_iter().chain(mended).collect::<Vec<_>>().join(", "))
        }
        "scan" => Some(format!("{} recordings", parts::number(number("recordings")?))),
        "approve" => Some(format!("{} approved", parts::number(number("approved")?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_job_came_to_is_said_in_some_words() {
        let verified = json!({"kind": "repair", "result": {"in_order": false, "counts": {"dark": 1200, "missing": 0}, "repaired": 3}});
        assert_eq!(outcome(&verified).as_deref(), Some("1,200 dark, 3 mended"));
        let good = json!({"kind": "verify", "result": {"in_order": true}});
        assert_eq!(outcome(&good).as_deref(), Some("in order"));
        assert_eq!(outcome(&json!({"kind": "scan", "result": null})), None);
    }
}
