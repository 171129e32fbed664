//! The hours of a day, as they are stored: 24 cells of three numbers in one row, and the spans of an hour that is
//! covered in part.

use std::collections::BTreeMap;

use focus_core::coverage::{HOUR_MS, Spans};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::SPANS_MAX;

/// Hours of a day.
const HOURS: usize = 24;

/// Days that are held back at most. Tests come to it with few.
const DAYS_MAX: usize = if cfg!(test) { 3 } else { 2_048 };

/// Bytes of a cell.
const BYTES: usize = 12;

/// An hour of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// What is covered, milliseconds since 1970; none where these are too many to be stored.
    pub(super) spans: Option<Spans>,
    /// Recordings that begin in it.
    pub(super) begins: u32,
    /// Those of them that are pending.
    pub(super) pending: u32,
}

impl Default for Cell {
    fn default() -> Cell {
        Cell { spans: Some(Spans::default()), begins: 0, pending: 0 }
    }
}

/// The numbers of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Milliseconds that are covered.
    pub(super) covered_ms: u32,
    /// Recordings that begin in it.
    pub(super) begins: u32,
    /// Those of them that are pending.
    pub(super) pending: u32,
}

/// The cells of a day.
pub(super) type Day = [Sums; HOURS];

/// Reads the cells of a day. What is too short is of a damaged file, and counts as nothing.
pub(super) fn day_of(bytes: &[u8]) -> Day {
    let mut day = Day::default();
    for (cell, bytes) in day.iter_mut().zip(bytes.chunks_exact(BYTES)) {
        let number = |at: usize| {
            bytes
                .get(at..at + 4)
                .and_then(|part| part.try_into().ok())
                .map_or(0, u32::from_le_bytes)
        };
        *cell = Sums { covered_ms: number(0), begins: number(4), pending: number(8) };
    }
    day
}

fn bytes_of(day: &Day) -> Vec<u8> {
    let numbers = |cell: &Sums| [cell.covered_ms, cell.begins, cell.pending];
    day.iter().flat_map(numbers).flat_map(u32::to_le_bytes).collect()
}

/// The spans of an hour that is covered in part, as offsets from its begin.
fn spans_bytes(spans: &Spans, hour: i64) -> Vec<u8> {
    let offset = |at: i64| u32::try_from(at - hour * HOUR_MS).unwrap_or(0).to_le_bytes();
    spans.iter().flat_map(|(start, end)| [offset(start), offset(end)]).flatten().collect()
}

/// The spans of an hour of which `covered_ms` are covered; none where they are too many to be stored.
pub(super) fn spans_of(
    connection: &Connection,
    (lane, hour): (i64, i64),
    covered_ms: u32,
) -> rusqlite::Result<Option<Spans>> {
    let begins_ms = hour * HOUR_MS;
    if covered_ms == 0 {
        return Ok(Some(Spans::default()));
    }
    if i64::from(covered_ms) == HOUR_MS {
        return Ok(Some(Spans::of([(begins_ms, begins_ms + HOUR_MS)])));
    }
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT spans FROM covered_hours WHERE lane = ?1 AND hour = ?2")?
        .query_row(params![lane, hour], |row| row.get(0))
        .optional()?;
    let spans = bytes.map(|bytes| {
        let number = |part: &[u8]| part.try_into().map_or(0, u32::from_le_bytes);
        let spans = bytes.chunks_exact(8).map(|pair| {
            (begins_ms + i64::from(number(&pair[..4])), begins_ms + i64::from(number(&pair[4..])))
        });
        Spans::of(spans)
    });
    Ok(spans)
}

/// Days that a transaction changes.
pub(super) struct Days<'a, 'tx> {
    tx: &'a Transaction<'tx>,
    days: BTreeMap<(i64, i64), Day>,
}

impl<'a, 'tx> Days<'a, 'tx> {
    pub(super) fn new(tx: &'a Transaction<'tx>) -> Days<'a, 'tx> {
        Days { tx, days: BTreeMap::new() }
    }

