//! Ways to another range and to other lanes: links and forms, which need no script.

use focus_core::range::{Range, Unit, year_of};
use maud::{Markup, html};

use super::found::Found;
use super::view::{self, View};
use super::{moment, parts};

/// Years that are linked at most.
const YEARS_MAX: i16 = 12;

/// The range that is seen, and the ways to others.
pub(super) fn bar(view: &View, found: &Found) -> Markup {
    let (from_ms, to_ms) = found.read.window;
    let range = Range::new(from_ms, to_ms);
    let over = |range: Option<Range>| range.map(|range| view.over(range));
    // Where a range goes on until now, the units are those of its end: it is where people look.
    let at_ms = match range {
        Some(range) if view.to.is_some() => range.middle_ms(),
        _ => to_ms.saturating_sub(1),
    };
    let all = View { from: None, to: None, cursor: None, year: None, ..view.clone() };
    html! {
        section.range aria-labelledby="range" {
            h2 #range.unseen { "Range" }
            p.seen {
                strong { (moment(from_ms)) " to " (moment(to_ms)) }
                span.soft {
                    " " (parts::duration(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0)))
                    @if view.to.is_none() { ", and goes on" }
                }
            }
            ul.steps aria-label="Move in time" {
                (step("earlier", "← Earlier", over(range.and_then(Range::earlier))))
                (step("later", "Later →", over(range.and_then(Range::later))))
                (step("closer", "+ Zoom in", over(range.and_then(Range::closer))))
                (step("wider", "− Zoom out", over(range.and_then(Range::wider))))
                @for unit in Unit::ALL {
                    @let of = Range::of(unit, at_ms);
                    (unit_of(unit, view.over(of), range == Some(of)))
                }
                (step("all", "All", Some(all)))
                @if let Some(last_ms) = found.last_start_ms {
                    (step("last", "Last day", Some(view.last_day(last_ms))))
                }
            }
        }
    }
}

fn step(name: &str, words: &str, to: Option<View>) -> Markup {
    html! {
        li {
            @match to {
                Some(view) => a.button.quiet href=(view.address()) data-step=(name) { (words) },
                None => span.button.quiet.off aria-disabled="true" { (words) },
            }
        }
    }
}

fn unit_of(unit: Unit, view: View, is_here: bool) -> Markup {
    let name = unit.name();
    let words =
        name.get(..1).unwrap_or_default().to_uppercase() + name.get(1..).unwrap_or_default();
    html! {
        li { a.button.quiet href=(view.address()) data-step=(name) aria-current=[is_here.then_some("true")] { (words) } }
    }
}

/// The forms: a date, other lanes, exact times.
pub(super) fn choose(view: &View, found: &Found, keys: &[&str]) -> Markup {
    let day = focus_common::clock::rfc3339(found.read.window.0);
    html! {
        div.choose {
            form.filters method="get" action="/coverage" {
                (hidden(view, &["from", "to", "cursor", "year"]))
                div { label for="at" { "Date (UTC)" }
                    input #at type="date" name="at" required min="1970-01-01" max="2200-12-31" value=(day.get(..10).unwrap_or_default()); }
                div { label for="show" { "Show its" }
                    select #show name="show" {
                        @for unit in [Unit::Day, Unit::Month, Unit::Year] { option value=(unit.name()) { (unit.name()) } }
                    } }
                button { "Go to" }
            }
            form.filters method="get" action="/coverage" {
                (hidden(view, &["by", "lane", "cursor"]))
                div { label for="by" { "A lane for each" }
                    select #by name="by" {
                        option value="root" { "root" }
                        @for key in keys { option value=(key) selected[view.by() == Some(*key)] { (parts::shown(key)) } }
                    } }
                div { label for="lane" { "Only the lane" }
                    input #lane name="lane" maxlength="1024" placeholder="all" autocomplete="off" value=[view.lane.as_deref()]; }
                button { "Show" }
                @if view.lane.is_some() {
                    a.button.quiet href=(View { lane: None, cursor: None, ..view.clone() }.address()) { "All lanes" }
                }
            }
            details.exact {
                summary { "Exact times" }
                form.filters method="get" action="/coverage" {
                    (hidden(view, &["from", "to", "cursor", "year"]))
                    @for (name, words, at_ms) in [("from", "From", found.read.window.0), ("to", "To, and without it", found.read.window.1)] {
                        div { label for={ "exact-" (name) } { (words) }
                            input.moment id={ "exact-" (name) } name=(name) required maxlength="40" autocomplete="off" value=(view::time(at_ms)); }
                    }
                    button { "Show" }
                }
                p.soft { "RFC 3339, such as 2026-05-01T12:00:00Z, or a whole number since 1970." }
            }
        }
    }
}

/// What a form keeps of what is looked at.
fn hidden(view: &View, but: &[&str]) -> Markup {
    html! {
        @for (name, value) in view.pairs() {
            @if !but.contains(&name) { input type="hidden" name=(name) value=(value); }
        }
    }
}

/// The years that have recordings, and the ones beside the year that is shown.
pub(super) fn years(view: &View, found: &Found) -> Markup {
    let with = |year: i16| View { year: Some(year), ..view.clone() }.address();
    let first = found.first_start_ms.map_or(found.year, year_of);
    let last = found.last_start_ms.map_or(found.year, year_of).max(first);
    let from = first.max(last.saturating_sub(YEARS_MAX - 1));
    html! {
        ul.chips.years aria-label="Years" {
            @if found.year > 1970 { li { a href=(with(found.year - 1)) aria-label={ "The year before: " (found.year - 1) } { "←" } } }
            @if first < from { li { a href=(with(first)) { (first) } } }
            @for year in from..=last {
                li { a href=(with(year)) aria-current=[(year == found.year).then_some("true")] { (year) } }
            }
            @if found.year < 2200 { li { a href=(with(found.year + 1)) aria-label={ "The year after: " (found.year + 1) } { "→" } } }
        }
    }
}

/// What keys and the pointer do, where scripts run.
pub(super) fn keys() -> Markup {
    let keys = [
        ("← →", "the window before, the window after"),
        ("↑ ↓", "the lane above, the lane below"),
        ("Home, End", "the first window, the last one"),
        ("+ −", "zoom in and out at the window"),
        ("Shift + ← →", "earlier, later"),
        ("Enter", "look at the window alone"),
        ("h d m y", "the hour, day, month or year of the window"),
        ("a", "all time"),
    ];
    html! {
        details.keys {
            summary { "Keys and pointer" }
            p #keys { "With the slider below the lanes in focus, which a click on a lane puts there:" }
            dl.facts { @for (key, words) in keys { dt { kbd { (key) } } dd { (words) } } }
            p { "The wheel over the lanes zooms where the pointer is; Shift and the wheel, or sideways, move in time. Dragging moves in time, and with Shift it picks a range. Each of them changes the address: Back undoes it. Without scripts the links and forms do the same." }
        }
    }
}
