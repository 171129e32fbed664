//! `/api/v1/coverage` and `/api/v1/gaps`: which time is covered by recordings, and which is not.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use focus_common::clock;
use focus_common::status::AnswerSource;
use focus_core::coverage::Buckets;
use focus_core::meta_filter::MetaKey;
use focus_engine::{Completeness, Engine};
use focus_index::{
    CoverageQuery, Covered, CoveredLane, Gap, GapPage, GapQuery, IndexError, LanesBy, NoLanes,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::{Ask, Moment};
use super::sealed::{seal, unseal};
use super::{AppState, Problem, completeness_headers, v1};

/// Windows at most.
const BUCKETS_MAX: usize = 2_000;

/// Windows where the query does not say.
const BUCKETS: usize = 200;

/// No gap is as long as this, milliseconds.
const LONGER_THAN_MAX_MS: i64 = 1_000_000_000_000_000;

/// A gap is told from this length on where the query does not say, milliseconds.
const LONGER_THAN_MS: u64 = 1_000;

/// The query of coverage.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CoverageParameters {
    /// The first moment: RFC 3339, or a whole number since 1970. Without it, the start of the first recording
    #[param(value_type = Option<String>, pattern = r"^(-?[0-9]{1,19}|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$")]
    from: Option<Moment>,
    /// The end: as `from`. Without it, the time through which the index is complete
    #[param(value_type = Option<String>, pattern = r"^(-?[0-9]{1,19}|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$")]
    to: Option<Moment>,
    /// Windows of equal length
    #[param(minimum = 1, maximum = 2_000, default = 200)]
    buckets: Option<usize>,
    /// What the lanes are: `root`, or a key that the setting `indexed_metadata` names
    by: Option<String>,
    /// Of this lane alone: its name, as without it they are listed
    lane: Option<String>,
    /// Lanes
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<usize>,
}

/// The query of gaps.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GapParameters {
    /// The first moment: RFC 3339, or a whole number since 1970. Without it, the start of the first recording
    #[param(value_type = Option<String>, pattern = r"^(-?[0-9]{1,19}|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$")]
    from: Option<Moment>,
    /// The end: as `from`. Without it, the time through which the index is complete
    #[param(value_type = Option<String>, pattern = r"^(-?[0-9]{1,19}|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$")]
    to: Option<Moment>,
    /// What the lanes are: `root`, or a key that the setting `indexed_metadata` names
    by: Option<String>,
    /// Of this lane alone: its name, as `GET /api/v1/coverage` lists it
    lane: Option<String>,
    /// Gaps of at least so many milliseconds
    #[param(default = 1_000, maximum = 1_000_000_000_000_000_i64)]
    longer_than_ms: Option<u64>,
    /// `next_cursor` of the page before
    cursor: Option<String>,
    /// Gaps of a page
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<usize>,
}

/// What is covered of each window.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Coverage {
    /// The first moment
    #[schema(format = "date-time")]
    from: String,
    /// The end
    #[schema(format = "date-time")]
    to: String,
    /// When each window begins: all are of equal length
    starts: Vec<String>,
    /// The lanes, by name
    items: Vec<Lane>,
    /// None: there is one page. Ask for more lanes with `limit`
    next_cursor: Option<String>,
    /// Lanes at most
    limit: usize,
    /// There are more lanes
    more: bool,
    /// The time through which the index is complete
    #[schema(format = "date-time")]
    complete_through: Option<String>,
    /// Recordings that are not yet in the catalog
    pending: u64,
    /// Where the answer comes from
    source: AnswerSource,
}

/// A lane of the coverage.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Lane {
    /// The root's configured path; by a key, the value
    name: String,
    /// The root's id; null of a lane by a key
    #[schema(required)]
    root: Option<String>,
    /// The share of the time from `from` to `to` that is covered, in percent
    available_percent: f64,
    /// When the longest of its live recordings has begun; null where none is live
    #[schema(required, format = "date-time")]
    live_since: Option<String>,
    /// Each window
    buckets: Vec<LaneBucket>,
}

/// A window of a lane.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LaneBucket {
    /// Milliseconds of it that are covered: what overlaps counts once
    covered_ms: i64,
    /// Recordings that begin in it, or last into it
    recordings: u64,
    /// Those of them that are pending
    pending: u64,
}

