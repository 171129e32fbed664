//! Listings of recordings by start, in pages.
//!
//! A page is merged from the time index, class by class, as `overlap.rs` does: no page sorts or reads more
//! than what lies in its window. The order is start and row id, which no change of a recording's state
//! alters, so pages stay whole while recordings land.

use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, Row, params};

use crate::overlap::{classes, earliest};
use crate::rows::{signed, unsigned};
use crate::schema::LIVE_END_MS;
use crate::scope::Scope;
use crate::stage::DONE;
use crate::{IndexError, Reader};

/// What further recordings are counted to, at most: a count must not read ten million rows.
pub const MORE_MAX: u64 = 100_000;

/// In which order recordings are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// By start, the earliest first.
    #[default]
    Start,
    /// By start, the latest first.
    StartDescending,
}

/// A place in a listing: the page after it begins with the next recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    start_ms: i64,
    id: i64,
}

/// A text that is no cursor of this listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this cursor belongs to another query: give it with the same filters and order, or begin without it"
)]
pub struct WrongCursor;

/// What a listing asks for. All conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only those that end at this time or later, or are live, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Only those that start at this time or before.
    pub to_ms: Option<i64>,
    /// Only those whose uuid or path contains this text.
    pub text: Option<String>,
    /// Only those the catalog has not acknowledged.
    pub pending_only: bool,
    /// In which order.
    pub order: Order,
    /// Continue after this one ([`Listed::cursor`]).
    pub after: Option<Cursor>,
    /// At most so many rows.
    pub limit: usize,
}

/// A recognised recording, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Where a listing goes on after this one.
    pub cursor: Cursor,
    /// Its uuid.
    pub uuid: String,
    /// Milliseconds since 1970.
    pub start_ms: i64,
    /// Milliseconds since 1970; none while live.
    pub end_ms: Option<i64>,
    /// Deleted: its sidecar says so, or its files are gone for good.
    pub deleted: bool,
    /// The root's marker id.
    pub root: String,
    /// Path of the data file, relative to the root.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Not yet acknowledged by the catalog.
    pub pending: bool,
    /// Its files are gone.
    pub vanished: bool,
}

impl Listing {
    /// A cursor as text. It belongs to this listing's filters and order alone.
    pub fn text_of(&self, cursor: Cursor) -> String {
        let Cursor { start_ms, id } = cursor;
        format!("{start_ms:x}-{id:x}-{:08x}", self.seal(cursor))
    }

    /// The cursor that a text stands for.
    ///
    /// # Errors
    /// The text is no cursor, or one of another listing.
    pub fn cursor_of(&self, text: &str) -> Result<Cursor, WrongCursor> {
        let mut parts = text.splitn(3, '-');
        let mut part = || u64::from_str_radix(parts.next()?, 16).ok();
        let read = || Some((part()?.cast_signed(), part()?.cast_signed(), part()?));
        let (start_ms, id, seal) = { read }().ok_or(WrongCursor)?;
        let cursor = Cursor { start_ms, id };
        if u64::from(self.seal(cursor)) == seal { Ok(cursor) } else { Err(WrongCursor) }
    }

    /// What ties a cursor to the filters and the order.
    fn seal(&self, cursor: Cursor) -> u32 {
        let mut sum = DefaultHasher::new();
        let filters = (self.from_ms, self.to_ms, &self.text, self.pending_only, self.order);
        (filters, cursor.start_ms, cursor.id).hash(&mut sum);
        (sum.finish() >> 32) as u32
    }

    /// The last place before the first recording.
    fn begin(&self) -> Cursor {
        self.after.unwrap_or(match self.order {
            Order::Start => Cursor { start_ms: i64::MIN, id: i64::MIN },
            Order::StartDescending => Cursor { start_ms: i64::MAX, id: i64::MAX },
        })
    }

    /// The first and the last start that a recording of this class may have.
    fn starts(&self, class: i64) -> (i64, i64) {
        let first = self.from_ms.map_or(i64::MIN, |from_ms| earliest(class, from_ms));
        let last = self.to_ms.unwrap_or(i64::MAX);
        match self.order {
            Order::Start => (first.max(self.begin().start_ms), last),
            Order::StartDescending => (first, last.min(self.begin().start_ms)),
        }
    }