    fn cell(&mut self, lane: i64, hour: i64) -> rusqlite::Result<&mut Sums> {
        let day = hour.div_euclid(HOURS as i64);
        let cells = match self.days.entry((lane, day)) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let bytes: Option<Vec<u8>> = self
                    .tx
                    .prepare_cached("SELECT cells FROM covered_days WHERE lane = ?1 AND day = ?2")?
                    .query_row(params![lane, day], |row| row.get(0))
                    .optional()?;
                place.insert(bytes.map_or_else(Day::default, |bytes| day_of(&bytes)))
            }
        };
        Ok(&mut cells[usize::try_from(hour.rem_euclid(HOURS as i64)).unwrap_or(0)])
    }

    /// An hour, as it is by now.
    pub(super) fn get(&mut self, lane: i64, hour: i64) -> rusqlite::Result<Cell> {
        let sums = *self.cell(lane, hour)?;
        let spans = spans_of(self.tx, (lane, hour), sums.covered_ms)?;
        Ok(Cell { spans, begins: sums.begins, pending: sums.pending })
    }

    /// Puts an hour. Its spans are known.
    pub(super) fn put(&mut self, lane: i64, hour: i64, cell: Cell) -> rusqlite::Result<()> {
        let spans = cell.spans.unwrap_or_default();
        let covered_ms = u32::try_from(spans.covered_ms()).unwrap_or(0);
        let before = std::mem::replace(
            self.cell(lane, hour)?,
            Sums { covered_ms, begins: cell.begins, pending: cell.pending },
        );
        let is_part = |covered_ms: u32| covered_ms > 0 && i64::from(covered_ms) < HOUR_MS;
        if is_part(covered_ms) && spans.len() <= SPANS_MAX {
            self.tx
                .prepare_cached("INSERT OR REPLACE INTO covered_hours VALUES(?1, ?2, ?3)")?
                .execute(params![lane, hour, spans_bytes(&spans, hour)])?;
        } else if is_part(before.covered_ms) {
            self.tx
                .prepare_cached("DELETE FROM covered_hours WHERE lane = ?1 AND hour = ?2")?
                .execute(params![lane, hour])?;
        }
        Ok(())
    }

    /// So many more recordings that begin in an hour are pending.
    pub(super) fn add_pending(&mut self, lane: i64, hour: i64, delta: i64) -> rusqlite::Result<()> {
        let cell = self.cell(lane, hour)?;
        let now = i64::from(cell.pending).saturating_add(delta);
        cell.pending = u32::try_from(now.max(0)).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Stores the days, where so many are held back. Who goes through lanes and hours in order reads no day twice.
    pub(super) fn relieve(&mut self) -> rusqlite::Result<()> {
        if self.days.len() < DAYS_MAX { Ok(()) } else { self.store() }
    }

    /// Stores the days.
    pub(super) fn store(&mut self) -> rusqlite::Result<()> {
        for ((lane, day), cells) in std::mem::take(&mut self.days) {
            if cells == Day::default() {
                self.tx
                    .prepare_cached("DELETE FROM covered_days WHERE lane = ?1 AND day = ?2")?
                    .execute(params![lane, day])?;
                continue;
            }
            let sum = |number: fn(&Sums) -> u32| {
                cells.iter().map(|cell| i64::from(number(cell))).sum::<i64>()
            };
            self.tx
                .prepare_cached(
                    "INSERT OR REPLACE INTO covered_days VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    lane,
                    day,
                    sum(|cell| cell.covered_ms),
                    sum(|cell| cell.begins),
                    sum(|cell| cell.pending),
                    bytes_of(&cells),
                ])?;
        }
        Ok(())
    }
}

/// Drops what is stored of a lane, all of it.
pub(crate) fn forget_lane(tx: &Transaction<'_>, lane: i64) -> rusqlite::Result<()> {
    let mut left = usize::MAX;
    drop_days(tx, lane, &mut left).map(drop)
}

/// Drops what is stored of days of a lane, at most `left` of them, which become less. True: nothing of it is left.
pub(crate) fn drop_days(
    tx: &Transaction<'_>,
    lane: i64,
    left: &mut usize,
) -> rusqlite::Result<bool> {
    while *left > 0 {
        let day: Option<i64> = tx
            .prepare_cached("SELECT min(day) FROM covered_days WHERE lane = ?1")?
            .query_row([lane], |row| row.get(0))?;
        let Some(day) = day else { return Ok(true) };
        let (first, next) = (day * HOURS as i64, (day + 1) * HOURS as i64);
        tx.prepare_cached(
            "DELETE FROM covered_hours WHERE lane = ?1 AND hour >= ?2 AND hour < ?3",
        )?
        .execute(params![lane, first, next])?;
        tx.prepare_cached("DELETE FROM covered_days WHERE lane = ?1 AND day = ?2")?
            .execute(params![lane, day])?;
        *left -= 1;
    }
    Ok(false)
}
