//! Which keys are indexed, and how far.

use focus_core::meta_filter::MetaKey;
use focus_crash::Write;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::rows::unsigned;
use crate::stage::PENDING;
use crate::{Index, IndexError, Reader};

/// Values of a key by which lanes are told, at most.
pub(crate) const VALUES_MAX: usize = 1_000;

/// Values of a key of which covered time is kept, at most: with more it is dropped, and made anew once there are no
/// more than [`VALUES_MAX`].
pub(super) const KEPT_MAX: usize = 2 * VALUES_MAX;

/// How far a key is: the column `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum State {
    /// Rows up to `through` are indexed.
    Indexing = 0,
    /// All rows are.
    Ready = 1,
    /// It is being dropped.
    Leaving = 2,
    /// It is being dropped, and then indexed anew.
    Anew = 3,
}

/// See [`State::Indexing`].
pub(super) const INDEXING: i64 = State::Indexing as i64;
/// See [`State::Ready`].
pub(super) const READY: i64 = State::Ready as i64;
/// See [`State::Leaving`].
pub(super) const LEAVING: i64 = State::Leaving as i64;
/// See [`State::Anew`].
pub(super) const ANEW: i64 = State::Anew as i64;

/// Whether covered time is kept by the values of a key: the column `lanes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum Lanes {
    /// It is not.
    None = 0,
    /// It is.
    Kept = 1,
    /// It is not any more: what there is of it is being dropped.
    Dropping = 2,
}

/// See [`Lanes::None`].
pub(super) const NO_LANES: i64 = Lanes::None as i64;
/// See [`Lanes::Kept`].
pub(super) const LANES_KEPT: i64 = Lanes::Kept as i64;
/// See [`Lanes::Dropping`].
pub(super) const LANES_DROPPING: i64 = Lanes::Dropping as i64;

/// A key whose entries are kept up.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: i64,
    pub(super) key: MetaKey,
    /// Covered time is kept by its values.
    pub(super) has_lanes: bool,
}

/// How far an indexed key is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is being indexed: queries by it read rows.
    Indexing,
    /// Queries by it are answered from its entries.
    Ready,
    /// It is being dropped.
    Leaving,
}

/// An indexed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedKey {
    /// The key.
    pub key: String,
    /// How far it is.
    pub state: KeyState,
    /// While it is being indexed: recordings that have been looked at.
    pub done: u64,
    /// All recordings of the index.
    pub of: u64,
    /// Its values in a root that recordings have which are not deleted, counted up to 2,001.
    pub values: u64,
    /// Something is to be done for it: [`Index::metadata_step`].
    pub has_work: bool,
}

/// The keys whose entries are kept up.
pub(super) fn kept(connection: &Connection) -> rusqlite::Result<Vec<Key>> {
    of_states(connection, &format!("{INDEXING}, {READY}"))
}

/// The keys in one of these states.
pub(super) fn of_states(connection: &Connection, states: &str) -> rusqlite::Result<Vec<Key>> {
    connection
        .prepare_cached(&format!(
            "SELECT id, key, lanes FROM metadata_keys WHERE state IN ({states}) ORDER BY id"
        ))?
        .query_map([], |row| {
            let key = MetaKey::new(row.get_ref(1)?.as_str()?).map_err(|fault| {
                rusqlite::Error::FromSqlConversionFailure(1, Type::Text, fault.into())
            })?;
            Ok(Key { id: row.get(0)?, key, has_lanes: row.get::<_, i64>(2)? == LANES_KEPT })
        })?
        .collect()
}

/// The number of a key that is wholly indexed, and whether covered time is kept by its values.
pub(crate) fn ready(connection: &Connection, key: &str) -> rusqlite::Result<Option<(i64, bool)>> {
    connection
        .prepare_cached(&format!(
            "SELECT id, lanes = {LANES_KEPT} FROM metadata_keys WHERE key = ?1 AND state = {READY}"
        ))?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// How many values of a key there are, by root, counted up to `enough`. Those of which every recording is deleted do
/// not count.
pub(super) fn values(connection: &Connection, key: i64, enough: usize) -> rusqlite::Result<usize> {
    let count: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM metadata_values INDEXED BY metadata_values_there
               WHERE key = ?1 AND there > 0 LIMIT ?2)",
        )?
        .query_row(params![key, i64::try_from(enough).unwrap_or(i64::MAX)], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Makes the tables in which the present transaction notes what it changes, and, where there is a key whose entries are
/// kept up, the triggers that fill them; else there are none. All are of the writer's connection alone.
pub(crate) fn watch(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS metadata_changed(recording INTEGER PRIMARY KEY,
           content INTEGER NOT NULL, gone INTEGER NOT NULL);
         CREATE TEMP TABLE IF NOT EXISTS metadata_acked(recording INTEGER PRIMARY KEY, delta INTEGER NOT NULL);
         DROP TRIGGER IF EXISTS temp.metadata_made;
         DROP TRIGGER IF EXISTS temp.metadata_removed;
         DROP TRIGGER IF EXISTS temp.metadata_updated;
         DROP TRIGGER IF EXISTS temp.metadata_acknowledged;",
    )?;
    if kept(connection)?.is_empty() {
        return Ok(());
    }
    connection.execute_batch(&format!(
        "CREATE TEMP TRIGGER metadata_made AFTER INSERT ON main.recordings BEGIN
           INSERT INTO metadata_changed VALUES(NEW.id, 1, 0) ON CONFLICT DO UPDATE SET content = 1;
         END;
         CREATE TEMP TRIGGER metadata_removed AFTER DELETE ON main.recordings BEGIN
           INSERT INTO metadata_changed VALUES(OLD.id, 1, 1) ON CONFLICT DO UPDATE SET content = 1, gone = 1;
         END;
         CREATE TEMP TRIGGER metadata_updated AFTER UPDATE OF root, start_ms, end_ms, deleted, metadata
         ON main.recordings
         WHEN OLD.root <> NEW.root OR OLD.start_ms <> NEW.start_ms OR OLD.end_ms <> NEW.end_ms
           OR (OLD.deleted = 0) <> (NEW.deleted = 0) OR OLD.metadata <> NEW.metadata
         BEGIN
           INSERT INTO metadata_changed
             VALUES(NEW.id, OLD.root <> NEW.root OR OLD.metadata <> NEW.metadata, 0)
             ON CONFLICT DO UPDATE SET content = max(content, excluded.content);
         END;
         CREATE TEMP TRIGGER metadata_acknowledged AFTER UPDATE OF pending ON main.recordings
         WHEN (OLD.pending = {PENDING}) <> (NEW.pending = {PENDING})
         BEGIN
           INSERT INTO metadata_acked
             VALUES(NEW.id, (NEW.pending = {PENDING}) - (OLD.pending = {PENDING}))
             ON CONFLICT DO UPDATE SET delta = delta + excluded.delta;
         END;"
    ))
}

