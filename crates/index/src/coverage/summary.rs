//! How much of each window is covered, by lane.

use std::collections::BTreeMap;

use focus_core::coverage::{Buckets, DAY_MS, HOUR_MS, Spans};
use rusqlite::Connection;

use super::days::{LaneDay, each_day};
use super::lanes::{Lane, LanesBy, NoLanes, by_number, each_long};
use super::split::{Source, SplitHours};
use crate::overlap::classes;
use crate::{IndexError, Reader};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageQuery {
    /// What the lanes are.
    pub by: LanesBy,
    /// The windows.
    pub buckets: Buckets,
    /// Nothing after this time is covered, and live recordings last until then; none: nothing is covered. Milliseconds
    /// since 1970.
    pub through_ms: Option<i64>,
    /// Of the lane with this name, or the root with this marker, alone.
    pub lane: Option<String>,
    /// Lanes at most.
    pub lanes_max: usize,
}

/// What is covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// By lane, in the order of their names.
    pub lanes: Vec<CoveredLane>,
    /// There are more lanes than were asked for.
    pub more: bool,
}

/// A lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredLane {
    /// The root's configured path, or the text of the value.
    pub name: String,
    /// The marker's id of a lane that is a root.
    pub root: Option<String>,
    /// When the longest of its live recordings that begin before the last window ends has begun, milliseconds since 1970;
    /// none: there is none.
    pub live_since_ms: Option<i64>,
    /// Each window.
    pub buckets: Vec<Bucket>,
}

/// A window of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Milliseconds that are covered.
    pub covered_ms: i64,
    /// Recordings that begin in it, or last into it.
    pub recordings: u64,
    /// Those of them that are pending.
    pub pending: u64,
}

impl Reader {
    /// What is covered of each window, by lane. It reads the sums of days, and rows only of the hours in which a window
    /// begins and of what may last longer than 37 hours. Inside an error: there are no such lanes.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn coverage(&self, query: &CoverageQuery) -> Result<Result<Covered, NoLanes>, IndexError> {
        self.read(|connection| {
            // One snapshot for all of it.
            let snapshot = connection.unchecked_transaction()?;
            let mut lanes = match self.lanes(&snapshot, &query.by)? {
                Ok(lanes) => lanes,
                Err(none) => return Ok(Err(none)),
            };
            if let Some(name) = &query.lane {
                lanes.retain(|lane| lane.is_named(name));
                if lanes.is_empty() {
                    return Ok(Err(NoLanes::NoSuchLane));
                }
            }
            let more = lanes.len() > query.lanes_max;
            lanes.truncate(query.lanes_max);
            let windows = Windows::of(&snapshot, query, &lanes)?;
            let live = windows.rows.iter().map(|rows| rows.live_since_ms).collect::<Vec<_>>();
            let buckets = windows.buckets(&lanes)?;
            let covered = |((lane, live_since_ms), buckets)| {
                let Lane { name, root, .. } = lane;
                CoveredLane { name, root, live_since_ms, buckets }
            };
            let lanes = lanes.into_iter().zip(live).zip(buckets).map(covered).collect();
            Ok(Ok(Covered { lanes, more }))
        })
    }

    /// The time through which the last scans of all configured roots make this index complete, milliseconds since 1970;
    /// none where one has not been scanned.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn complete_through_ms(&self) -> Result<Option<i64>, IndexError> {
        let roots = self.indexed_roots()?;
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT complete_through_ms FROM roots WHERE id = ?1")?;
            let mut through = None;
            for root in roots.iter().filter(|root| root.is_configured) {
                let of_root: Option<i64> = statement.query_row([root.id.0], |row| row.get(0))?;
                let Some(of_root) = of_root else { return Ok(None) };
                through = Some(through.map_or(of_root, |known: i64| known.min(of_root)));
            }
            Ok(through)
        })
    }

    /// When the first recording begins, milliseconds since 1970; none where there is none.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn first_start_ms(&self) -> Result<Option<i64>, IndexError> {
        Ok(self.starts_ms("min")?.into_iter().min())
    }

    /// When the last recording begins, milliseconds since 1970; none where there is none.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn last_start_ms(&self) -> Result<Option<i64>, IndexError> {
        Ok(self.starts_ms("max")?.into_iter().max())
    }

    /// The first or the last start of each span class.
    fn starts_ms(&self, which: &'static str) -> Result<Vec<i64>, IndexError> {
        self.read(|connection| {
            let mut starts = Vec::new();
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {which}(start_ms) FROM recordings WHERE span = ?1 AND deleted = 0"
            ))?;
            for class in classes(connection)? {
                starts.extend(statement.query_row([class], |row| row.get::<_, Option<i64>>(0))?);
            }
            Ok(starts)
        })
    }
}

