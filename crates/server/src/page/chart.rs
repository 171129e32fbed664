//! Pictures of numbers over time: SVG without a script, drawn by classes of the style sheet.

use maud::{Markup, html};

use super::parts::{self, Tone};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 704.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 184.0;

/// Marks of an axis, at most, besides that of 0.
const MARKS_MAX: u64 = 4;

/// A point of a trend: which one of so many, its value, how good it is, and its name.
#[derive(Debug)]
pub(super) struct Point {
    /// The value; none where it is not known.
    pub(super) value: Option<u64>,
    /// How good it is.
    pub(super) tone: Tone,
    /// What it is, for the one who points at it.
    pub(super) name: String,
}

/// How a backlog went down: milliseconds since the database's return, and pending recordings.
pub(super) fn recovery(points: &[(u64, u64)], words: &str) -> Option<Markup> {
    let last_ms = points.last()?.0;
    let most = points.iter().map(|(_, pending)| *pending).max().unwrap_or(0);
    let scale = Scale { across: last_ms.max(1), up: most.max(1) };
    let mut line = String::new();
    for (at, (ms, pending)) in points.iter().enumerate() {
        let command = if at == 0 { 'M' } else { 'L' };
        line.push_str(&format!("{command}{:.1} {:.1}", scale.x(*ms), scale.y(*pending)));
    }
    let area = format!("{line}L{:.1} {BOTTOM}L{LEFT} {BOTTOM}Z", scale.x(last_ms));
    Some(html! {
        svg.graph viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(words) {
            (levels(&scale, parts::number))
            @for ms in marks(scale.across) {
                line.mesh x1=(px(scale.x(ms))) y1=(TOP) x2=(px(scale.x(ms))) y2=(BOTTOM) {}
                text.middle x=(px(scale.x(ms))) y=(BOTTOM + 16.0) { (parts::duration(ms)) }
            }
            path.under d=(area) {}
            path.trace d=(line) {}
            text.end x=(RIGHT) y=(HEIGHT - 4.0) { "since the database's return" }
        }
    })
}

/// Values one after the other, such as of one drill after the other, in milliseconds.
pub(super) fn trend(points: &[Point], words: &str) -> Markup {
    let most = points.iter().filter_map(|point| point.value).max().unwrap_or(0);
    let scale = Scale { across: (points.len() as u64).max(2) - 1, up: most.max(1) };
    let mut line = String::new();
    let mut command = 'M';
    for (at, point) in points.iter().enumerate() {
        match point.value {
            Some(value) => {
                line.push_str(&format!("{command}{:.1} {:.1}", scale.x(at as u64), scale.y(value)));
                command = 'L';
            }
            None => command = 'M',
        }
    }
    html! {
        svg.graph viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(words) {
            (levels(&scale, parts::duration))
            path.trace d=(line) {}
            @for (at, point) in points.iter().enumerate() {
                @if let Some(value) = point.value {
                    (mark(scale.x(at as u64), scale.y(value), point))
                }
            }
            text x=(LEFT) y=(BOTTOM + 20.0) { "oldest" }
            text.end x=(RIGHT) y=(BOTTOM + 20.0) { "newest" }
        }
    }
}

/// A dot where it is good, a cross where it is not: colour is never alone.
fn mark(x: f64, y: f64, point: &Point) -> Markup {
    let (class, _) = point.tone.class_and_sign();
    let (left, right, top, bottom) = (px(x - 4.0), px(x + 4.0), px(y - 4.0), px(y + 4.0));
    html! {
        @if point.tone == Tone::Good {
            circle.dot.(class) cx=(px(x)) cy=(px(y)) r="3.5" { title { (point.name) } }
        } @else {
            path.cross.(class) d={ "M" (left) " " (top) "L" (right) " " (bottom) "M" (left) " " (bottom) "L" (right) " " (top) } {
                title { (point.name) }
            }
        }
    }
}

fn levels(scale: &Scale, name: fn(u64) -> String) -> Markup {
    html! {
        @for value in marks(scale.up) {
            line.mesh x1=(LEFT) y1=(px(scale.y(value))) x2=(RIGHT) y2=(px(scale.y(value))) {}
            text.end x=(LEFT - 8.0) y=(px(scale.y(value) + 4.0)) { (name(value)) }
        }
    }
}

#[derive(Debug)]
struct Scale {
    across: u64,
    up: u64,
}

#[expect(clippy::cast_precision_loss, reason = "pixels of a picture")]
fn share(value: u64, of: u64) -> f64 {
    value as f64 / of as f64
}

impl Scale {
    fn x(&self, value: u64) -> f64 {
        LEFT + (RIGHT - LEFT) * share(value, self.across)
    }

    fn y(&self, value: u64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * share(value, self.up)
    }
}

/// The marks of an axis that goes from 0 to `most`: multiples of 1, 2 or 5 times a power of ten.
fn marks(most: u64) -> Vec<u64> {
    let mut power: u64 = 1;
    let step = loop {
        let steps = [1, 2, 5].map(|factor: u64| power.saturating_mul(factor));
        if let Some(step) = steps.into_iter().find(|step| most / step <= MARKS_MAX) {
            break step;
        }
        power = power.saturating_mul(10);
    };
    (0..=most / step).map(|n| n * step).collect()
}

/// A coordinate, to a tenth of a pixel.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_whole_and_few_also_for_the_largest_numbers() {
        assert_eq!(marks(0), [0]);
        assert_eq!(marks(7), [0, 2, 4, 6]);
        assert_eq!(marks(10_000), [0, 5_000, 10_000]);
        assert!(marks(u64::MAX).len() <= 5);
    }

    #[test]
    fn a_curve_begins_at_the_left_and_ends_on_the_ground() {
        let text =
            recovery(&[(0, 10), (500, 4), (1_000, 0)], "words").expect("a curve").into_string();
        assert!(text.contains("d=\"M64.0 16.0L384.0 116.8L704.0 184.0\""), "{text}");
        assert!(recovery(&[], "words").is_none());
        assert!(recovery(&[(0, 0)], "words").is_some());
        assert!(recovery(&[(u64::MAX, u64::MAX)], "words").is_some());
    }

    #[test]
    fn a_trend_has_a_gap_where_nothing_is_known_and_a_cross_where_it_failed() {
        let point = |value, tone| Point { value, tone, name: "<b>".to_owned() };
        let points =
            [point(Some(5), Tone::Good), point(None, Tone::Bad), point(Some(9), Tone::Bad)];
        let text = trend(&points, "words").into_string();
        assert_eq!(
            text.matches("M64.0").count() + text.matches("M704.0 16.0").count(),
            2,
            "{text}"
        );
        assert!(text.contains("dot good") && text.contains("cross bad") && !text.contains("<b>"));
        trend(&[], "words");
        trend(&[point(Some(u64::MAX), Tone::Good)], "words");
    }
}
