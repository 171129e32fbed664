//! `/drills/{id}`: the report of one drill. Whoever may post can write anything into it: each text is shown as text
//! and cut, and each list ends with a count.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use focus_core::iso8601;
use focus_drill::render::timeline as picture;
use focus_drill::report::{Fate, LostReason, Report, Step, StepReport, Verdict};
use maud::{Markup, html};

use super::frame::{Frame, Place};
use super::parts::{self, Tone};
use crate::api::{AppState, Ask, Nothing, Problem, drill_report};

/// Characters of a text of a report.
const TEXT_MAX: usize = 600;

/// Characters of a text that is one of many.
const LINE_MAX: usize = 200;

/// Entries of a list of a report.
const LIST_MAX: usize = 100;

/// Rows of the timeline's table.
const ROWS_MAX: usize = 120;

pub(super) async fn drill(
    State(state): State<AppState>,
    frame: Frame,
    Path(id): Path<String>,
    _: Ask<Nothing>,
) -> Result<Response, Problem> {
    let title = format!("Drill {}", parts::shown(&id));
    let (code, content) = match drill_report(&state, &id).await {
        Ok(Some(report)) => (StatusCode::OK, whole(&report)),
        Ok(None) => (StatusCode::OK, too_large(&id)),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            (StatusCode::NOT_FOUND, unknown())
        }
        Err(problem) => return Err(problem),
    };
    Ok(frame.page_with(code, Place::Drills, &title, &[], &content))
}

fn unknown() -> Markup {
    html! {
        h1 { "No such drill" }
        div.empty {
            p { "This server has no report of a drill with this id. It keeps the newest 100." }
            p { a href="/drills" { "All drills" } }
        }
    }
}

fn too_large(id: &str) -> Markup {
    html! {
        h1 { "Drill " (parts::foreign(id)) }
        div.empty {
            p { "The report is too large for a page." }
            p { a href={ "/api/v1/drills/" (id) } { "Read it as JSON" } ", or have " code { "focus drill report --html" } " write it." }
        }
    }
}

/// How good a verdict is.
pub(super) fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Passed => Tone::Good,
        Verdict::Failed => Tone::Bad,
        Verdict::Inconclusive => Tone::Warn,
        Verdict::Refused => Tone::Plain,
    }
}

/// A verdict with its sign.
pub(super) fn verdict(verdict: Verdict) -> Markup {
    parts::state(tone(verdict), verdict.name())
}

/// A moment of a report; as it is written there where it is none.
pub(super) fn moment(text: &str) -> Markup {
    match iso8601::from_text(text, None) {
        Ok(ms) => parts::time_of(ms),
        Err(_) => parts::brief(text, LINE_MAX),
    }
}

fn whole(report: &Report) -> Markup {
    let good = "Every recording that landed while the database was away is in the catalog, once and right.";
    html! {
        h1.long { "Drill " (parts::foreign(&report.id)) }
        p.long { (verdict(report.verdict)) " " @match &report.reason {
            Some(reason) => (parts::brief(reason, TEXT_MAX)),
            None if report.verdict == Verdict::Passed => (good),
            None => "The report gives no reason.",
        } }
        (figures(report))
        h2 { "Steps" }
        (steps(report))
        h2 { "Timeline" }
        (timeline(report))
        (recordings(report))
        (side_effects(report))
        (circumstances(report))
        p { a href={ "/api/v1/drills/" (report.id) } { "As JSON" } " · " a href="/drills" { "All drills" } }
    }
}

fn figures(report: &Report) -> Markup {
    let counts = [
        ("Planted", "planted", report.planted),
        ("Catalogued", "catalogued", report.catalogued),
        ("Lost", "lost", report.lost),
        ("Duplicated", "duplicated", report.duplicated),
        ("Stale", "stale", report.stale),
    ];
    let times = [
        ("Database away", "outage_ms", report.outage_ms),
        ("Noticed after", "time_to_detect_ms", report.time_to_detect_ms),
        ("Caught up after", "time_to_converge_ms", report.time_to_converge_ms),
    ];
    html! {
        dl.figures {
            @for (name, field, value) in counts {
                div { dt { (name) } dd data-of=(field) data-value=(value) { (parts::number(value)) } }
            }
            @for (name, field, value) in times {
                div { dt { (name) } dd data-of=(field) data-value=[value] {
                    @match value { Some(ms) => (parts::duration(ms)), None => span.soft { "not known" } }
                } }
            }
        }
    }
}

