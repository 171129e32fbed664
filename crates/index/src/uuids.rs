//! Which row the recording of a uuid is: the tables `uuids` and `uuids_new`.
//!
//! Uuids come in no order. One table of all would have a page of its own for almost every row that comes, to be written
//! with every transaction and again with every checkpoint. New ones are therefore gathered in `uuids_new`, which is
//! small, and go to `uuids` from there in slices of neighbours, which share its pages. A uuid is in one of both, put
//! there by the triggers of `recordings`.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::rows::{signed, unsigned};

/// New uuids are at most this part of all, so that a slice of them shares the pages of the others at any size.
const PART: u64 = 16;

/// New uuids at least: where there are few of all, nothing is gained by moving them.
const NEW_MIN: u64 = 4;

/// New uuids at most: their table is to stay in the writer's cache, about 6 MB.
const NEW_MAX: u64 = 131_072;

/// New uuids that go to the others at once, at most.
const SLICE_MAX: u64 = 8_192;

/// The condition that a row of `recordings` is the one of the uuid that this parameter holds.
macro_rules! of_uuid {
    ($id:literal, $uuid:literal) => {
        concat!(
            $id,
            " = ifnull((SELECT id FROM uuids_new WHERE uuid = ",
            $uuid,
            "), (SELECT id FROM uuids WHERE uuid = ",
            $uuid,
            "))"
        )
    };
}
pub(crate) use of_uuid;

/// A query of recordings `r` by uuid, from `u`: `columns` where `condition` holds, in order. The database merges both
/// tables as it goes, and reads no more than is taken.
pub(crate) fn in_order(columns: &str, joins: &str, condition: &str) -> String {
    let of = |table: &str| {
        // A cross join keeps the order of the tables: uuids lead.
        format!(
            "SELECT {columns}, u.uuid AS by_uuid FROM {table} u CROSS JOIN recordings r ON r.id = u.id {joins}
             WHERE {condition}"
        )
    };
    format!("{} UNION ALL {} ORDER BY by_uuid", of("uuids"), of("uuids_new"))
}

/// Moves new uuids to the others, a slice with a transaction where they are many. What it remembers only says where to
/// look: a transaction that is undone does no harm to it.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    /// The last uuid of the last slice: the next one follows it, and after the last comes the first again. The longer
    /// ago a part of the table was visited, the more new ones have gathered for it.
    after: String,
    /// The highest row that there was when new ones were counted last, and how many more may come until they are
    /// counted again.
    counted: Option<(i64, u64)>,
}

impl Merge {
    /// Moves a slice if there are many new ones. The last step of a transaction.
    pub(crate) fn settle(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let last: i64 = tx
            .prepare_cached("SELECT ifnull(max(id), 0) FROM recordings")?
            .query_row([], |row| row.get(0))?;
        if let Some((at, more)) = self.counted
            && last.saturating_sub(at).unsigned_abs() < more
        {
            return Ok(());
        }
        let (all, new): (u64, u64) = tx
            .prepare_cached(
                "SELECT (SELECT ifnull(sum(recordings), 0) FROM roots), (SELECT count(*) FROM uuids_new)",
            )?
            .query_row([], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?;
        let allowed = (all / PART).clamp(NEW_MIN, NEW_MAX);
        let slice = allowed / PART + 1;
        self.counted = Some((last, slice));
        if new > allowed {
            // A large transaction may have brought more than a slice.
            self.move_slice(tx, slice.max(new - allowed).min(SLICE_MAX))?;
        }
        Ok(())
    }

    fn move_slice(&mut self, tx: &Transaction<'_>, rows: u64) -> rusqlite::Result<()> {
        let last: Option<String> = tx
            .prepare_cached(
                "SELECT uuid FROM uuids_new WHERE uuid > ?1 ORDER BY uuid LIMIT 1 OFFSET ?2",
            )?
            .query_row(params![self.after, signed(rows.saturating_sub(1))], |row| row.get(0))
            .optional()?;
        let upper = if last.is_some() { "AND uuid <= ?2" } else { "AND ?2 IS NULL" };
        let range = format!("FROM uuids_new WHERE uuid > ?1 {upper}");
        tx.prepare_cached(&format!("INSERT INTO uuids SELECT uuid, id {range} ORDER BY uuid"))?
            .execute(params![self.after, last])?;
        tx.prepare_cached(&format!("DELETE {range}"))?.execute(params![self.after, last])?;
        self.after = last.unwrap_or_default();
        Ok(())
    }
}

/// What is wrong with the tables: uuids that lead to no row or to another one, and rows without.
pub(crate) const WRONG: &str = "
  SELECT (SELECT count(*) FROM (SELECT * FROM uuids UNION ALL SELECT * FROM uuids_new) u
            LEFT JOIN recordings r ON r.id = u.id WHERE r.uuid IS NOT u.uuid)
    + abs((SELECT count(*) FROM recordings) - (SELECT count(*) FROM uuids) - (SELECT count(*) FROM uuids_new))";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rusqlite::Connection;

