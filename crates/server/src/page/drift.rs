//! `/drift`: the last verification, what it found, and the jobs that scan, verify and repair.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use focus_engine::{ReportedFinding, Verification};
use maud::{Markup, html};

use super::files::RENEW;
use super::frame::{Frame, Place};
use super::jobs::{self, JobForm};
use super::parts::{self, Tone};
use crate::api::ask::{Ask, Filled, Nothing};
use crate::api::{AppState, Problem};
use crate::jobs::ShownJob;

/// Findings that are shown; `focus verify --csv` has all.
const FINDINGS: usize = 200;

/// Fields of a finding that are shown.
const FIELDS: usize = 20;

const PATH: &str = "/drift";

/// What each kind of finding means.
const KINDS: [(&str, &str); 6] = [
    ("dark", "on storage, and not in the catalog"),
    ("missing", "in the catalog, and not on storage"),
    ("mismatch", "the document says something else than storage"),
    ("duplicate", "the catalog has more than one document of it"),
    ("unrecognised", "on storage, and not fit for the catalog"),
    ("unsettled", "still changes on storage"),
];

pub(super) fn routes() -> Router<AppState> {
    Router::new().route(PATH, get(drift).post(act))
}

async fn drift(
    State(state): State<AppState>,
    frame: Frame,
    Ask(Nothing {}): Ask<Nothing>,
) -> Result<Response, Problem> {
    let last = state.read(|engine| Ok(engine.last_verification())).await?;
    let jobs = state.ask_jobs(|jobs| jobs.list()).await?;
    let content = html! {
        h1 { "Drift" }
        p { "A verification compares storage, index and catalog. What differs is drift." }
        div #verified data-renew="job status" {
            @match &last {
                Some(last) => { (verified(last, &frame)) (repaired(&jobs)) }
                None => { (parts::empty("Nothing has been verified on this state folder yet. A verification reads every document and every sidecar; it changes nothing.")) }
            }
        }
        section {
            h2 #jobs { "Jobs" }
            (jobs::form(&frame, PATH))
            div #job-list data-renew="job" data-under-way=[jobs::is_under_way(&jobs).then_some("")] {
                (jobs::list(&jobs, &frame, PATH))
            }
        }
    };
    Ok(frame.page(Place::Drift, "Drift", &[&RENEW], &content))
}

async fn act(
    State(state): State<AppState>,
    headers: HeaderMap,
    Filled(form): Filled<JobForm>,
) -> Result<Response, Problem> {
    jobs::act(&state, &headers, form, PATH).await
}

fn verified(last: &Verification, frame: &Frame) -> Markup {
    let (tone, words) = match last.in_order {
        true => (Tone::Good, "Storage and catalog agree."),
        false if frame.status.drift == Some(0) => (Tone::Good, "What differed has been mended."),
        false => {
            (Tone::Warn, "The catalog differs from storage. A repair mends what can be mended.")
        }
    };
    let (class, sign) = tone.class_and_sign();
    html! {
        section {
            h2 #last { "Last verification" }
            p class={ "verdict " (class) } { span aria-hidden="true" { (sign) } span { (words) } }
            dl.facts {
                dt { "Began" } dd { (parts::time(&last.began_at)) ", and took " (parts::duration(last.elapsed_ms)) }
                dt { "Compared" } dd { (parts::number(last.compared)) " recordings" }
                dt { "Mended" } dd { (parts::number(last.repaired)) }
                dt { "Foreign" } dd {
                    @match last.foreign {
                        Some(count) => { (parts::number(count)) " documents of others beside ours" }
                        None => { "they could not be counted" }
                    }
                }
            }
            div.scroll tabindex="0" role="region" aria-label="Findings by kind" {
                table.kinds {
                    caption { "Findings by kind" }
                    thead { tr { th scope="col" { "Kind" } th.amount scope="col" { "Findings" } th scope="col" { "Meaning" } } }
                    tbody {
                        @for (kind, words) in KINDS {
                            tr {
                                th scope="row" { (kind) }
                                td.amount { (parts::number(last.counts.get(kind).copied().unwrap_or(0))) }
                                td { (words) }
                            }
                        }
                    }
                }
            }
            (findings(last, frame))
        }
    }
}

fn findings(last: &Verification, frame: &Frame) -> Markup {
    let all: u64 = last.counts.values().sum();
    let shown = last.findings.len().min(FINDINGS) as u64;
    html! {
        @if !last.findings.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Findings" {
                table {
                    caption { "Findings" }
                    thead { tr { th scope="col" { "Kind" } th scope="col" { "Path" } th scope="col" { "What differs" } } }
                    tbody { @for finding in last.findings.iter().take(FINDINGS) { (row(finding, frame)) } }
                }
            }
            @if all > shown {
                p.soft { "And " (parts::number(all - shown)) " more: " code { "focus verify --csv FILE" } " writes all that are kept into a table." }
            }
        }
    }
}

fn row(finding: &ReportedFinding, frame: &Frame) -> Markup {
    let root = frame.status.roots.iter().find(|root| root.id.as_deref() == Some(&finding.root));
    html! {
        tr {
            td { (finding.kind) }
            td {
                (parts::foreign(&finding.path))
                @if frame.status.roots.len() > 1 {
                    br; span.soft { (parts::foreign(root.map_or(finding.root.as_str(), |root| &root.path))) }
                }
                @if let Some(uuid) = &finding.uuid { br; span.soft { (parts::foreign(uuid)) } }
            }
            td {
                @if let Some(reason) = &finding.reason { p { (parts::told(reason)) } }
                @for field in finding.fields.iter().take(FIELDS) {
                    p { (parts::foreign(&field.field)) ": storage " (parts::foreign(&field.storage)) ", catalog " (parts::foreign(&field.catalog)) }
                }
                @if finding.fields.len() > FIELDS { p.soft { "And " (finding.fields.len() - FIELDS) " more fields." } }
            }
        }
    }
}

/// The last repair, where its job is still known.
fn repaired(jobs: &[ShownJob]) -> Markup {
    let is_one = |job: &&ShownJob| job.value["kind"] == "repair" && job.value["state"] == "done";
    html! {
        @if let Some(job) = jobs.iter().find(is_one) {
            p {
                "Last repair: "
                @if let Some(at) = job.value["ended_at"].as_str() { (parts::time(at)) }
                ", " (parts::number(job.value["result"]["repaired"].as_u64().unwrap_or(0))) " mended."
            }
        }
    }
}