impl Coverage {
    /// Coverage, as programs read it.
    pub(crate) fn of(
        covered: Covered,
        (from_ms, to_ms): (i64, i64),
        buckets: Buckets,
        limit: usize,
        completeness: Completeness,
    ) -> Coverage {
        let lanes = covered.lanes.into_iter().map(|lane| {
            let available_percent = available_percent([&lane], (from_ms, to_ms));
            let windows = lane.buckets.iter().map(|bucket| LaneBucket {
                covered_ms: bucket.covered_ms,
                recordings: bucket.recordings,
                pending: bucket.pending,
            });
            Lane {
                name: lane.name,
                root: lane.root,
                available_percent,
                live_since: lane.live_since_ms.map(clock::rfc3339),
                buckets: windows.collect(),
            }
        });
        Coverage {
            from: clock::rfc3339(from_ms),
            to: clock::rfc3339(to_ms),
            starts: (0..buckets.len()).map(|at| clock::rfc3339(buckets.begins_ms(at))).collect(),
            items: lanes.collect(),
            next_cursor: None,
            limit,
            more: covered.more,
            complete_through: completeness.complete_through_ms.map(clock::rfc3339),
            pending: completeness.pending,
            source: AnswerSource::Index,
        }
    }
}

/// A page of gaps.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct GapList {
    /// By lane, and in it by time
    items: Vec<GapItem>,
    /// The cursor of the next page; null at the end. A page may be short and still have one
    next_cursor: Option<String>,
    /// Gaps of a page, at most
    limit: usize,
    /// The time through which the index is complete: of what comes after, nothing is known
    complete_through: Option<String>,
    /// Recordings that are not yet in the catalog
    pending: u64,
    /// Where the answer comes from
    source: String,
}

/// Time that no recording covers.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct GapItem {
    /// The lane's name
    lane: String,
    /// When it begins
    #[schema(format = "date-time")]
    start: String,
    /// When it ends
    #[schema(format = "date-time")]
    end: String,
}

/// `GET /api/v1/coverage`.
#[utoipa::path(
    get,
    path = "/api/v1/coverage",
    tag = "recordings",
    summary = "Which time is covered by recordings, by lane and window",
    description = "Covered is the union of the recordings that are not deleted; a live one lasts until `complete_through`, and nothing after that is covered. By a key, recordings with equal values are one lane, whatever root they are in, and what has no value at the key is in no lane. A key with over 1,000 values is 400, one that is not wholly indexed yet 503.",
    params(CoverageParameters),
    responses((status = 200, description = "The lanes", body = Coverage))
)]
pub(super) async fn coverage(
    State(state): State<AppState>,
    Ask(query): Ask<CoverageParameters>,
) -> Result<Response, Problem> {
    let limit = v1::page(query.limit)?;
    let count = buckets(query.buckets)?;
    ordered(query.from, query.to)?;
    let (from, to) = (query.from.map(|at| at.0), query.to.map(|at| at.0));
    let by = lanes_by(query.by.as_deref())?;
    let asked = AskedCoverage { from, to, by, lane: query.lane, count, limit };
    let read = state.read(move |engine| read_coverage(engine, asked)).await?;
    let read = read.map_err(|none| no_lanes(none, query.by.as_deref()))?;
    let completeness = read.completeness;
    let answer = Coverage::of(read.covered, read.window, read.buckets, limit, completeness);
    Ok((completeness_headers(completeness), Json(answer)).into_response())
}

/// `GET /api/v1/gaps`.
#[utoipa::path(
    get,
    path = "/api/v1/gaps",
    tag = "recordings",
    summary = "Time that no recording covers",
    params(GapParameters),
    responses((status = 200, description = "A page of gaps", body = GapList))
)]
pub(super) async fn gaps(
    State(state): State<AppState>,
    Ask(query): Ask<GapParameters>,
) -> Result<Response, Problem> {
    let limit = v1::page(query.limit)?;
    ordered(query.from, query.to)?;
    let asked = AskedGaps {
        from: query.from.map(|at| at.0),
        to: query.to.map(|at| at.0),
        by: query.by,
        lane: query.lane,
        longer_than_ms: longer_than_ms(query.longer_than_ms)?,
        cursor: query.cursor,
        limit,
    };
    let by = asked.by.clone();
    let seal = asked.seal();
    let ready = asked.ready()?;
    let (page, completeness) = state.read(move |engine| read_gaps(engine, &ready)).await?;
    let page = page.map_err(|none| no_lanes(none, by.as_deref()))?;
    let answer = gaps_value(&page, limit, |lane, at_ms| cursor(lane, at_ms, &seal));
    Ok(complete(answer, completeness))
}

/// What of coverage is asked.
#[derive(Clone, Debug)]
pub(crate) struct AskedCoverage {
    /// The first moment, milliseconds since 1970.
    pub(crate) from: Option<i64>,
    /// The end, milliseconds since 1970.
    pub(crate) to: Option<i64>,
    /// What the lanes are.
    pub(crate) by: LanesBy,
    /// Of this lane alone.
    pub(crate) lane: Option<String>,
    /// Windows.
    pub(crate) count: usize,
    /// Lanes at most.
    pub(crate) limit: usize,
}