    use super::*;

    /// The tables, with one root.
    fn tables() -> Connection {
        let mut connection = Connection::open_in_memory().expect("a database");
        crate::schema::migrate(&mut connection).expect("tables");
        connection
            .execute("INSERT INTO roots(marker, path) VALUES('m', '/r')", [])
            .expect("a root");
        connection
    }

    fn add(connection: &Connection, uuid: &str) -> rusqlite::Result<usize> {
        connection.execute(
            "INSERT INTO recordings(root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size,
               fingerprint, metadata, generation, pending)
             VALUES(1, ?1, 0, 0, 0, 0, 0, '', '', 0, '', '{}', 1, 0)",
            [uuid],
        )
    }

    fn settle(merge: &mut Merge, connection: &mut Connection) {
        let tx = connection.transaction().expect("a transaction");
        merge.settle(&tx).expect("settled");
        tx.commit().expect("committed");
    }

    fn number(connection: &Connection, query: &str) -> i64 {
        connection.query_row(query, [], |row| row.get(0)).expect("a number")
    }

    #[test]
    fn every_uuid_leads_to_its_row_while_they_come_go_and_move() {
        let mut connection = tables();
        let (mut merge, mut random) = (Merge::default(), fastrand::Rng::with_seed(7));
        let mut model = BTreeMap::new();
        for at in 0..4_000 {
            let uuid = format!("{:08x}", random.u32(..));
            add(&connection, &uuid).expect("a new one");
            model.insert(uuid, connection.last_insert_rowid());
            if at % 5 == 0 {
                let nth = random.usize(..model.len());
                let gone = model.keys().nth(nth).cloned().expect("one");
                connection
                    .execute("DELETE FROM recordings WHERE uuid = ?1", [&gone])
                    .expect("gone");
                model.remove(&gone);
            }
            settle(&mut merge, &mut connection);
        }
        assert_eq!(number(&connection, WRONG), 0);
        let new = number(&connection, "SELECT count(*) FROM uuids_new");
        assert!((1..=300).contains(&new), "{new} of {} are new", model.len());
        let sql = format!("SELECT id FROM recordings WHERE {}", of_uuid!("id", "?1"));
        for (uuid, id) in &model {
            let found: i64 = connection.query_row(&sql, [uuid], |row| row.get(0)).expect("its row");
            assert_eq!(found, *id);
        }
        let sql = in_order("r.id", "", "u.uuid > ?1 AND r.root = 1");
        let mut statement = connection.prepare(&sql).expect("a query");
        let listed: Vec<i64> = statement
            .query_map([""], |row| row.get(0))
            .expect("rows")
            .collect::<Result<_, _>>()
            .expect("rows");
        assert_eq!(listed, model.values().copied().collect::<Vec<_>>());
    }

    #[test]
    fn a_uuid_comes_in_once_whichever_table_it_is_in() {
        let mut connection = tables();
        let mut merge = Merge::default();
        for at in 0..40 {
            add(&connection, &format!("u{at:02}")).expect("a new one");
            settle(&mut merge, &mut connection);
        }
        assert!(number(&connection, "SELECT count(*) FROM uuids") > 30);
        for at in 0..40 {
            let twice = add(&connection, &format!("u{at:02}")).expect_err("it is there");
            let code = twice.sqlite_error_code();
            assert_eq!(code, Some(rusqlite::ErrorCode::ConstraintViolation), "{twice}");
        }
        assert_eq!(number(&connection, "SELECT count(*) FROM recordings"), 40);
        assert_eq!(number(&connection, WRONG), 0);
    }

    #[test]
    fn recordings_in_order_are_read_without_sorting() {
        let connection = tables();
        let sql = format!(
            "EXPLAIN QUERY PLAN {} LIMIT 1 OFFSET 9",
            in_order("r.path", "", "u.uuid > 'a' AND r.root = 1")
        );
        let mut statement = connection.prepare(&sql).expect("a query");
        let steps: Vec<String> = statement
            .query_map([], |row| row.get("detail"))
            .expect("steps")
            .collect::<Result<_, _>>()
            .expect("steps");
        assert!(steps.iter().any(|step| step.starts_with("MERGE (UNION ALL)")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    }
}
