//! How much of each window is covered, by root.

use std::collections::BTreeMap;

use focus_core::coverage::{Buckets, DAY_MS, HOUR_MS, Spans};
use rusqlite::{Connection, params};

use super::cells::{Sums, day_of, spans_of};
use super::{LONG_SPAN, of_rows};
use crate::overlap::{classes, earliest};
use crate::schema::LIVE_END_MS;
use crate::stage::PENDING;
use crate::{IndexError, Reader};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoverageQuery {
    /// The windows.
    pub buckets: Buckets,
    /// Nothing after this time is covered, and live recordings last until then; none: nothing is covered. Milliseconds
    /// since 1970.
    pub through_ms: Option<i64>,
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

/// A lane: a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredLane {
    /// The root's configured path.
    pub name: String,
    /// The marker's id.
    pub root: String,
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
    /// What is covered of each window, by root. It reads the sums of days, and rows only of the hours in which a window
    /// begins and of what may last longer than 37 hours.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn coverage(&self, query: &CoverageQuery) -> Result<Covered, IndexError> {
        let mut roots = self.indexed_roots()?;
        roots.retain(|root| root.is_configured);
        roots.sort_by(|a, b| a.path.cmp(&b.path));
        let more = roots.len() > query.lanes_max;
        roots.truncate(query.lanes_max);
        self.read(|connection| {
            // One snapshot for all of it.
            let snapshot = connection.unchecked_transaction()?;
            let ids: Vec<i64> = roots.iter().map(|root| root.id.0).collect();
            let mut lanes = Lanes::of(&snapshot, query, &ids)?;
            let lanes = roots.iter().map(|root| {
                let buckets = lanes.buckets(root.id.0)?;
                let (name, root) = (root.path.clone(), root.marker.clone());
                Ok(CoveredLane { name, root, buckets })
            });
            Ok(Covered { lanes: lanes.collect::<rusqlite::Result<_>>()?, more })
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
        self.read(|connection| {
            let mut first = None;
            let mut statement = connection.prepare_cached(
                "SELECT min(start_ms) FROM recordings WHERE span = ?1 AND deleted = 0",
            )?;
            for class in classes(connection)? {
                let start: Option<i64> = statement.query_row([class], |row| row.get(0))?;
                first = first.into_iter().chain(start).min();
            }
            Ok(first)
        })
    }
}

/// What was read of rows for all lanes at once.
struct Lanes<'a> {
    connection: &'a Connection,
    query: &'a CoverageQuery,
    /// What may last longer than 37 hours, cut at the time through which the index is complete.
    long: BTreeMap<i64, Spans>,
    /// What is counted of rows: the long ones, and those in the hours in which a window begins.
    counted: BTreeMap<i64, Vec<Bucket>>,
    /// When each window begins, and when the last one ends.
    edges: Edges,
    /// The hours in which a window begins, in ascending order.
    split: Vec<i64>,
}

/// The edges of windows, computed once: they are asked for hundreds of thousands of times.
struct Edges(Vec<i64>);

impl Edges {
    fn of(buckets: Buckets) -> Edges {
        let all = if buckets.is_empty() { 0..0 } else { 0..buckets.len() + 1 };
        Edges(all.map(|at| buckets.begins_ms(at)).collect())
    }

    /// The window with this time; none before the first and after the last.
    fn at(&self, time_ms: i64) -> Option<usize> {
        let at = self.0.partition_point(|edge| *edge <= time_ms).checked_sub(1)?;
        (at + 1 < self.0.len()).then_some(at)
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

/// The spans of live and long recordings of these roots in a window.
pub(super) fn long_spans(
    connection: &Connection,
    (from_ms, to_ms): (i64, i64),
    through_ms: Option<i64>,
    mut each: impl FnMut(i64, (i64, i64), bool),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT root, start_ms, end_ms, pending = {PENDING} FROM recordings
         WHERE span = ?1 AND start_ms BETWEEN ?2 AND ?3 AND end_ms >= ?4 AND deleted = 0"
    ))?;
    for class in classes(connection)?.into_iter().filter(|class| *class >= LONG_SPAN) {
        let mut rows = statement.query(params![
            class,
            earliest(class, from_ms),
            to_ms.saturating_sub(1),
            from_ms
        ])?;
        while let Some(row) = rows.next()? {
            let (start_ms, end_ms): (i64, i64) = (row.get(1)?, row.get(2)?);
            let end_ms = if end_ms == LIVE_END_MS {
                // Its end is where the index knows no more.
                through_ms.unwrap_or(start_ms).max(start_ms)
            } else {
                end_ms
            };
            each(row.get(0)?, (start_ms, end_ms), row.get(3)?);
        }
    }
    Ok(())
}

