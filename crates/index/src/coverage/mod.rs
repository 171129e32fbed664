//! Covered time by lane and hour, kept with the rows: what a year of recordings covers is answered without
//! reading them.
//!
//! | file | what it does |
//! |---|---|
//! | `mod` | notes what a transaction changes, and settles it before the commit |
//! | `cells` | the hours of a day, as they are stored |
//! | `lanes` | tells which lanes there are, and which rows are of which |
//! | `days` | the days of a lane |
//! | `summary` | answers how much of each window is covered |
//! | `split` | counts in the hours in which a window begins |
//! | `gaps` | answers what is not covered |
//! | `check` | holds the summary against the rows |
//!
//! A recording counts here while it is not deleted. One that may last longer than 37 hours (span class 27 and above) is
//! in no hour: it would be in very many. Answers read those from the time index.

mod cells;
mod check;
mod days;
mod gaps;
mod lanes;
mod split;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use focus_core::coverage::{HOUR_MS, Spans, by_hour};
use focus_crash::Write;
use rusqlite::{Connection, Transaction, params};

use crate::overlap::{classes, earliest};
use crate::stage::PENDING;
use crate::{Index, IndexError};
use cells::{Cell, Days};

pub(crate) use cells::{drop_days, forget_lane};
pub(crate) use check::{wrong, wrong_of_values};
pub use gaps::{Gap, GapPage, GapQuery};
pub use lanes::{LanesBy, NoLanes};
pub use summary::{Bucket, CoverageQuery, Covered, CoveredLane};

/// Span classes from this on are in no hour.
pub(crate) const LONG_SPAN: i64 = 27;

/// Spans of an hour that are stored at most: of more, the rows are read.
const SPANS_MAX: usize = 512;

/// Rows that a fill of the whole summary takes at once.
const FILL_ROWS: usize = 20_000;

/// What the present transaction has changed: rows that came, hours that are to be computed anew, and how many more
/// are pending. The tables are of the writer's connection alone. `ON CONFLICT` stands in place of `OR IGNORE`, which the
/// statement that sets a trigger off would override.
pub(crate) fn watch(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TEMP TABLE covered_more(root INTEGER, start_ms INTEGER, end_ms INTEGER, pending INTEGER);
         CREATE TEMP TABLE covered_anew(root INTEGER, first INTEGER, last INTEGER,
           PRIMARY KEY(root, first, last)) WITHOUT ROWID;
         CREATE TEMP TABLE covered_pending(root INTEGER, hour INTEGER, delta INTEGER,
           PRIMARY KEY(root, hour)) WITHOUT ROWID;
         CREATE TEMP TRIGGER covered_made AFTER INSERT ON main.recordings
         WHEN NEW.deleted = 0 AND NEW.span < {LONG_SPAN} BEGIN
           INSERT INTO covered_more VALUES(NEW.root, NEW.start_ms, NEW.end_ms, NEW.pending = {PENDING});
         END;
         CREATE TEMP TRIGGER covered_removed AFTER DELETE ON main.recordings
         WHEN OLD.deleted = 0 AND OLD.span < {LONG_SPAN} BEGIN
           INSERT INTO covered_anew
             VALUES(OLD.root, OLD.start_ms / {HOUR_MS}, OLD.end_ms / {HOUR_MS}) ON CONFLICT DO NOTHING;
         END;
         CREATE TEMP TRIGGER covered_changed AFTER UPDATE OF root, start_ms, end_ms, span, deleted
         ON main.recordings
         WHEN OLD.root <> NEW.root OR OLD.start_ms <> NEW.start_ms OR OLD.end_ms <> NEW.end_ms
           OR (OLD.deleted = 0) <> (NEW.deleted = 0)
         BEGIN
           INSERT INTO covered_anew
             SELECT OLD.root, OLD.start_ms / {HOUR_MS}, OLD.end_ms / {HOUR_MS}
             WHERE OLD.deleted = 0 AND OLD.span < {LONG_SPAN} ON CONFLICT DO NOTHING;
           INSERT INTO covered_anew
             SELECT NEW.root, NEW.start_ms / {HOUR_MS}, NEW.end_ms / {HOUR_MS}
             WHERE NEW.deleted = 0 AND NEW.span < {LONG_SPAN} ON CONFLICT DO NOTHING;
         END;
         CREATE TEMP TRIGGER covered_acked AFTER UPDATE OF pending ON main.recordings
         WHEN (OLD.pending = {PENDING}) <> (NEW.pending = {PENDING}) AND NEW.deleted = 0
           AND OLD.deleted = 0 AND NEW.span < {LONG_SPAN} AND OLD.root = NEW.root
           AND OLD.start_ms = NEW.start_ms AND OLD.end_ms = NEW.end_ms
         BEGIN
           INSERT INTO covered_pending VALUES(NEW.root, NEW.start_ms / {HOUR_MS},
             (NEW.pending = {PENDING}) - (OLD.pending = {PENDING}))
             ON CONFLICT DO UPDATE SET delta = delta + excluded.delta;
         END;"
    ))
}

