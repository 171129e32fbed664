//! What is seen, as comma-separated values: the same numbers as `/api/v1/coverage` and `/api/v1/gaps` have.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use focus_common::clock;

use super::view::{Asked, View, ViewQuery};
use crate::api::{
    AppState, Ask, Problem, ProblemKind, available_percent, completeness_headers, no_lanes,
    read_coverage, read_gaps,
};
use crate::csv::quote;

/// Gaps of one file at most: some megabytes.
const GAPS_MAX: usize = 50_000;

/// Gaps that are read at once.
const PAGE: usize = 1_000;

/// `/coverage/lanes.csv`: each window of each lane.
pub(super) async fn lanes(
    State(state): State<AppState>,
    Ask(query): Ask<ViewQuery>,
) -> Result<Response, Problem> {
    let view = looked_at(query)?;
    let asked = view.ready()?.coverage;
    let read = state.read(move |engine| read_coverage(engine, asked)).await?;
    let read = read.map_err(|none| no_lanes(none, view.by()))?;
    let mut text = "lane,available_percent,from,to,covered_ms,recordings,pending\r\n".to_owned();
    for lane in &read.covered.lanes {
        let head = format!("{},{}", quote(&lane.name), available_percent([lane], read.window));
        for (at, window) in lane.buckets.iter().enumerate() {
            let begins = clock::rfc3339(read.buckets.begins_ms(at));
            let ends = clock::rfc3339(read.buckets.begins_ms(at + 1));
            let (covered_ms, recordings, pending) =
                (window.covered_ms, window.recordings, window.pending);
            let _ = write!(text, "{head},{begins},{ends},{covered_ms},{recordings},{pending}\r\n");
        }
    }
    Ok(file(text, "lanes.csv", read.completeness))
}

/// `/coverage/gaps.csv`: each gap.
pub(super) async fn gaps(
    State(state): State<AppState>,
    Ask(query): Ask<ViewQuery>,
) -> Result<Response, Problem> {
    let view = looked_at(query)?;
    let mut text = "lane,start,end,length_ms\r\n".to_owned();
    let (mut ready, mut count) = (view.asked_gaps(PAGE)?.ready()?, 0);
    loop {
        let asked = ready.clone();
        let (page, completeness) = state.read(move |engine| read_gaps(engine, &asked)).await?;
        let page = page.map_err(|none| no_lanes(none, view.by()))?;
        for gap in &page.gaps {
            let (start, end) = (clock::rfc3339(gap.start_ms), clock::rfc3339(gap.end_ms));
            let length_ms = gap.end_ms - gap.start_ms;
            let _ = write!(text, "{},{start},{end},{length_ms}\r\n", quote(&gap.lane));
        }
        count += page.gaps.len();
        if !ready.go_on(&page) {
            return Ok(file(text, "gaps.csv", completeness));
        }
        if count >= GAPS_MAX {
            let words = format!(
                "the range has over {GAPS_MAX} gaps: ask for a shorter one, one lane, or a greater `longer_than_ms`"
            );
            return Err(Problem::of(ProblemKind::BadRequest, words));
        }
    }
}

/// A file is of all pages, and no way to another range.
fn looked_at(query: ViewQuery) -> Result<View, Problem> {
    match query.asked()? {
        Asked::View(view) => Ok(View { cursor: None, ..view }),
        Asked::Elsewhere(_) => Err(Problem::bad_value("at", "at: a file takes `from` and `to`")),
    }
}

fn file(text: String, name: &str, completeness: focus_engine::Completeness) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, completeness_headers(completeness), text).into_response()
}
