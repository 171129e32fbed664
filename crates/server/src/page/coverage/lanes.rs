//! The picture of the lanes: one path for each layer of a lane, in which windows that look alike are one piece.
//!
//! A picture is as many units wide as there are windows, and is stretched to its column. What must not be stretched with
//! it is a stroke, whose width and dashes stay as they are.

use std::fmt::Write as _;

use focus_core::coverage::Buckets;
use focus_core::outage::OutageRecord;
use focus_core::range::{Mark, Range};
use focus_core::skyline::{FULL, Shown, runs};
use focus_index::{Bucket, CoveredLane};
use maud::{Markup, html};

use super::found::Found;
use super::view::View;
use super::{moment, parts, percent};
use crate::api;

/// The heights of a lane's layers, from the top: live, covered, the ground that gaps lie on, pending.
const LIVE_Y: u32 = 3;
const TOP_Y: u32 = 6;
const GROUND_Y: u32 = 22;
const GAP_Y: u32 = 21;
const PENDING_Y: u32 = 27;
const MIDDLE_Y: u32 = 15;
const HEIGHT: u32 = 30;

/// Marks along the axis at most: a year has its months. The style sheet leaves some out on a narrow screen.
const MARKS_MAX: usize = 13;

/// Windows that the table of one lane lists at most.
const ROWS_MAX: usize = 500;

/// The lanes, their axis, and what the signs mean.
pub(super) fn chart(view: &View, found: &Found) -> Markup {
    let lanes = &found.read.covered.lanes;
    let range = Range::new(found.read.window.0, found.read.window.1);
    let Some(range) = range.filter(|_| !lanes.is_empty()) else { return html! {} };
    html! {
        section aria-labelledby="lanes" {
            h2 #lanes { "Lanes" }
            p.sum {
                "Of all that is shown, "
                strong data-available=(api::available_percent(lanes, found.read.window)) {
                    (percent(api::available_percent(lanes, found.read.window)))
                }
                " is covered, in windows of " (parts::duration(window_ms(found))) "."
            }
            (legend())
            (shared(found, range))
            div #chart.chart role="table" aria-label="Lanes" {
                div.axis role="row" {
                    div role="columnheader" { (heading(view)) }
                    div role="columnheader" { (axis(range)) }
                    div.amount role="columnheader" { "Covered" }
                }
                (outages(found))
                @for lane in lanes { (row(view, found, lane)) }
            }
            (slider(found, lanes))
            (more(view, found))
            @if let [lane] = lanes.as_slice() { (windows(found, lane)) }
        }
    }
}

fn window_ms(found: &Found) -> u64 {
    let (from_ms, to_ms) = found.read.window;
    let count = i64::try_from(found.read.buckets.len()).unwrap_or(1).max(1);
    u64::try_from((to_ms - from_ms) / count).unwrap_or(0)
}

fn heading(view: &View) -> Markup {
    html! { @match view.by() { None => { "Root" }, Some(key) => { (parts::foreign(key)) } } }
}

/// Names of times, where they stand in the range; those that would be cut off stand at its ends.
fn axis(range: Range) -> Markup {
    let marks = range.marks(MARKS_MAX);
    let texts: Vec<&str> = marks.iter().map(|mark| mark.text.as_str()).collect();
    html! {
        svg.times aria-label={ "Times, in UTC: " (texts.join(", ")) } role="img" {
            @for (n, mark) in marks.iter().enumerate() {
                @let share = (mark.at_ms - range.from_ms()) as f64 / range.length_ms() as f64;
                @let anchor = match share { ..0.05 => "start", 0.95.. => "end", _ => "middle" };
                text x=(format!("{:.2}%", share * 100.0)) y="14" text-anchor=(anchor)
                    class=(mark_class(n, mark)) { (mark.text) }
            }
        }
    }
}

/// Which marks are left out first where there is little room: every other one, and of long texts every fourth stays.
fn mark_class(n: usize, mark: &Mark) -> &'static str {
    match (mark.is_major, n % 4) {
        (true, 1 | 3) => "major other",
        (false, 1 | 3) => "other",
        (_, 2) if mark.text.len() > 8 => "long",
        (true, _) => "major",
        (false, _) => "each",
    }
}

