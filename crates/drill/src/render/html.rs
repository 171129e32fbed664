//! A report as one HTML file: nothing outside of it is needed to read it, and no script runs in it.

use super::markup::{element, escaped};
use super::timeline::{samples, svg};
use super::{STEPS, fate_name, maybe_time, time, why, worst_first};
use crate::report::{Fate, Report};

/// Recordings listed at most; those that are not as they should be come first.
pub const RECORDINGS_MAX: usize = 500;

const STYLE: &str = include_str!("style.css");

/// The whole report.
pub fn render(report: &Report) -> String {
    let title = format!("Drill {}: {}", report.id, report.verdict.name());
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n",
    );
    out.push_str(&element("title", &[], &title));
    out.push_str(&format!("\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"));
    out.push_str(&head(report));
    out.push_str(&figures(report));
    out.push_str(&timeline(report));
    out.push_str(&steps(report));
    out.push_str(&recordings(report));
    out.push_str(&circumstances(report));
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn head(report: &Report) -> String {
    let mut out = element("h1", &[], &report.title);
    let when = format!("Drill {}, {} to {}", report.id, report.started_at, report.ended_at);
    out.push_str(&element("p", &[("class", "sub")], &when));
    let verdict = report.verdict.name();
    out.push_str(&element("p", &[("class", &format!("verdict {verdict}"))], verdict));
    let reason = report
        .reason
        .as_deref()
        .unwrap_or("Every recording that landed while the database was away is in the catalog, once and right.");
    out.push_str(&element("p", &[], reason));
    out
}

fn figures(report: &Report) -> String {
    let mut out = String::from("<dl class=\"figures\">");
    for (name, value) in [
        ("planted", report.planted.to_string()),
        ("catalogued", report.catalogued.to_string()),
        ("lost", report.lost.to_string()),
        ("duplicated", report.duplicated.to_string()),
        ("stale", report.stale.to_string()),
        ("outage", maybe_time(report.outage_ms)),
        ("noticed after", maybe_time(report.time_to_detect_ms)),
        ("caught up after", maybe_time(report.time_to_converge_ms)),
    ] {
        let pair = format!("{}{}", element("dt", &[], name), element("dd", &[], &value));
        out.push_str(&format!("<div>{pair}</div>"));
    }
    out.push_str("</dl>\n");
    out
}

fn timeline(report: &Report) -> String {
    let mut out = element("h2", &[], "Timeline");
    let Some(picture) = svg(report) else {
        out.push_str(&element("p", &[], "No timeline was taken."));
        return out;
    };
    out.push_str("<figure><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Timeline, wider than a small screen\">");
    out.push_str(&picture);
    out.push_str("</div><figcaption>Recordings on storage (landed), in the catalog (catalogued), and not yet acknowledged by it (pending). Below, whether the database was there: as the drill saw it, and as the server's own status said.</figcaption></figure>\n");
    out.push_str("<details><summary>The timeline as a table</summary>\n");
    let rows = samples(report).into_iter().map(|second| {
        let pending = second.pending.map_or_else(|| "no answer".to_owned(), |n| n.to_string());
        vec![
            Cell::number(format!("{}.{}", second.at_ms / 1_000, second.at_ms % 1_000 / 100)),
            Cell::word(if second.reachable { "reachable" } else { "unreachable" }),
            Cell::word(second.catalog_state.as_deref().unwrap_or("no answer")),
            Cell::number(second.landed.to_string()),
            Cell::number(second.catalogued.to_string()),
            Cell::number(pending),
        ]
    });
    let header = ["second", "database", "server's catalog", "landed", "catalogued", "pending"];
    out.push_str(&table("Timeline", "", &header, &[0, 3, 4, 5], rows));
    out.push_str("</details>\n");
    out
}

fn steps(report: &Report) -> String {
    let rows = STEPS.iter().enumerate().map(|(at, name)| {
        let step = report.steps.iter().find(|step| step.name == *name);
        let (class, outcome) = match step {
            Some(step) if step.ok => ("ok", "ok"),
            Some(_) => ("not", "not ok"),
            None => ("none", "not taken"),
        };
        vec![
            Cell::number((at + 1).to_string()),
            Cell::word(name),
            Cell { class, text: outcome.to_owned() },
            Cell::number(step.map_or_else(String::new, |step| time(step.elapsed_ms))),
            Cell::text(step.map_or("", |step| step.detail.as_str())),
        ]
    });
    let header = ["", "step", "outcome", "took", "seen"];
    let mut out = element("h2", &[], "Steps");
    out.push_str(&table("Steps", "", &header, &[0, 3], rows));
    out
}

