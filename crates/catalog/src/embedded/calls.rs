//! The catalog's calls on the embedded catalog, each in a transaction of its own.

use std::time::{SystemTime, UNIX_EPOCH};

use focus_core::answer::Answer;
use focus_core::compare::Page;
use focus_core::json::Value;
use focus_core::recording::{DRILL_FIELD, Recording};
use focus_core::state::State;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::{OpenedCatalog, Stored, UnrecognisedDoc, Versioned};

const COLUMNS: &str = "uuid, root, version, deleted, path, start_time, end_time, deleted_at, recording_id, size, fingerprint, metadata";

pub(super) fn meet(tx: &Transaction<'_>, root: &str) -> rusqlite::Result<OpenedCatalog> {
    let identity = match meta(tx, "identity")? {
        Some(identity) => identity,
        None => {
            let fresh = uuid::Uuid::new_v4().to_string();
            put_meta(tx, "identity", &fresh)?;
            fresh
        }
    };
    Ok(OpenedCatalog { identity, watermark: meta(tx, &format!("watermark:{root}"))? })
}

pub(super) fn meta(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<String>> {
    tx.prepare_cached("SELECT value FROM focus_meta WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
        .map_err(|error| in_row("focus_meta", id, error))
}

/// The error with the row's name, if the error is about the content of a row.
fn in_row(table: &str, id: &str, error: rusqlite::Error) -> rusqlite::Error {
    use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType, Utf8Error};
    let (column, kind, words) = match error {
        FromSqlConversionFailure(column, kind, why) => (column, kind, why.to_string()),
        Utf8Error(column, why) => (column, Type::Text, why.to_string()),
        InvalidColumnType(column, _, kind) => (column, kind, format!("it holds {kind}")),
        other => return other,
    };
    FromSqlConversionFailure(column, kind, format!("row {id:?} of {table}: {words}").into())
}

pub(super) fn put_meta(tx: &Transaction<'_>, id: &str, value: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO focus_meta(id, value) VALUES(?1, ?2)")?
        .execute([id, value])?;
    Ok(())
}

/// The catalog and its server share one machine, and one clock.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn insert(tx: &Transaction<'_>, document: &Versioned) -> rusqlite::Result<Answer> {
    let recording = &document.recording;
    let inserted = tx
        .prepare_cached(
            "INSERT INTO recordings(uuid, root, start_time, end_time, deleted, deleted_at, recording_id,
               path, size, fingerprint, metadata, indexed_at, version)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            recording.uuid,
            recording.root,
            recording.start_ms,
            recording.end_ms,
            recording.deleted,
            recording.deleted_at_ms,
            recording.recording_id,
            recording.path,
            recording.size,
            recording.fingerprint,
            recording.metadata.to_text(),
            now_ms(),
            document.version,
        ])?;
    Ok(if inserted > 0 { Answer::Written } else { duplicate() })
}

pub(super) fn upsert(
    tx: &Transaction<'_>,
    root: &str,
    document: &Versioned,
) -> rusqlite::Result<Answer> {
    let condition =
        "root = ?14 AND (typeof(version) <> 'integer' OR version <= ?13) AND ?15 IS NULL";
    match set(tx, document, condition, root, None)? {
        Answer::Written => Ok(Answer::Written),
        _ => insert(tx, document),
    }
}

pub(super) fn adopt(
    tx: &Transaction<'_>,
    root: &str,
    document: &Versioned,
) -> rusqlite::Result<Answer> {
    set(tx, document, "root IS NULL AND ?14 IS NOT NULL AND ?15 IS NULL", root, None)
}

pub(super) fn take_over(
    tx: &Transaction<'_>,
    _root: &str,
    document: &Versioned,
    from: &Stored,
) -> rusqlite::Result<Answer> {
    let from_root = from.root.as_deref().unwrap_or("");
    let mut condition = "root = ?14 AND version IS ?15".to_owned();
    if from.deleted {
        condition.push_str(" AND deleted = 1");
    }
    set(tx, document, &condition, from_root, from.version)
}

/// Sets our fields where `condition` holds; `?14` and `?15` are its values.
fn set(
    tx: &Transaction<'_>,
    document: &Versioned,
    condition: &str,
    root: &str,
    version: Option<i64>,
) -> rusqlite::Result<Answer> {
    let recording = &document.recording;
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE recordings SET root = ?2, start_time = ?3, end_time = ?4, deleted = ?5, deleted_at = ?6,
               recording_id = ?7, path = ?8, size = ?9, fingerprint = ?10, metadata = ?11,
               indexed_at = ?12, version = ?13 WHERE uuid = ?1 AND {condition}"
        ))?
        .execute(params![
            recording.uuid,
            recording.root,
            recording.start_ms,
            recording.end_ms,
            recording.deleted,
            recording.deleted_at_ms,
            recording.recording_id,
            recording.path,
            recording.size,
            recording.fingerprint,
            recording.metadata.to_text(),
            now_ms(),
            document.version,
            root,
            version,
        ])?;
    Ok(if changed > 0 { Answer::Written } else { duplicate() })
}

fn duplicate() -> Answer {
    Answer::Duplicate { words: "the uuid is there already".to_owned() }
}