/// Brings the summary in step with what this transaction has changed. The last of its steps.
pub(crate) fn settle(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut changes = Changes::default();
    let (has_anew, has_more) = (went(tx, &mut changes)?, came(tx, &mut changes)?);
    let mut acknowledged =
        tx.prepare_cached("SELECT root, hour, delta FROM covered_pending WHERE delta <> 0")?;
    let mut rows = acknowledged.query([])?;
    while let Some(row) = rows.next()? {
        changes.pending.insert((row.get(0)?, row.get(1)?), row.get(2)?);
    }
    changes.carry_out(tx)?;
    if has_more {
        tx.prepare_cached("DELETE FROM covered_more")?.execute([])?;
    }
    if has_anew {
        tx.prepare_cached("DELETE FROM covered_anew")?.execute([])?;
    }
    tx.prepare_cached("DELETE FROM covered_pending")?.execute([])?;
    Ok(())
}

fn went(tx: &Transaction<'_>, changes: &mut Changes) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached("SELECT root, first, last FROM covered_anew")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (root, first, last): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        changes.anew.extend((first..=last).map(|hour| (root, hour)));
    }
    Ok(!changes.anew.is_empty())
}

fn came(tx: &Transaction<'_>, changes: &mut Changes) -> rusqlite::Result<bool> {
    let mut statement =
        tx.prepare_cached("SELECT root, start_ms, end_ms, pending FROM covered_more")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        changes.came(row.get(0)?, (row.get(1)?, row.get(2)?), row.get(3)?);
    }
    Ok(!changes.more.is_empty())
}

/// What changes in lanes. A lane has a number here: that of its root, or the negative of its value's
/// ([`crate::metadata`]).
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// What came, by lane and hour.
    more: BTreeMap<(i64, i64), Hour>,
    /// Hours that are computed anew: something went from them.
    anew: BTreeSet<(i64, i64)>,
    /// So many more are pending, by lane and hour.
    pending: BTreeMap<(i64, i64), i64>,
}

/// What recordings add to an hour.
#[derive(Debug, Default)]
struct Hour {
    spans: Vec<(i64, i64)>,
    begins: u32,
    pending: u32,
}

impl Changes {
    /// A recording that counts came.
    pub(crate) fn came(&mut self, lane: i64, (start_ms, end_ms): (i64, i64), pending: bool) {
        for (at, (hour, span)) in by_hour(start_ms, end_ms).enumerate() {
            let known = self.more.entry((lane, hour)).or_default();
            known.spans.push(span);
            if at == 0 {
                known.begins += 1;
                known.pending += u32::from(pending);
            }
        }
    }

    /// A recording that counted went.
    pub(crate) fn went(&mut self, lane: i64, (start_ms, end_ms): (i64, i64)) {
        self.anew.extend(by_hour(start_ms, end_ms).map(|(hour, _)| (lane, hour)));
    }

    /// Of a recording that stays: so many more are pending.
    pub(crate) fn pending(&mut self, lane: i64, start_ms: i64, delta: i64) {
        *self.pending.entry((lane, start_ms.div_euclid(HOUR_MS))).or_default() += delta;
    }

    /// Lanes and hours that it holds.
    pub(crate) fn len(&self) -> usize {
        self.more.len() + self.anew.len() + self.pending.len()
    }

    /// Brings the summary in step.
    pub(crate) fn carry_out(mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut days = Days::new(tx);
        if !self.anew.is_empty() {
            let classes = classes(tx)?;
            for (lane, hour) in &self.anew {
                let cell = of_rows(tx, *lane, *hour, &classes)?;
                days.put(*lane, *hour, cell)?;
                days.relieve()?;
            }
        }
        self.more.retain(|place, _| !self.anew.contains(place));
        merge(tx, &mut days, self.more)?;
        for ((lane, hour), delta) in self.pending {
            if !self.anew.contains(&(lane, hour)) {
                days.add_pending(lane, hour, delta)?;
                days.relieve()?;
            }
        }
        days.store()
    }
}