/// What the index says of coverage.
#[derive(Debug)]
pub(crate) struct CoverageRead {
    /// The lanes.
    pub(crate) covered: Covered,
    /// The first moment and the end, milliseconds since 1970.
    pub(crate) window: (i64, i64),
    /// The windows.
    pub(crate) buckets: Buckets,
    /// How complete it is.
    pub(crate) completeness: Completeness,
}

/// Reads coverage; inside the error of the index: there are no such lanes.
pub(crate) fn read_coverage(
    engine: &Engine,
    asked: AskedCoverage,
) -> Result<Result<CoverageRead, NoLanes>, IndexError> {
    let completeness = engine.completeness();
    let (from_ms, to_ms) = window(engine, completeness, asked.from, asked.to)?;
    let query = CoverageQuery {
        buckets: Buckets::over(from_ms, to_ms, asked.count),
        by: asked.by,
        through_ms: completeness.complete_through_ms,
        lane: asked.lane,
        lanes_max: asked.limit,
    };
    let covered = engine.reader().coverage(&query)?;
    let (window, buckets) = ((from_ms, to_ms), query.buckets);
    Ok(covered.map(|covered| CoverageRead { covered, window, buckets, completeness }))
}

/// Which gaps are asked for.
#[derive(Clone, Debug)]
pub(crate) struct AskedGaps {
    /// The first moment, milliseconds since 1970.
    pub(crate) from: Option<i64>,
    /// The end, milliseconds since 1970.
    pub(crate) to: Option<i64>,
    /// What the lanes are.
    pub(crate) by: Option<String>,
    /// Of this lane alone.
    pub(crate) lane: Option<String>,
    /// Gaps of at least so many milliseconds.
    pub(crate) longer_than_ms: i64,
    /// The cursor of the page before.
    pub(crate) cursor: Option<String>,
    /// Gaps of a page.
    pub(crate) limit: usize,
}

/// The same, checked.
#[derive(Clone, Debug)]
pub(crate) struct ReadyGaps {
    asked: AskedGaps,
    by: LanesBy,
    after: Option<(String, i64)>,
}

impl AskedGaps {
    /// What the pages of one query have in common: a cursor of another query goes on with nothing.
    fn seal(&self) -> String {
        json!([self.from, self.to, self.by, self.lane, self.longer_than_ms]).to_string()
    }

    /// # Errors
    /// No lanes are by this, or the cursor is of another query.
    pub(crate) fn ready(self) -> Result<ReadyGaps, Problem> {
        let by = lanes_by(self.by.as_deref())?;
        let seal = self.seal();
        let after = self.cursor.as_deref().map(|cursor| position(cursor, &seal)).transpose()?;
        Ok(ReadyGaps { asked: self, by, after })
    }
}

impl ReadyGaps {
    /// The cursor of what comes after a page.
    pub(crate) fn next_cursor(&self, page: &GapPage) -> Option<String> {
        page.next.as_ref().map(|(lane, at_ms)| cursor(lane, *at_ms, &self.asked.seal()))
    }

    /// Gaps of at least so many milliseconds are told.
    pub(crate) fn longer_than_ms(&self) -> i64 {
        self.asked.longer_than_ms
    }

    /// From now on, gaps of at least another length, and so many at once.
    pub(crate) fn of_longer(&mut self, longer_than_ms: i64, limit: usize) {
        self.asked.longer_than_ms = longer_than_ms;
        self.asked.limit = limit;
    }

    /// Goes on after a page. False: it was the last.
    pub(crate) fn go_on(&mut self, page: &GapPage) -> bool {
        self.after.clone_from(&page.next);
        self.after.is_some()
    }
}

/// Reads a page of gaps.
pub(crate) fn read_gaps(
    engine: &Engine,
    ready: &ReadyGaps,
) -> Result<(Result<GapPage, NoLanes>, Completeness), IndexError> {
    let completeness = engine.completeness();
    let asked = &ready.asked;
    let (from_ms, to_ms) = window(engine, completeness, asked.from, asked.to)?;
    let gaps = GapQuery {
        by: ready.by.clone(),
        from_ms,
        to_ms,
        through_ms: completeness.complete_through_ms,
        longer_than_ms: asked.longer_than_ms,
        lane: asked.lane.clone(),
        after: ready.after.clone(),
        limit: asked.limit,
    };
    Ok((engine.reader().gaps(&gaps)?, completeness))
}

/// How many windows there are.
///
/// # Errors
/// It is out of range.
pub(crate) fn buckets(asked: Option<usize>) -> Result<usize, Problem> {
    let count = asked.unwrap_or(BUCKETS);
    if (1..=BUCKETS_MAX).contains(&count) {
        return Ok(count);
    }
    let words = format!("buckets: it has to be from 1 to {BUCKETS_MAX}");
    Err(Problem::bad_value("buckets", words))
}

