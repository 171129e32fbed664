//! `/outages/{id}`: one outage, how what it left was caught up with, and the report of the drill that made it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use focus_common::clock;
use focus_core::iso8601;
use focus_drill::report::Report;
use focus_drill::report::archive::ArchivedDrill;
use maud::{Markup, html};
use serde_json::Value;

use super::address::Address;
use super::files::RENEW;
use super::frame::{Frame, Place};
use super::{chart, drill, outages, parts};
use crate::api::{
    AppState, Ask, DrillsQuery, Nothing, OutagesQuery, Problem, drill_page, drill_report,
    outage_page, outage_with_curve,
};

/// Rows of the curve's table.
const ROWS_MAX: usize = 60;

/// How a number is written.
type Written = fn(u64) -> String;

/// Characters of a reason that are shown.
const REASON_MAX: usize = 2_000;

pub(super) async fn outage(
    State(state): State<AppState>,
    frame: Frame,
    Path(id): Path<String>,
    _: Ask<Nothing>,
) -> Result<Response, Problem> {
    let one = match outage_with_curve(&state, &id).await {
        Ok(one) => one,
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            let code = StatusCode::NOT_FOUND;
            return Ok(frame.page_with(code, Place::Outages, "No such outage", &[], &unknown()));
        }
        Err(problem) => return Err(problem),
    };
    let newest = outage_page(&state, &OutagesQuery::default()).await?;
    let is_newest = newest["items"][0]["id"] == one["id"];
    let (_, drills) = drill_page(&state, &DrillsQuery::default()).await?;
    let report = match covering(&drills, &one) {
        Some(drill) => drill_report(&state, &drill.id).await.ok().flatten(),
        None => None,
    };
    let moves = is_newest && one["converge_ms"].is_null();
    let title = format!("Outage {}", one["id"]);
    let content = html! {
        h1 { (title) }
        div #outage data-renew=[moves.then_some("outage status")] data-under-way=[moves.then_some("")] {
            p { (outages::state(&one, is_newest)) }
            p.long { span.soft { "Reason: " } (parts::brief(one["reason"].as_str().unwrap_or_default(), REASON_MAX)) }
            (course(&one))
            (caught_up(&one, moves))
        }
        @if let Some(report) = &report { (beside(&one, report)) }
        p { a href={ "/api/v1/outages/" (one["id"]) } { "As JSON" } " · " a href="/outages" { "All outages" } }
    };
    Ok(frame.page(Place::Outages, &title, &[&RENEW], &content))
}

fn unknown() -> Markup {
    html! {
        h1 { "No such outage" }
        div.empty {
            p { "There is no outage of this number, or it is too long ago: the last 1,024 are kept." }
            p { a href="/outages" { "All outages" } }
        }
    }
}

fn ms(one: &Value, field: &str) -> Option<i64> {
    iso8601::from_text(one[field].as_str()?, None).ok()
}

