//! The timeline as a picture: an SVG that stands in the HTML report, drawn in its colours.

use super::markup::{element, tag};
use super::time;
use crate::report::{Report, Second};

/// Samples drawn, and told in the table, at most; of more, the last of each stretch.
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

/// A series: its name, which is its style's too, and its value.
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
pub fn svg(report: &Report) -> Option<String> {
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
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    let mut out = tag(
        "svg",
        &[
            ("xmlns", "http://www.w3.org/2000/svg"),
            ("viewBox", &view),
            ("role", "img"),
            ("aria-labelledby", "timeline-title timeline-desc"),
        ],
    );
    let title = [("id", "timeline-title")];
    out.push_str(&element("title", &title, "Timeline of the drill, second by second"));
    out.push_str(&element("desc", &[("id", "timeline-desc")], &told(report, &samples)));
    out.push_str(&outages(&scale, &samples));
    out.push_str(&grid(&scale));
    out.push_str(&area(&scale, &samples));
    for (name, read) in SERIES {
        out.push_str(&line(&scale, &samples, name, read));
    }
    out.push_str(&labels(&scale, &samples));
    out.push_str(&lanes(&scale, &samples));
    out.push_str("</svg>");
    Some(out)
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

fn grid(scale: &Scale) -> String {
    let mut out = String::new();
    let step = nice(scale.most, 4);
    let mut count = 0;
    while count <= scale.most {
        let y = scale.y(count);
        out.push_str(&format!(
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>"
        ));
        let x = LEFT - 8.0;
        out.push_str(&format!(
            "<text class=\"axis end\" x=\"{x}\" y=\"{:.1}\">{count}</text>",
            y + 4.0
        ));
        count += step;
    }
    let step_s = nice(scale.end_ms / 1_000, 10);
    let mut at_s = 0;
    while at_s * 1_000 <= scale.end_ms {
        let x = scale.x(at_s * 1_000);
        out.push_str(&format!(
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{AXIS}\"/>"
        ));
        let label = if scale.end_ms > 300_000 {
            format!("{}:{:02}", at_s / 60, at_s % 60)
        } else {
            at_s.to_string()
        };
        out.push_str(&format!(
            "<text class=\"axis middle\" x=\"{x:.1}\" y=\"{}\">{label}</text>",
            AXIS + 14.0
        ));
        at_s += step_s;
    }
    let unit = if scale.end_ms > 300_000 { "minutes" } else { "seconds" };
    out.push_str(&format!(
        "<text class=\"axis middle\" x=\"{}\" y=\"{}\">{unit} since the drill began</text>",
        (LEFT + RIGHT) / 2.0,
        AXIS + 34.0
    ));
    out.push_str(&format!("<text class=\"axis\" x=\"0\" y=\"{}\">recordings</text>", TOP - 14.0));
    out
}

fn outages(scale: &Scale, samples: &[&Second]) -> String {
    let mut out = String::new();
    for (from, to) in spans(samples, |second| !second.reachable) {
        let (x, end) = (scale.x(from), scale.x(to));
        out.push_str(&format!(
            "<rect class=\"outage\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            end - x,
            BOTTOM - TOP
        ));
        out.push_str(&format!(
            "<text class=\"outage-name middle\" x=\"{:.1}\" y=\"{}\">database away</text>",
            // Not over the name of the axis.
            ((x + end) / 2.0).max(LEFT + 80.0),
            TOP - 8.0
        ));
    }
    out
}

/// A line in steps: what was seen holds until the next sample. It ends where nothing was seen.
fn line(
    scale: &Scale,
    samples: &[&Second],
    class: &str,
    read: fn(&Second) -> Option<u64>,
) -> String {
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
    format!("<path class=\"series {class}\" d=\"{path}\"/>")
}

/// What is pending, as an area: its line lies on that of what has landed while the database is away.
fn area(scale: &Scale, samples: &[&Second]) -> String {
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
    format!("<path class=\"area\" d=\"{path}\"/>")
}

/// The names of the lines at their ends, so far apart that they can be read.
fn labels(scale: &Scale, samples: &[&Second]) -> String {
    let last = |read: fn(&Second) -> Option<u64>| {
        samples.iter().rev().find_map(|second| read(second)).unwrap_or(0)
    };
    let mut ends: Vec<(f64, &str, u64)> =
        SERIES.iter().map(|(name, read)| (scale.y(last(*read)), *name, last(*read))).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out = String::new();
    let mut least = TOP;
    let room = real(ends.len() as u64) * 18.0;
    for (at, (y, name, count)) in ends.into_iter().enumerate() {
        let most = BOTTOM - room + real(at as u64 + 1) * 18.0;
        let y = y.max(least).min(most);
        least = y + 18.0;
        let x = RIGHT + 10.0;
        out.push_str(&format!(
            "<text class=\"name {name}\" x=\"{x}\" y=\"{:.1}\">{name} {count}</text>",
            y + 4.0
        ));
    }
    out
}

/// What a lane shows of a sample: the state in words, and the class it is drawn in.
type View = fn(&Second) -> (&str, &'static str);

fn as_the_drill_saw_it(second: &Second) -> (&str, &'static str) {
    if second.reachable { ("reachable", "up") } else { ("unreachable", "down") }
}

fn as_the_server_said(second: &Second) -> (&str, &'static str) {
    match second.catalog_state.as_deref() {
        None => ("no answer", "unknown"),
        Some("down") => ("down", "down"),
        Some("in_step") => ("in_step", "up"),
        Some(other) => (other, "between"),
    }
}

fn lanes(scale: &Scale, samples: &[&Second]) -> String {
    let views: [(&str, View); 2] =
        [("the drill's view", as_the_drill_saw_it), ("the server's view", as_the_server_said)];
    let mut out = String::new();
    for ((caption, view), y) in views.into_iter().zip(LANES) {
        for run in samples.chunk_by(|a, b| view(a).0 == view(b).0) {
            let (state, class) = view(run[0]);
            let next = samples.iter().find(|second| second.at_ms > run[run.len() - 1].at_ms);
            let (x, end) =
                (scale.x(run[0].at_ms), scale.x(next.map_or(scale.end_ms, |second| second.at_ms)));
            out.push_str(&format!(
                "<rect class=\"lane {class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{LANE}\">{}</rect>",
                end - x,
                element("title", &[], &format!("{caption}: {state}")),
            ));
        }
        out.push_str(&format!(
            "<text class=\"axis\" x=\"{}\" y=\"{}\">{caption}</text>",
            RIGHT + 10.0,
            y + LANE - 3.0
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

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
        let picture = svg(&report).expect("a picture");
        assert!(picture.len() < 200_000, "{}", picture.len());
    }

    #[test]
    fn a_line_is_broken_where_the_server_did_not_answer() {
        let report = sample();
        let picture = svg(&report).expect("a picture");
        let pending = picture.split("series pending").nth(1).expect("a line");
        let path = pending.split('"').nth(2).expect("a path");
        assert_eq!(path.matches('M').count(), 2, "{path}");
    }

    #[test]
    fn steps_of_an_axis_are_whole_and_few() {
        assert_eq!([nice(3, 4), nice(9, 4), nice(50, 4), nice(20_000, 4)], [1, 2, 20, 5_000]);
        assert_eq!(svg(&Report::default()), None);
    }
}
