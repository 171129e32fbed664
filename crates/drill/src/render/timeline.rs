//! The timeline as a picture: an SVG in the HTML report, drawn in the report's colours.

use maud::{Markup, html};

use super::words::time;
use crate::report::{Report, Second};
use crate::server::CatalogState;

/// Samples in the picture and in the table at most. A longer timeline is thinned out to the last of each
/// stretch.
pub const SAMPLES_MAX: usize = 600;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 344.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 240.0;
/// Upper edges of the two lanes: the drill's view, and the server's.
const LANES: [f64; 2] = [256.0, 280.0];
const LANE: f64 = 14.0;
const AXIS: f64 = 302.0;

/// A series: its name, which is the name of its style too, and its value.
type Series = (&'static str, fn(&Second) -> Option<u64>);

const SERIES: [Series; 3] = [
    ("landed", |second| Some(second.landed)),
    ("catalogued", |second| Some(second.catalogued)),
    ("pending", |second| second.pending),
];

/// The samples of a report that are shown.
pub fn samples(report: &Report) -> Vec<&Second> {
    let all = &report.timeline;
    let stretch = all.len().div_ceil(SAMPLES_MAX).max(1);
    all.chunks(stretch).filter_map(|chunk| chunk.last()).collect()
}

/// The picture; none where no timeline was taken.
pub fn svg(report: &Report) -> Option<Markup> {
    let samples = samples(report);
    let last = samples.last()?;
    let scale = Scale {
        end_ms: last.at_ms.saturating_add(1_000),
        most: SERIES
            .iter()
            .flat_map(|(_, read)| samples.iter().filter_map(move |second| read(second)))
            .max()
            .unwrap_or(0)
            .max(1),
    };
    Some(html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
            aria-labelledby="timeline-title timeline-desc"
        {
            title id="timeline-title" { "Timeline of the drill, second by second" }
            desc id="timeline-desc" { (told(report, &samples)) }
            (outages(&scale, &samples))
            (counts(&scale))
            (times(&scale))
            (area(&scale, &samples))
            @for (name, read) in SERIES {
                (line(&scale, &samples, name, read))
            }
            (labels(&scale, &samples))
            (lanes(&scale, &samples))
        }
    })
}

/// What the picture shows, in words.
pub fn told(report: &Report, samples: &[&Second]) -> String {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return "No timeline was taken.".to_owned();
    };
    let mut words = format!("From {} to {}.", time(first.at_ms), time(last.at_ms));
    let away = spans(samples, |second| !second.reachable);
    if away.is_empty() {
        words.push_str(" The database was reachable all the time.");
    }
    for (from, to) in away {
        words.push_str(&format!(
            " The database was unreachable from {} to {}.",
            time(from),
            time(to)
        ));
    }
    let pending = samples.iter().filter_map(|second| second.pending).max().unwrap_or(0);
    words.push_str(&format!(
        " {} of {} recordings landed, {} are in the catalog at the end; at most {pending} were pending.",
        last.landed, report.planted, last.catalogued
    ));
    words
}

struct Scale {
    end_ms: u64,
    most: u64,
}

#[expect(clippy::cast_precision_loss, reason = "pixels of a picture")]
fn real(value: u64) -> f64 {
    value as f64
}

impl Scale {
    fn x(&self, at_ms: u64) -> f64 {
        LEFT + (RIGHT - LEFT) * real(at_ms) / real(self.end_ms)
    }

    fn y(&self, count: u64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * real(count) / real(self.most)
    }
}

/// Stretches in which something holds: from the first sample with it to the first without.
fn spans(samples: &[&Second], holds: impl Fn(&Second) -> bool) -> Vec<(u64, u64)> {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    let ends = samples.iter().skip(1).map(|second| second.at_ms);
    let last = samples.last().map_or(0, |second| second.at_ms.saturating_add(1_000));
    for (second, end) in samples.iter().zip(ends.chain([last])) {
        if !holds(second) {
            continue;
        }
        match spans.last_mut() {
            Some(open) if open.1 == second.at_ms => open.1 = end,
            _ => spans.push((second.at_ms, end)),
        }
    }
    spans
}

/// A whole step of 1, 2 or 5 times a power of ten, so that there are at most `most` of it.
fn nice(range: u64, most: u64) -> u64 {
    let mut step = 1;
    loop {
        for factor in [1, 2, 5] {
            if range / (step * factor) <= most {
                return step * factor;
            }
        }
        step *= 10;
    }
}