/// A moment so long after another one.
fn after(at_ms: i64, ms: u64) -> i64 {
    at_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// What happened when, in its order.
fn course(one: &Value) -> Markup {
    let number = |field: &str| one[field].as_u64();
    let began_ms = ms(one, "began_at").unwrap_or(0);
    let detected = number("detected_after_ms");
    let answered_ms = detected.and_then(|ms| began_ms.checked_sub(i64::try_from(ms).ok()?));
    let ended_ms = ms(one, "ended_at");
    let caught_up_ms = ended_ms.zip(number("converge_ms")).map(|(at, ms)| after(at, ms));
    let row = |what: &str, at: Option<i64>, words: Markup| {
        html! {
            tr {
                th scope="row" { (what) }
                td.when { @match at { Some(at) => (parts::time_of(at)), None => span.soft { "–" } } }
                td { (words) }
            }
        }
    };
    let (landed, pending) = (number("landed").unwrap_or(0), number("pending").unwrap_or(0));
    html! {
        h2 { "What happened when" }
        div.scroll tabindex="0" role="region" aria-label="What happened when" {
            table.list.course {
                thead { tr { th scope="col" { "What" } th scope="col" { "When" } th scope="col" { "How much" } } }
                tbody {
                    @if answered_ms.is_some() { (row("Last good answer", answered_ms, html! { "of the database" })) }
                    (row("Noticed", Some(began_ms), html! {
                        (figure(one, "detected_after_ms", parts::duration)) @if detected.is_some() { " after it" }
                    }))
                    (row("Landed meanwhile", None, html! {
                        (figure(one, "landed", parts::number)) " " (if landed == 1 { "recording" } else { "recordings" })
                        " · " a href=(recorded(answered_ms.unwrap_or(began_ms), ended_ms)) { "Recordings of that time" }
                    }))
                    (row(if ended_ms.is_some() { "Database back" } else { "Goes on" }, ended_ms, html! {
                        (figure(one, "outage_ms", parts::duration)) @if ended_ms.is_some() { " after it was noticed" } @else { " so far" }
                        ", " (figure(one, "pending", parts::number)) " pending"
                    }))
                    @if ended_ms.is_some() {
                        (row("Caught up", caught_up_ms, html! {
                            (figure(one, "converge_ms", parts::duration))
                            @if let Some(rate) = number("converge_ms").and_then(|ms| rate(pending, ms)) { ": " (parts::number(rate)) " recordings a second" }
                        }))
                    }
                }
            }
        }
    }
}

/// A number of the outage, with its raw value.
fn figure(one: &Value, field: &str, name: fn(u64) -> String) -> Markup {
    let value = one[field].as_u64();
    html! {
        span data-of=(field) data-value=[value] {
            @match value { Some(value) => (name(value)), None => span.soft { "not known" } }
        }
    }
}

/// Recordings a second.
fn rate(pending: u64, ms: u64) -> Option<u64> {
    pending.saturating_mul(1_000).checked_div(ms).filter(|rate| *rate > 0)
}

/// The recordings that begin or end in the outage. They may have landed in it, or not.
fn recorded(from_ms: i64, to_ms: Option<i64>) -> String {
    let from = Address::of("/recordings").with("from", &clock::rfc3339(from_ms));
    to_ms.map_or_else(|| from.text(), |to_ms| from.with("to", &clock::rfc3339(to_ms)).text())
}

/// How the backlog went down.
fn caught_up(one: &Value, moves: bool) -> Markup {
    let points: Vec<(u64, u64)> = serde_json::from_value(one["curve"].clone()).unwrap_or_default();
    let words = told(&points);
    html! {
        h2 { "Recovery" }
        @match chart::recovery(&points, &words) {
            Some(picture) => {
                figure.graphic {
                    (picture)
                    figcaption { "Pending recordings since the database's return. " (words) }
                }
                details #curve { summary { "The curve as a table" } (table(&points)) }
            }
            None if one["ended_at"].is_null() => (parts::empty("The curve begins when the database is back.")),
            None if moves => (parts::empty("The curve has no point yet.")),
            None => (parts::empty("No curve was kept of this outage.")),
        }
    }
}

/// The curve in words.
fn told(points: &[(u64, u64)]) -> String {
    let (Some((_, first)), Some((last_ms, last))) = (points.first(), points.last()) else {
        return String::new();
    };
    format!(
        "{} were pending at first, {} after {}.",
        parts::number(*first),
        parts::number(*last),
        parts::duration(*last_ms)
    )
}

/// As many points as a person reads, the first and the last among them.
fn thinned(points: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let step = points.len().div_ceil(ROWS_MAX).max(1);
    let mut kept: Vec<(u64, u64)> = points.iter().step_by(step).copied().collect();
    kept.extend(points.last().filter(|last| kept.last() != Some(*last)));
    kept
}

fn table(points: &[(u64, u64)]) -> Markup {
    let kept = thinned(points);
    html! {
        table.narrow {
            caption {
                "Pending recordings since the database's return"
                @if kept.len() < points.len() { ", " (parts::number(kept.len() as u64)) " of " (parts::number(points.len() as u64)) " points" }
            }
            thead { tr { th.amount scope="col" { "After, ms" } th.amount scope="col" { "Pending" } } }
            tbody { @for (ms, pending) in kept { tr { td.amount { (parts::number(ms)) } td.amount { (parts::number(pending)) } } } }
        }
    }
}

/// The drill in which the outage was noticed.
fn covering<'a>(drills: &'a [ArchivedDrill], one: &Value) -> Option<&'a ArchivedDrill> {
    let began_ms = ms(one, "began_at")?;
    let at = |text: &str| iso8601::from_text(text, None).ok();
    drills.iter().find(|drill| {
        at(&drill.started_at).is_some_and(|start| start <= began_ms)
            && at(&drill.ended_at).is_some_and(|end| began_ms <= end)
    })
}