/// What stands in the picture of every lane: lines at the marks below, outages and what is not known above.
fn shared(found: &Found, range: Range) -> Markup {
    let count = found.read.buckets.len() as f64;
    let place = |at_ms: i64| (at_ms - range.from_ms()) as f64 / range.length_ms() as f64 * count;
    let mut lines = String::new();
    for mark in range.marks(MARKS_MAX) {
        let _ = write!(lines, "M{:.2} 0V{HEIGHT}", place(mark.at_ms));
    }
    let through_ms = found.read.completeness.complete_through_ms.unwrap_or(range.from_ms());
    let unknown = (through_ms < range.to_ms())
        .then(|| format!("M{:.2} {MIDDLE_Y}H{count}", place(through_ms.max(range.from_ms()))));
    html! {
        svg width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                g #below { path.line d=(lines) {} }
                g #above {
                    path.away d=(path(&away(&found.outages, found.read.buckets), MIDDLE_Y)) {}
                    @if let Some(unknown) = unknown { path.unknown d=(unknown) {} }
                }
            }
        }
    }
}

/// In which windows there was an outage. One that goes on lasts until the end; one that has begun after it is in the last.
fn away(outages: &[OutageRecord], buckets: Buckets) -> Vec<bool> {
    let mut away = vec![false; buckets.len()];
    let last_ms = buckets.begins_ms(buckets.len()).saturating_sub(1);
    for outage in outages {
        let began_ms = outage.began_ms.min(last_ms);
        // An outage of no length is one all the same.
        let ends_ms = outage.ended_ms.unwrap_or(i64::MAX).max(began_ms.saturating_add(1));
        for (at, _) in buckets.parts(began_ms, ends_ms) {
            away[at] = true;
        }
    }
    away
}

fn outages(found: &Found) -> Markup {
    if found.outages.is_empty() {
        return html! {};
    }
    let count = found.outages.len();
    html! {
        div.outages role="row" {
            div role="rowheader" { a href="#outages" { "Outages" } }
            div role="cell" {
                (picture(found, &format!("{count} outages of the catalog"), &html! {
                    path.outage d=(path(&away(&found.outages, found.read.buckets), MIDDLE_Y)) {}
                }))
            }
            div.amount role="cell" { (parts::number(count as u64)) }
        }
    }
}

/// A lane.
fn row(view: &View, found: &Found, lane: &CoveredLane) -> Markup {
    let available = api::available_percent([lane], found.read.window);
    let alone = View { lane: Some(lane.name.clone()), cursor: None, ..view.clone() };
    html! {
        div.lane role="row" data-lane=(parts::shown(&lane.name)) {
            div role="rowheader" {
                @if view.lane.is_some() { (parts::foreign(&lane.name)) }
                @else { a href=(alone.address()) { (parts::foreign(&lane.name)) } }
            }
            div role="cell" { (lane_picture(found, lane)) }
            div.amount role="cell" data-available=(available) { (percent(available)) }
        }
    }
}

fn lane_picture(found: &Found, lane: &CoveredLane) -> Markup {
    let shown = shown(found, &lane.buckets);
    let pending: Vec<bool> = lane.buckets.iter().map(|bucket| bucket.pending > 0).collect();
    let only = |wanted: Shown| shown.iter().map(|one| *one == wanted).collect::<Vec<_>>();
    let live = live(found, lane);
    let layers = [
        ("gap", path(&only(Shown::Gap), GAP_Y)),
        ("moments", path(&only(Shown::Moments), GAP_Y)),
        ("pending", path(&pending, PENDING_Y)),
        ("live", path(&live, LIVE_Y)),
    ];
    picture(
        found,
        &words(lane, &shown, &pending, &live),
        &html! {
            path.covered d=(skyline(&shown)) {}
            @for (class, d) in &layers {
                @if !d.is_empty() { path class=(class) d=(d) {} }
            }
        },
    )
}