/// Adds to the hours what came.
fn merge(
    tx: &Transaction<'_>,
    days: &mut Days<'_, '_>,
    more: BTreeMap<(i64, i64), Hour>,
) -> rusqlite::Result<()> {
    for ((lane, hour), more) in more {
        let mut cell = days.get(lane, hour)?;
        cell.begins += more.begins;
        cell.pending += more.pending;
        cell.spans = match cell.spans.take() {
            Some(spans) => Some(spans.with(more.spans)),
            // Too many to be stored: they are in the rows.
            None => of_rows(tx, lane, hour, &classes(tx)?)?.spans,
        };
        days.put(lane, hour, cell)?;
        days.relieve()?;
    }
    Ok(())
}

/// What the rows say of an hour of a lane.
fn of_rows(
    connection: &Connection,
    lane: i64,
    hour: i64,
    classes: &[i64],
) -> rusqlite::Result<Cell> {
    let begins_ms = hour * HOUR_MS;
    let ends_ms = begins_ms + HOUR_MS;
    let mut statement = connection.prepare_cached(&rows_of(lane))?;
    let (mut spans, mut cell) = (Vec::new(), Cell::default());
    for class in classes.iter().filter(|class| **class < LONG_SPAN) {
        let mut rows = statement.query(params![
            class,
            earliest(*class, begins_ms),
            ends_ms - 1,
            begins_ms,
            lane.abs()
        ])?;
        while let Some(row) = rows.next()? {
            let (start_ms, end_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
            spans.push((start_ms.max(begins_ms), end_ms.min(ends_ms)));
            if start_ms >= begins_ms {
                cell.begins += 1;
                cell.pending += row.get::<_, u32>(2)?;
            }
        }
    }
    cell.spans = Some(Spans::of(spans));
    Ok(cell)
}

/// The rows of one span class that overlap a window and count in a lane: class, first and last start, least end, and
/// the lane's number without its sign.
fn rows_of(lane: i64) -> String {
    if lane < 0 {
        return format!(
            "SELECT start_ms, end_ms, (SELECT pending = {PENDING} FROM recordings WHERE id = e.recording)
             FROM metadata_entries e INDEXED BY metadata_entries_time
             WHERE value = ?5 AND span = ?1 AND start_ms BETWEEN ?2 AND ?3 AND end_ms >= ?4 AND deleted = 0"
        );
    }
    format!(
        "SELECT start_ms, end_ms, pending = {PENDING} FROM recordings
         WHERE span = ?1 AND start_ms BETWEEN ?2 AND ?3 AND end_ms >= ?4 AND deleted = 0 AND root = ?5"
    )
}

/// Computes the whole summary from the rows, where it was not there before.
pub(crate) fn fill(connection: &mut Connection) -> rusqlite::Result<()> {
    let is_there: bool = connection.query_row(
        "SELECT EXISTS(SELECT 1 FROM meta WHERE key = 'coverage')",
        [],
        |row| row.get(0),
    )?;
    if is_there {
        return Ok(());
    }
    let tx = connection.transaction()?;
    fill_anew(&tx)?;
    tx.commit()
}

fn fill_anew(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute_batch(
        "DELETE FROM covered_days WHERE lane > 0; DELETE FROM covered_hours WHERE lane > 0;",
    )?;
    let mut last = 0_i64;
    loop {
        let rows = tx
            .prepare_cached(&format!(
                "SELECT id, root, start_ms, end_ms, pending = {PENDING} FROM recordings
                 WHERE id > ?1 AND deleted = 0 AND span < {LONG_SPAN} ORDER BY id LIMIT ?2"
            ))?
            .query_map(params![last, FILL_ROWS as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?
            .collect::<rusqlite::Result<Vec<(i64, i64, i64, i64, bool)>>>()?;
        let Some(row) = rows.last() else { break };
        last = row.0;
        let mut changes = Changes::default();
        for (_, root, start_ms, end_ms, pending) in rows {
            changes.came(root, (start_ms, end_ms), pending);
        }
        changes.carry_out(tx)?;
    }
    tx.execute("INSERT OR REPLACE INTO meta VALUES('coverage', '1')", [])?;
    Ok(())
}

impl Index {
    /// Computes the summary of covered time by root anew from the rows. Blocks.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn repair_coverage(&self) -> Result<(), IndexError> {
        self.write_blocking(Write::Migrate, fill_anew)
    }
}

#[cfg(test)]
pub(crate) mod tests;
