//! The picture of the results: a panel for each bench, its figures over the number of recordings, both scales
//! logarithmic. What the server takes is drawn solid, the bare piece of work beside it dashed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::BENCHES;
use crate::report::{FOLDER, Report, shown};

/// Where the picture goes that the documents show.
const FILE: &str = "docs/performance.svg";

/// Measures of a panel at most.
const MEASURES_MAX: usize = 5;

/// Sizes in pixels: a panel with its margins, the plot in it, a line of text.
const PANEL_WIDTH: f64 = 430.0;
const PLOT: Area = Area { left: 58.0, top: 34.0, width: 350.0, height: 190.0 };
const LINE: f64 = 17.0;
const COLUMNS: usize = 2;

/// Colours on light and on dark paper.
const COLOURS: [(&str, &str); MEASURES_MAX] = [
    ("#0b62c4", "#6cb0ff"),
    ("#b3450b", "#ff9d5c"),
    ("#1f7a3d", "#5fd08a"),
    ("#7a3fb5", "#c79bff"),
    ("#8a6d00", "#e5c54a"),
];

/// A rectangle.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// A logarithmic scale over all that is to be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    /// The ends, as powers of ten.
    low: f64,
    high: f64,
}

impl Scale {
    /// Over these values with some room at both ends; those that have no logarithm do not count.
    fn over(values: impl Iterator<Item = f64>) -> Scale {
        let powers = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = powers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), power| {
            (low.min(power), high.max(power))
        });
        if low > high {
            return Scale { low: 0.0, high: 1.0 };
        }
        // At least a power of ten in all: what hardly grows looks flat.
        let room = (0.08 * (high - low)).max((1.0 - (high - low)) / 2.0);
        Scale { low: low - room, high: high + room }
    }

    /// How far along the scale a value is, from 0 to 1.
    fn share(self, value: f64) -> f64 {
        (value.log10() - self.low) / (self.high - self.low)
    }

    /// Values to name: powers of ten, with 2 and 5 between them where there are few.
    fn ticks(self) -> Vec<f64> {
        let steps: &[f64] = if self.high - self.low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        #[expect(clippy::cast_possible_truncation, reason = "powers of ten of what was measured")]
        let powers = self.low.floor() as i32..=self.high.ceil() as i32;
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        all.filter(|value| (0.0..=1.0).contains(&self.share(*value))).collect()
    }
}

/// A line of a panel.
struct Line {
    name: String,
    is_bare: bool,
    colour: usize,
    /// Number of recordings, and value.
    points: Vec<(f64, f64)>,
}

impl Line {
    fn class(&self) -> String {
        format!("l{}{}", self.colour, if self.is_bare { " bare" } else { "" })
    }
}

/// Draws all results there are.
///
/// # Errors
/// There are none, one cannot be read, or the picture cannot be written.
pub(crate) fn run(file: Option<&Path>) -> Result<(), String> {
    let file = file.unwrap_or(Path::new(FILE));
    let mut reports = Vec::new();
    for entry in std::fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "json") {
            reports.push(Report::read(&entry.path())?);
        }
    }
    if reports.is_empty() {
        return Err(format!("no results in {FOLDER}: take some with `cargo xtask bench NAME N`"));
    }
    std::fs::write(file, draw(&mut reports))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    println!("{} results are drawn in {}", reports.len(), file.display());
    Ok(())
}

/// The picture of these results.
fn draw(reports: &mut [Report]) -> String {
    reports.sort_by_key(|report| report.n);
    let panels: Vec<(String, f64)> = BENCHES
        .iter()
        .filter_map(|(bench, _)| {
            let of: Vec<&Report> = reports.iter().filter(|report| report.bench == *bench).collect();
            (!of.is_empty()).then(|| panel(bench, &of))
        })
        .collect();
    let (mut body, mut top) = (String::new(), 0.0);
    for row in panels.chunks(COLUMNS) {
        for (column, (panel, _)) in row.iter().enumerate() {
            let left = column as f64 * PANEL_WIDTH;
            let _ = writeln!(body, "<g transform=\"translate({left} {top})\">{panel}</g>");
        }
        top += row.iter().map(|(_, height)| *height).fold(0.0, f64::max);
    }
    let machines = machines(reports);
    for (at, words) in machines.iter().enumerate() {
        let y = top + LINE * (at as f64 + 1.0);
        let _ = writeln!(body, "<text class=\"note\" x=\"16\" y=\"{y}\">{}</text>", escaped(words));
    }
    let (width, height) =
        (PANEL_WIDTH * COLUMNS as f64, top + LINE * (machines.len() as f64 + 1.0));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>Figures of the benches over the number of recordings</title>\n\
         <style>{}</style>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n{body}</svg>\n",
        style()
    )
}

