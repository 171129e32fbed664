//! `/unrecognised`: what is on storage and cannot be catalogued, by reason, with what to do.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use focus_common::status::Status;
use focus_core::state::State as Fault;
use maud::{Markup, html};

use super::address::{Address, Asked};
use super::frame::{Frame, Place};
use super::parts::{self, Tone};
use super::recordings::roots;
use crate::api::{AppState, Problem, UnrecognisedItem, UnrecognisedQuery, find_unrecognised};

/// Characters of a reason that are shown.
const REASON_MAX: usize = 1_000;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/unrecognised", get(unrecognised))
}

async fn unrecognised(
    State(state): State<AppState>,
    frame: Frame,
    asked: Asked<UnrecognisedQuery>,
) -> Result<Response, Problem> {
    let Asked { query, address } = asked;
    let (items, next, _) = find_unrecognised(&state, query).await?;
    let content = html! {
        h1 { "Unrecognised" }
        p { "Recordings that are on storage and cannot be catalogued. Each is catalogued by itself once its cause is mended." }
        (by_reason(&frame.status, &address))
        @if frame.status.roots.len() + frame.status.removed_roots.len() > 1 { (form(&frame.status, &address)) }
        (address.chips())
        (list(&frame.status, &items, &address))
        (address.pager(next.as_deref()))
    };
    Ok(frame.page(Place::Unrecognised, "Unrecognised", &[], &content))
}

/// How many there are for each reason, and what to do about it.
fn by_reason(status: &Status, address: &Address) -> Markup {
    let counts: Vec<(Fault, u64)> = Fault::ALL
        .into_iter()
        .filter_map(|fault| {
            let count = status.unrecognised_by_state.get(fault.name()).copied();
            count.filter(|count| *count > 0).map(|count| (fault, count))
        })
        .collect();
    html! {
        @if !counts.is_empty() {
            h2 { "By reason" }
            ul.cards.reasons {
                @for (fault, count) in counts {
                    li.card {
                        h3 {
                            a href=(address.with("state", fault.name()).text()) aria-current=[address.has(("state", fault.name())).then_some("true")] {
                                (fault.name().replace('_', " "))
                            }
                            " " span.many data-of=(fault.name()) data-value=(count) { (parts::number(count)) }
                        }
                        p { (meaning(fault)) }
                        p { strong { "What to do: " } (remedy(fault)) }
                    }
                }
            }
        }
    }
}

fn form(status: &Status, address: &Address) -> Markup {
    html! {
        form.filters method="get" action="/unrecognised" {
            div { label for="root" { "Root" } (roots(status, address.value("root").unwrap_or_default())) }
            @if let Some(state) = address.value("state") { input type="hidden" name="state" value=(state); }
            button { "Show" }
        }
    }
}

fn list(status: &Status, items: &[UnrecognisedItem], address: &Address) -> Markup {
    if items.is_empty() {
        return nothing(status, address);
    }
    let several_roots = status.roots.len() + status.removed_roots.len() > 1;
    html! {
        h2 { "List" }
        div.scroll tabindex="0" role="region" aria-label="Unrecognised recordings" {
            table {
                thead {
                    tr {
                        th scope="col" { "Path" }
                        @if several_roots { th scope="col" { "Root" } }
                        th scope="col" { "Reason" }
                        th scope="col" { "Where" }
                        th scope="col" { "Since" }
                        th.amount scope="col" { "Files" }
                    }
                }
                tbody {
                    @for one in items {
                        tr data-state=(one.state) {
                            td.path { (parts::foreign(&one.path)) }
                            @if several_roots { td.path { (parts::foreign(parts::root_name(status, &one.root))) } }
                            td.reason { (parts::state(Tone::Warn, &one.state)) br; (parts::brief(&one.reason, REASON_MAX)) }
                            td.where {
                                @if let Some((line, column)) = position(&one.path, &one.reason) {
                                    "line " (line) ", column " (column)
                                } @else { span.soft { "–" } }
                            }
                            td.when { (parts::time(&one.since)) }
                            td.amount { (one.file_count) }
                        }
                    }
                }
            }
        }
    }
}

fn nothing(status: &Status, address: &Address) -> Markup {
    html! {
        div.empty {
            @if !address.is_unfiltered() {
                p { "None is as these filters ask." }
                p { a href=(address.bare().text()) { "Show all" } }
            } @else if status.complete_through.is_none() {
                p { "None so far. The first scan is not finished." }
            } @else {
                p { "None: every recording on storage can be catalogued." }
            }
        }
    }
}

/// The place in the sidecar that a reason names. A name that looks like a place is none: reasons begin with the
/// file's name.
fn position(path: &str, reason: &str) -> Option<(u32, u32)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let text = reason.strip_prefix(name).unwrap_or(reason);
    text.match_indices("line ").find_map(|(at, found)| {
        let (line, rest) = text[at + found.len()..].split_once(", column ")?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((line.parse().ok()?, rest[..end].parse().ok()?))
    })
}

/// What is wrong, in a sentence.
fn meaning(fault: Fault) -> &'static str {
    match fault {
        Fault::DataWithoutSidecar => "A data file has no sidecar beside it.",
        Fault::SidecarWithoutData => "A sidecar has no data file beside it.",
        Fault::SidecarInvalid => "The sidecar is not JSON that can be used.",
        Fault::DuplicateId => "Another recording has the same uuid, and keeps it.",
        Fault::TimeInvalid => {
            "The start is missing, a time is outside 1970 to 2200, or the end is before the start."
        }
        Fault::Unreadable => "A file cannot be read by the server.",
        Fault::NameInvalid => "The name cannot be a recording id.",
        Fault::CatalogRefused => "The catalog's database does not accept the document.",
    }
}

/// What to do about it.
fn remedy(fault: Fault) -> &'static str {
    match fault {
        Fault::DataWithoutSidecar => "write the sidecar beside the data file, with the same name.",
        Fault::SidecarWithoutData => "bring the data file, or remove the sidecar.",
        Fault::SidecarInvalid => "mend the sidecar at the line and column that the list names.",
        Fault::DuplicateId => {
            "give one of the two another uuid in its sidecar, or remove it if it is a copy."
        }
        Fault::TimeInvalid => {
            "correct the time in the sidecar at the line and column that the list names."
        }
        Fault::Unreadable => "give the server's user the right to read it, or look at the disk.",
        Fault::NameInvalid => "rename both files: a name is UTF-8 without control characters.",
        Fault::CatalogRefused => {
            "mend what the database's message names, in the sidecar or in the database. The server tries again every minute."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_in_a_sidecar_is_read_from_the_reason() {
        let cases = [
            ("a/r1", "r1.json, line 1, column 16: start_time \"x\" has day 30", Some((1, 16))),
            (
                "r1",
                "r1.json has no start_time, but \"StartTime\", line 12, column 23. Rename",
                Some((12, 23)),
            ),
            ("line 7, column 8", "line 7, column 8.json, line 2, column 3: no", Some((2, 3))),
            ("r1", "there is no data file beside r1.json", None),
            ("r1", "the last line of it: line 4, column 5", Some((4, 5))),
            ("r1", "line , column 3", None),
            ("r1", "line 99999999999999, column 3", None),
            ("r1", "line 5, column ", None),
        ];
        for (path, reason, wanted) in cases {
            assert_eq!(position(path, reason), wanted, "{reason}");
        }
    }

    #[test]
    fn every_reason_has_a_meaning_and_a_remedy() {
        for fault in Fault::ALL {
            assert!(meaning(fault).ends_with('.') && remedy(fault).ends_with('.'), "{fault}");
        }
    }
}
