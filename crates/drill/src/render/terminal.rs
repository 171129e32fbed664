//! A report as people read it on a terminal.

use comfy_table::{Table, presets};

use super::words::{maybe_time, ms_of_us, time, why};
use crate::report::{Fate, Report, Step};

/// Recordings listed at most, of those that are not as they should be.
const RECORDINGS_MAX: usize = 20;

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut out = format!(
        "{}: {}\n",
        report.verdict.name().to_uppercase(),
        report.reason.as_deref().unwrap_or("nothing lost, nothing twice, nothing wrong"),
    );
    out.push('\n');
    out.push_str(&facts(report));
    out.push_str("\n\n");
    out.push_str(&steps(report));
    let bad = report.recordings.iter().any(|one| one.fate != Fate::Catalogued);
    if bad {
        out.push_str("\n\n");
        out.push_str(&recordings(report));
    }
    for effect in &report.side_effects {
        out.push_str(&format!("\n\nside effect ({}): {}", effect.what.name(), effect.detail));
    }
    out.push('\n');
    out
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    table
}

fn facts(report: &Report) -> String {
    let mut table = table(&[]);
    let outage = format!(
        "{}; lasted {}, noticed after {}",
        report.outage.what,
        maybe_time(report.outage_ms),
        maybe_time(report.time_to_detect_ms)
    );
    let counts = format!(
        "{} planted, {} catalogued, {} lost, {} duplicated, {} stale",
        report.planted, report.catalogued, report.lost, report.duplicated, report.stale
    );
    let queries = format!(
        "{} of {} answered during the outage, the slowest in {} ms",
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
    for (name, value) in [
        ("drill", format!("{} ({})", report.id, report.title)),
        ("from, to", format!("{}, {}", report.started_at, report.ended_at)),
        ("server", format!("{}, root {}", report.server, report.root)),
        ("database", report.database.clone()),
        ("outage", outage),
        ("recordings", counts),
        ("caught up", maybe_time(report.time_to_converge_ms)),
        ("queries", queries),
        ("others", others),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    table.trim_fmt()
}

fn steps(report: &Report) -> String {
    let mut table = table(&["", "STEP", "", "TOOK", "SEEN"]);
    for step in Step::ALL {
        let (number, name) = (step.number().to_string(), step.name().to_owned());
        table.add_row(match report.steps.iter().find(|taken| taken.name == step) {
            Some(taken) => {
                let ok = if taken.ok { "ok" } else { "NOT OK" };
                [number, name, ok.to_owned(), time(taken.elapsed_ms), taken.detail.clone()]
            }
            None => [number, name, "not taken".to_owned(), String::new(), String::new()],
        });
    }
    table.trim_fmt()
}

fn recordings(report: &Report) -> String {
    let bad = report.recordings.iter().filter(|one| one.fate != Fate::Catalogued);
    let left = bad.clone().count().saturating_sub(RECORDINGS_MAX);
    let mut table = table(&["RECORDING", "FATE", "WHY"]);
    for one in bad.take(RECORDINGS_MAX) {
        table.add_row([one.recording_id.clone(), one.fate.name().to_owned(), why(one)]);
    }
    let mut out = table.trim_fmt();
    if left > 0 {
        out.push_str(&format!("\nand {left} more: see the report as JSON or HTML"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn the_verdict_comes_first_and_steps_that_were_not_taken_are_named() {
        let text = render(&sample());
        assert!(text.starts_with("FAILED: 1 of 4 recordings is lost\n"), "{text}");
        let line = |name: &str| {
            let found = text.lines().find(|line| line.contains(name));
            found.unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
        };
        assert!(line("clean_up").contains("not taken"), "{text}");
        assert!(line("8").contains("NOT OK") || text.contains("NOT OK"), "{text}");
        assert!(line("drill-1").contains("not_seen"), "{text}");
        assert!(line("leftover").contains("a file is still there"), "{text}");
    }
}
