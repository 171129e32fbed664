//! `/`: what is going on. Whoever looks sees first whether anything is wrong, then what, and what to do.

use axum::extract::State;
use axum::response::Response;
use focus_common::clock;
use focus_common::status::{CatalogState, Fill, Recovery, Status};
use focus_core::outage::OutageRecord;
use maud::{Markup, html};

use super::files::RENEW;
use super::frame::{Frame, Place};
use super::lines::{Line, line};
use super::parts::{self, Tone};
use super::states::{self, Shown};
use crate::api::{AppState, Problem};

/// Outages that are shown here; the page of outages has all.
const OUTAGES: usize = 5;

pub(super) async fn now(State(state): State<AppState>, frame: Frame) -> Result<Response, Problem> {
    let outages = state.read(focus_engine::Engine::outages).await?;
    let status = &frame.status;
    let history = state.history();
    let shown = states::of(status, &history.since(status), frame.scan_interval_ms);
    let samples = history.samples();
    let content = html! {
        h1 { "Now" }
        div #now data-renew="status outage alert job" data-under-way=[is_under_way(status).then_some("")] {
            (verdict(&shown, &frame))
            (under_way(status))
            section {
                h2 #parts { "Parts" }
                (states::list(&shown))
            }
            section {
                h2 #hour { "The last hour" }
                div.lines {
                    (line(&samples, clock::wall_ms(), &Line { name: "Pending", value: |one| one.pending, shown: parts::number }))
                    (line(&samples, clock::wall_ms(), &Line { name: "Lag", value: |one| one.lag_ms, shown: parts::duration }))
                }
            }
            (completeness(&frame))
            (last_outages(&outages))
        }
    };
    Ok(frame.page(Place::Now, "Now", &[&RENEW], &content))
}

/// Parts that the first sentence names.
const NAMED: usize = 3;

/// One sentence: whether anything is wrong, and what.
fn verdict(shown: &[Shown], frame: &Frame) -> Markup {
    let of = |tone: Tone| shown.iter().filter(|one| one.tone == tone).collect::<Vec<_>>();
    let (wrong, warned) = (of(Tone::Bad), of(Tone::Warn));
    let status = &frame.status;
    let (tone, words) = if !wrong.is_empty() {
        (Tone::Bad, html! { "Something is wrong: " (names(&wrong)) "." })
    } else if !warned.is_empty() {
        (Tone::Warn, html! { "Something should be looked at: " (names(&warned)) "." })
    } else if status.held > 0 {
        (Tone::Warn, html! { "Deletions wait for somebody's approval." })
    } else if frame.stale_ms.is_some() {
        (Tone::Warn, html! { "The index is not as complete as it should be." })
    } else if status.recovery.is_some() {
        (Tone::Busy, html! { "The catalog is being caught up with." })
    } else if status.fill.is_some() {
        (Tone::Busy, html! { "The catalog is being filled for the first time." })
    } else if matches!(status.catalog_state, CatalogState::Connecting | CatalogState::Unknown) {
        (Tone::Busy, html! { "The server begins, and asks the catalog what it is." })
    } else {
        (Tone::Good, html! { "Everything is in order." })
    };
    let (class, sign) = tone.class_and_sign();
    html! { p class={ "verdict " (class) } { span aria-hidden="true" { (sign) } span { (words) } } }
}

fn names(parts: &[&Shown]) -> Markup {
    let beyond = parts.len().saturating_sub(NAMED);
    html! {
        @for (n, part) in parts.iter().take(NAMED).enumerate() {
            @if n > 0 { ", " }
            (part.name())
        }
        @if beyond > 0 { " and " (beyond) " more" }
    }
}

fn is_under_way(status: &Status) -> bool {
    status.recovery.is_some()
        || status.fill.is_some()
        || status.comparison.is_some()
        || status.verification.is_some()
}

/// What ends by itself, with how far it is.
fn under_way(status: &Status) -> Markup {
    html! {
        @if is_under_way(status) {
            section {
                h2 #under-way { "Under way" }
                @if let Some(recovery) = &status.recovery { (of_recovery(recovery)) }
                @if let Some(fill) = &status.fill { (of_fill(fill)) }
                @if let Some(comparison) = &status.comparison {
                    (progress("Comparison of catalog and index", comparison.compared, Some(comparison.of), None))
                }
                @if let Some(verification) = &status.verification {
                    @let name = format!("Verification: {}", verification.stage.name().replace('_', " "));
                    (progress(&name, verification.compared, Some(verification.of), None))
                }
            }
        }
    }
}