impl<'a> Lanes<'a> {
    fn of(
        connection: &'a Connection,
        query: &'a CoverageQuery,
        roots: &[i64],
    ) -> rusqlite::Result<Lanes<'a>> {
        let buckets = query.buckets;
        let empty = || vec![Bucket::default(); buckets.len()];
        let mut lanes = Lanes {
            connection,
            query,
            long: BTreeMap::new(),
            counted: roots.iter().map(|root| (*root, empty())).collect(),
            edges: Edges::of(buckets),
            split: Vec::new(),
        };
        let Some((last, begins)) = lanes.edges.0.split_last() else { return Ok(lanes) };
        lanes.split = begins.iter().map(|at_ms| at_ms.div_euclid(HOUR_MS)).collect();
        lanes.split.push((last - 1).div_euclid(HOUR_MS));
        lanes.split.dedup();
        lanes.read_long()?;
        lanes.read_split()?;
        Ok(lanes)
    }

    fn window(&self) -> (i64, i64) {
        let edges = &self.edges.0;
        (edges.first().copied().unwrap_or(0), edges.last().copied().unwrap_or(0))
    }

    fn read_long(&mut self) -> rusqlite::Result<()> {
        let mut spans: BTreeMap<i64, Vec<(i64, i64)>> = BTreeMap::new();
        let through_ms = self.query.through_ms;
        let window = self.window();
        let (edges, counted) = (&self.edges, &mut self.counted);
        long_spans(self.connection, window, through_ms, |root, (start_ms, end_ms), pending| {
            let Some(lane) = counted.get_mut(&root) else { return };
            count(lane, edges, (start_ms, end_ms), pending);
            let known = spans.entry(root).or_default();
            known.push((start_ms, end_ms.min(through_ms.unwrap_or(i64::MIN))));
            // They overlap: what is kept does not follow their number.
            if known.len() >= 4_096 {
                *known = Spans::of(known.drain(..)).iter().collect();
            }
        })?;
        self.long = spans.into_iter().map(|(root, spans)| (root, Spans::of(spans))).collect();
        Ok(())
    }

    /// The hours in which a window begins: who begins there, and who lasts over the begin.
    fn read_split(&mut self) -> rusqlite::Result<()> {
        let all = classes(self.connection)?;
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT root, start_ms, end_ms, pending = {PENDING} FROM recordings
             WHERE span = ?1 AND start_ms BETWEEN ?2 AND ?3 AND end_ms >= ?4 AND deleted = 0"
        ))?;
        for hour in &self.split {
            let (begins_ms, ends_ms) = (hour * HOUR_MS, (hour + 1) * HOUR_MS);
            // Windows that begin within this hour.
            let begins = self.edges.0.iter().copied().enumerate().take(self.query.buckets.len());
            let inside: Vec<(usize, i64)> =
                begins.filter(|(_, at_ms)| (begins_ms..ends_ms).contains(at_ms)).collect();
            for class in all.iter().filter(|class| **class < LONG_SPAN) {
                let from_ms = earliest(*class, begins_ms);
                let mut rows = statement.query(params![class, from_ms, ends_ms - 1, begins_ms])?;
                while let Some(row) = rows.next()? {
                    let Some(lane) = self.counted.get_mut(&row.get(0)?) else { continue };
                    let (start_ms, end_ms): (i64, i64) = (row.get(1)?, row.get(2)?);
                    let pending: bool = row.get(3)?;
                    for (at, at_ms) in &inside {
                        if start_ms < *at_ms && *at_ms < end_ms {
                            lane[*at].add(1, u64::from(pending));
                        }
                    }
                    if start_ms >= begins_ms
                        && let Some(at) = self.edges.at(start_ms)
                    {
                        lane[at].add(1, u64::from(pending));
                    }
                }
            }
        }
        Ok(())
    }

    /// The windows of a root.
    fn buckets(&mut self, root: i64) -> rusqlite::Result<Vec<Bucket>> {
        let mut lane = self.counted.remove(&root).unwrap_or_default();
        let (from_ms, to_ms) = self.window();
        if lane.is_empty() {
            return Ok(lane);
        }
        let through_ms = self.query.through_ms.unwrap_or(i64::MIN).min(to_ms);
        let none = Spans::default();
        let long = self.long.get(&root).unwrap_or(&none);
        for (start_ms, end_ms) in long.within(from_ms, to_ms) {
            self.edges.share(&mut lane, start_ms, end_ms);
        }
        let (first, last) = (from_ms.div_euclid(DAY_MS), (to_ms - 1).div_euclid(DAY_MS));
        let mut statement = self.connection.prepare_cached(
            "SELECT day, covered_ms, begins, pending, cells FROM covered_days
             WHERE root = ?1 AND day BETWEEN ?2 AND ?3",
        )?;
        let mut rows = statement.query(params![root, first, last])?;
        while let Some(row) = rows.next()? {
            let day: i64 = row.get(0)?;
            let (begins_ms, ends_ms) = (day * DAY_MS, (day + 1) * DAY_MS);
            let (is_before, is_after) = (ends_ms <= through_ms, begins_ms >= through_ms);
            let whole = self.whole(begins_ms, ends_ms).filter(|_| {
                is_after || is_before && long.within(begins_ms, ends_ms).next().is_none()
            });
            if let Some(at) = whole {
                if is_before {
                    lane[at].covered_ms += row.get::<_, i64>(1)?;
                }
                lane[at].add(count_of(row.get(2)?), count_of(row.get(3)?));
                continue;
            }
            let bytes = row.get_ref(4)?.as_blob().unwrap_or_default();
            for (hour, cell) in (day * 24..).zip(day_of(bytes)) {
                if cell == Sums::default() {
                    continue;
                }
                let (begins_ms, ends_ms) = (hour * HOUR_MS, (hour + 1) * HOUR_MS);
                let at = self.whole(begins_ms, ends_ms);
                if let Some(at) = at.filter(|_| self.split.binary_search(&hour).is_err()) {
                    lane[at].add(u64::from(cell.begins), u64::from(cell.pending));
                }
                if begins_ms >= through_ms {
                    continue;
                }
                let is_cut =
                    ends_ms > through_ms || long.within(begins_ms, ends_ms).next().is_some();
                match at.filter(|_| !is_cut) {
                    Some(at) => lane[at].covered_ms += i64::from(cell.covered_ms),
                    None => {
                        let spans = spans(self.connection, (root, hour), cell)?;
                        for (start_ms, end_ms) in spans.within(from_ms, through_ms) {
                            for (start_ms, end_ms) in long.gaps(start_ms, end_ms) {
                                self.edges.share(&mut lane, start_ms, end_ms);
                            }
                        }
                    }
                }
            }
        }
        Ok(lane)
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
        let next = self.split.partition_point(|hour| *hour < first);
        last - first > 1 && self.split.get(next).is_some_and(|hour| *hour < last)
    }
}

/// The spans of an hour; from its rows where they are too many to be stored.
pub(super) fn spans(
    connection: &Connection,
    (root, hour): (i64, i64),
    cell: Sums,
) -> rusqlite::Result<Spans> {
    match spans_of(connection, (root, hour), cell.covered_ms)? {
        Some(spans) => Ok(spans),
        None => {
            let cell = of_rows(connection, root, hour, &classes(connection)?)?;
            Ok(cell.spans.unwrap_or_default())
        }
    }
}

fn count_of(sum: i64) -> u64 {
    u64::try_from(sum).unwrap_or(0)
}

impl Bucket {
    fn add(&mut self, recordings: u64, pending: u64) {
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
