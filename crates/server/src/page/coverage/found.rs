//! What the index says of what is looked at: lanes, a year of days, gaps and outages.

use focus_core::coverage::DAY_MS;
use focus_core::outage::OutageRecord;
use focus_core::range::{self, Range};
use focus_engine::Engine;
use focus_index::{Gap, IndexError, LanesBy, NoLanes};

use super::view::{GAPS, GapOrder, Ready, View};
use crate::api::{AskedCoverage, CoverageRead, ReadyGaps, read_coverage, read_gaps};

/// Pages of gaps that are looked through for the longest ones at most: each takes some tens of milliseconds.
const PAGES_MAX: usize = 8;

/// Gaps of each of these pages.
const PAGE: usize = 1_000;

/// Of a range, the longest gaps are looked for from this part of its length on: shorter ones are many.
const PART: i64 = 2_000;

/// Everything that the page shows.
pub(super) struct Found {
    /// The lanes.
    pub(super) read: CoverageRead,
    /// The year of the calendar.
    pub(super) year: i16,
    /// Each day of it: of the lane, or of all roots together.
    pub(super) days: CoverageRead,
    /// Gaps.
    pub(super) gaps: Gaps,
    /// Outages of the catalog's database in the range, the newest first.
    pub(super) outages: Vec<OutageRecord>,
    /// When the first and the last recording begin.
    pub(super) first_start_ms: Option<i64>,
    pub(super) last_start_ms: Option<i64>,
    /// FDSN availability is served.
    pub(super) has_fdsn: bool,
}

/// Gaps, in the order that is asked for.
#[derive(Default)]
pub(super) struct Gaps {
    pub(super) listed: Vec<Gap>,
    /// By lane: the cursor of the next page.
    pub(super) next_cursor: Option<String>,
    /// The longest first: so many were found.
    pub(super) found: usize,
    /// From this length on.
    pub(super) longer_than_ms: i64,
    /// Not all of the range was looked through.
    pub(super) is_cut: bool,
}

/// Reads it. Inside the error of the index: there are no such lanes.
pub(super) fn read(
    engine: &Engine,
    view: &View,
    ready: Ready,
) -> Result<Result<Found, NoLanes>, IndexError> {
    let Ready { coverage, gaps } = ready;
    let read = match read_coverage(engine, coverage.clone())? {
        Ok(read) => read,
        Err(none) => return Ok(Err(none)),
    };
    let year = view.year.unwrap_or_else(|| range::year_of(read.window.1.saturating_sub(1)));
    let days = match of_year(engine, coverage, year)? {
        Ok(days) => days,
        Err(none) => return Ok(Err(none)),
    };
    let gaps = match read_list(engine, view, gaps, read.window)? {
        Ok(gaps) => gaps,
        Err(none) => return Ok(Err(none)),
    };
    let (from_ms, to_ms) = read.window;
    let mut outages = engine.outages()?;
    outages.retain(|outage| {
        // A range that goes on is up to now, although the index is complete a little less far.
        let has_begun = view.to.is_none() || outage.began_ms < to_ms;
        has_begun && outage.ended_ms.is_none_or(|ended_ms| ended_ms > from_ms)
    });
    let reader = engine.reader();
    Ok(Ok(Found {
        year,
        days,
        gaps,
        outages,
        first_start_ms: reader.first_start_ms()?,
        last_start_ms: reader.last_start_ms()?,
        has_fdsn: engine.fdsn_codes().is_some(),
        read,
    }))
}

fn of_year(
    engine: &Engine,
    asked: AskedCoverage,
    year: i16,
) -> Result<Result<CoverageRead, NoLanes>, IndexError> {
    let whole = range::of_year(year).or_else(|| Range::new(0, DAY_MS));
    let (from_ms, to_ms) = whole.map_or((0, 0), |year| (year.from_ms(), year.to_ms()));
    // The last year with times ends a millisecond before the next one begins.
    let count = usize::try_from((to_ms - from_ms + DAY_MS - 1) / DAY_MS).unwrap_or(0);
    let by = if asked.lane.is_some() { asked.by } else { LanesBy::Root };
    let (from, to) = (Some(from_ms), Some(to_ms));
    read_coverage(engine, AskedCoverage { from, to, by, lane: asked.lane, count, limit: 1_000 })
}

fn read_list(
    engine: &Engine,
    view: &View,
    mut ready: ReadyGaps,
    window: (i64, i64),
) -> Result<Result<Gaps, NoLanes>, IndexError> {
    if view.order == GapOrder::Lane {
        return Ok(read_gaps(engine, &ready)?.0.map(|page| Gaps {
            next_cursor: ready.next_cursor(&page),
            found: page.gaps.len(),
            longer_than_ms: ready.longer_than_ms(),
            is_cut: false,
            listed: page.gaps,
        }));
    }
    let longer_than_ms = ready.longer_than_ms().max((window.1 - window.0) / PART);
    ready.of_longer(longer_than_ms, PAGE);
    let mut gaps = Gaps { longer_than_ms, is_cut: true, ..Gaps::default() };
    for _ in 0..PAGES_MAX {
        let page = match read_gaps(engine, &ready)?.0 {
            Ok(page) => page,
            Err(none) => return Ok(Err(none)),
        };
        let goes_on = ready.go_on(&page);
        gaps.found += page.gaps.len();
        gaps.listed.extend(page.gaps);
        // Stable: what is equally long stays by lane and time.
        gaps.listed.sort_by_key(|gap| std::cmp::Reverse(gap.end_ms - gap.start_ms));
        gaps.listed.truncate(GAPS);
        if !goes_on {
            gaps.is_cut = false;
            break;
        }
    }
    Ok(Ok(gaps))
}