pub(super) fn remove_drilled(
    tx: &Transaction<'_>,
    root: &str,
    batch: &[Versioned],
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(&format!(
        "DELETE FROM recordings WHERE uuid = ?1 AND root = ?2 AND (version IS NULL OR version <= ?3)
           AND json_valid(metadata) AND json_type(metadata, '$.{DRILL_FIELD}') IS NOT NULL"
    ))?;
    for document in batch {
        statement.execute(params![document.recording.uuid, root, document.version])?;
    }
    Ok(())
}

pub(super) fn read(tx: &Transaction<'_>, uuids: &[String]) -> rusqlite::Result<Vec<Stored>> {
    let mut statement =
        tx.prepare_cached(&format!("SELECT {COLUMNS} FROM recordings WHERE uuid = ?1"))?;
    let mut found = Vec::new();
    for uuid in uuids {
        found.extend(statement.query_row([uuid], stored).optional()?);
    }
    Ok(found)
}

pub(super) fn page(
    tx: &Transaction<'_>,
    root: &str,
    after: &str,
    through: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Page<Stored>> {
    let upper = if through.is_some() { "AND uuid <= ?3" } else { "AND ?3 IS NULL" };
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM recordings WHERE uuid > ?1 AND root = ?2 {upper} ORDER BY uuid LIMIT ?4"
    ))?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![after, root, through, most], |row| {
        // The metadata is the only field without a bound of its own.
        let bytes = row.get_ref(11)?.as_bytes().map_or(0, <[u8]>::len);
        Ok((stored(row)?, bytes))
    })?;
    Page::fill(limit, rows)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let uuid: String = row.get(0)?;
    let text = |at: usize| -> rusqlite::Result<Option<String>> {
        row.get(at).map_err(|error| in_row("recordings", &uuid, error))
    };
    let (root, path) = (text(1)?, text(4)?);
    // What a hand has made another type is none.
    let deleted = row.get(3).unwrap_or(false);
    Ok(Stored {
        version: row.get(2).unwrap_or(None),
        deleted,
        recording: recording(row, &uuid, root.as_deref(), path.as_deref(), deleted),
        uuid,
        root,
        path,
    })
}

/// Our fields of a row; none if one is missing or has another type.
fn recording(
    row: &Row<'_>,
    uuid: &str,
    root: Option<&str>,
    path: Option<&str>,
    deleted: bool,
) -> Option<Recording> {
    let metadata: String = row.get(11).ok()?;
    Some(Recording {
        uuid: uuid.to_owned(),
        start_ms: row.get(5).ok()?,
        end_ms: row.get(6).ok()?,
        deleted,
        deleted_at_ms: row.get(7).ok()?,
        recording_id: row.get(8).ok()?,
        root: root?.to_owned(),
        path: path?.to_owned(),
        size: row.get(9).ok()?,
        fingerprint: row.get(10).ok()?,
        metadata: Value::from_text(&metadata).ok()?,
    })
}

pub(super) fn put_unrecognised(
    tx: &Transaction<'_>,
    root: &str,
    batch: &[UnrecognisedDoc],
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT OR REPLACE INTO unrecognized_recordings(root, folder_name, file_count, update_time, state, reason)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for item in batch {
        statement.execute(params![
            root,
            item.folder_name,
            item.file_count,
            item.update_time_ms,
            item.state.name(),
            item.reason,
        ])?;
    }
    Ok(())
}

pub(super) fn remove_unrecognised(
    tx: &Transaction<'_>,
    root: &str,
    names: &[String],
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM unrecognized_recordings WHERE root = ?1 AND folder_name = ?2",
    )?;
    for name in names {
        statement.execute([root, name])?;
    }
    Ok(())
}

pub(super) fn page_unrecognised(
    tx: &Transaction<'_>,
    root: &str,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<UnrecognisedDoc>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    tx.prepare_cached(
        "SELECT folder_name, file_count, update_time, state, reason FROM unrecognized_recordings
         WHERE root = ?1 AND folder_name > ?2 ORDER BY folder_name LIMIT ?3",
    )?
    .query_map(params![root, after, limit], |row| {
        let state: String = row.get(3)?;
        Ok(UnrecognisedDoc {
            folder_name: row.get(0)?,
            file_count: row.get(1)?,
            update_time_ms: row.get(2)?,
            state: State::from_name(&state).unwrap_or(State::Unreadable),
            reason: row.get(4)?,
        })
    })?
    .collect()
}

pub(super) fn foreign(tx: &Transaction<'_>, roots: &[String]) -> rusqlite::Result<u64> {
    let mut foreign: i64 = tx.query_row("SELECT count(*) FROM recordings", [], |row| row.get(0))?;
    for root in roots {
        let of_root = "SELECT count(*) FROM recordings WHERE root = ?1";
        foreign -= tx.query_row(of_root, [root], |row| row.get::<_, i64>(0))?;
    }
    Ok(foreign.try_into().unwrap_or(0))
}

pub(super) fn count(tx: &Transaction<'_>, root: &str) -> rusqlite::Result<u64> {
    tx.query_row("SELECT count(*) FROM recordings WHERE root = ?1 AND deleted = 0", [root], |row| {
        row.get::<_, i64>(0).map(|count| count.try_into().unwrap_or(0))
    })
}