impl Index {
    /// From now on these keys are indexed, and no others. What follows is done by [`Index::metadata_step`].
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn index_metadata(&self, keys: Vec<MetaKey>) -> Result<(), IndexError> {
        let (index, reader) = (self.clone(), self.reader());
        let work = move || {
            if reader.read(|connection| are_set(connection, &keys))? {
                return Ok(());
            }
            index.write_blocking(Write::MetadataKeys, move |tx| set(tx, &keys))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| IndexError::Closed)?
    }

    /// Drops the entries of all keys, and has them indexed anew. Blocks.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn repair_metadata(&self) -> Result<(), IndexError> {
        self.write_blocking(Write::MetadataKeys, |tx| {
            tx.execute(
                &format!(
                    "UPDATE metadata_keys SET state = {ANEW}, through = 0
                     WHERE state IN ({INDEXING}, {READY})"
                ),
                [],
            )?;
            watch(tx)
        })
    }
}

/// These keys are indexed, and no others.
fn are_set(connection: &Connection, keys: &[MetaKey]) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT key FROM metadata_keys WHERE state <> {LEAVING}"))?;
    let known = statement.query_map([], |row| row.get(0))?;
    let known: Vec<String> = known.collect::<rusqlite::Result<_>>()?;
    Ok(known.len() == keys.len()
        && keys.iter().all(|key| known.iter().any(|one| one == key.as_str())))
}

pub(crate) fn set(tx: &Transaction<'_>, keys: &[MetaKey]) -> rusqlite::Result<()> {
    let known: Vec<(i64, String, i64)> = tx
        .prepare_cached("SELECT id, key, state FROM metadata_keys")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let is_wanted = |key: &String| keys.iter().any(|wanted| wanted.as_str() == key);
    let mut has_changed = false;
    for (id, key, state) in &known {
        let (state, is_from_start) = match (is_wanted(key), *state) {
            (true, LEAVING) => (ANEW, false),
            (false, INDEXING | READY) => (LEAVING, true),
            (false, ANEW) => (LEAVING, false),
            _ => continue,
        };
        tx.execute(
            "UPDATE metadata_keys SET state = ?2, through = iif(?3, 0, through) WHERE id = ?1",
            params![id, state, is_from_start],
        )?;
        has_changed = true;
    }
    let is_empty: bool =
        tx.query_row("SELECT NOT EXISTS(SELECT 1 FROM recordings)", [], |row| row.get(0))?;
    for key in keys.iter().filter(|key| !known.iter().any(|(_, known, _)| known == key.as_str())) {
        tx.execute(
            "INSERT INTO metadata_keys(key, state) VALUES(?1, ?2)",
            params![key.as_str(), if is_empty { READY } else { INDEXING }],
        )?;
        has_changed = true;
    }
    if has_changed { watch(tx) } else { Ok(()) }
}

impl Reader {
    /// The indexed keys, in the order in which they became known, those that are being dropped included.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn indexed_keys(&self) -> Result<Vec<IndexedKey>, IndexError> {
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut keys = Vec::new();
            let mut statement = snapshot.prepare_cached(
                "SELECT id, key, state, lanes, done, (SELECT ifnull(sum(recordings), 0) FROM roots)
                 FROM metadata_keys ORDER BY id",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (state, lanes): (i64, i64) = (row.get(2)?, row.get(3)?);
                let values = values(&snapshot, row.get(0)?, KEPT_MAX + 1)?;
                let of = unsigned(row.get(5)?);
                keys.push(IndexedKey {
                    key: row.get(1)?,
                    state: match state {
                        READY => KeyState::Ready,
                        LEAVING => KeyState::Leaving,
                        _ => KeyState::Indexing,
                    },
                    done: if state == READY { of } else { unsigned(row.get(4)?).min(of) },
                    of,
                    values: values as u64,
                    has_work: state != READY || wants_other_lanes(lanes, values),
                });
            }
            Ok(keys)
        })
    }
}

/// Whether, with so many values, another thing is to be done about the lanes of a key.
pub(super) fn wants_other_lanes(lanes: i64, values: usize) -> bool {
    match lanes {
        NO_LANES => values <= VALUES_MAX,
        LANES_KEPT => values > KEPT_MAX,
        _ => true,
    }
}
