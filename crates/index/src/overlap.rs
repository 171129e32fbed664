//! Which recordings overlap a window of time, in microseconds at any size.
//!
//! A recording of span class c lasts less than `2^(c+1)` ms, so the ones that reach into a window
//! start within that before it: one short range of the time index per class, all classes read side
//! by side and merged by start.

use std::ops::ControlFlow;

use rusqlite::{Connection, Row, params};

use crate::schema::{LIVE_END_MS, LIVE_SPAN};
use crate::scope::Scope;
use crate::{IndexError, Reader};

impl Reader {
    /// Every recognised, not deleted recording that overlaps `from_ms..=to_ms`, by start, to `sink`;
    /// a live one's end is none. `sink` ends it early by breaking.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn overlapping(
        &self,
        from_ms: i64,
        to_ms: i64,
        sink: &mut dyn FnMut(i64, Option<i64>) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        self.read(|connection| {
            let scope = self.scope(connection)?;
            overlapping(connection, (from_ms, to_ms), &scope, sink)
        })
    }
}

fn overlapping(
    connection: &Connection,
    (from_ms, to_ms): (i64, i64),
    scope: &Scope,
    sink: &mut dyn FnMut(i64, Option<i64>) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    // One snapshot for all classes.
    let snapshot = connection.unchecked_transaction()?;
    let mut statements = Vec::new();
    for class in classes(&snapshot)? {
        let earliest = earliest(class, from_ms);
        // A text for each class: its statement is kept prepared beside those of the others.
        let statement = snapshot.prepare_cached(&of_class(class, scope))?;
        statements.push((statement, earliest));
    }
    let mut streams = Vec::with_capacity(statements.len());
    for (statement, earliest) in &mut statements {
        streams.push(statement.query(params![*earliest, to_ms, from_ms])?);
    }
    let mut heads = Vec::with_capacity(streams.len());
    for stream in &mut streams {
        heads.push(pair(stream.next()?)?);
    }
    loop {
        let first =
            heads.iter().enumerate().filter_map(|(at, head)| head.map(|pair| (pair, at))).min();
        let Some(((start_ms, end_ms), at)) = first else { return Ok(()) };
        if sink(start_ms, (end_ms != LIVE_END_MS).then_some(end_ms)).is_break() {
            return Ok(());
        }
        heads[at] = pair(streams[at].next()?)?;
    }
}

/// The earliest start of a recording of this class that reaches to `from_ms`.
pub(crate) fn earliest(class: i64, from_ms: i64) -> i64 {
    let longest = if class >= 62 { i64::MAX } else { 1 << (class + 1) };
    if class == LIVE_SPAN { i64::MIN } else { from_ms.saturating_sub(longest) }
}

/// The recordings of one span class that overlap a window, by start.
fn of_class(class: i64, scope: &Scope) -> String {
    let of_roots = scope.and("root");
    format!(
        "SELECT start_ms, end_ms FROM recordings
         WHERE span = {class} AND start_ms BETWEEN ?1 AND ?2 AND end_ms >= ?3 AND deleted = 0{of_roots}
         ORDER BY start_ms, end_ms"
    )
}

/// The span classes that occur, each found by one step in the time index.
pub(crate) fn classes(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut statement =
        connection.prepare_cached("SELECT min(span) FROM recordings WHERE span > ?1")?;
    let mut classes = Vec::new();
    let mut last = -1;
    while let Some(class) = statement.query_row([last], |row| row.get::<_, Option<i64>>(0))? {
        classes.push(class);
        last = class;
    }
    Ok(classes)
}

fn pair(row: Option<&Row<'_>>) -> rusqlite::Result<Option<(i64, i64)>> {
    row.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite carries out the query of one class.
    fn plan(scope: &Scope) -> String {
        let mut connection = Connection::open_in_memory().expect("a database");
        crate::schema::migrate(&mut connection).expect("tables");
        let sql = format!("EXPLAIN QUERY PLAN {}", of_class(12, scope));
        let mut statement = connection.prepare(&sql).expect("a plan");
        let lines = statement
            .query_map(params![1, 2, 3], |row| row.get::<_, String>(3))
            .expect("lines")
            .collect::<rusqlite::Result<Vec<_>>>();
        lines.expect("lines").join("; ")
    }

    #[test]
    fn a_window_is_read_from_the_time_index_alone_where_every_root_is_configured() {
        let plan = plan(&Scope::All);
        assert!(plan.contains("COVERING INDEX recordings_time (span=? AND start_ms>?"), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }

    #[test]
    fn a_window_beside_a_removed_root_is_still_a_short_range_of_the_time_index() {
        let plan = plan(&Scope::Only(vec![1, 3]));
        assert!(plan.contains("INDEX recordings_time (span=? AND start_ms>?"), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
