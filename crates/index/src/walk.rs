//! The walk through recordings in the order of a listing, in an index alone.
//!
//! The walk is merged class by class, as `overlap.rs` does: from the time index, or, where a filter is by an indexed
//! key, from the entries of the values that it asks for.

use std::ops::ControlFlow;

use rusqlite::{Connection, Row, params};

use crate::listing::{Cursor, Listing, Order};
use crate::metadata;
use crate::overlap::{classes, earliest};
use crate::scope::Scope;

/// An entry of the index.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) start_ms: i64,
    pub(crate) id: i64,
    pub(crate) is_deleted: bool,
}

impl Entry {
    fn of(row: &Row<'_>) -> rusqlite::Result<Entry> {
        let deleted: i64 = row.get(2)?;
        Ok(Entry { start_ms: row.get(0)?, id: row.get(1)?, is_deleted: deleted != 0 })
    }

    pub(crate) fn cursor(self) -> Cursor {
        Cursor { start_ms: self.start_ms, id: self.id }
    }
}

/// Entries of one span class: of all recordings, or of those with a value.
#[derive(Clone, Copy)]
struct Part {
    value: Option<i64>,
    class: i64,
}

impl Part {
    /// All that a listing has to be looked for in.
    fn of(snapshot: &Connection, listing: &Listing, scope: &Scope) -> rusqlite::Result<Vec<Part>> {
        let values = metadata::of_listing(snapshot, &listing.meta, listing.root, scope)?;
        let Some(values) = values else {
            let all = classes(snapshot)?.into_iter();
            return Ok(all.map(|class| Part { value: None, class }).collect());
        };
        let mut parts = Vec::new();
        for value in values {
            let classes = metadata::classes_of(snapshot, value)?.into_iter();
            parts.extend(classes.map(|class| Part { value: Some(value), class }));
        }
        Ok(parts)
    }

    /// Its entries, in order. Each class has a text of its own, so that its statement is kept prepared beside those of
    /// the others.
    fn statement(self, order: Order) -> String {
        let class = self.class;
        let (beyond, descending) = match order {
            Order::Start => (">", ""),
            Order::StartDescending => ("<", "DESC"),
        };
        let (id, from) = match self.value {
            None => ("id", "recordings INDEXED BY recordings_time WHERE ?6 IS NULL"),
            Some(_) => {
                ("recording", "metadata_entries INDEXED BY metadata_entries_time WHERE value = ?6")
            }
        };
        format!(
            "SELECT start_ms, {id}, deleted FROM {from}
             AND span = {class} AND start_ms BETWEEN ?1 AND ?2 AND end_ms >= ?3
               AND (start_ms {beyond} ?4 OR {id} {beyond} ?5)
             ORDER BY start_ms {descending}, {id} {descending}"
        )
    }

    /// The first and the last start that a recording of this class may have.
    fn starts(self, listing: &Listing) -> (i64, i64) {
        let first = listing.from_ms.map_or(i64::MIN, |from_ms| earliest(self.class, from_ms));
        let last = listing.to_ms.unwrap_or(i64::MAX);
        match listing.order {
            Order::Start => (first.max(listing.begin().start_ms), last),
            Order::StartDescending => (first, last.min(listing.begin().start_ms)),
        }
    }
}

/// Hands entries over in the order of the listing: every recording that it asks for is among them.
pub(crate) fn walk(
    snapshot: &Connection,
    listing: &Listing,
    scope: &Scope,
    sink: &mut dyn FnMut(Entry) -> rusqlite::Result<ControlFlow<()>>,
) -> rusqlite::Result<()> {
    let Cursor { start_ms, id } = listing.begin();
    let mut statements = Vec::new();
    for part in Part::of(snapshot, listing, scope)? {
        statements.push((snapshot.prepare_cached(&part.statement(listing.order))?, part));
    }
    let mut streams = Vec::with_capacity(statements.len());
    for (statement, part) in &mut statements {
        let (first, last) = part.starts(listing);
        let from_ms = listing.from_ms.unwrap_or(i64::MIN);
        streams.push(statement.query(params![first, last, from_ms, start_ms, id, part.value])?);
    }
    let mut heads = Vec::with_capacity(streams.len());
    for stream in &mut streams {
        heads.push(stream.next()?.map(Entry::of).transpose()?);
    }
    loop {
        let mut first: Option<(usize, Entry)> = None;
        for (at, head) in heads.iter().enumerate() {
            let Some(head) = *head else { continue };
            if first.is_none_or(|(_, least)| listing.is_before(head, least)) {
                first = Some((at, head));
            }
        }
        let Some((at, entry)) = first else { return Ok(()) };
        if sink(entry)?.is_break() {
            return Ok(());
        }
        heads[at] = streams[at].next()?.map(Entry::of).transpose()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_walks_an_index_alone_and_sorts_no_more_than_what_begins_together() {
        let mut connection = Connection::open_in_memory().expect("a database");
        crate::schema::migrate(&mut connection).expect("tables");
        for order in [Order::Start, Order::StartDescending] {
            for (value, index) in [
                (None, "COVERING INDEX recordings_time (span=? AND start_ms>?"),
                (
                    Some(1),
                    "COVERING INDEX metadata_entries_time (value=? AND span=? AND start_ms>?",
                ),
            ] {
                let part = Part { value, class: 12 };
                let sql = format!("EXPLAIN QUERY PLAN {}", part.statement(order));
                let mut statement = connection.prepare(&sql).expect("a plan");
                let lines = statement
                    .query_map(params![1, 2, 3, 4, 5, value], |row| row.get::<_, String>(3))
                    .expect("lines")
                    .collect::<rusqlite::Result<Vec<_>>>();
                let plan = lines.expect("lines").join("; ");
                assert!(plan.contains(index), "{plan}");
                assert!(!plan.contains("SCAN"), "{plan}");
                assert!(!plan.contains("TEMP B-TREE") || plan.contains("LAST TERM"), "{plan}");
                assert!(value.is_none() || !plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }
}