/// The marks of an axis, from 0 on: as many as there are numbers. A report from elsewhere may hold the largest.
fn marks(step: u64) -> impl Iterator<Item = u64> {
    (0..).map_while(move |n: u64| n.checked_mul(step))
}

/// A coordinate as it stands in the picture: to a tenth of a pixel.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// The horizontal lines of the grid, with the counts that they stand for.
fn counts(scale: &Scale) -> Markup {
    let step = nice(scale.most, 4);
    let counts = marks(step).take_while(|count| *count <= scale.most);
    html! {
        @for (count, y) in counts.map(|count| (count, scale.y(count))) {
            line.grid x1=(LEFT) y1=(px(y)) x2=(RIGHT) y2=(px(y)) {}
            text.axis.end x=(LEFT - 8.0) y=(px(y + 4.0)) { (count) }
        }
        text.axis x="0" y=(TOP - 14.0) { "recordings" }
    }
}

/// The vertical lines of the grid, with the times that they stand for.
fn times(scale: &Scale) -> Markup {
    let in_minutes = scale.end_ms > 300_000;
    let step_s = nice(scale.end_ms / 1_000, 10);
    let times = marks(step_s).take_while(|at_s| *at_s <= scale.end_ms / 1_000);
    let label = |at_s: u64| match in_minutes {
        true => format!("{}:{:02}", at_s / 60, at_s % 60),
        false => at_s.to_string(),
    };
    html! {
        @for (at_s, x) in times.map(|at_s| (at_s, px(scale.x(at_s * 1_000)))) {
            line.grid x1=(x) y1=(TOP) x2=(x) y2=(AXIS) {}
            text.axis.middle x=(x) y=(AXIS + 14.0) { (label(at_s)) }
        }
        text.axis.middle x=((LEFT + RIGHT) / 2.0) y=(AXIS + 34.0) {
            (if in_minutes { "minutes" } else { "seconds" }) " since the drill began"
        }
    }
}

/// The stretches in which the database was away.
fn outages(scale: &Scale, samples: &[&Second]) -> Markup {
    let away = spans(samples, |second| !second.reachable);
    html! {
        @for (x, end) in away.into_iter().map(|(from, to)| (scale.x(from), scale.x(to))) {
            rect.outage x=(px(x)) y=(TOP) width=(px(end - x)) height=(px(BOTTOM - TOP)) {}
            // Not over the name of the axis.
            text.outage-name.middle x=(px(((x + end) / 2.0).max(LEFT + 80.0))) y=(TOP - 8.0) {
                "database away"
            }
        }
    }
}

/// A line in steps: a value holds until the next sample. The line is broken where nothing was seen.
fn line(
    scale: &Scale,
    samples: &[&Second],
    class: &str,
    read: fn(&Second) -> Option<u64>,
) -> Markup {
    let mut path = String::new();
    let mut open = false;
    let ends = samples.iter().skip(1).map(|second| second.at_ms).chain([scale.end_ms]);
    for (second, end) in samples.iter().zip(ends) {
        let Some(count) = read(second) else {
            open = false;
            continue;
        };
        let y = scale.y(count);
        let command = if open { 'L' } else { 'M' };
        path.push_str(&format!("{command}{:.1} {y:.1}", scale.x(second.at_ms)));
        path.push_str(&format!("H{:.1}", scale.x(end)));
        open = true;
    }
    html! { path.series.(class) d=(path) {} }
}

/// What is pending, as an area: its line lies on that of what has landed while the database is away.
fn area(scale: &Scale, samples: &[&Second]) -> Markup {
    let mut path = String::new();
    let ends = samples.iter().skip(1).map(|second| second.at_ms).chain([scale.end_ms]);
    for (second, end) in samples.iter().zip(ends) {
        let Some(count) = second.pending.filter(|count| *count > 0) else { continue };
        path.push_str(&format!(
            "M{:.1} {BOTTOM}V{:.1}H{:.1}V{BOTTOM}Z",
            scale.x(second.at_ms),
            scale.y(count),
            scale.x(end)
        ));
    }
    html! { path.area d=(path) {} }
}

/// The names of the lines at their ends, so far apart that they can be read.
fn labels(scale: &Scale, samples: &[&Second]) -> Markup {
    let last = |read: fn(&Second) -> Option<u64>| {
        samples.iter().rev().find_map(|second| read(second)).unwrap_or(0)
    };
    let mut ends: Vec<(f64, &str, u64)> =
        SERIES.iter().map(|(name, read)| (scale.y(last(*read)), *name, last(*read))).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = TOP;
    let room = real(ends.len() as u64) * 18.0;
    for (at, (y, ..)) in ends.iter_mut().enumerate() {
        let most = BOTTOM - room + real(at as u64 + 1) * 18.0;
        *y = y.max(least).min(most);
        least = *y + 18.0;
    }
    html! {
        @for (y, name, count) in ends {
            text.name.(name) x=(RIGHT + 10.0) y=(px(y + 4.0)) { (name) " " (count) }
        }
    }
}