/// What was read of rows for all lanes at once.
struct Windows<'a> {
    connection: &'a Connection,
    query: &'a CoverageQuery,
    /// By lane, what was read of it.
    rows: Vec<OfRows>,
    /// When each window begins, and when the last one ends.
    edges: Edges,
    /// The hours in which a window begins, in ascending order.
    split: Vec<i64>,
    /// What was read of them.
    of_split: SplitHours,
    /// The hours of the days in which a window begins: the same for every lane.
    plans: BTreeMap<i64, [HourPlan; 24]>,
}

/// Where an hour of a day counts.
#[derive(Clone, Copy, Debug, Default)]
struct HourPlan {
    /// The window that holds all of it.
    at: Option<usize>,
    /// A window begins in it: how many begin in it comes from the rows.
    is_split: bool,
}

/// What was read of the rows of a lane.
pub(super) struct OfRows {
    /// What may last longer than 37 hours, cut at the time through which the index is complete.
    long: Spans,
    /// When the first of its live recordings has begun.
    live_since_ms: Option<i64>,
    /// What is counted of rows: the long ones, and those in the hours in which a window begins.
    pub(super) counted: Vec<Bucket>,
}

/// The edges of windows, computed once: they are asked for hundreds of thousands of times.
pub(super) struct Edges(pub(super) Vec<i64>);

impl Edges {
    fn of(buckets: Buckets) -> Edges {
        let all = if buckets.is_empty() { 0..0 } else { 0..buckets.len() + 1 };
        Edges(all.map(|at| buckets.begins_ms(at)).collect())
    }

    /// The window with this time; none before the first and after the last.
    pub(super) fn at(&self, time_ms: i64) -> Option<usize> {
        let at = self.0.partition_point(|edge| *edge <= time_ms).checked_sub(1)?;
        (at + 1 < self.0.len()).then_some(at)
    }

    /// When each window begins.
    pub(super) fn begins(&self) -> &[i64] {
        self.0.split_last().map_or(&[], |(_, begins)| begins)
    }

    /// Shares a covered time out among the windows.
    fn share(&self, lane: &mut [Bucket], start_ms: i64, end_ms: i64) {
        let first = self.0.partition_point(|edge| *edge <= start_ms).saturating_sub(1);
        for (at, bucket) in lane.iter_mut().enumerate().skip(first) {
            let (from_ms, to_ms) = (self.0[at].max(start_ms), self.0[at + 1].min(end_ms));
            if self.0[at] >= end_ms {
                return;
            }
            bucket.covered_ms += (to_ms - from_ms).max(0);
        }
    }
}