fn style() -> String {
    let colours = |pick: fn(&(&'static str, &'static str)) -> &'static str| {
        let each = COLOURS.iter().enumerate();
        each.fold(String::new(), |mut all, (at, both)| {
            let _ = write!(all, "--c{at}:{};", pick(both));
            all
        })
    };
    let mut style = format!(
        "svg{{--ink:#1f2328;--paper:#ffffff;--grid:#d8dee4;{}}}\
         @media(prefers-color-scheme:dark){{svg{{--ink:#e6edf3;--paper:#0d1117;--grid:#30363d;{}}}}}\
         .paper{{fill:var(--paper)}}text{{fill:var(--ink);font:12px system-ui,sans-serif}}\
         .head{{font-weight:600;font-size:14px}}.end{{text-anchor:end}}.mid{{text-anchor:middle}}.note{{opacity:.75}}\
         .grid{{stroke:var(--grid)}}polyline{{fill:none;stroke-width:2}}.bare{{stroke-dasharray:5 4}}",
        colours(|both| both.0),
        colours(|both| both.1),
    );
    for at in 0..COLOURS.len() {
        let _ = write!(style, ".l{at}{{stroke:var(--c{at})}}.d{at}{{fill:var(--c{at})}}");
    }
    style
}

/// The scales of a panel.
struct Scales {
    across: Scale,
    up: Scale,
}

impl Scales {
    fn over(lines: &[Line]) -> Scales {
        let points = || lines.iter().flat_map(|line| &line.points);
        let over = |pick: fn(&(f64, f64)) -> f64| Scale::over(points().map(pick));
        Scales { across: over(|point| point.0), up: over(|point| point.1) }
    }

    fn x(&self, n: f64) -> f64 {
        PLOT.left + PLOT.width * self.across.share(n)
    }

    fn y(&self, value: f64) -> f64 {
        PLOT.top + PLOT.height * (1.0 - self.up.share(value))
    }
}

/// The panel of one bench, and its height.
fn panel(bench: &str, reports: &[&Report]) -> (String, f64) {
    let (lines, unit) = lines(reports);
    let scales = Scales::over(&lines);
    let unit = escaped(&unit);
    let mut out = format!("<text class=\"head\" x=\"16\" y=\"20\">{bench}, {unit}</text>\n");
    grid(&mut out, &scales);
    lines.iter().for_each(|line| curve(&mut out, line, &scales));
    let mut at = PLOT.top + PLOT.height + 20.0;
    for line in &lines {
        at += LINE;
        legend(&mut out, line, at);
    }
    (out, at + 2.0 * LINE)
}

fn grid(out: &mut String, scales: &Scales) {
    let Area { left, top, width, height } = PLOT;
    let (right, bottom) = (left + width, top + height);
    for value in scales.up.ticks() {
        let (at, name) = (scales.y(value), short(value));
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"end\" x=\"{}\" y=\"{:.1}\">{name}</text>",
            left - 6.0,
            at + 4.0,
        );
    }
    for n in scales.across.ticks() {
        let (at, name) = (scales.x(n), short(n));
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text class=\"mid\" x=\"{at:.1}\" y=\"{}\">{name}</text>",
            bottom + 16.0,
        );
    }
}

fn curve(out: &mut String, line: &Line, scales: &Scales) {
    let (class, colour) = (line.class(), line.colour);
    let place = |(n, value): &(f64, f64)| (scales.x(*n), scales.y(*value));
    let places: Vec<(f64, f64)> = line.points.iter().map(place).collect();
    let words: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(out, "<polyline class=\"{class}\" points=\"{}\"/>", words.join(" "));
    let radius = if line.is_bare { 2 } else { 3 };
    for (x, y) in places {
        let _ = writeln!(
            out,
            "<circle class=\"d{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
        );
    }
}

/// A line's name, with its last value.
fn legend(out: &mut String, line: &Line, at: f64) {
    let (class, name) = (line.class(), escaped(&line.name));
    let last = line.points.last().map_or_else(String::new, |(_, value)| shown(*value));
    let (left, middle) = (PLOT.left, at - 4.0);
    let _ = writeln!(
        out,
        "<polyline class=\"{class}\" points=\"{left},{middle} {},{middle}\"/>\
         <text x=\"{}\" y=\"{at}\">{name}: {last}</text>",
        left + 26.0,
        left + 34.0,
    );
}