fn steps(report: &Report) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Steps of the drill" {
            table.list {
                thead { tr { th.amount scope="col" { "No." } th scope="col" { "Step" } th scope="col" { "Outcome" } th.amount scope="col" { "Took" } th scope="col" { "What was seen, and what to do" } } }
                tbody {
                    @for step in Step::ALL {
                        (row(step, report.steps.iter().find(|taken| taken.name == step)))
                    }
                }
            }
        }
    }
}

fn row(step: Step, taken: Option<&StepReport>) -> Markup {
    html! {
        tr data-step=(step.name()) {
            td.amount { (step.number()) }
            th scope="row" { (step.name().replace('_', " ")) }
            @match taken {
                Some(taken) => {
                    td { @if taken.ok { (parts::state(Tone::Good, "ok")) } @else { (parts::state(Tone::Bad, "failed")) } }
                    td.amount { (parts::duration(taken.elapsed_ms)) }
                    td {
                        (parts::brief(&taken.detail, TEXT_MAX))
                        @if !taken.ok { p.advice { strong { "What to do: " } (advice(step)) } }
                    }
                }
                None => {
                    td { (parts::state(Tone::Plain, "not taken")) }
                    td.amount { span.soft { "–" } }
                    td { span.soft { "The drill ended before it." } }
                }
            }
        }
    }
}

/// What to do where this step failed.
fn advice(step: Step) -> &'static str {
    match step {
        Step::Baseline => {
            "bring the server to rest first: `focus status` has to end with 0, with nothing pending."
        }
        Step::Outage => {
            "try the way down by hand, with the rights that the drill has: it did not take the database away."
        }
        Step::Unreachable => {
            "look for a second way to the database, such as another member or a pool: it could still be reached."
        }
        Step::Plant => {
            "look whether the root takes files and has room: the drill could not write its recordings there."
        }
        Step::Restore => {
            "run `focus drill recover` now, and look whether the database is back: the way up failed."
        }
        Step::Reachable => {
            "look at the database's own log: it was started, and did not take writes in time."
        }
        Step::Converge => {
            "look at `focus status`: `catalog_reason` says why not everything was written in time; give more time where the backlog is large."
        }
        Step::Verdict => {
            "look at the recordings below: each that is not catalogued once and right has its reason."
        }
        Step::SideEffects => {
            "look at the side effects below, and find who else writes to this database."
        }
        Step::CleanUp => "run `focus drill recover`: it removes what the drill has planted.",
    }
}

