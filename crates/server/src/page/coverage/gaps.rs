//! The list of gaps: by lane and time, or the longest first.

use focus_core::range::Range;
use focus_index::Gap;
use maud::{Markup, html};

use super::found::Found;
use super::view::{GAPS, GapOrder, View};
use super::{moment, parts};

/// Least lengths that can be chosen, milliseconds.
const LENGTHS_MS: [(u64, &str); 5] =
    [(1, "1 ms"), (1_000, "1 s"), (60_000, "1 min"), (3_600_000, "1 h"), (86_400_000, "1 d")];

pub(super) fn list(view: &View, found: &Found) -> Markup {
    let gaps = &found.gaps;
    html! {
        section.gaps aria-labelledby="gaps" {
            h2 #gaps { "Gaps" }
            p { "Time that no recording covers, of at least " (parts::duration(u64::try_from(gaps.longer_than_ms).unwrap_or(0))) "." (cut(found)) }
            (orders(view))
            @if gaps.listed.is_empty() { (parts::empty(nothing(view, found))) }
            @else { (table(view, &gaps.listed)) }
            (rest(view, found))
        }
    }
}

fn nothing(view: &View, found: &Found) -> &'static str {
    match found.read.completeness.complete_through_ms {
        None => "No gap can be told of before the first scan has finished.",
        Some(through_ms) if found.read.window.0 >= through_ms => {
            "No gap can be told of a time that is not known yet."
        }
        Some(_) if found.gaps.next_cursor.is_some() => {
            "None in the time that was looked through so far: go on with the next page."
        }
        Some(_) if view.cursor.is_some() => "There are no more.",
        Some(_) => "There are none of this length.",
    }
}

fn cut(found: &Found) -> Markup {
    html! {
        @if found.gaps.is_cut {
            " The range has very many: these are the longest of the first " (parts::number(found.gaps.found as u64))
            ". A shorter range, one lane or a greater length shows all."
        }
    }
}

/// How the list is ordered, and from which length on it tells.
fn orders(view: &View) -> Markup {
    let by = |order| View { order, cursor: None, ..view.clone() }.address();
    let from = |ms| View { longer_than_ms: Some(ms), cursor: None, ..view.clone() }.address();
    let chosen = view.longer_than_ms.unwrap_or(1_000);
    html! {
        ul.chips aria-label="Order" {
            @for (order, words) in [(GapOrder::Lane, "By lane and time"), (GapOrder::Longest, "Longest first")] {
                li { a href=(by(order)) aria-current=[(view.order == order).then_some("true")] { (words) } }
            }
        }
        ul.chips aria-label="Least length" {
            @for (ms, words) in LENGTHS_MS {
                li { a href=(from(ms)) aria-current=[(chosen == ms).then_some("true")] { "≥ " (words) } }
            }
        }
    }
}

fn table(view: &View, gaps: &[Gap]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="List of gaps" {
            table {
                thead { tr {
                    th scope="col" { "From" } th scope="col" { "To" } th.amount scope="col" { "Length" } th scope="col" { "Lane" }
                } }
                tbody { @for gap in gaps { (row(view, gap)) } }
            }
        }
    }
}

fn row(view: &View, gap: &Gap) -> Markup {
    let around = Range::new(gap.start_ms, gap.end_ms).map(|gap| gap.with_margin());
    let lane = View { lane: Some(gap.lane.clone()), ..view.clone() };
    html! {
        tr data-lane=(parts::shown(&gap.lane)) data-start=(gap.start_ms) data-end=(gap.end_ms) {
            td {
                @match around {
                    Some(around) => a href=(lane.over(around).address()) { (moment(gap.start_ms)) },
                    None => { (moment(gap.start_ms)) },
                }
            }
            td { (moment(gap.end_ms)) }
            td.amount { (parts::duration(u64::try_from(gap.end_ms - gap.start_ms).unwrap_or(0))) }
            td { @if view.lane.is_none() { a.name href=(View { cursor: None, ..lane }.address()) { (parts::foreign(&gap.lane)) } } @else { (parts::foreign(&gap.lane)) } }
        }
    }
}

fn rest(view: &View, found: &Found) -> Markup {
    let gaps = &found.gaps;
    let first = View { cursor: None, ..view.clone() };
    // A cursor is of the bounds that it was made for.
    let next = gaps.next_cursor.clone().map(|cursor| View { cursor: Some(cursor), ..view.clone() });
    html! {
        @if view.cursor.is_some() || next.is_some() {
            div.pager {
                @if view.cursor.is_some() { a href={ (first.address()) "#gaps" } { "First page" } }
                @if let Some(next) = next { a href={ (next.address()) "#gaps" } rel="next" { "Next page" } }
            }
        }
        @if view.order == GapOrder::Longest && gaps.found > GAPS {
            p.soft { "and " (parts::number((gaps.found - GAPS) as u64)) " more, none longer" }
        }
    }
}