impl<'a> Windows<'a> {
    fn of(
        connection: &'a Connection,
        query: &'a CoverageQuery,
        lanes: &[Lane],
    ) -> rusqlite::Result<Windows<'a>> {
        let empty = || OfRows {
            long: Spans::default(),
            live_since_ms: None,
            counted: vec![Bucket::default(); query.buckets.len()],
        };
        let mut windows = Windows {
            connection,
            query,
            rows: lanes.iter().map(|_| empty()).collect(),
            edges: Edges::of(query.buckets),
            split: Vec::new(),
            of_split: SplitHours::default(),
            plans: BTreeMap::new(),
        };
        let Some((last, begins)) = windows.edges.0.split_last() else { return Ok(windows) };
        windows.split = begins.iter().map(|at_ms| at_ms.div_euclid(HOUR_MS)).collect();
        windows.split.push((last - 1).div_euclid(HOUR_MS));
        windows.split.dedup();
        let days = windows.split.iter().map(|hour| hour.div_euclid(24));
        windows.plans = days.map(|day| (day, windows.plan(day))).collect();
        let numbers = by_number(lanes);
        windows.read_long(&numbers)?;
        let source = Source { connection, by: &query.by, edges: &windows.edges, numbers: &numbers };
        windows.of_split.count(&source, &windows.split, &mut windows.rows)?;
        Ok(windows)
    }

    fn window(&self) -> (i64, i64) {
        let edges = &self.edges.0;
        (edges.first().copied().unwrap_or(0), edges.last().copied().unwrap_or(0))
    }

    fn read_long(&mut self, numbers: &BTreeMap<i64, usize>) -> rusqlite::Result<()> {
        let mut spans: BTreeMap<usize, Vec<(i64, i64)>> = BTreeMap::new();
        let through_ms = self.query.through_ms;
        let window = self.window();
        let (edges, lanes) = (&self.edges, &mut self.rows);
        let by = &self.query.by;
        each_long(
            self.connection,
            by,
            window,
            through_ms,
            |number, (start_ms, end_ms), is_live, pending| {
                let Some(at) = numbers.get(&number) else { return };
                if is_live {
                    let known = &mut lanes[*at].live_since_ms;
                    *known = known.map_or(Some(start_ms), |known| Some(known.min(start_ms)));
                }
                count(&mut lanes[*at].counted, edges, (start_ms, end_ms), pending);
                let known = spans.entry(*at).or_default();
                known.push((start_ms, end_ms.min(through_ms.unwrap_or(i64::MIN))));
                // They overlap: what is kept does not follow their number.
                if known.len() >= 4_096 {
                    *known = Spans::of(known.drain(..)).iter().collect();
                }
            },
        )?;
        for (at, spans) in spans {
            lanes[at].long = Spans::of(spans);
        }
        Ok(())
    }

    /// The windows of each lane.
    fn buckets(mut self, lanes: &[Lane]) -> rusqlite::Result<Vec<Vec<Bucket>>> {
        let numbers = by_number(lanes);
        let rows = std::mem::take(&mut self.rows);
        let mut split = std::mem::take(&mut self.of_split);
        let mut all = Vec::with_capacity(lanes.len());
        for (at, (lane, rows)) in lanes.iter().zip(rows).enumerate() {
            all.push(self.of_lane((at, lane), rows, &mut split)?);
        }
        let (connection, by) = (self.connection, &self.query.by);
        let source = Source { connection, by, edges: &self.edges, numbers: &numbers };
        split.read_mixed(&source, &mut all)?;
        Ok(all)
    }

    fn of_lane(
        &self,
        (number, lane): (usize, &Lane),
        rows: OfRows,
        split: &mut SplitHours,
    ) -> rusqlite::Result<Vec<Bucket>> {
        let OfRows { long, mut counted, .. } = rows;
        let (from_ms, to_ms) = self.window();
        if counted.is_empty() {
            return Ok(counted);
        }
        let through_ms = self.query.through_ms.unwrap_or(i64::MIN).min(to_ms);
        for (start_ms, end_ms) in long.within(from_ms, to_ms) {
            self.edges.share(&mut counted, start_ms, end_ms);
        }
        let days = (from_ms.div_euclid(DAY_MS), (to_ms - 1).div_euclid(DAY_MS));
        each_day(self.connection, &lane.numbers, days, |day| {
            let (begins_ms, ends_ms) = day.window();
            let is_after = begins_ms >= through_ms;
            let is_known = is_after
                || ends_ms <= through_ms
                    && day.covered_ms().is_some()
                    && long.within(begins_ms, ends_ms).next().is_none();
            match self.whole(begins_ms, ends_ms).filter(|_| is_known) {
                Some(at) => {
                    let (begins, pending) = day.counts();
                    counted[at].add(begins, pending);
                    if !is_after {
                        counted[at].covered_ms += day.covered_ms().unwrap_or(0);
                    }
                }
                None => {
                    let split = |counted: &mut [Bucket], hour, counts| {
                        split.pending(counted, (number, hour), counts);
                    };
                    self.hours(&mut counted, (&long, through_ms), &day, split)?;
                }
            }
            Ok(false)
        })?;
        Ok(counted)
    }

    fn plan(&self, day: i64) -> [HourPlan; 24] {
        let mut plan = [HourPlan::default(); 24];
        for (hour, plan) in (day * 24..).zip(&mut plan) {
            plan.at = self.whole(hour * HOUR_MS, (hour + 1) * HOUR_MS);
            plan.is_split = self.split.binary_search(&hour).is_ok();
        }
        plan
    }

    /// Adds a day to the windows of its lane, hour by hour.
    fn hours(
        &self,
        lane: &mut [Bucket],
        (long, through_ms): (&Spans, i64),
        day: &LaneDay,
        mut of_split: impl FnMut(&mut [Bucket], i64, (u64, u64)),
    ) -> rusqlite::Result<()> {
        let known = self.plans.get(&day.day);
        let plan = known.copied().unwrap_or_else(|| self.plan(day.day));
        for (hour, cell) in day.hours() {
            let (begins_ms, ends_ms) = (hour * HOUR_MS, (hour + 1) * HOUR_MS);
            let HourPlan { at, is_split } = usize::try_from(hour - day.day * 24)
                .ok()
                .and_then(|at| plan.get(at))
                .copied()
                .unwrap_or_default();
            if is_split {
                of_split(lane, hour, cell.counts());
            } else if let Some(at) = at {
                let (begins, pending) = cell.counts();
                lane[at].add(begins, pending);
            }
            if begins_ms >= through_ms {
                continue;
            }
            let is_cut = ends_ms > through_ms || long.within(begins_ms, ends_ms).next().is_some();
            if let Some(at) = at.filter(|_| !is_cut) {
                lane[at].covered_ms += cell.covered_ms(self.connection, hour)?;
                continue;
            }
            let from_ms = self.window().0;
            let spans = cell.spans(self.connection, hour)?;
            for (start_ms, end_ms) in spans.within(from_ms, through_ms) {
                for (start_ms, end_ms) in long.gaps(start_ms, end_ms) {
                    self.edges.share(lane, start_ms, end_ms);
                }
            }
        }
        Ok(())
    }

    /// The window that holds all of this time; none where a window begins within it, or in an hour of it, of which the
    /// rows are read.
    fn whole(&self, begins_ms: i64, ends_ms: i64) -> Option<usize> {
        let at = self.edges.at(begins_ms)?;
        (self.edges.0[at + 1] >= ends_ms && !self.has_split(begins_ms, ends_ms)).then_some(at)
    }

    /// A window begins in an hour of this time. A single hour is asked for by itself.
    fn has_split(&self, begins_ms: i64, ends_ms: i64) -> bool {
        let (first, last) = (begins_ms.div_euclid(HOUR_MS), ends_ms.div_euclid(HOUR_MS));
        let next = || self.split.partition_point(|hour| *hour < first);
        last - first > 1 && self.split.get(next()).is_some_and(|hour| *hour < last)
    }
}

impl Bucket {
    pub(super) fn add(&mut self, recordings: u64, pending: u64) {
        self.recordings += recordings;
        self.pending += pending;
    }
}

/// Counts a recording in every window that it begins in or lasts into.
fn count(lane: &mut [Bucket], edges: &Edges, (start_ms, end_ms): (i64, i64), pending: bool) {
    let first = edges.at(start_ms);
    let rest = first.map_or(0, |at| at + 1);
    if let Some(at) = first {
        lane[at].add(1, u64::from(pending));
    }
    for (at, bucket) in lane.iter_mut().enumerate().skip(rest) {
        let begins_ms = edges.0[at];
        if begins_ms >= end_ms {
            return;
        }
        if start_ms < begins_ms {
            bucket.add(1, u64::from(pending));
        }
    }
}