fn of_recovery(recovery: &Recovery) -> Markup {
    let of = Some(recovery.backlog.max(recovery.written));
    progress("Recovery", recovery.written, of, Some((recovery.rate_per_s, recovery.left_ms)))
}

fn of_fill(fill: &Fill) -> Markup {
    let of = fill.is_counted.then_some(fill.of);
    progress("First fill", fill.done, of, Some((fill.rate_per_s, fill.left_ms)))
}

/// How far something is: done, of how many, how fast and for how long.
pub(super) fn progress(
    name: &str,
    done: u64,
    of: Option<u64>,
    pace: Option<(f64, Option<u64>)>,
) -> Markup {
    html! {
        div.progress {
            div.words {
                strong { (name) }
                span { (parts::number(done)) @if let Some(of) = of { " of " (parts::number(of)) } @else { " so far" } }
                @if let Some((rate_per_s, left_ms)) = pace {
                    span { (rate(rate_per_s)) }
                    @if let Some(left_ms) = left_ms { span { (parts::duration(left_ms)) " left" } }
                }
            }
            @if let Some(of) = of.filter(|of| *of > 0) {
                progress max=(of) value=(done.min(of)) aria-label=(name) { (parts::number(done)) " of " (parts::number(of)) }
            }
        }
    }
}

/// Recordings per second, for people.
fn rate(per_s: f64) -> String {
    if per_s >= 10.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people")]
        let whole = per_s.round() as u64;
        return format!("{} a second", parts::number(whole));
    }
    format!("{per_s:.1} a second")
}

fn completeness(frame: &Frame) -> Markup {
    let status = &frame.status;
    let counts = [
        ("Unsettled", status.unsettled, "still change on storage"),
        ("Vanished", status.vanished, "files are gone, and they are not marked as deleted"),
        ("Held", status.held, "wait for an approval before they count as deleted"),
        ("Deleted", status.deleted, "are marked as deleted in the catalog"),
    ];
    html! {
        section {
            h2 #complete { "Completeness" }
            dl.facts {
                dt { "Complete through" }
                dd {
                    @match &status.complete_through {
                        Some(at) => { (parts::time(at)) ": what was on storage then, the index has" }
                        None => { "no scan of all roots has finished yet" }
                    }
                }
                dt { "Scans" }
                dd { "every " (parts::duration(frame.scan_interval_ms)) @if let Some(stale_ms) = frame.stale_ms { ", and the last one began " (parts::duration(stale_ms)) " ago" } }
                @for (name, count, words) in counts {
                    dt { (name) }
                    dd { (parts::number(count)) " " span.soft { (words) } }
                }
                @if let Some(drift) = status.drift {
                    dt { a href="/drift" { "Drift" } }
                    dd { (parts::number(drift)) " " span.soft { "differences that the last verification found and did not mend" } }
                }
            }
        }
    }
}

fn last_outages(outages: &[OutageRecord]) -> Markup {
    html! {
        section {
            h2 #outages { "Last outages" }
            @if outages.is_empty() {
                (parts::empty("No outage of the catalog is known on this state folder."))
            } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="outages" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Began" }
                                th.amount scope="col" { "Lasted" }
                                th.amount scope="col" { "Landed" }
                                th.amount scope="col" { "Pending" }
                                th.amount scope="col" { "Caught up after" }
                                th scope="col" { "Reason" }
                            }
                        }
                        tbody { @for outage in outages.iter().take(OUTAGES) { (row(outage)) } }
                    }
                }
                p { a href="/outages" { "All outages" } }
            }
        }
    }
}

fn row(outage: &OutageRecord) -> Markup {
    html! {
        tr {
            td { a href={ "/outages/" (outage.id) } { (parts::time_of(outage.began_ms)) } }
            td.amount { (parts::duration(outage.outage_ms)) @if outage.ended_ms.is_none() { " so far" } }
            td.amount { (parts::number(outage.landed)) }
            td.amount { (parts::number(outage.pending)) }
            td.amount { @match outage.converge_ms { Some(ms) => { (parts::duration(ms)) } None => { "–" } } }
            td { (parts::told(&outage.reason)) }
        }
    }
}
