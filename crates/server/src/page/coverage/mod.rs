//! `/coverage`: which time is covered by recordings, by lane, with a calendar, the gaps, and what is seen as files.
//!
//! | file | what it does |
//! |---|---|
//! | `mod` | the call, and the page |
//! | `view` | what is looked at: everything that stands in the address |
//! | `found` | what the index says of it |
//! | `bar` | ways to another range and to other lanes |
//! | `lanes` | the picture of the lanes |
//! | `calendar` | a year of days |
//! | `gaps` | the list of gaps |
//! | `beside` | the outages of the range, and what is seen as files |
//! | `export` | lanes and gaps as CSV |

mod bar;
mod beside;
mod calendar;
mod export;
mod found;
mod gaps;
mod lanes;
mod view;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use focus_common::clock;
use maud::{Markup, html};

use super::files::COVERAGE;
use super::frame::{Frame, Place};
use super::parts;
use crate::api::{AppState, Ask, Problem, completeness_headers};
use found::Found;
use view::{Asked, View, ViewQuery};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/coverage", get(coverage))
        .route("/coverage/lanes.csv", get(export::lanes))
        .route("/coverage/gaps.csv", get(export::gaps))
}

async fn coverage(
    State(state): State<AppState>,
    frame: Frame,
    Ask(query): Ask<ViewQuery>,
) -> Result<Response, Problem> {
    let view = match query.asked()? {
        Asked::View(view) => view,
        // The address shows what is seen, as every other way to it has it.
        Asked::Elsewhere(view) => {
            let headers = [(header::LOCATION, view.address())];
            return Ok((axum::http::StatusCode::SEE_OTHER, headers).into_response());
        }
    };
    let ready = view.ready()?;
    let asked = view.clone();
    let found = state.read(move |engine| found::read(engine, &asked, ready)).await?;
    let keys: Vec<&str> =
        frame.status.indexed_metadata.iter().map(|key| key.key.as_str()).collect();
    let found = match found {
        Ok(found) => found,
        Err(none) => {
            let problem = crate::api::no_lanes(none, view.by());
            let content = without_lanes(&view, &keys, &problem);
            return Ok(frame.page_with(
                problem.status(),
                Place::Coverage,
                "Coverage",
                &[&COVERAGE],
                &content,
            ));
        }
    };
    let content = page(&view, &found, &keys);
    let mut response = frame.page(Place::Coverage, "Coverage", &[&COVERAGE], &content);
    response.headers_mut().extend(completeness_headers(found.read.completeness));
    Ok(response)
}

fn page(view: &View, found: &Found, keys: &[&str]) -> Markup {
    let (from_ms, to_ms) = found.read.window;
    html! {
        h1 { "Coverage" }
        div #coverage data-from=(from_ms) data-to=(to_ms) data-buckets=(found.read.buckets.len())
            data-api=(view.api_coverage(found)) data-goes-on=(view.to.is_none()) {
            (bar::bar(view, found))
            (state_of(view, found))
            (lanes::chart(view, found))
            (bar::choose(view, found, keys))
            div.beside {
                (gaps::list(view, found))
                (calendar::calendar(view, found))
            }
            (beside::outages(found))
            (beside::files(view, found))
            (bar::keys())
        }
    }
}

/// What a person has to know of what is shown, where there is something.
fn state_of(view: &View, found: &Found) -> Markup {
    let through_ms = found.read.completeness.complete_through_ms;
    let is_empty = found.read.covered.lanes.iter().all(|lane| {
        lane.buckets.iter().all(|bucket| bucket.recordings == 0 && bucket.covered_ms == 0)
    });
    let words = |words: &str| parts::empty(words);
    match (found.last_start_ms, through_ms) {
        (None, None) => words(
            "Nothing is known yet: the first scan goes on. Lanes stand here once it has found recordings.",
        ),
        (None, Some(_)) => words(
            "There are no recordings yet. Once both files of one are on storage and settled, its time stands here.",
        ),
        (Some(_), None) => words(
            "The first scan goes on, and what it has found so far is not drawn: a gap might only be what it has not reached. Look again when it has finished.",
        ),
        (Some(last_ms), Some(through_ms)) if found.read.window.0 >= through_ms => html! {
            p.empty {
                "Of this time nothing is known yet: the index is complete through " (parts::time_of(through_ms)) ". "
                (last_day(view, last_ms))
            }
        },
        (Some(last_ms), Some(_)) if is_empty => html! {
            p.empty { "Nothing was recorded in this range. " (last_day(view, last_ms)) }
        },
        (Some(_), Some(_)) => html! {},
    }
}

fn last_day(view: &View, last_ms: i64) -> Markup {
    html! { a href=(view.last_day(last_ms).address()) { "Go to the last day with data" } }
}

/// The page where there are no such lanes: what is wrong, and the way to others.
fn without_lanes(view: &View, keys: &[&str], problem: &Problem) -> Markup {
    let all = View { by: None, lane: None, cursor: None, ..view.clone() };
    html! {
        h1 { "Coverage" }
        p.banner.warn { strong { (problem.title()) "." } " " (parts::shown(problem.detail())) }
        @if view.lane.is_some() {
            p { a href=(View { lane: None, cursor: None, ..view.clone() }.address()) { "Show all lanes" } }
        }
        p { a href=(all.address()) { "Show a lane for each root" } }
        @if !keys.is_empty() {
            p { "Or a lane for each value of an indexed key:" }
            ul.chips {
                @for key in keys {
                    @let by_key = View { by: Some((*key).to_owned()), ..all.clone() };
                    li { a href=(by_key.address()) { (parts::foreign(key)) } }
                }
            }
        }
    }
}

/// A moment in UTC, with milliseconds where it has some.
fn moment(ms: i64) -> Markup {
    if ms.rem_euclid(1_000) == 0 {
        return parts::time_of(ms);
    }
    let text = clock::rfc3339(ms);
    html! { time datetime=(text) { (text.replace('T', " ").replace('Z', "")) " UTC" } }
}

/// A share in percent, rounded down: only what is whole is 100 %.
fn percent(value: f64) -> String {
    let hundredths = (value * 100.0).floor();
    if value > 0.0 && hundredths < 1.0 {
        return "< 0.01 %".to_owned();
    }
    format!("{:.2} %", hundredths / 100.0)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn only_what_is_whole_is_a_hundred_percent_and_only_nothing_is_none() {
        let texts = [0.0, 0.001, 33.333_3, 99.999_9, 100.0].map(percent);
        assert_eq!(texts, ["0.00 %", "< 0.01 %", "33.33 %", "99.99 %", "100.00 %"]);
    }
}
