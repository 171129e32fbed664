//! A year of days: how much of each is covered, and a way to it.

use std::fmt::Write as _;

use focus_core::coverage::DAY_MS;
use focus_core::range::{Month, Range, Unit, months};
use focus_core::skyline::Shown;
use focus_index::Bucket;
use maud::{Markup, html};

use super::found::Found;
use super::view::View;
use super::{bar, parts, percent};

/// A day of all lanes together.
#[derive(Clone, Copy)]
struct Day {
    begins_ms: i64,
    bucket: Bucket,
    shown: Shown,
}

pub(super) fn calendar(view: &View, found: &Found) -> Markup {
    let days = days(found);
    let with = days.iter().filter(|day| !matches!(day.shown, Shown::Gap | Shown::Unknown)).count();
    html! {
        section.calendar aria-labelledby="calendar" {
            h2 #calendar { "Days of " (found.year) }
            p {
                (parts::number(with as u64)) " days with data, "
                @match &view.lane {
                    Some(lane) => { "of " (parts::foreign(lane)) },
                    None => { "of all roots together" },
                }
                ". The higher a day is filled, the more of it is covered."
            }
            (bar::years(view, found))
            div.months {
                @for month in months(found.year) { (of_month(view, found, month, &days)) }
            }
        }
    }
}

/// The days of the year: what is covered of one is the mean of its lanes, and recordings are their sum.
fn days(found: &Found) -> Vec<Day> {
    let read = &found.days;
    let lanes = &read.covered.lanes;
    let count = i64::try_from(lanes.len()).unwrap_or(1).max(1);
    let of = |at: usize| {
        let mut bucket = Bucket::default();
        for one in lanes.iter().filter_map(|lane| lane.buckets.get(at)) {
            bucket.covered_ms += one.covered_ms;
            bucket.recordings += one.recordings;
            bucket.pending += one.pending;
        }
        // A lane with anything leaves no day empty.
        if bucket.covered_ms > 0 {
            bucket.covered_ms = (bucket.covered_ms / count).max(1);
        }
        let bounds = (read.buckets.begins_ms(at), read.buckets.begins_ms(at + 1));
        let through_ms = read.completeness.complete_through_ms;
        let shown = Shown::of(bounds, bucket.covered_ms, bucket.recordings, through_ms);
        Day { begins_ms: bounds.0, bucket, shown }
    };
    (0..read.buckets.len()).map(of).collect()
}

fn of_month(view: &View, found: &Found, month: Month, days: &[Day]) -> Markup {
    let days = days.get(month.days_before..month.days_before + month.days).unwrap_or_default();
    let begins_ms = days.first().map_or(0, |day| day.begins_ms);
    let of_month = view.over(Range::of(Unit::Month, begins_ms));
    let cells: Vec<Option<&Day>> =
        std::iter::repeat_n(None, month.first_weekday).chain(days.iter().map(Some)).collect();
    html! {
        table.month {
            caption { a href=(of_month.address()) { (month.name) span.unseen { " " (found.year) } } }
            thead { tr { @for (short, long) in WEEKDAYS { th scope="col" abbr=(long) { (short) } } } }
            tbody {
                @for week in cells.chunks(7) {
                    tr { @for day in week { (cell(view, found, month, *day)) } }
                }
            }
        }
    }
}

const WEEKDAYS: [(&str, &str); 7] = [
    ("M", "Monday"),
    ("T", "Tuesday"),
    ("W", "Wednesday"),
    ("T", "Thursday"),
    ("F", "Friday"),
    ("S", "Saturday"),
    ("S", "Sunday"),
];

fn cell(view: &View, found: &Found, month: Month, day: Option<&Day>) -> Markup {
    let Some(day) = day else { return html! { td {} } };
    let number = focus_common::clock::rfc3339(day.begins_ms);
    let number = number.get(8..10).map_or("", |number| number.trim_start_matches('0'));
    let whole = Range::of(Unit::Day, day.begins_ms);
    let (from_ms, to_ms) = found.read.window;
    // Of a range of months, most days would be marked, and the mark would say nothing.
    let is_short = to_ms - from_ms <= 31 * DAY_MS;
    let is_seen = is_short && day.begins_ms < to_ms && whole.to_ms() > from_ms;
    let is_all = (whole.from_ms(), whole.to_ms()) == (from_ms, to_ms);
    let class = match day.shown {
        Shown::Covered(height) => format!("day h{height}"),
        Shown::Moments => "day h0".to_owned(),
        Shown::Gap => "day none".to_owned(),
        Shown::Unknown => "day later".to_owned(),
    };
    let class = format!(
        "{class}{}{}",
        if day.bucket.pending > 0 { " owed" } else { "" },
        if is_seen { " seen" } else { "" }
    );
    html! {
        td class=(class) {
            @if matches!(day.shown, Shown::Gap | Shown::Unknown) { (number) }
            @else {
                a href=(view.over(whole).address()) aria-label=(words(number, month, day))
                    aria-current=[is_all.then_some("date")] { (number) }
            }
        }
    }
}

fn words(number: &str, month: Month, day: &Day) -> String {
    let share = day.bucket.covered_ms as f64 * 100.0 / DAY_MS as f64;
    let mut words = format!("{number} {}: {} covered", month.name, percent(share));
    let s = if day.bucket.recordings == 1 { "" } else { "s" };
    let _ = write!(words, ", {} recording{s}", parts::number(day.bucket.recordings));
    if day.bucket.pending > 0 {
        let _ = write!(words, ", {} pending", parts::number(day.bucket.pending));
    }
    words
}
