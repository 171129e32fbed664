//! New and changed rows are indexed, a chunk at a time.

use focus_crash::Write;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::posting::{
    CHUNK_ROWS, LONG, STARTS, at, chunk_of, encode, encode_starts, row_of, trigrams_of,
};
use crate::rows::unsigned;
use crate::{Index, IndexError, Reader};

/// New rows at the end, and changed ones, are indexed together once they are so many: making a chunk anew costs as much
/// as its rows, and reading some hundred rows beside it does not cost a search much.
const NEW_MAX: i64 = CHUNK_ROWS as i64 / 4;

/// See [`NEW_MAX`].
const CHANGED_MAX: i64 = CHUNK_ROWS as i64 / 16 + 1;

/// Changed rows among which the chunk that has most of them is looked for.
const LOOKED_AT: i64 = 10_000;

/// What is to be indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextDue {
    /// What would take searches long.
    Much,
    /// Everything.
    All,
}

/// How far the text index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextIndexed {
    /// Recordings that it indexes.
    pub done: u64,
    /// All recordings of the index.
    pub of: u64,
    /// Rows that it does not have, with those that are gone.
    pub left: u64,
}

/// How far the text index is, by rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Every row up to this one is indexed, but for those that are noted as changed.
    pub(super) through: i64,
    /// The last row that there is.
    pub(super) last: i64,
}

impl Reach {
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Reach> {
        connection
            .prepare_cached(
                "SELECT ifnull((SELECT max(through) FROM text_index), 0), ifnull((SELECT max(id) FROM recordings), 0)",
            )?
            .query_row([], |row| Ok(Reach { through: row.get(0)?, last: row.get(1)? }))
    }

    /// How many rows there may be that are new.
    pub(super) fn new_rows(self) -> i64 {
        self.last.saturating_sub(self.through).max(0)
    }
}

/// How many rows are noted as changed, counted up to `enough`.
pub(super) fn changed(connection: &Connection, enough: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM text_changed LIMIT ?1)")?
        .query_row([enough], |row| row.get(0))
}

impl Index {
    /// Indexes the texts of one chunk of recordings, 4,096 at most, if something is due. To be called until nothing is,
    /// which it then says; what was done stays over a restart.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn text_step(&self, due: TextDue) -> Result<bool, IndexError> {
        let reader = self.reader();
        let plan = move || reader.read(|connection| plan(connection, due));
        let planned = tokio::task::spawn_blocking(plan).await.map_err(|_| IndexError::Closed)??;
        if planned.is_none() {
            return Ok(false);
        }
        self.write(Write::TextStep, move |tx| step(tx, due)).await
    }

    /// Drops the text index, and has it made anew. Blocks.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn repair_text(&self) -> Result<(), IndexError> {
        self.write_blocking(Write::TextStep, |tx| {
            tx.execute_batch(
                "DELETE FROM text_index; INSERT INTO text_index VALUES(0); DELETE FROM text_chunks;
                 DELETE FROM text_postings; DELETE FROM text_changed;",
            )
        })
    }
}

impl Reader {
    /// How far the text index is.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn text_indexed(&self) -> Result<TextIndexed, IndexError> {
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let of: i64 = snapshot
                .prepare_cached("SELECT ifnull(sum(recordings), 0) FROM roots")?
                .query_row([], |row| row.get(0))?;
            let left = Reach::of(&snapshot)?.new_rows() + changed(&snapshot, i64::MAX)?;
            let (of, left) = (unsigned(of), unsigned(left));
            Ok(TextIndexed { done: of.saturating_sub(left), of, left })
        })
    }
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// A chunk is made, or made anew.
    Make(i64),
    /// The last chunk is dropped: nothing is left of it.
    Drop(i64),
}

fn plan(connection: &Connection, due: TextDue) -> rusqlite::Result<Option<Work>> {
    let reach = Reach::of(connection)?;
    if chunk_of(reach.last) < chunk_of(reach.through) {
        return Ok(Some(Work::Drop(chunk_of(reach.through))));
    }
    let next = chunk_of(reach.through + 1);
    let new = reach.new_rows();
    if new > 0 && (due == TextDue::All || new >= NEW_MAX || chunk_of(reach.last) > next) {
        return Ok(Some(Work::Make(next)));
    }
    let enough = if due == TextDue::All { 1 } else { CHANGED_MAX };
    if changed(connection, enough)? < enough {
        return Ok(None);
    }
    let chunk = connection
        .prepare_cached(
            "SELECT recording / ?1 AS chunk FROM (SELECT recording FROM text_changed LIMIT ?2)
             GROUP BY chunk ORDER BY count(*) DESC LIMIT 1",
        )?
        .query_row(params![CHUNK_ROWS as i64, LOOKED_AT], |row| row.get(0))
        .optional()?;
    Ok(chunk.map(Work::Make))
}

