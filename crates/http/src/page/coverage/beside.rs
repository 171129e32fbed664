//! The outages of the range, and what is seen as files and elsewhere.

use maud::{Markup, html};

use super::found::Found;
use super::moment;
use super::parts;
use super::view::{self, View};

/// Outages that are listed at most.
const OUTAGES_MAX: usize = 20;

/// The outages of the catalog's database in the range. None of them makes a gap: recordings land all the same.
pub(super) fn outages(found: &Found) -> Markup {
    if found.outages.is_empty() {
        return html! {};
    }
    let more = found.outages.len().saturating_sub(OUTAGES_MAX);
    html! {
        section aria-labelledby="outages" {
            h2 #outages { "Outages of the catalog" }
            p { "What landed meanwhile is covered: an outage is no gap." }
            div.scroll tabindex="0" role="region" aria-label="List of outages" {
                table {
                    thead { tr {
                        th scope="col" { "Began" } th scope="col" { "Ended" } th.amount scope="col" { "Landed" } th scope="col" { "Reason" }
                    } }
                    tbody {
                        @for outage in found.outages.iter().take(OUTAGES_MAX) {
                            tr {
                                td { a href={ "/outages/" (outage.id) } { (moment(outage.began_ms)) } }
                                td { @match outage.ended_ms { Some(at_ms) => { (moment(at_ms)) }, None => { "goes on" } } }
                                td.amount { (parts::number(outage.landed)) }
                                td { (parts::told(&outage.reason)) }
                            }
                        }
                    }
                }
            }
            @if more > 0 { p { a href="/outages" { "and " (parts::number(more as u64)) " more" } } }
        }
    }
}

/// What is seen, as files, and the same time elsewhere.
pub(super) fn files(view: &View, found: &Found) -> Markup {
    let fixed = view.fixed(found);
    let (from_ms, to_ms) = found.read.window;
    let fdsn = [("starttime", view::time(from_ms)), ("endtime", view::time(to_ms))];
    let mut recordings = vec![("from", view::time(from_ms)), ("to", view::time(to_ms))];
    if let (Some(lane), None) = (&view.lane, view.by()) {
        recordings.push(("root", lane.clone()));
    }
    html! {
        section.files aria-labelledby="files" {
            h2 #files { "What is seen, as files" }
            ul {
                li { "Lanes: "
                    a href=(fixed.address_at("/coverage/lanes.csv")) download="lanes.csv" { "CSV" } ", "
                    a href=(view.api_coverage(found)) download="lanes.json" { "JSON" } }
                li { "Gaps: "
                    a href=(fixed.address_at("/coverage/gaps.csv")) download="gaps.csv" { "CSV" } ", "
                    a href=(view.api_gaps(found)) download="gaps.json" { "JSON" } }
                @if found.has_fdsn {
                    li { "FDSN availability: " a href=(view::address("/fdsnws/availability/1/query", &fdsn)) { "query" } }
                }
                li { a href=(view::address("/recordings", &recordings)) { "Recordings of this range" } }
            }
        }
    }
}
