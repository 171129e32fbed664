//! Which lanes there are, and which rows are of which lane.

use std::collections::BTreeMap;

use focus_core::meta_filter::MetaKey;
use rusqlite::{Connection, Row, params};

use super::LONG_SPAN;
use crate::metadata::{OfKey, VALUES_MAX, of_key};
use crate::overlap::{classes, earliest};
use crate::schema::LIVE_END_MS;
use crate::stage::PENDING;
use crate::{IndexedRoot, Reader};

/// What lanes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LanesBy {
    /// The configured roots.
    #[default]
    Root,
    /// The values of a key of the metadata. What has no value at it, or one of more than 256 bytes, is in no lane.
    Key(MetaKey),
}

/// Why there are no lanes by a key. The words say what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLanes {
    /// The key is not indexed.
    #[error("it is no indexed key: put it into the setting `indexed_metadata`")]
    NotIndexed,
    /// It is not wholly indexed yet.
    #[error("it is being indexed: the status says how far that is")]
    Indexing,
    /// It has too many values.
    #[error("it has over {VALUES_MAX} values: lanes are by a key with fewer")]
    TooManyValues,
    /// There are lanes, and none has the name that is asked for.
    #[error("there is no such lane: coverage lists them")]
    NoSuchLane,
}

/// A lane.
pub(super) struct Lane {
    pub(super) name: String,
    /// The marker's id of a lane that is a root.
    pub(super) root: Option<String>,
    /// The numbers under which the summary has it: one, or that of its value in each root.
    pub(super) numbers: Vec<i64>,
}

impl Lane {
    fn of_root(root: IndexedRoot) -> Lane {
        Lane { name: root.path, root: Some(root.marker), numbers: vec![root.id.0] }
    }

    fn of_value((name, values): (String, Vec<i64>)) -> Lane {
        Lane { name, root: None, numbers: values.into_iter().map(|value| -value).collect() }
    }

    /// It is called so, or its root has this id.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.root.as_deref() == Some(name)
    }
}

impl Reader {
    /// The lanes that answers are about, by name.
    pub(super) fn lanes(
        &self,
        connection: &Connection,
        by: &LanesBy,
    ) -> rusqlite::Result<Result<Vec<Lane>, NoLanes>> {
        let key = match by {
            LanesBy::Root => {
                let mut roots = self.indexed(connection)?;
                roots.retain(|root| root.is_configured);
                roots.sort_by(|a, b| a.path.cmp(&b.path));
                return Ok(Ok(roots.into_iter().map(Lane::of_root).collect()));
            }
            LanesBy::Key(key) => key,
        };
        Ok(match of_key(connection, key, &self.scope(connection)?)? {
            OfKey::Unknown => Err(NoLanes::NotIndexed),
            OfKey::Indexing => Err(NoLanes::Indexing),
            OfKey::TooMany => Err(NoLanes::TooManyValues),
            OfKey::Values(values) => Ok(values.into_iter().map(Lane::of_value).collect()),
        })
    }
}

/// Lanes by the numbers under which the summary has them: which of a list each is in.
pub(super) fn by_number(lanes: &[Lane]) -> BTreeMap<i64, usize> {
    let numbers = |(at, lane): (usize, &Lane)| {
        lane.numbers.iter().map(move |number| (*number, at)).collect::<Vec<_>>()
    };
    lanes.iter().enumerate().flat_map(numbers).collect()
}

/// The recordings of one span class that overlap a window, of all lanes: the number of the lane, start, end, and another
/// column. Class, first and last start, least end; by a key, its name.
fn in_window(by: &LanesBy, column: &str) -> String {
    let (lane, of_key) = match by {
        LanesBy::Root => ("r.root", ""),
        LanesBy::Key(_) => (
            "-e.value",
            "CROSS JOIN metadata_entries e
               ON e.recording = r.id AND e.key = (SELECT id FROM metadata_keys WHERE key = ?5)",
        ),
    };
    format!(
        "SELECT {lane}, r.start_ms, r.end_ms, {column}
         FROM recordings r INDEXED BY recordings_time {of_key}
         WHERE r.span = ?1 AND r.start_ms BETWEEN ?2 AND ?3 AND r.end_ms >= ?4 AND r.deleted = 0{}",
        match by {
            LanesBy::Root => " AND ?5 IS NULL",
            LanesBy::Key(_) => "",
        }
    )
}

/// The recordings of some span classes that overlap a window, each with the number of its lane, its span and whether it is
/// pending, which is in its row alone.
pub(super) fn each_row(
    connection: &Connection,
    by: &LanesBy,
    window: (i64, i64),
    classes: &[i64],
    mut each: impl FnMut(i64, (i64, i64), bool),
) -> rusqlite::Result<()> {
    let statement = in_window(by, &format!("r.pending = {PENDING}"));
    each_with(connection, by, window, classes, &statement, |lane, span, row| {
        each(lane, span, row.get(3)?);
        Ok(())
    })
}

