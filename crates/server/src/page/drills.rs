//! `/drills`: the reports of drills that this server has, and how soon outages were noticed and caught up with.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use focus_drill::report::Verdict;
use focus_drill::report::archive::ArchivedDrill;
use maud::{Markup, html};
use serde_json::Value;

use super::address::Asked;
use super::chart::{self, Point};
use super::drill;
use super::frame::{Frame, Place};
use super::parts;
use crate::api::{AppState, DrillsQuery, Problem, drill_page};

/// Characters of a title that a list shows.
const TITLE_MAX: usize = 120;

/// Messages about reports that cannot be read.
const UNREADABLE_MAX: usize = 10;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/drills", get(drills)).route("/drills/{id}", get(drill::drill))
}

async fn drills(
    State(state): State<AppState>,
    frame: Frame,
    asked: Asked<DrillsQuery>,
) -> Result<Response, Problem> {
    let Asked { query, address } = asked;
    let (page, all) = drill_page(&state, &query).await?;
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    let is_first = address.value("cursor").is_none();
    let content = html! {
        h1 { "Drills" }
        p { "A drill takes the database away on purpose, plants recordings meanwhile, and gives a verdict. " code { "focus drill run" } " makes one, and posts its report to this server." }
        (unreadable(&page["unreadable"]))
        @if items.is_empty() {
            @if is_first { (parts::empty("No drill has been made on this state folder, and none was posted.")) }
            @else { (parts::empty("There are no earlier drills.")) }
        } @else {
            @if is_first { (trends(&all)) }
            (table(items))
        }
        (address.pager(page["next_cursor"].as_str()))
    };
    Ok(frame.page(Place::Drills, "Drills", &[], &content))
}

fn unreadable(messages: &Value) -> Markup {
    let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
    html! {
        @for message in messages.iter().take(UNREADABLE_MAX) {
            p.remark { (parts::brief(message.as_str().unwrap_or_default(), 500)) }
        }
        @if messages.len() > UNREADABLE_MAX {
            p.remark { "… and " (messages.len() - UNREADABLE_MAX) " more reports that cannot be read." }
        }
    }
}

/// How the two times went over all drills, the oldest first. One drill has no trend.
fn trends(all: &[ArchivedDrill]) -> Markup {
    let trend = |name: &str, of: fn(&ArchivedDrill) -> Option<u64>| {
        let points: Vec<Point> = all.iter().rev().map(|drill| point(drill, of(drill))).collect();
        let known: Vec<u64> = points.iter().filter_map(|point| point.value).collect();
        let words = told(name, &known);
        html! {
            figure.card.graphic {
                figcaption { strong { (name) } " " (words) }
                (chart::trend(&points, &words))
            }
        }
    };
    html! {
        @if all.len() > 1 {
            h2 { "Trend" }
            div.cards.wide {
                (trend("Noticed after", |drill| drill.time_to_detect_ms))
                (trend("Caught up after", |drill| drill.time_to_converge_ms))
            }
            p.soft { "A dot is a drill that passed, a cross any other. The list has the values." }
        }
    }
}

/// A trend in words.
fn told(name: &str, known: &[u64]) -> String {
    let mut sorted = known.to_vec();
    sorted.sort_unstable();
    let (Some(last), Some(most), Some(middle)) =
        (known.last(), sorted.last(), sorted.get(sorted.len() / 2))
    else {
        return format!("{name}: no drill knows it.");
    };
    format!(
        "{} at the last drill that knows it, {} in the middle of {}, {} at most.",
        parts::duration(*last),
        parts::duration(*middle),
        parts::number(known.len() as u64),
        parts::duration(*most)
    )
}

fn point(drill: &ArchivedDrill, value: Option<u64>) -> Point {
    let value_name = value.map_or_else(|| "not known".to_owned(), parts::duration);
    Point {
        value,
        tone: drill::tone(drill.verdict),
        name: format!("{}: {}, {value_name}", drill.id, drill.verdict.name()),
    }
}

fn table(items: &[Value]) -> Markup {
    html! {
        h2 { "Reports" }
        div.scroll tabindex="0" role="region" aria-label="Reports of drills" {
            table.list {
                thead {
                    tr {
                        th scope="col" { "Drill" }
                        th scope="col" { "Verdict" }
                        th scope="col" { "Began" }
                        th scope="col" { "Outage" }
                        th.amount scope="col" { "Catalogued" }
                        th.amount scope="col" { "Away" }
                        th.amount scope="col" { "Noticed after" }
                        th.amount scope="col" { "Caught up after" }
                        th scope="col" { "Title" }
                    }
                }
                tbody { @for one in items { (row(one)) } }
            }
        }
    }
}

fn row(one: &Value) -> Markup {
    let text = |field: &str| one[field].as_str().unwrap_or_default();
    let verdict: Verdict = serde_json::from_value(one["verdict"].clone()).unwrap_or_default();
    let time = |field: &str| {
        html! {
            td.amount data-of=(field) data-value=[one[field].as_u64()] {
                @match one[field].as_u64() { Some(ms) => (parts::duration(ms)), None => span.soft { "–" } }
            }
        }
    };
    html! {
        tr data-id=(text("id")) {
            th.path scope="row" { a href={ "/drills/" (text("id")) } { (parts::foreign(text("id"))) } }
            td { (drill::verdict(verdict)) }
            td.when { (drill::moment(text("started_at"))) }
            td.word { (text("outage")) }
            td.amount {
                (parts::number(one["catalogued"].as_u64().unwrap_or(0))) " of " (parts::number(one["planted"].as_u64().unwrap_or(0)))
            }
            (time("outage_ms"))
            (time("time_to_detect_ms"))
            (time("time_to_converge_ms"))
            td.path { (parts::brief(text("title"), TITLE_MAX)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_in_words_has_the_last_the_middle_and_the_most() {
        assert_eq!(
            told("Noticed after", &[5, 100, 20]),
            "20 ms at the last drill that knows it, 20 ms in the middle of 3, 100 ms at most."
        );
        assert_eq!(told("Noticed after", &[]), "Noticed after: no drill knows it.");
    }
}