/// Does one thing that is due. False: nothing was.
pub(crate) fn step(tx: &Transaction<'_>, due: TextDue) -> rusqlite::Result<bool> {
    let Some(work) = plan(tx, due)? else { return Ok(false) };
    let (Work::Make(chunk) | Work::Drop(chunk)) = work;
    let rows = (row_of(chunk, 0), row_of(chunk, CHUNK_ROWS - 1));
    tx.prepare_cached("DELETE FROM text_postings WHERE chunk = ?1")?.execute([chunk])?;
    tx.prepare_cached("DELETE FROM text_chunks WHERE chunk = ?1")?.execute([chunk])?;
    tx.prepare_cached("DELETE FROM text_changed WHERE recording BETWEEN ?1 AND ?2")?
        .execute(params![rows.0, rows.1])?;
    let reach = Reach::of(tx)?;
    let through = match work {
        Work::Make(chunk) => {
            Chunk::read(tx, chunk)?.store(tx, chunk)?;
            reach.through.max(reach.last.min(rows.1))
        }
        Work::Drop(_) => rows.0 - 1,
    };
    // Where a damaged file has lost the line, it begins anew.
    if tx.prepare_cached("UPDATE text_index SET through = ?1")?.execute([through])? == 0 {
        tx.prepare_cached("INSERT INTO text_index VALUES(?1)")?.execute([through])?;
    }
    Ok(true)
}

/// What is stored of a chunk.
#[derive(Default)]
struct Chunk {
    /// Trigrams with the place of a row that has them.
    pairs: Vec<u64>,
    starts: Vec<(usize, i64)>,
    /// Places of rows whose texts are too long.
    long: Vec<usize>,
}

impl Chunk {
    fn read(tx: &Transaction<'_>, chunk: i64) -> rusqlite::Result<Chunk> {
        let mut made = Chunk::default();
        let mut statement = tx.prepare_cached(
            "SELECT id, start_ms, uuid, path FROM recordings WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
        )?;
        let mut rows = statement.query(params![row_of(chunk, 0), row_of(chunk, CHUNK_ROWS - 1)])?;
        while let Some(row) = rows.next()? {
            let place = at(row.get(0)?);
            made.starts.push((place, row.get(1)?));
            match trigrams_of(row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?) {
                Some(trigrams) => made.pairs.extend(
                    trigrams.map(|trigram| trigram.cast_unsigned() << PLACE_BITS | place as u64),
                ),
                None => made.long.push(place),
            }
        }
        made.pairs.sort_unstable();
        made.pairs.dedup();
        Ok(made)
    }

    fn store(&self, tx: &Transaction<'_>, chunk: i64) -> rusqlite::Result<()> {
        let times = self.starts.iter().map(|(_, start_ms)| *start_ms);
        let (Some(first_ms), Some(last_ms)) = (times.clone().min(), times.max()) else {
            return Ok(());
        };
        tx.prepare_cached("INSERT INTO text_chunks VALUES(?1, ?2, ?3, ?4)")?.execute(params![
            chunk,
            first_ms,
            last_ms,
            !self.long.is_empty()
        ])?;
        let mut insert = tx.prepare_cached("INSERT INTO text_postings VALUES(?1, ?2, ?3)")?;
        let mut stored = Vec::new();
        if !self.long.is_empty() {
            encode(&self.long, &mut stored);
            insert.execute(params![chunk, LONG, stored])?;
        }
        let starts = encode_starts(&self.starts, (first_ms, last_ms));
        insert.execute(params![chunk, STARTS, starts])?;
        let mut places = Vec::with_capacity(CHUNK_ROWS);
        for same in self.pairs.chunk_by(|a, b| a >> PLACE_BITS == b >> PLACE_BITS) {
            let Some(first) = same.first() else { continue };
            places.clear();
            places.extend(same.iter().map(|pair| (pair & ((1 << PLACE_BITS) - 1)) as usize));
            encode(&places, &mut stored);
            insert.execute(params![chunk, (first >> PLACE_BITS).cast_signed(), stored])?;
        }
        Ok(())
    }
}

/// A place in a chunk takes so many bits of a pair.
const PLACE_BITS: u32 = 16;
const _: () = assert!(CHUNK_ROWS <= 1 << PLACE_BITS);