/// From which length on gaps are told.
///
/// # Errors
/// It is out of range.
pub(crate) fn longer_than_ms(asked: Option<u64>) -> Result<i64, Problem> {
    let asked = asked.unwrap_or(LONGER_THAN_MS);
    let ms = i64::try_from(asked).ok().filter(|ms| *ms <= LONGER_THAN_MAX_MS);
    ms.ok_or_else(|| {
        let words = format!("longer_than_ms: it is {LONGER_THAN_MAX_MS} at most");
        Problem::bad_value("longer_than_ms", words)
    })
}

/// The share of a range that lanes cover, in percent: of all of them together.
pub(crate) fn available_percent<'a>(
    lanes: impl IntoIterator<Item = &'a CoveredLane>,
    (from_ms, to_ms): (i64, i64),
) -> f64 {
    let (mut covered_ms, mut count) = (0_f64, 0_u32);
    for lane in lanes {
        let all: i64 = lane.buckets.iter().map(|bucket| bucket.covered_ms).sum();
        covered_ms += all as f64;
        count += 1;
    }
    covered_ms * 100.0 / (to_ms - from_ms).max(1) as f64 / f64::from(count.max(1))
}

/// The range of a query, milliseconds since 1970: without bounds, all that there is.
pub(crate) fn window(
    engine: &Engine,
    completeness: Completeness,
    from: Option<i64>,
    to: Option<i64>,
) -> Result<(i64, i64), IndexError> {
    let to_ms = to.or(completeness.complete_through_ms).unwrap_or_else(clock::wall_ms);
    let from_ms = match from {
        Some(from_ms) => from_ms,
        None => engine.reader().first_start_ms()?.unwrap_or(to_ms).min(to_ms),
    };
    Ok((from_ms, to_ms))
}

/// A page of gaps, as programs read it.
pub(crate) fn gaps_value(
    page: &GapPage,
    limit: usize,
    cursor: impl Fn(&str, i64) -> String,
) -> Value {
    let item = |gap: &Gap| {
        json!({
            "lane": gap.lane,
            "start": clock::rfc3339(gap.start_ms),
            "end": clock::rfc3339(gap.end_ms),
        })
    };
    json!({
        "items": page.gaps.iter().map(item).collect::<Vec<_>>(),
        "next_cursor": page.next.as_ref().map(|(lane, at_ms)| cursor(lane, *at_ms)),
        "limit": limit,
    })
}

/// What lanes are.
pub(crate) fn lanes_by(by: Option<&str>) -> Result<LanesBy, Problem> {
    match by {
        None | Some("root") => Ok(LanesBy::Root),
        Some(key) => MetaKey::new(key)
            .map(LanesBy::Key)
            .map_err(|fault| Problem::bad_value("by", format!("by: {fault}"))),
    }
}

/// There are no lanes by this key, or there is none of this name.
pub(crate) fn no_lanes(none: NoLanes, by: Option<&str>) -> Problem {
    let words = format!("by: {:?}: {none}", by.unwrap_or("root"));
    match none {
        NoLanes::NotIndexed | NoLanes::TooManyValues => Problem::bad_value("by", words),
        NoLanes::Indexing => Problem::unavailable(words).at("by"),
        NoLanes::NoSuchLane => Problem::bad_value("lane", format!("lane: {none}")),
    }
}

/// # Errors
/// The end is not after the first moment.
pub(crate) fn ordered(from: Option<Moment>, to: Option<Moment>) -> Result<(), Problem> {
    match (from, to) {
        (Some(from), Some(to)) if from.0 >= to.0 => {
            Err(Problem::bad_value("to", "to: it has to be after `from`"))
        }
        _ => Ok(()),
    }
}

fn complete(answer: Value, completeness: Completeness) -> Response {
    let headers = completeness_headers(completeness);
    (headers, Json(v1::with_completeness(answer, completeness))).into_response()
}

/// A cursor of this query.
fn cursor(lane: &str, at_ms: i64, asked: &str) -> String {
    seal(&format!("{at_ms} {lane}"), asked)
}

/// Where a page goes on.
fn position(cursor: &str, asked: &str) -> Result<(String, i64), Problem> {
    let position = unseal(cursor, asked)?;
    let (at_ms, lane) = position.split_once(' ').ok_or_else(Problem::bad_cursor)?;
    Ok((lane.to_owned(), at_ms.parse().map_err(|_| Problem::bad_cursor())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_where_its_query_was_and_is_refused_by_another() {
        let made = cursor("/data/a b", -5, "one");
        assert_eq!(position(&made, "one").ok(), Some(("/data/a b".to_owned(), -5)));
        assert!(position(&made, "another").is_err());
        for bad in ["", "x", "MSAy", "\u{e9}", &made[4..]] {
            assert!(position(bad, "one").is_err(), "{bad}");
        }
    }
}