/// The picture of one lane. `preserveAspectRatio` lets it have the width of its column.
fn picture(found: &Found, label: &str, layers: &Markup) -> Markup {
    let view_box = format!("0 0 {} {HEIGHT}", found.read.buckets.len());
    html! {
        svg.track viewBox=(view_box) preserveAspectRatio="none" role="img" aria-label=(label) {
            use href="#below" {}
            (layers)
            use href="#above" {}
        }
    }
}

/// What is drawn of each window.
fn shown(found: &Found, windows: &[Bucket]) -> Vec<Shown> {
    let buckets = found.read.buckets;
    let through_ms = found.read.completeness.complete_through_ms;
    let of = |(at, window): (usize, &Bucket)| {
        let bounds = (buckets.begins_ms(at), buckets.begins_ms(at + 1));
        Shown::of(bounds, window.covered_ms, window.recordings, through_ms)
    };
    windows.iter().enumerate().map(of).collect()
}

/// In which windows a live recording lasts.
fn live(found: &Found, lane: &CoveredLane) -> Vec<bool> {
    let buckets = found.read.buckets;
    let mut live = vec![false; buckets.len()];
    let through_ms = found.read.completeness.complete_through_ms;
    if let (Some(since_ms), Some(through_ms)) = (lane.live_since_ms, through_ms) {
        for (at, _) in buckets.parts(since_ms, through_ms) {
            live[at] = true;
        }
    }
    live
}

/// The same in words, for whoever does not see it.
fn words(lane: &CoveredLane, shown: &[Shown], pending: &[bool], live: &[bool]) -> String {
    let gaps = shown.iter().filter(|one| **one == Shown::Gap).count();
    let partly = shown.iter().filter(|one| (1..FULL).contains(&one.height())).count();
    let mut words = format!(
        "{}: of {} windows {gaps} have nothing and {partly} are covered in part",
        parts::shown(&lane.name),
        shown.len()
    );
    let pending = pending.iter().filter(|is| **is).count();
    if pending > 0 {
        let _ = write!(words, "; {pending} have pending recordings");
    }
    if live.contains(&true) {
        words.push_str("; a recording is live");
    }
    words
}

/// What is covered, as one outline: each window as high as its share.
fn skyline(shown: &[Shown]) -> String {
    let mut d = String::new();
    let mut last = 0;
    for (height, windows) in runs(shown.iter().map(|one| one.height())) {
        let y = GROUND_Y - (GROUND_Y - TOP_Y) * u32::from(height) / u32::from(FULL);
        let _ = match (last, height) {
            (0, 0) => Ok(()),
            (_, 0) => write!(d, "V{GROUND_Y}"),
            (0, _) => write!(d, "M{} {GROUND_Y}V{y}H{}", windows.start, windows.end),
            (_, _) => write!(d, "V{y}H{}", windows.end),
        };
        last = height;
    }
    if last > 0 {
        let _ = write!(d, "V{GROUND_Y}");
    }
    d
}

/// A line at one height along the windows that have something.
fn path(windows: &[bool], y: u32) -> String {
    let mut d = String::new();
    for (is_there, windows) in runs(windows.iter().copied()) {
        if is_there {
            let _ = write!(d, "M{} {y}H{}", windows.start, windows.end);
        }
    }
    d
}

/// A slider along the lanes, which the script shows: it tells of each window, by keys and to a screen reader too.
fn slider(found: &Found, lanes: &[CoveredLane]) -> Markup {
    let last = found.read.buckets.len().saturating_sub(1);
    html! {
        div.cursor #cursor hidden {
            label for="window" { "Window" }
            input #window type="range" min="0" max=(last) value=(last / 2) step="1" aria-describedby="keys";
            output #readout for="window" data-lanes=(lanes.len()) {}
        }
    }
}