/// What a lane shows of a sample: the state in words, and the class it is drawn in.
type View = fn(&Second) -> (&'static str, &'static str);

fn as_the_drill_saw_it(second: &Second) -> (&'static str, &'static str) {
    if second.reachable { ("reachable", "up") } else { ("unreachable", "down") }
}

fn as_the_server_said(second: &Second) -> (&'static str, &'static str) {
    let Some(state) = second.catalog_state else { return ("no answer", "unknown") };
    let class = match state {
        CatalogState::Down => "down",
        CatalogState::InStep => "up",
        _ => "between",
    };
    (state.name(), class)
}

/// Two lanes below the lines: whether the database was there, as the drill saw it and as the server said.
fn lanes(scale: &Scale, samples: &[&Second]) -> Markup {
    let views: [(&str, View); 2] =
        [("the drill's view", as_the_drill_saw_it), ("the server's view", as_the_server_said)];
    html! {
        @for ((caption, view), y) in views.into_iter().zip(LANES) {
            @for (from_ms, to_ms, state, class) in runs(scale, samples, view) {
                @let (x, end) = (scale.x(from_ms), scale.x(to_ms));
                rect.lane.(class) x=(px(x)) y=(y) width=(px(end - x)) height=(LANE) {
                    title { (caption) ": " (state) }
                }
            }
            text.axis x=(RIGHT + 10.0) y=(y + LANE - 3.0) { (caption) }
        }
    }
}

/// Stretches in which a view says the same: from, to (milliseconds), and what it says.
fn runs(
    scale: &Scale,
    samples: &[&Second],
    view: View,
) -> Vec<(u64, u64, &'static str, &'static str)> {
    let mut runs: Vec<(u64, u64, &str, &str)> = Vec::new();
    let ends = samples.iter().skip(1).map(|second| second.at_ms).chain([scale.end_ms]);
    for (second, end_ms) in samples.iter().zip(ends) {
        let (state, class) = view(second);
        match runs.last_mut() {
            Some(run) if run.2 == state => run.1 = end_ms,
            _ => runs.push((second.at_ms, end_ms, state, class)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn stretches_are_joined_and_end_where_they_end() {
        let report = sample();
        let samples = samples(&report);
        assert_eq!(spans(&samples, |second| !second.reachable), [(3_000, 8_000)]);
        assert_eq!(spans(&samples, |second| second.at_ms >= 10_000), [(10_000, 12_000)]);
        assert_eq!(spans(&samples, |_| false), []);
    }

    #[test]
    fn a_long_timeline_is_thinned_out_to_the_bound_and_keeps_its_end() {
        let mut report = sample();
        report.timeline =
            (0..86_400).map(|at| Second { at_ms: at * 1_000, ..Second::default() }).collect();
        let samples = samples(&report);
        assert!(samples.len() <= SAMPLES_MAX, "{}", samples.len());
        assert_eq!(samples.last().map(|second| second.at_ms), Some(86_399_000));
        let picture = svg(&report).expect("a picture").into_string();
        assert!(picture.len() < 200_000, "{}", picture.len());
    }

    #[test]
    fn the_largest_numbers_that_a_report_can_hold_make_a_picture_that_ends() {
        let mut report = sample();
        let most = Second {
            at_ms: u64::MAX,
            landed: u64::MAX,
            catalogued: u64::MAX,
            pending: Some(u64::MAX),
            ..Second::default()
        };
        report.timeline = vec![Second::default(), most, Second::default()];
        let picture = svg(&report).expect("a picture").into_string();
        assert!(picture.len() < 20_000, "{}", picture.len());
    }

    #[test]
    fn a_line_is_broken_where_the_server_did_not_answer() {
        let report = sample();
        let picture = svg(&report).expect("a picture").into_string();
        let pending = picture.split("series pending").nth(1).expect("a line");
        let path = pending.split('"').nth(2).expect("a path");
        assert_eq!(path.matches('M').count(), 2, "{path}");
    }

    #[test]
    fn steps_of_an_axis_are_whole_and_few() {
        assert_eq!([nice(3, 4), nice(9, 4), nice(50, 4), nice(20_000, 4)], [1, 2, 20, 5_000]);
        assert!(svg(&Report::default()).is_none());
    }
}
