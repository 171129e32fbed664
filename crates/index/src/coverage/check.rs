//! The summary against the rows: a part of the index's own check.

use focus_core::coverage::HOUR_MS;
use rusqlite::{Connection, params};

use super::cells::{Sums, day_of};
use super::{LONG_SPAN, of_rows};
use crate::overlap::classes;
use crate::stage::PENDING;

/// Days of each root of which every hour is held against its rows; of more, each of an even spread.
const DAYS_MAX: i64 = 50;

/// What is wrong with the summary; none where it agrees with the rows.
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
        "SELECT ifnull(sum(begins), 0), ifnull(sum(pending), 0) FROM covered_days",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if rows != sums {
        return Ok(Some(format!("of covered hours: {sums:?} are counted, {rows:?} are there")));
    }
    let classes = classes(&snapshot)?;
    let mut statement = snapshot.prepare(
        "SELECT root, day, cells FROM (SELECT root, day, cells,
           row_number() OVER (PARTITION BY root ORDER BY day) AS at,
           count(*) OVER (PARTITION BY root) AS days FROM covered_days)
         WHERE at % max(days / ?1, 1) = 0",
    )?;
    let mut days = statement.query(params![DAYS_MAX])?;
    while let Some(row) = days.next()? {
        let (root, day): (i64, i64) = (row.get(0)?, row.get(1)?);
        let cells = day_of(row.get_ref(2)?.as_blob().unwrap_or_default());
        for (hour, cell) in (day * 24..).zip(cells) {
            let found = of_rows(&snapshot, root, hour, &classes)?;
            let covered = found.spans.map_or(0, |spans| spans.covered_ms());
            let covered_ms = u32::try_from(covered).unwrap_or(0);
            let found = Sums { covered_ms, begins: found.begins, pending: found.pending };
            if found != cell {
                let at = hour * HOUR_MS;
                return Ok(Some(format!("of the hour {at} of root {root}: {cell:?}, {found:?}")));
            }
        }
    }
    Ok(None)
}
