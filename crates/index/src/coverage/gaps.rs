//! What is not covered, a page at a time.

use focus_core::coverage::{DAY_MS, HOUR_MS, Spans};
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

/// How much of each hour of a day is not covered at most, and of the time before it.
struct OpenHours {
    before_ms: i64,
    hours_ms: [i64; 24],
}

impl OpenHours {
    fn new(before_ms: i64) -> OpenHours {
        OpenHours { before_ms, hours_ms: [HOUR_MS; 24] }
    }

    fn set(&mut self, at: i64, open_ms: i64) {
        let place = usize::try_from(at).ok().and_then(|at| self.hours_ms.get_mut(at));
        if let Some(place) = place {
            *place = open_ms;
        }
    }

    /// No gap with a part of this hour is longer; none where it may go on into the next day.
    fn gap_at_most_ms(&self, at: i64) -> Option<i64> {
        let at = usize::try_from(at).ok().filter(|at| *at < 24)?;
        let (before, rest) = self.hours_ms.split_at(at);
        let (here, after) = rest.split_first()?;
        let is_partly_covered = |open_ms: &i64| *open_ms < HOUR_MS;
        // A gap reaches into the next hour with something in it, and no further.
        let first = before.iter().rposition(is_partly_covered);
        let before_ms = if first.is_none() { self.before_ms } else { 0 };
        let last = after.iter().position(is_partly_covered)?;
        let open = before[first.unwrap_or(0)..].iter().chain([here]).chain(&after[..=last]);
        Some(before_ms + open.sum::<i64>())
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
            for (start_ms, end_ms) in self.of_day(&day, at_ms)?.within(from_ms, to_ms) {
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

    /// What of a day is covered, where everything before it is covered up to `at_ms`. An hour in which no gap can be long
    /// enough counts as covered: its spans are not read.
    fn of_day(&self, day: &LaneDay, at_ms: i64) -> rusqlite::Result<Spans> {
        let (begins_ms, ends_ms) = day.window();
        if day.covered_ms() == Some(DAY_MS) {
            return Ok(Spans::of([(begins_ms, ends_ms)]));
        }
        let hours: Vec<_> = day.hours().collect();
        let mut open = OpenHours::new((begins_ms - at_ms).max(0));
        for (hour, cell) in &hours {
            open.set(hour - day.day * 24, HOUR_MS - cell.covered_at_least_ms());
        }
        let mut covered = Vec::new();
        for (hour, cell) in hours {
            let most_ms = open.gap_at_most_ms(hour - day.day * 24);
            if most_ms.is_some_and(|most_ms| most_ms < self.query.longer_than_ms) {
                covered.push((hour * HOUR_MS, (hour + 1) * HOUR_MS));
            } else {
                covered.extend(cell.spans(self.connection, hour)?.iter());
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_reaches_into_the_next_hours_with_something_in_them_and_no_further() {
        let mut open = OpenHours::new(7);
        for (at, open_ms) in [(1, 100), (4, 200), (5, 0), (6, 300)] {
            open.set(at, open_ms);
        }
        assert_eq!(open.gap_at_most_ms(1), Some(7 + HOUR_MS + 100 + 2 * HOUR_MS + 200));
        assert_eq!(open.gap_at_most_ms(4), Some(100 + 2 * HOUR_MS + 200));
        assert_eq!(open.gap_at_most_ms(5), Some(500));
        assert_eq!(open.gap_at_most_ms(6), None, "it may go on into the next day");
    }
}
