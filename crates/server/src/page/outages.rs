//! `/outages`: the outages of the catalog's database, the newest first.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use super::address::Asked;
use super::files::RENEW;
use super::frame::{Frame, Place};
use super::outage;
use super::parts::{self, Tone};
use crate::api::{AppState, OutagesQuery, Problem, outage_page};

/// Characters of a reason that a list shows.
const REASON_MAX: usize = 200;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/outages", get(outages)).route("/outages/{id}", get(outage::outage))
}

async fn outages(
    State(state): State<AppState>,
    frame: Frame,
    asked: Asked<OutagesQuery>,
) -> Result<Response, Problem> {
    let Asked { query, address } = asked;
    let page = outage_page(&state, &query).await?;
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    let is_first = address.value("cursor").is_none();
    let content = html! {
        h1 { "Outages" }
        p { "Times in which the catalog's database took no writes. Recordings keep landing meanwhile; afterwards the server writes them into the catalog by itself." }
        div #outages data-renew=[is_first.then_some("outage")] {
            @if items.is_empty() {
                @if is_first { (parts::empty("There was no outage since this state folder was made.")) }
                @else { (parts::empty("There are no earlier outages.")) }
            } @else { (table(items, is_first)) }
        }
        (address.pager(page["next_cursor"].as_str()))
    };
    Ok(frame.page(Place::Outages, "Outages", &[&RENEW], &content))
}

fn table(items: &[Value], is_first: bool) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Outages" {
            table.list {
                thead {
                    tr {
                        th scope="col" { "Outage" }
                        th scope="col" { "State" }
                        th scope="col" { "Noticed" }
                        th.amount scope="col" { "after" }
                        th.amount scope="col" { "Lasted" }
                        th.amount scope="col" { "Landed" }
                        th.amount scope="col" { "Pending" }
                        th.amount scope="col" { "Caught up in" }
                        th scope="col" { "Reason" }
                    }
                }
                tbody {
                    @for (at, one) in items.iter().enumerate() {
                        tr data-id=(one["id"]) {
                            th scope="row" { a href={ "/outages/" (one["id"]) } { (one["id"]) } }
                            td.word { (state(one, is_first && at == 0)) }
                            td.when { (parts::time(one["began_at"].as_str().unwrap_or_default())) }
                            (amount(one, "detected_after_ms", parts::duration))
                            (amount(one, "outage_ms", parts::duration))
                            (amount(one, "landed", parts::number))
                            (amount(one, "pending", parts::number))
                            (amount(one, "converge_ms", parts::duration))
                            td.reason { (parts::brief(one["reason"].as_str().unwrap_or_default(), REASON_MAX)) }
                        }
                    }
                }
            }
        }
    }
}

fn amount(one: &Value, field: &str, name: fn(u64) -> String) -> Markup {
    html! {
        td.amount data-of=(field) data-value=[one[field].as_u64()] {
            @match one[field].as_u64() { Some(value) => (name(value)), None => span.soft { "–" } }
        }
    }
}

/// How an outage stands. Only the newest can still be caught up with.
pub(super) fn state(one: &Value, is_newest: bool) -> Markup {
    match (one["ended_at"].is_null(), one["converge_ms"].is_null()) {
        (true, _) => parts::state(Tone::Bad, "goes on"),
        (false, false) => parts::state(Tone::Good, "caught up"),
        (false, true) if is_newest => parts::state(Tone::Busy, "catching up"),
        (false, true) => parts::state(Tone::Plain, "another came first"),
    }
}
