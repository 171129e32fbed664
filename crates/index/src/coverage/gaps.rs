//! What is not covered, a page at a time.

use focus_core::coverage::{DAY_MS, Spans};
use rusqlite::Connection;

use super::days::{LaneDay, each_day};
use super::lanes::{Lane, LanesBy, NoLanes, long_of};
use crate::{IndexError, Reader};

/// Days that one page reads at most: a page may be short, or empty, and still have a next one.
const DAYS_MAX: usize = 10_000;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapQuery {
    /// From this time, milliseconds since 1970.
    pub from_ms: i64,
    /// Up to, and without, this time. Later than the index is complete there are no gaps: nothing is known.
    pub to_ms: i64,
    /// Live recordings last until this time; none: there is no gap to tell of.
    pub through_ms: Option<i64>,
    /// Gaps of at least so many milliseconds.
    pub longer_than_ms: i64,
    /// What the lanes are.
    pub by: LanesBy,
    /// Of the lane with this name, or the root with this marker, alone.
    pub lane: Option<String>,
    /// After this gap.
    pub after: Option<(String, i64)>,
    /// Gaps of a page at most.
    pub limit: usize,
}

/// Time in which nothing is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The lane's name.
    pub lane: String,
    /// When it begins, milliseconds since 1970.
    pub start_ms: i64,
    /// When it ends.
    pub end_ms: i64,
}

/// A page of gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GapPage {
    /// By lane, and in it by time.
    pub gaps: Vec<Gap>,
    /// Where the next page goes on: a lane, and a time up to which it has been looked through. None: it is the last.
    pub next: Option<(String, i64)>,
}

impl Reader {
    /// A page of what is not covered. Rows are read only of hours that are covered in part by very many recordings,
    /// and of what may last longer than 37 hours. Inside an error: there are no such lanes.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn gaps(&self, query: &GapQuery) -> Result<Result<GapPage, NoLanes>, IndexError> {
        self.read(|connection| {
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
            let mut page = GapPage::default();
            let Some(through_ms) = query.through_ms else { return Ok(Ok(page)) };
            let to_ms = query.to_ms.min(through_ms);
            let mut days = DAYS_MAX;
            for lane in lanes {
                let after = query.after.as_ref().filter(|(after, _)| *after >= lane.name);
                let from_ms = match after {
                    Some((after, _)) if *after > lane.name => continue,
                    Some((_, at_ms)) => (*at_ms).max(query.from_ms),
                    None => query.from_ms,
                };
                let window = (from_ms, to_ms);
                let mut search =
                    Search { connection: &snapshot, query, lane: &lane, window, days: &mut days };
                if let Some(at_ms) = search.run(&mut page.gaps)? {
                    page.next = Some((lane.name, at_ms));
                    return Ok(Ok(page));
                }
            }
            Ok(Ok(page))
        })
    }
}

struct Search<'a> {
    connection: &'a Connection,
    query: &'a GapQuery,
    lane: &'a Lane,
    window: (i64, i64),
    /// Days that may still be read.
    days: &'a mut usize,
}

impl Search<'_> {
    /// Looks through a lane. The time up to which it has come, where it has not come to the end.
    fn run(&mut self, gaps: &mut Vec<Gap>) -> rusqlite::Result<Option<i64>> {
        let (from_ms, to_ms) = self.window;
        if from_ms >= to_ms {
            return Ok(None);
        }
        if gaps.len() >= self.query.limit {
            // The lane before filled the page to its end.
            return Ok(Some(from_ms));
        }
        let long = self.long()?;
        let mut at_ms = from_ms;
        let mut stopped = None;
        let days = (from_ms.div_euclid(DAY_MS), (to_ms - 1).div_euclid(DAY_MS));
        each_day(self.connection, &self.lane.numbers, days, |day| {
            if *self.days == 0 || gaps.len() >= self.query.limit {
                stopped = Some(at_ms);
                return Ok(true);
            }
            *self.days -= 1;
            for (start_ms, end_ms) in self.of_day(&day)?.within(from_ms, to_ms) {
                if self.tell(gaps, &long, at_ms, start_ms) {
                    stopped = Some(gaps.last().map_or(start_ms, |gap| gap.end_ms));
                    return Ok(true);
                }
                at_ms = at_ms.max(end_ms);
            }
            Ok(false)
        })?;
        if stopped.is_some() {
            return Ok(stopped);
        }
        let is_full = self.tell(gaps, &long, at_ms, to_ms);
        let last_ms = gaps.last().map_or(to_ms, |gap| gap.end_ms);
        Ok((is_full && last_ms < to_ms).then_some(last_ms))
    }

    /// What may last longer than 37 hours.
    fn long(&self) -> rusqlite::Result<Spans> {
        let mut long = Vec::new();
        long_of(self.connection, self.lane, self.window, self.query.through_ms, |span| {
            long.push(span);
            if long.len() >= 4_096 {
                long = Spans::of(long.drain(..)).iter().collect();
            }
        })?;
        Ok(Spans::of(long))
    }

    fn of_day(&self, day: &LaneDay) -> rusqlite::Result<Spans> {
        if day.covered_ms() == Some(DAY_MS) {
            return Ok(Spans::of([day.window()]));
        }
        let mut covered = Vec::new();
        for (hour, cell) in day.hours() {
            covered.extend(cell.spans(self.connection, hour)?.iter());
        }
        Ok(Spans::of(covered))
    }

    /// Adds what is uncovered from `from_ms` to `to_ms`. True: the page is full.
    fn tell(&self, gaps: &mut Vec<Gap>, long: &Spans, from_ms: i64, to_ms: i64) -> bool {
        if from_ms >= to_ms {
            return gaps.len() >= self.query.limit;
        }
        for (start_ms, end_ms) in long.gaps(from_ms, to_ms) {
            if gaps.len() >= self.query.limit {
                return true;
            }
            if end_ms - start_ms >= self.query.longer_than_ms.max(1) {
                gaps.push(Gap { lane: self.lane.name.clone(), start_ms, end_ms });
            }
        }
        gaps.len() >= self.query.limit
    }
}