    /// The rows of one span class: `columns` of at most ?9 of them, in order.
    fn statement(&self, columns: &str, scope: &Scope) -> String {
        let of_roots = scope.and("r.root");
        let (beyond, descending) = match self.order {
            Order::Start => (">", ""),
            Order::StartDescending => ("<", "DESC"),
        };
        format!(
            "SELECT {columns} FROM recordings r INDEXED BY recordings_time
             WHERE r.span = ?1 AND r.start_ms BETWEEN ?2 AND ?3 AND r.end_ms >= ?4
               AND (r.start_ms {beyond} ?5 OR r.id {beyond} ?6)
               AND (?7 IS NULL OR r.uuid LIKE ?7 ESCAPE '\\' OR r.path LIKE ?7 ESCAPE '\\')
               AND (?8 = 0 OR r.pending <> {DONE}){of_roots}
             ORDER BY r.start_ms {descending}, r.id {descending} LIMIT ?9"
        )
    }

    /// Whether `a` comes before `b`.
    fn is_before(&self, a: &Listed, b: &Listed) -> bool {
        let (a, b) = ((a.start_ms, a.cursor.id), (b.start_ms, b.cursor.id));
        match self.order {
            Order::Start => a < b,
            Order::StartDescending => a > b,
        }
    }
}

impl Reader {
    /// A page of recordings.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn recordings(&self, listing: &Listing) -> Result<Vec<Listed>, IndexError> {
        self.read(|connection| page(connection, listing, &self.scope(connection)?))
    }

    /// How many recordings come after the cursor `after`, counted up to 100,000.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn recordings_after(&self, listing: &Listing, after: Cursor) -> Result<u64, IndexError> {
        let rest = Listing { after: Some(after), ..listing.clone() };
        self.read(|connection| count(connection, &rest, &self.scope(connection)?))
    }
}

fn page(
    connection: &Connection,
    listing: &Listing,
    scope: &Scope,
) -> rusqlite::Result<Vec<Listed>> {
    // One snapshot for all classes.
    let snapshot = connection.unchecked_transaction()?;
    let pattern = listing.text.as_deref().map(like);
    let Cursor { start_ms, id } = listing.begin();
    let columns = format!(
        "r.id, r.uuid, r.start_ms, r.end_ms, r.deleted,
         (SELECT marker FROM roots WHERE id = r.root), r.path, r.size, r.pending <> {DONE},
         r.vanished_ms IS NOT NULL"
    );
    let sql = listing.statement(&columns, scope);
    let mut statements = Vec::new();
    for class in classes(&snapshot)? {
        statements.push((snapshot.prepare(&sql)?, class));
    }
    let mut streams = Vec::with_capacity(statements.len());
    for (statement, class) in &mut statements {
        let (first, last) = listing.starts(*class);
        streams.push(statement.query(params![
            *class,
            first,
            last,
            listing.from_ms.unwrap_or(i64::MIN),
            start_ms,
            id,
            pattern,
            listing.pending_only,
            signed(listing.limit as u64),
        ])?);
    }
    let mut heads = Vec::with_capacity(streams.len());
    for stream in &mut streams {
        heads.push(stream.next()?.map(listed).transpose()?);
    }
    let mut rows = Vec::new();
    while rows.len() < listing.limit {
        let mut first: Option<(usize, &Listed)> = None;
        for (at, head) in heads.iter().enumerate() {
            let Some(head) = head else { continue };
            if first.is_none_or(|(_, least)| listing.is_before(head, least)) {
                first = Some((at, head));
            }
        }
        let Some((at, _)) = first else { break };
        let next = streams[at].next()?.map(listed).transpose()?;
        rows.extend(std::mem::replace(&mut heads[at], next));
    }
    Ok(rows)
}

fn count(connection: &Connection, listing: &Listing, scope: &Scope) -> rusqlite::Result<u64> {
    let snapshot = connection.unchecked_transaction()?;
    let pattern = listing.text.as_deref().map(like);
    let Cursor { start_ms, id } = listing.begin();
    let sql = format!("SELECT count(*) FROM ({})", listing.statement("1", scope));
    let mut counted = 0;
    for class in classes(&snapshot)? {
        let (first, last) = listing.starts(class);
        let of_class: i64 = snapshot.prepare_cached(&sql)?.query_row(
            params![
                class,
                first,
                last,
                listing.from_ms.unwrap_or(i64::MIN),
                start_ms,
                id,
                pattern,
                listing.pending_only,
                signed(MORE_MAX - counted),
            ],
            |row| row.get(0),
        )?;
        counted += unsigned(of_class);
    }
    Ok(counted)
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let (id, start_ms) = (row.get(0)?, row.get(2)?);
    let end_ms: i64 = row.get(3)?;
    Ok(Listed {
        cursor: Cursor { start_ms, id },
        uuid: row.get(1)?,
        start_ms,
        end_ms: (end_ms != LIVE_END_MS).then_some(end_ms),
        deleted: row.get(4)?,
        root: row.get(5)?,
        path: row.get(6)?,
        size: row.get(7)?,
        pending: row.get(8)?,
        vanished: row.get(9)?,
    })
}

/// A pattern for LIKE that finds this very text.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