/// The timeline as a picture and as a table.
pub(super) fn timeline(report: &Report) -> Markup {
    let samples = picture::samples(report);
    let step = samples.len().div_ceil(ROWS_MAX).max(1);
    html! {
        @match picture::svg(report) {
            None => (parts::empty("No timeline was taken.")),
            Some(svg) => {
                figure.timeline.graphic {
                    div.scroll tabindex="0" role="region" aria-label="Timeline, wider than a small screen" { (svg) }
                    figcaption { "Recordings on storage (landed), in the catalog (catalogued), and not yet acknowledged by it (pending). Below, whether the database was there: as the drill saw it, and as the server said." }
                }
                details {
                    summary { "The timeline as a table" }
                    div.scroll tabindex="0" role="region" aria-label="The timeline as a table" {
                        table {
                            thead { tr { th.amount scope="col" { "Second" } th scope="col" { "Database" } th scope="col" { "Server's catalog" } th.amount scope="col" { "Landed" } th.amount scope="col" { "Catalogued" } th.amount scope="col" { "Pending" } } }
                            tbody {
                                @for second in samples.chunks(step).filter_map(|chunk| chunk.last()) {
                                    tr {
                                        td.amount { (second.at_ms / 1_000) }
                                        td { (if second.reachable { "reachable" } else { "unreachable" }) }
                                        td { (second.catalog_state.map_or("no answer", |state| state.name())) }
                                        td.amount { (parts::number(second.landed)) }
                                        td.amount { (parts::number(second.catalogued)) }
                                        td.amount { @match second.pending { Some(pending) => (parts::number(pending)), None => "no answer" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The planted recordings, those that are not as they should be first.
fn recordings(report: &Report) -> Markup {
    let bad = report.recordings.iter().filter(|one| one.fate != Fate::Catalogued);
    let good = report.recordings.iter().filter(|one| one.fate == Fate::Catalogued);
    let left = report.recordings.len().saturating_sub(LIST_MAX);
    let ms = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), parts::duration);
    html! {
        h2 { "Planted recordings" }
        @if report.recordings.is_empty() { (parts::empty("The report names none.")) } @else {
            div.scroll tabindex="0" role="region" aria-label="Planted recordings" {
                table {
                    caption { "Times since the drill began" }
                    thead { tr { th scope="col" { "Path" } th scope="col" { "Verdict" } th.amount scope="col" { "Landed" } th.amount scope="col" { "Catalogued" } th scope="col" { "Why" } } }
                    tbody {
                        @for one in bad.chain(good).take(LIST_MAX) {
                            tr {
                                td.path { (parts::brief(&one.path, LINE_MAX)) }
                                td { (fate(one.fate)) }
                                td.amount { (ms(one.landed_ms)) }
                                td.amount { (ms(one.catalogued_ms)) }
                                td {
                                    @if let Some(reason) = one.reason { (LostReason::name(reason).replace('_', " ")) " " }
                                    @if let Some(detail) = &one.detail { (parts::brief(detail, LINE_MAX)) }
                                }
                            }
                        }
                    }
                }
            }
            (more(left))
        }
    }
}

fn fate(fate: Fate) -> Markup {
    let tone = if fate == Fate::Catalogued { Tone::Good } else { Tone::Bad };
    parts::state(tone, fate.name())
}

fn more(left: usize) -> Markup {
    html! { @if left > 0 { p.soft { "… and " (parts::number(left as u64)) " more in the JSON." } } }
}

fn side_effects(report: &Report) -> Markup {
    html! {
        h2 { "Side effects" }
        @if report.side_effects.is_empty() { (parts::empty("None was found.")) } @else {
            ul {
                @for effect in report.side_effects.iter().take(LIST_MAX) {
                    li { strong { (effect.what.name()) } ": " (parts::brief(&effect.detail, TEXT_MAX)) }
                }
            }
            (more(report.side_effects.len().saturating_sub(LIST_MAX)))
        }
    }
}

fn circumstances(report: &Report) -> Markup {
    let facts = [
        ("Title", &report.title),
        ("Outage", &report.outage.what),
        ("Server", &report.server),
        ("Root", &report.root),
        ("Database", &report.database),
        ("Version", &report.version),
    ];
    let radius = &report.outage.blast_radius;
    html! {
        h2 { "Circumstances" }
        dl.facts {
            dt { "Began" } dd { (moment(&report.started_at)) }
            dt { "Ended" } dd { (moment(&report.ended_at)) }
            @for (name, value) in facts {
                @if !value.is_empty() { dt { (name) } dd { (parts::brief(value, TEXT_MAX)) } }
            }
            @if !radius.is_empty() {
                dt { "Took away" }
                dd {
                    @for (at, line) in radius.iter().take(LIST_MAX).enumerate() { @if at > 0 { br; } (parts::brief(line, LINE_MAX)) }
                    (more(radius.len().saturating_sub(LIST_MAX)))
                }
            }
            dt { "Queries meanwhile" }
            dd {
                (parts::number(report.queries.answered)) " of " (parts::number(report.queries.asked)) " answered, the slowest in "
                (parts::number(report.queries.slowest_us / 1_000)) " ms"
            }
            dt { "Other recordings" }
            dd { (parts::number(report.others.before)) " documents before, " (parts::number(report.others.landed)) " came during the drill" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_line_of_advice_of_its_own() {
        let all: std::collections::BTreeSet<&str> = Step::ALL.into_iter().map(advice).collect();
        assert_eq!(all.len(), Step::ALL.len());
        assert!(all.iter().all(|words| words.ends_with('.') && !words.contains('\n')));
    }

    #[test]
    fn a_report_from_elsewhere_changes_nothing_on_the_page_and_has_an_end() {
        let long = "<script>\u{202e}".repeat(10_000);
        let report: Report = serde_json::from_value(serde_json::json!({
            "id": "d", "title": long, "verdict": "failed", "reason": long, "started_at": long, "server": long,
            "outage": { "what": long, "blast_radius": vec!["<b>"; 5_000] },
            "steps": [{ "name": "converge", "ok": false, "elapsed_ms": u64::MAX, "detail": long }],
            "recordings": vec![serde_json::json!({"recording_id": "r", "uuid": "r", "path": "<i>", "fate": "lost"}); 5_000],
            "side_effects": vec![serde_json::json!({"what": "document", "detail": "<u>"}); 5_000],
            "timeline": [{ "at_ms": u64::MAX, "pending": u64::MAX }],
        })).expect("a report");
        let text = whole(&report).into_string();
        for mark in ["<script>", "<b>", "<i>", "<u>", "\u{202e}"] {
            assert!(!text.contains(mark), "{mark}");
        }
        assert!(text.contains("What to do") && text.contains("4,900 more"));
        assert!(text.len() < 200_000, "{}", text.len());
        whole(&Report::default());
    }
}
