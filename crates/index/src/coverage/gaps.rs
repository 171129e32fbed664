//! What is not covered, a page at a time.

use focus_core::coverage::{DAY_MS, HOUR_MS, Spans};
use rusqlite::{Connection, params};

use super::cells::{Sums, day_of};
use super::summary::{long_spans, spans};
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
    /// Of the root with this marker or path alone.
    pub lane: Option<String>,
    /// After this gap.
    pub after: Option<(String, i64)>,
    /// Gaps of a page at most.
    pub limit: usize,
}

/// Time in which nothing is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The root's configured path.
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
    /// and of what may last longer than 37 hours.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn gaps(&self, query: &GapQuery) -> Result<GapPage, IndexError> {
        let mut roots = self.indexed_roots()?;
        roots.retain(|root| {
            let is_asked = |lane: &String| *lane == root.path || *lane == root.marker;
            root.is_configured && query.lane.as_ref().is_none_or(is_asked)
        });
        roots.sort_by(|a, b| a.path.cmp(&b.path));
        let mut page = GapPage::default();
        let Some(through_ms) = query.through_ms else { return Ok(page) };
        let to_ms = query.to_ms.min(through_ms);
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut days = DAYS_MAX;
            for root in roots {
                let after = query.after.as_ref().filter(|(lane, _)| *lane >= root.path);
                let from_ms = match after {
                    Some((lane, _)) if *lane > root.path => continue,
                    Some((_, at_ms)) => (*at_ms).max(query.from_ms),
                    None => query.from_ms,
                };
                let mut search = Search {
                    connection: &snapshot,
                    query,
                    lane: &root.path,
                    root: root.id.0,
                    window: (from_ms, to_ms),
                    days: &mut days,
                };
                if let Some(at_ms) = search.run(&mut page.gaps)? {
                    page.next = Some((root.path, at_ms));
                    return Ok(page);
                }
            }
            Ok(page)
        })
    }
}

struct Search<'a> {
    connection: &'a Connection,
    query: &'a GapQuery,
    lane: &'a str,
    root: i64,
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
        let mut long = Vec::new();
        let root = self.root;
        long_spans(self.connection, self.window, self.query.through_ms, |of, span, _| {
            if of == root {
                long.push(span);
                if long.len() >= 4_096 {
                    long = Spans::of(long.drain(..)).iter().collect();
                }
            }
        })?;
        let long = Spans::of(long);
        let mut at_ms = from_ms;
        let (first, last) = (from_ms.div_euclid(DAY_MS), (to_ms - 1).div_euclid(DAY_MS));
        let mut statement = self.connection.prepare_cached(
            "SELECT day, covered_ms, cells FROM covered_days
             WHERE root = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day",
        )?;
        let mut rows = statement.query(params![self.root, first, last])?;
        while let Some(row) = rows.next()? {
            let day: i64 = row.get(0)?;
            if *self.days == 0 || gaps.len() >= self.query.limit {
                return Ok(Some(at_ms));
            }
            *self.days -= 1;
            let covered = if row.get::<_, i64>(1)? == DAY_MS {
                Spans::of([(day * DAY_MS, (day + 1) * DAY_MS)])
            } else {
                self.of_day(day, &day_of(row.get_ref(2)?.as_blob().unwrap_or_default()))?
            };
            for (start_ms, end_ms) in covered.within(from_ms, to_ms) {
                if self.tell(gaps, &long, at_ms, start_ms) {
                    return Ok(Some(gaps.last().map_or(start_ms, |gap| gap.end_ms)));
                }
                at_ms = at_ms.max(end_ms);
            }
        }
        let is_full = self.tell(gaps, &long, at_ms, to_ms);
        let last_ms = gaps.last().map_or(to_ms, |gap| gap.end_ms);
        Ok((is_full && last_ms < to_ms).then_some(last_ms))
    }

    fn of_day(&self, day: i64, cells: &[Sums]) -> rusqlite::Result<Spans> {
        let mut covered = Vec::new();
        for (hour, cell) in (day * 24..).zip(cells) {
            if i64::from(cell.covered_ms) == HOUR_MS {
                covered.push((hour * HOUR_MS, (hour + 1) * HOUR_MS));
            } else if cell.covered_ms > 0 {
                covered.extend(spans(self.connection, (self.root, hour), *cell)?.iter());
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
                gaps.push(Gap { lane: self.lane.to_owned(), start_ms, end_ms });
            }
        }
        gaps.len() >= self.query.limit
    }
}
