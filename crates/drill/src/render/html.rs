//! A report as one HTML file. Nothing outside of it is needed to read it, and no script runs in it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::timeline::{samples, svg};
use super::words::{maybe_time, ms_of_us, time, why, worst_first};
use crate::report::{Fate, Report, Step};

/// Recordings listed at most; those that are not as they should be come first.
pub const RECORDINGS_MAX: usize = 500;

const STYLE: &str = include_str!("style.css");

/// Nothing is fetched, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole report.
pub fn render(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Drill " (report.id) ": " (report.verdict.name()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head(report))
                    (figures(report))
                    (timeline(report))
                    (steps(report))
                    (recordings(report))
                    (side_effects(report))
                    (circumstances(report))
                }
            }
        }
    };
    page.into_string() + "\n"
}

fn head(report: &Report) -> Markup {
    let verdict = report.verdict.name();
    let reason = report.reason.as_deref().unwrap_or("Every recording that landed while the database was away is in the catalog, once and right.");
    html! {
        h1 { (report.title) }
        p.sub { "Drill " (report.id) ", " (report.started_at) " to " (report.ended_at) }
        p.verdict.(verdict) { (verdict) }
        p { (reason) }
    }
}

fn figures(report: &Report) -> Markup {
    let figures = [
        ("planted", report.planted.to_string()),
        ("catalogued", report.catalogued.to_string()),
        ("lost", report.lost.to_string()),
        ("duplicated", report.duplicated.to_string()),
        ("stale", report.stale.to_string()),
        ("outage", maybe_time(report.outage_ms)),
        ("noticed after", maybe_time(report.time_to_detect_ms)),
        ("caught up after", maybe_time(report.time_to_converge_ms)),
    ];
    html! {
        dl.figures {
            @for (name, value) in figures {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

fn timeline(report: &Report) -> Markup {
    let Some(picture) = svg(report) else {
        return html! { h2 { "Timeline" } p { "No timeline was taken." } };
    };
    html! {
        h2 { "Timeline" }
        figure {
            div.scroll tabindex="0" role="region" aria-label="Timeline, wider than a small screen" {
                (picture)
            }
            figcaption {
                "Recordings on storage (landed), in the catalog (catalogued), and not yet acknowledged by it (pending). Below, whether the database was there: as the drill saw it, and as the server's own status said."
            }
        }
        details {
            summary { "The timeline as a table" }
            (timeline_table(report))
        }
    }
}

fn timeline_table(report: &Report) -> Markup {
    let rows = samples(report).into_iter().map(|second| {
        let state = second.catalog_state.map_or("no answer", |state| state.name());
        let pending = second.pending.map_or_else(|| "no answer".to_owned(), |n| n.to_string());
        vec![
            Cell::number(format!("{}.{}", second.at_ms / 1_000, second.at_ms % 1_000 / 100)),
            Cell::word(if second.reachable { "reachable" } else { "unreachable" }),
            Cell::word(state),
            Cell::number(second.landed.to_string()),
            Cell::number(second.catalogued.to_string()),
            Cell::number(pending),
        ]
    });
    let header = ["second", "database", "server's catalog", "landed", "catalogued", "pending"];
    table("Timeline", "", &header, &[0, 3, 4, 5], rows)
}

fn steps(report: &Report) -> Markup {
    let rows = Step::ALL.into_iter().map(|step| {
        let taken = report.steps.iter().find(|taken| taken.name == step);
        let outcome = match taken {
            Some(step) if step.ok => Cell::of("ok", "ok"),
            Some(_) => Cell::of("not", "not ok"),
            None => Cell::of("none", "not taken"),
        };
        vec![
            Cell::number(step.number().to_string()),
            Cell::word(step.name()),
            outcome,
            Cell::number(taken.map_or_else(String::new, |step| time(step.elapsed_ms))),
            Cell::text(taken.map_or("", |step| step.detail.as_str())),
        ]
    });
    let header = ["", "step", "outcome", "took", "seen"];
    html! { h2 { "Steps" } (table("Steps", "", &header, &[0, 3], rows)) }
}

fn recordings(report: &Report) -> Markup {
    if report.recordings.is_empty() {
        return html! { h2 { "Recordings" } p { "None was planted." } };
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
            Cell::of(class, one.fate.name()),
            Cell::number(moment(one.landed_ms)),
            Cell::number(moment(one.catalogued_ms)),
            Cell::text(&why(one)),
        ]
    });
    let header = ["recording", "fate", "landed at", "in the catalog at", "why"];
    html! { h2 { "Recordings" } (table("Recordings", &caption, &header, &[2, 3], rows)) }
}

fn side_effects(report: &Report) -> Markup {
    if report.side_effects.is_empty() {
        return html! { h2 { "Side effects" } p { "None." } };
    }
    let rows = report
        .side_effects
        .iter()
        .map(|effect| vec![Cell::word(effect.what.name()), Cell::text(&effect.detail)]);
    html! { h2 { "Side effects" } (table("Side effects", "", &["what", "detail"], &[], rows)) }
}

fn circumstances(report: &Report) -> Markup {
    let seen = |seen: bool| if seen { "yes" } else { "no" };
    let queries = format!(
        "{} of {} answered, the slowest in {} ms",
        report.queries.answered,
        report.queries.asked,
        ms_of_us(report.queries.slowest_us)
    );
    let others = format!(
        "{} documents before, {} landed meanwhile, {} written anew, {} foreign ones changed",
        report.others.before,
        report.others.landed,
        report.others.updated,
        report.others.foreign_changed
    );
    let kind = report.outage.kind.map_or("", |kind| kind.name());
    let rows = [
        ("server", report.server.clone()),
        ("root", report.root.clone()),
        ("database", report.database.clone()),
        ("outage", format!("{kind}: {}", report.outage.what)),
        ("what it takes away", report.outage.blast_radius.join("; ")),
        ("asked to last", time(report.outage.for_ms)),
        ("unreachable for the drill", seen(report.outage.unreachable_for_drill).to_owned()),
        ("unreachable for the server", seen(report.outage.unreachable_for_server).to_owned()),
        ("queries during the outage", queries),
        ("recordings of others", others),
        ("focus", format!("{}, report format {}", report.version, report.format)),
    ]
    .map(|(name, value)| vec![Cell::word(name), Cell::text(&value)]);
    html! { h2 { "Circumstances" } (table("Circumstances", "", &[], &[], rows.into_iter())) }
}

/// A cell of a table, and the class that it is shown in.
struct Cell {
    class: &'static str,
    text: String,
}

impl Cell {
    fn of(class: &'static str, text: &str) -> Cell {
        Cell { class, text: text.to_owned() }
    }

    fn text(text: &str) -> Cell {
        Cell::of("text", text)
    }

    fn word(text: &str) -> Cell {
        Cell::of("word", text)
    }

    fn number(text: String) -> Cell {
        Cell { class: "number", text }
    }
}

/// A table that can be scrolled by keyboard. `numbers` are the columns of figures. Where there is no header, the
/// first column names the rows.
fn table(
    name: &str,
    caption: &str,
    header: &[&str],
    numbers: &[usize],
    rows: impl Iterator<Item = Vec<Cell>>,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label={ (name) ", as a table" } {
            table {
                @if !caption.is_empty() {
                    caption { (caption) }
                }
                @if !header.is_empty() {
                    thead {
                        tr {
                            @for (at, name) in header.iter().enumerate() {
                                th scope="col" class=(if numbers.contains(&at) { "number" } else { "word" }) {
                                    (name)
                                }
                            }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                @if at == 0 && header.is_empty() {
                                    th scope="row" { (cell.text) }
                                } @else {
                                    td class=(cell.class) { (cell.text) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

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
