//! The days of a lane, as the summary has them; where it has the lane under several numbers, as one.

use focus_core::coverage::{DAY_MS, HOUR_MS, Spans};
use rusqlite::{Connection, Row, params};

use super::cells::{Day, Sums, day_of, spans_of};
use super::of_rows;
use crate::overlap::classes;

/// A day of a lane.
pub(super) struct LaneDay {
    pub(super) day: i64,
    /// What the summary has of it under each number.
    parts: Vec<Part>,
}

struct Part {
    number: i64,
    day: i64,
    covered_ms: i64,
    begins: i64,
    pending: i64,
    cells: Vec<u8>,
}

/// An hour of a lane.
pub(super) struct LaneHour {
    /// A number under which the summary has it, and what it has.
    one: (i64, Sums),
    /// Other ones: mostly there are none, and nothing is allocated.
    more: Vec<(i64, Sums)>,
}

impl Part {
    fn read(row: Option<&Row<'_>>, number: i64) -> rusqlite::Result<Option<Part>> {
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Part {
            number,
            day: row.get(0)?,
            covered_ms: row.get(1)?,
            begins: row.get(2)?,
            pending: row.get(3)?,
            cells: row.get_ref(4)?.as_blob().unwrap_or_default().to_vec(),
        }))
    }
}

/// Hands over the days of a lane from one to another, both included, in ascending order, until `each` says that it is
/// enough.
pub(super) fn each_day(
    connection: &Connection,
    numbers: &[i64],
    (first, last): (i64, i64),
    mut each: impl FnMut(LaneDay) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let mut statements = Vec::with_capacity(numbers.len());
    for _ in numbers {
        statements.push(connection.prepare_cached(
            "SELECT day, covered_ms, begins, pending, cells FROM covered_days
             WHERE lane = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day",
        )?);
    }
    let mut streams = Vec::with_capacity(numbers.len());
    for (statement, number) in statements.iter_mut().zip(numbers) {
        streams.push(statement.query(params![number, first, last])?);
    }
    let mut heads = Vec::with_capacity(numbers.len());
    for (stream, number) in streams.iter_mut().zip(numbers) {
        heads.push(Part::read(stream.next()?, *number)?);
    }
    while let Some(day) = heads.iter().flatten().map(|part| part.day).min() {
        let mut parts = Vec::with_capacity(1);
        for ((head, stream), number) in heads.iter_mut().zip(&mut streams).zip(numbers) {
            if head.as_ref().is_some_and(|part| part.day == day) {
                parts.extend(std::mem::replace(head, Part::read(stream.next()?, *number)?));
            }
        }
        if each(LaneDay { day, parts })? {
            return Ok(());
        }
    }
    Ok(())
}

impl LaneDay {
    /// When it begins and ends.
    pub(super) fn window(&self) -> (i64, i64) {
        (self.day * DAY_MS, (self.day + 1) * DAY_MS)
    }

    /// How much of it is covered; none where that is to be told by its hours.
    pub(super) fn covered_ms(&self) -> Option<i64> {
        match self.parts.as_slice() {
            [part] => Some(part.covered_ms),
            parts => parts.iter().map(|part| part.covered_ms).find(|covered| *covered == DAY_MS),
        }
    }

    /// Recordings that begin in it, and those of them that are pending.
    pub(super) fn counts(&self) -> (u64, u64) {
        let sum = |number: fn(&Part) -> i64| {
            u64::try_from(self.parts.iter().map(number).sum::<i64>()).unwrap_or(0)
        };
        (sum(|part| part.begins), sum(|part| part.pending))
    }

    /// Its hours in which there is something.
    pub(super) fn hours(&self) -> impl Iterator<Item = (i64, LaneHour)> + '_ {
        let days: Vec<(i64, Day)> =
            self.parts.iter().map(|part| (part.number, day_of(&part.cells))).collect();
        (0..24).filter_map(move |at| {
            let of_hour = days.iter().map(|(number, cells)| (*number, cells[at]));
            let mut parts = of_hour.filter(|(_, cell)| *cell != Sums::default());
            let one = parts.next()?;
            Some((self.day * 24 + at as i64, LaneHour { one, more: parts.collect() }))
        })
    }
}

impl LaneHour {
    fn parts(&self) -> impl Iterator<Item = &(i64, Sums)> {
        std::iter::once(&self.one).chain(&self.more)
    }

    /// Recordings that begin in it, and those of them that are pending.
    pub(super) fn counts(&self) -> (u64, u64) {
        let cells = || self.parts().map(|(_, cell)| cell);
        (
            cells().map(|cell| u64::from(cell.begins)).sum(),
            cells().map(|cell| u64::from(cell.pending)).sum(),
        )
    }

    /// So much of it is covered, or more: what its numbers say without its spans.
    pub(super) fn covered_at_least_ms(&self) -> i64 {
        self.parts().map(|(_, cell)| i64::from(cell.covered_ms)).max().unwrap_or(0)
    }

    /// How much of it is covered.
    pub(super) fn covered_ms(&self, connection: &Connection, hour: i64) -> rusqlite::Result<i64> {
        let covered = || self.parts().map(|(_, cell)| i64::from(cell.covered_ms));
        let most = self.covered_at_least_ms();
        if most == HOUR_MS || covered().filter(|covered| *covered > 0).count() < 2 {
            return Ok(most);
        }
        Ok(self.spans(connection, hour)?.covered_ms())
    }

    /// What of it is covered; from its rows where the spans are too many to be stored.
    pub(super) fn spans(&self, connection: &Connection, hour: i64) -> rusqlite::Result<Spans> {
        let mut all = Spans::default();
        for (number, cell) in self.parts() {
            let spans = match spans_of(connection, (*number, hour), cell.covered_ms)? {
                Some(spans) => spans,
                None => {
                    let cell = of_rows(connection, *number, hour, &classes(connection)?)?;
                    cell.spans.unwrap_or_default()
                }
            };
            all = if all.is_empty() { spans } else { all.with(spans.iter()) };
        }
        Ok(all)
    }
}