/// The same with the number of each row, which the time index has.
pub(super) fn each_id(
    connection: &Connection,
    by: &LanesBy,
    window: (i64, i64),
    classes: &[i64],
    mut each: impl FnMut(i64, (i64, i64), i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let statement = in_window(by, "r.id");
    each_with(connection, by, window, classes, &statement, |lane, span, row| {
        each(lane, span, row.get(3)?)
    })
}

/// The recordings of some span classes with one value that overlap a window, each with its span and the number of its
/// row. The value has the number of its lane.
pub(super) fn each_entry(
    connection: &Connection,
    number: i64,
    (from_ms, to_ms): (i64, i64),
    classes: &[i64],
    mut each: impl FnMut((i64, i64), i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT start_ms, end_ms, recording
         FROM metadata_entries INDEXED BY metadata_entries_time
         WHERE value = ?5 AND span = ?1 AND start_ms BETWEEN ?2 AND ?3 AND end_ms >= ?4 AND deleted = 0",
    )?;
    for class in classes {
        let last_ms = to_ms.saturating_sub(1);
        let first_ms = earliest(*class, from_ms);
        let mut rows = statement.query(params![class, first_ms, last_ms, from_ms, -number])?;
        while let Some(row) = rows.next()? {
            each((row.get(0)?, row.get(1)?), row.get(2)?)?;
        }
    }
    Ok(())
}

fn each_with(
    connection: &Connection,
    by: &LanesBy,
    (from_ms, to_ms): (i64, i64),
    classes: &[i64],
    statement: &str,
    mut each: impl FnMut(i64, (i64, i64), &Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let key = match by {
        LanesBy::Root => None,
        LanesBy::Key(key) => Some(key.as_str()),
    };
    let mut statement = connection.prepare_cached(statement)?;
    for class in classes {
        let last_ms = to_ms.saturating_sub(1);
        let mut rows =
            statement.query(params![class, earliest(*class, from_ms), last_ms, from_ms, key])?;
        while let Some(row) = rows.next()? {
            each(row.get(0)?, (row.get(1)?, row.get(2)?), row)?;
        }
    }
    Ok(())
}

/// The spans of live and long recordings in a window, each with the number of its lane, whether it is live, and whether it
/// is pending; a live one ends where the index knows no more.
pub(super) fn each_long(
    connection: &Connection,
    by: &LanesBy,
    window: (i64, i64),
    through_ms: Option<i64>,
    mut each: impl FnMut(i64, (i64, i64), bool, bool),
) -> rusqlite::Result<()> {
    let long: Vec<i64> =
        classes(connection)?.into_iter().filter(|class| *class >= LONG_SPAN).collect();
    each_row(connection, by, window, &long, |lane, (start_ms, end_ms), pending| {
        let is_live = end_ms == LIVE_END_MS;
        each(lane, (start_ms, end_of(end_ms, start_ms, through_ms)), is_live, pending);
    })
}

/// Where a recording ends, as far as the index knows.
fn end_of(end_ms: i64, start_ms: i64, through_ms: Option<i64>) -> i64 {
    if end_ms == LIVE_END_MS { through_ms.unwrap_or(start_ms).max(start_ms) } else { end_ms }
}

/// The same of one lane.
pub(super) fn long_of(
    connection: &Connection,
    lane: &Lane,
    (from_ms, to_ms): (i64, i64),
    through_ms: Option<i64>,
    mut each: impl FnMut((i64, i64)),
) -> rusqlite::Result<()> {
    for class in classes(connection)?.into_iter().filter(|class| *class >= LONG_SPAN) {
        for number in &lane.numbers {
            let mut statement = connection.prepare_cached(&super::rows_of(*number))?;
            let first_ms = earliest(class, from_ms);
            let last_ms = to_ms.saturating_sub(1);
            let mut rows =
                statement.query(params![class, first_ms, last_ms, from_ms, number.abs()])?;
            while let Some(row) = rows.next()? {
                let (start_ms, end_ms) = (row.get(0)?, row.get(1)?);
                each((start_ms, end_of(end_ms, start_ms, through_ms)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_recordings_begin_and_end_is_read_from_the_time_index_alone() {
        let mut connection = Connection::open_in_memory().expect("a database");
        crate::schema::migrate(&mut connection).expect("tables");
        let sql = format!("EXPLAIN QUERY PLAN {}", in_window(&LanesBy::Root, "r.id"));
        let plan: String = connection
            .query_row(&sql, params![1, 2, 3, 4, None::<String>], |row| row.get(3))
            .expect("a plan");
        assert!(plan.contains("COVERING INDEX recordings_time (span=? AND start_ms>?"), "{plan}");
    }
}