/// The lines of a panel: the first measure with something beside it, or else the first, and those with its unit, each with
/// what stands beside it.
fn lines(reports: &[&Report]) -> (Vec<Line>, String) {
    let all = || reports.iter().flat_map(|report| &report.measures);
    let first = all().find(|measure| measure.beside.is_some()).or_else(|| all().next());
    let Some(first) = first else { return (Vec::new(), String::new()) };
    let mut names: Vec<&str> = Vec::new();
    for measure in all() {
        if measure.unit == first.unit && !names.contains(&measure.name.as_str()) {
            names.push(&measure.name);
        }
    }
    names.truncate(MEASURES_MAX);
    let mut lines = Vec::new();
    for (colour, name) in names.into_iter().enumerate() {
        let (mut ours, mut bare) = (Vec::new(), BTreeMap::<&str, Vec<(f64, f64)>>::new());
        for report in reports {
            let n = report.n as f64;
            for measure in report.measures.iter().filter(|measure| measure.name == name) {
                ours.push((n, measure.value));
                if let Some(beside) = &measure.beside {
                    bare.entry(&beside.name).or_default().push((n, beside.value));
                }
            }
        }
        let bare = bare.into_iter().map(|(name, points)| (name, true, points));
        for (name, is_bare, mut points) in std::iter::once((name, false, ours)).chain(bare) {
            points.retain(|(_, value)| *value > 0.0);
            lines.push(Line { name: name.to_owned(), is_bare, colour, points });
        }
    }
    (lines, first.unit.clone())
}

/// Machines and versions, each once.
fn machines(reports: &[Report]) -> Vec<String> {
    let mut all = Vec::new();
    for Report { machine, versions, .. } in reports {
        let words = format!(
            "{} cores, {:.0} GiB, {}, Linux {}; {}, {}, SQLite {}",
            machine.cores,
            machine.memory_mib as f64 / 1_024.0,
            machine.file_system,
            machine.kernel,
            versions.focus,
            versions.database,
            versions.sqlite
        );
        if !all.contains(&words) {
            all.push(words);
        }
    }
    all
}

/// `1 k` for 1,000, and so on.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => {
            let text = format!("{value:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn a_factor_of_ten_is_the_same_way_everywhere_on_a_scale() {
        let scale = Scale::over([10.0, 1_000.0, 100_000.0].into_iter());
        let (a, b, c) = (scale.share(10.0), scale.share(1_000.0), scale.share(100_000.0));
        assert!(0.0 < a && c < 1.0, "{a} {c}");
        assert!((b - a - (c - b)).abs() < 1e-9, "{a} {b} {c}");
        assert!((a + c - 1.0).abs() < 1e-9, "{a} {c}");
    }

    #[test]
    fn one_value_stands_in_the_middle_of_a_power_of_ten() {
        let scale = Scale::over(std::iter::once(100.0));
        assert_eq!(scale, Scale { low: 1.5, high: 2.5 });
        assert_eq!(scale.ticks(), [50.0, 100.0, 200.0]);
    }

    #[test]
    fn what_has_no_logarithm_does_not_spoil_the_scale() {
        assert_eq!(Scale::over([0.0, -1.0, f64::NAN].into_iter()), Scale { low: 0.0, high: 1.0 });
        let with_zero = Scale::over([0.0, 10.0, 1_000.0].into_iter());
        assert_eq!(with_zero, Scale::over([10.0, 1_000.0].into_iter()));
    }

    #[test]
    fn wide_scales_name_powers_of_ten_alone() {
        let scale = Scale { low: -0.1, high: 3.1 };
        assert_eq!(scale.ticks(), [1.0, 10.0, 100.0, 1_000.0]);
    }

    #[test]
    fn a_panel_has_the_measures_of_one_unit_and_what_stands_beside_them() {
        let reports = [report("fill", 10_000, 1.0), report("fill", 100_000, 9.0)];
        let (lines, unit) = lines(&reports.iter().collect::<Vec<_>>());
        assert_eq!(unit, "s");
        let told: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.is_bare)).collect();
        assert_eq!(told, [("time", false), ("a walk", true)]);
        assert_eq!(lines[0].points, [(10_000.0, 1.0), (100_000.0, 9.0)]);
    }

    #[test]
    fn a_picture_has_a_panel_for_each_bench_that_has_results() {
        let mut reports = [report("drain", 100, 2.0), report("fill", 100, 1.0)];
        let picture = draw(&mut reports);
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("class=\"head\"").count(), 2);
        assert_eq!(picture.matches("<g ").count(), picture.matches("</g>").count());
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        assert!(picture.contains("prefers-color-scheme:dark"));
        assert_eq!(picture.matches("class=\"note\"").count(), 1, "one machine is told once");
    }

    #[test]
    fn names_cannot_break_the_picture() {
        let mut odd = report("fill", 100, 1.0);
        odd.measures[0].name = "<a & b>".to_owned();
        assert!(draw(&mut [odd]).contains("&lt;a &amp; b&gt;"));
    }

    #[test]
    fn large_numbers_are_short() {
        assert_eq!([0.05, 2.0, 5_000.0, 1e7].map(short), ["0.05", "2", "5 k", "10 M"]);
    }
}