/// What the server says of the outage, and what the drill saw of it.
fn beside(one: &Value, report: &Report) -> Markup {
    let of_drill = |value: Option<u64>, name: fn(u64) -> String| {
        html! { td.amount { @match value { Some(value) => (name(value)), None => span.soft { "–" } } } }
    };
    let rows: [(&str, &str, Written, Option<u64>); 4] = [
        ("Lasted", "outage_ms", parts::duration, report.outage_ms),
        ("Noticed after", "detected_after_ms", parts::duration, report.time_to_detect_ms),
        ("Landed; planted", "landed", parts::number, Some(report.planted)),
        ("Caught up in", "converge_ms", parts::duration, report.time_to_converge_ms),
    ];
    html! {
        h2 { "Beside the drill" }
        p {
            "The drill " a href={ "/drills/" (report.id) } { (parts::foreign(&report.id)) } " made this outage: "
            (drill::verdict(report.verdict)) "."
        }
        div.scroll tabindex="0" role="region" aria-label="The outage as server and drill saw it" {
            table.list.narrow {
                thead { tr { th scope="col" { "" span.unseen { "What" } } th.amount scope="col" { "This server" } th.amount scope="col" { "The drill" } } }
                tbody {
                    @for (what, field, name, seen) in rows {
                        tr { th scope="row" { (what) } (of_drill(one[field].as_u64(), name)) (of_drill(seen, name)) }
                    }
                }
            }
        }
        p.soft { "The server counts from the moment at which it noticed, and all that landed; the drill counts from its last sight of the database, and what it planted." }
        (drill::timeline(report))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_drill_that_was_under_way_when_the_outage_was_noticed_is_shown_beside_it() {
        let drill = |id: &str, from: &str, to: &str| ArchivedDrill {
            id: id.to_owned(),
            started_at: from.to_owned(),
            ended_at: to.to_owned(),
            ..ArchivedDrill::default()
        };
        let drills = [
            drill("later", "2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z"),
            drill("bad", "<b>", "x"),
            drill("then", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+00:00"),
        ];
        let found =
            |at: &str| covering(&drills, &json!({ "began_at": at })).map(|one| one.id.as_str());
        assert_eq!(found("2026-01-01T00:30:00.000Z"), Some("then"));
        assert_eq!(found("2026-01-01T02:00:00.000Z"), Some("later"));
        assert_eq!(found("2026-01-01T01:30:00.000Z"), None);
    }

    #[test]
    fn a_long_curve_is_thinned_out_and_keeps_both_ends() {
        let points: Vec<(u64, u64)> = (0..500).map(|n| (n * 10, 500 - n)).collect();
        let kept = thinned(&points);
        assert!(kept.len() <= ROWS_MAX + 1, "{}", kept.len());
        assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
        assert_eq!(thinned(&points[..3]), &points[..3]);
        assert_eq!(thinned(&[]), []);
    }

    #[test]
    fn a_rate_is_told_where_there_is_one() {
        assert_eq!((rate(500, 250), rate(1, 5_000), rate(7, 0)), (Some(2_000), None, None));
        assert_eq!(rate(u64::MAX, 1), Some(u64::MAX));
    }

    #[test]
    fn an_outage_of_any_numbers_has_a_course() {
        let one = json!({"id": 1, "began_at": "1970-01-01T00:00:00.000Z", "ended_at": "2026-01-01T00:00:00.000Z", "outage_ms": u64::MAX, "detected_after_ms": u64::MAX, "reason": "", "landed": u64::MAX, "pending": u64::MAX, "converge_ms": u64::MAX});
        course(&one);
    }
}