/// There are more lanes than are shown.
fn more(view: &View, found: &Found) -> Markup {
    if !found.read.covered.more {
        return html! {};
    }
    let shown = found.read.covered.lanes.len();
    let all = View { limit: Some(1_000), ..view.clone() };
    html! {
        p.more {
            "The first " (parts::number(shown as u64)) " lanes by name are shown, and there are more. "
            @if shown < 1_000 && view.buckets.is_none_or(|count| count <= 200) {
                a href=(all.address()) { "Show up to 1,000" }
                ", or name one below."
            } @else { "Name one below to see it alone." }
        }
    }
}

fn legend() -> Markup {
    let sign = |class: &'static str, d: &'static str| {
        html! { svg.sign viewBox="0 0 24 30" aria-hidden="true" { path class=(class) d=(d) {} } }
    };
    let signs = [
        ("covered", "M0 22V6H12V14H24V22", "covered: the higher, the more of the window"),
        ("gap", "M0 21H24", "gap"),
        ("moments", "M0 21H24", "recordings of no length"),
        ("pending", "M0 27H24", "pending: not yet in the catalog"),
        ("live", "M0 3H24", "live: goes on"),
        ("outage", "M0 15H24", "catalog away"),
        ("unknown", "M0 15H24", "not known yet"),
    ];
    html! {
        ul.legend aria-label="Signs" {
            @for (class, d, words) in signs { li { (sign(class, d)) (words) } }
        }
    }
}

/// The windows of the only lane that is shown, as a table.
fn windows(found: &Found, lane: &CoveredLane) -> Markup {
    let buckets = found.read.buckets;
    let with = |(_, window): &(usize, &Bucket)| window.recordings > 0 || window.covered_ms > 0;
    let some: Vec<(usize, &Bucket)> = lane.buckets.iter().enumerate().filter(with).collect();
    html! {
        details.windows {
            summary { "Windows with something in them, as a table" }
            @if some.is_empty() { (parts::empty("No window of this range has a recording.")) }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Windows" {
                    table {
                        thead { tr {
                            th scope="col" { "From" } th scope="col" { "To" }
                            th.amount scope="col" { "Covered" }
                            th.amount scope="col" { "Recordings" } th.amount scope="col" { "Pending" }
                        } }
                        tbody {
                            @for (at, window) in some.iter().take(ROWS_MAX) {
                                tr {
                                    td { (moment(buckets.begins_ms(*at))) }
                                    td { (moment(buckets.begins_ms(at + 1))) }
                                    td.amount data-covered-ms=(window.covered_ms) { (parts::duration(u64::try_from(window.covered_ms).unwrap_or(0))) }
                                    td.amount { (parts::number(window.recordings)) }
                                    td.amount { (parts::number(window.pending)) }
                                }
                            }
                        }
                    }
                }
                @if some.len() > ROWS_MAX {
                    p.soft { "and " (parts::number((some.len() - ROWS_MAX) as u64)) " more: the file of lanes has all of them" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_look_alike_are_one_piece_of_the_outline() {
        let shown = |heights: &[u8]| {
            let of = |height: &u8| if *height > 0 { Shown::Covered(*height) } else { Shown::Gap };
            skyline(&heights.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(shown(&[0, 0]), "");
        assert_eq!(shown(&[8, 8, 8]), "M0 22V6H3V22");
        assert_eq!(shown(&[0, 8, 8, 4, 0, 1]), "M1 22V6H3V14H4V22M5 22V20H6V22");
        assert_eq!(path(&[true, true, false, true], 5), "M0 5H2M3 5H4");
    }

    #[test]
    fn an_outage_is_in_every_window_that_it_touches_and_one_that_goes_on_is_up_to_the_end() {
        let record =
            |began_ms, ended_ms| OutageRecord { began_ms, ended_ms, ..OutageRecord::default() };
        let buckets = Buckets::over(0, 100, 10);
        assert_eq!(path(&away(&[record(15, Some(21))], buckets), 1), "M1 1H3");
        assert_eq!(path(&away(&[record(40, Some(40))], buckets), 1), "M4 1H5");
        assert_eq!(
            path(&away(&[record(95, None), record(-9, Some(3))], buckets), 1),
            "M0 1H1M9 1H10"
        );
    }
}
