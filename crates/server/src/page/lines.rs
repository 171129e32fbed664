//! Numbers of the last hour as a line.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::history::Sample;

/// What the picture measures, in units of its own: the page stretches it.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 72.0;

/// The time that it shows, milliseconds.
const SPAN_MS: i64 = 3_600_000;

/// Between two samples that are further apart than this, nothing is known: the line is broken.
const APART_MS: i64 = 60_000;

/// What a line shows.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) value: fn(&Sample) -> u64,
    /// The value for people.
    pub(super) shown: fn(u64) -> String,
}

/// The line, with the numbers of its ends in words.
pub(super) fn line(samples: &[Sample], now_ms: i64, what: &Line) -> Markup {
    let values = samples.iter().map(what.value);
    let (most, last) = (values.clone().max().unwrap_or(0), values.last().unwrap_or(0));
    let (most_shown, last_shown) = ((what.shown)(most), (what.shown)(last));
    let words = format!("{} over the last hour: {last_shown} now, {most_shown} at most", what.name);
    let top = format!("{}", HEIGHT - 1.0);
    html! {
        figure.line {
            figcaption { span { (what.name) } span.soft { (last_shown) " now, at most " (most_shown) } }
            @if samples.len() < 2 {
                p.soft { "The line begins with the server: it comes in a moment." }
            } @else {
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(words) {
                    line.base x1="0" x2=(WIDTH) y1=(top) y2=(top) {}
                    path.drawn d=(path(samples, now_ms, most, what.value)) {}
                }
                div.ends.soft aria-hidden="true" { span { "1 h ago" } span { "now" } }
            }
        }
    }
}

/// The path: steps would claim that nothing happened between two samples, so it is straight.
fn path(samples: &[Sample], now_ms: i64, most: u64, value: fn(&Sample) -> u64) -> String {
    let mut path = String::with_capacity(samples.len() * 12);
    let mut before: Option<i64> = None;
    for sample in samples.iter().filter(|sample| (0..=SPAN_MS).contains(&(now_ms - sample.at_ms))) {
        let x = (1.0 - (now_ms - sample.at_ms) as f64 / SPAN_MS as f64) * WIDTH;
        let share = if most == 0 { 0.0 } else { value(sample) as f64 / most as f64 };
        let y = (HEIGHT - 2.0) * (1.0 - share) + 1.0;
        let follows = before.is_some_and(|at_ms| sample.at_ms - at_ms <= APART_MS);
        let command = if follows { 'L' } else { 'M' };
        // Writing into a text does not fail.
        let _ = write!(path, "{command}{x:.1} {y:.1}");
        before = Some(sample.at_ms);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: i64, pending: u64) -> Sample {
        Sample { at_ms, pending, lag_ms: 0 }
    }

    #[test]
    fn a_line_goes_from_left_to_right_and_breaks_where_nothing_is_known() {
        let samples = [
            sample(-1, 9),
            sample(0, 0),
            sample(10_000, 10),
            sample(1_800_000, 5),
            sample(3_600_000, 0),
        ];
        let path = path(&samples, 3_600_000, 10, |one| one.pending);
        assert_eq!(path, "M0.0 71.0L1.0 1.0M180.0 36.0M360.0 71.0");
    }

    #[test]
    fn without_anything_pending_the_line_lies_on_the_ground() {
        let samples = [sample(3_590_000, 0), sample(3_600_000, 0)];
        assert_eq!(path(&samples, 3_600_000, 0, |one| one.pending), "M359.0 71.0L360.0 71.0");
    }
}