fn recordings(report: &Report) -> String {
    let mut out = element("h2", &[], "Recordings");
    if report.recordings.is_empty() {
        out.push_str(&element("p", &[], "None was planted."));
        return out;
    }
    let (shown, left) = worst_first(report, RECORDINGS_MAX);
    let caption = match left {
        0 => String::new(),
        _ => format!("{left} more are left out; what is not as it should be comes first."),
    };
    let moment = |ms: Option<u64>| ms.map_or_else(|| "never".to_owned(), time);
    let rows = shown.into_iter().map(|one| {
        let class = if one.fate == Fate::Catalogued { "ok" } else { "not" };
        vec![
            Cell::word(&one.recording_id),
            Cell { class, text: fate_name(one.fate).to_owned() },
            Cell::number(moment(one.landed_ms)),
            Cell::number(moment(one.catalogued_ms)),
            Cell::text(&why(one)),
        ]
    });
    let header = ["recording", "fate", "landed at", "in the catalog at", "why"];
    out.push_str(&table("Recordings", &caption, &header, &[2, 3], rows));
    out
}

fn circumstances(report: &Report) -> String {
    let mut out = element("h2", &[], "Side effects");
    if report.side_effects.is_empty() {
        out.push_str(&element("p", &[], "None."));
    } else {
        let rows = report
            .side_effects
            .iter()
            .map(|effect| vec![Cell::word(&effect.what), Cell::text(&effect.detail)]);
        out.push_str(&table("Side effects", "", &["what", "detail"], &[], rows));
    }
    out.push_str(&element("h2", &[], "Circumstances"));
    let seen = |seen: bool| if seen { "yes" } else { "no" };
    let queries = format!(
        "{} of {} answered, the slowest in {}.{} ms",
        report.queries.answered,
        report.queries.asked,
        report.queries.slowest_us / 1_000,
        report.queries.slowest_us % 1_000 / 100
    );
    let others = format!(
        "{} documents before, {} landed meanwhile, {} written anew, {} foreign ones changed",
        report.others.before,
        report.others.landed,
        report.others.updated,
        report.others.foreign_changed
    );
    let radius = report.outage.blast_radius.join("; ");
    let rows = [
        ("server", report.server.clone()),
        ("root", report.root.clone()),
        ("database", report.database.clone()),
        ("outage", format!("{}: {}", report.outage.kind, report.outage.what)),
        ("what it takes away", radius),
        ("asked to last", time(report.outage.for_ms)),
        ("unreachable for the drill", seen(report.outage.unreachable_for_drill).to_owned()),
        ("unreachable for the server", seen(report.outage.unreachable_for_server).to_owned()),
        ("queries during the outage", queries),
        ("recordings of others", others),
        ("focus", format!("{}, report format {}", report.version, report.format)),
    ]
    .map(|(name, value)| vec![Cell::word(name), Cell::text(&value)]);
    out.push_str(&table("Circumstances", "", &[], &[], rows.into_iter()));
    out
}

/// A cell of a table.
struct Cell {
    class: &'static str,
    text: String,
}

impl Cell {
    fn text(text: &str) -> Cell {
        Cell { class: "text", text: text.to_owned() }
    }

    fn word(text: &str) -> Cell {
        Cell { class: "word", text: text.to_owned() }
    }

    fn number(text: String) -> Cell {
        Cell { class: "number", text }
    }
}

/// A table that can be scrolled by keyboard; `numbers` are the columns of figures. Without a header its
/// first column is that of the rows.
fn table(
    name: &str,
    caption: &str,
    header: &[&str],
    numbers: &[usize],
    rows: impl Iterator<Item = Vec<Cell>>,
) -> String {
    let label = escaped(name);
    let mut out = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}, as a table\"><table>"
    );
    if !caption.is_empty() {
        out.push_str(&element("caption", &[], caption));
    }
    if !header.is_empty() {
        out.push_str("<thead><tr>");
        for (at, name) in header.iter().enumerate() {
            let class = if numbers.contains(&at) { "number" } else { "word" };
            out.push_str(&element("th", &[("scope", "col"), ("class", class)], name));
        }
        out.push_str("</tr></thead>");
    }
    out.push_str("<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            if at == 0 && header.is_empty() {
                out.push_str(&element("th", &[("scope", "row")], &cell.text));
            } else {
                out.push_str(&element("td", &[("class", cell.class)], &cell.text));
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn nothing_in_a_report_becomes_markup_and_nothing_is_fetched() {
        let mut report = sample();
        report.title = "<script>alert(1)</script>".to_owned();
        report.recordings[0].recording_id = "\"><img src=x onerror=alert(1)>".to_owned();
        let page = render(&report);
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        let page = render(&sample());
        for outside in ["src=", "href=", "url(", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let named = page.matches("http://").count();
        assert_eq!(named, 2, "the name of SVG, and the server's address as a text");
    }

    #[test]
    fn the_picture_has_a_name_a_description_and_a_table() {
        let page = render(&sample());
        for part in [
            "role=\"img\"",
            "<title id=",
            "<desc id=",
            "<th scope=\"col\"",
            "prefers-color-scheme: dark",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(page.contains("unreachable from 3.0 s to 8.0 s"), "{page}");
        assert!(render(&Report::default()).contains("No timeline was taken."));
    }

    #[test]
    fn a_report_of_many_recordings_stays_small() {
        let mut report = sample();
        let good = report.recordings[0].clone();
        report.recordings.extend(std::iter::repeat_n(good, 100_000));
        let page = render(&report);
        assert!(page.len() < 500_000, "{}", page.len());
        assert!(page.contains("99504 more are left out"), "{}", page.len());
    }
}
