//! The summary against the rows: a part of the index's own check.

use focus_core::coverage::HOUR_MS;
use rusqlite::{Connection, OptionalExtension, params};

use super::cells::{Sums, day_of};
use super::{LONG_SPAN, of_rows};
use crate::overlap::classes;
use crate::stage::PENDING;

/// Days of each root of which every hour is held against its rows; of more, each of an even spread.
const DAYS_MAX: i64 = 50;

/// Values of indexed keys of which two days are held against their rows; of more, an even spread.
const VALUES_MAX: i64 = 250;

/// What is wrong with the summary by root; none where it agrees with the rows.
pub(crate) fn wrong(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let snapshot = connection.unchecked_transaction()?;
    let rows: (i64, i64) = snapshot.query_row(
        &format!(
            "SELECT count(*), ifnull(sum(pending = {PENDING}), 0) FROM recordings
             WHERE deleted = 0 AND span < {LONG_SPAN}"
        ),
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let sums: (i64, i64) = snapshot.query_row(
        "SELECT ifnull(sum(begins), 0), ifnull(sum(pending), 0) FROM covered_days WHERE lane > 0",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if rows != sums {
        return Ok(Some(format!("of covered hours: {sums:?} are counted, {rows:?} are there")));
    }
    let sample = "SELECT lane, day, cells FROM (SELECT lane, day, cells,
           row_number() OVER (PARTITION BY lane ORDER BY day) AS at,
           count(*) OVER (PARTITION BY lane) AS days FROM covered_days WHERE lane > 0)
         WHERE at % max(days / ?1, 1) = 0";
    hours_wrong(&snapshot, sample, DAYS_MAX)
}

/// What is wrong with the summary by the values of indexed keys; none where it agrees with the rows.
pub(crate) fn wrong_of_values(snapshot: &Connection) -> rusqlite::Result<Option<String>> {
    const KEPT: &str = "SELECT v.id FROM metadata_values v JOIN metadata_keys k ON k.id = v.key
         WHERE k.state < 2 AND k.lanes = 1";
    let counted = format!(
        "SELECT v.id FROM ({KEPT}) v WHERE
           (SELECT ifnull(sum(begins), 0) FROM covered_days WHERE lane = -v.id)
             <> (SELECT count(*) FROM metadata_entries INDEXED BY metadata_entries_time
                 WHERE value = v.id AND deleted = 0 AND span < {LONG_SPAN}) LIMIT 1"
    );
    let found: Option<i64> = snapshot.query_row(&counted, [], |row| row.get(0)).optional()?;
    if let Some(value) = found {
        return Ok(Some(format!(
            "covered hours of the value {value} are not those of its entries"
        )));
    }
    // The first day of a value, and the first one after the middle of its time.
    let sample = format!(
        "WITH some(lane) AS (SELECT -id FROM ({KEPT})
           WHERE id % max((SELECT max(id) FROM metadata_values) / ?1, 1) = 0)
         SELECT d.lane, d.day, d.cells FROM some s JOIN covered_days d ON d.lane = s.lane
         WHERE d.day = (SELECT min(day) FROM covered_days WHERE lane = s.lane)
            OR d.day = (SELECT min(day) FROM covered_days WHERE lane = s.lane AND day >=
                 ((SELECT min(day) FROM covered_days WHERE lane = s.lane)
                  + (SELECT max(day) FROM covered_days WHERE lane = s.lane)) / 2)"
    );
    hours_wrong(snapshot, &sample, VALUES_MAX)
}

/// What is wrong with the hours of some days.
fn hours_wrong(
    snapshot: &Connection,
    sample: &str,
    days_max: i64,
) -> rusqlite::Result<Option<String>> {
    let classes = classes(snapshot)?;
    let mut statement = snapshot.prepare(sample)?;
    let mut days = statement.query(params![days_max])?;
    while let Some(row) = days.next()? {
        let (lane, day): (i64, i64) = (row.get(0)?, row.get(1)?);
        let cells = day_of(row.get_ref(2)?.as_blob().unwrap_or_default());
        for (hour, cell) in (day * 24..).zip(cells) {
            let found = of_rows(snapshot, lane, hour, &classes)?;
            let covered = found.spans.map_or(0, |spans| spans.covered_ms());
            let covered_ms = u32::try_from(covered).unwrap_or(0);
            let found = Sums { covered_ms, begins: found.begins, pending: found.pending };
            if found != cell {
                let at = hour * HOUR_MS;
                return Ok(Some(format!("of the hour {at} of lane {lane}: {cell:?}, {found:?}")));
            }
        }
    }
    Ok(None)
}
