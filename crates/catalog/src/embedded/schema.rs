//! The tables of the embedded catalog. Column names are those of the documents.

use std::time::Duration;

use rusqlite::Connection;

/// Every column that is used. Asking for all of them finds damage to the tables' own description.
const COLUMNS: [&str; 3] = [
    "SELECT uuid, root, start_time, end_time, deleted, deleted_at, recording_id, path, size, fingerprint,
       metadata, indexed_at, version FROM recordings",
    "SELECT root, folder_name, file_count, update_time, state, reason FROM unrecognized_recordings",
    "SELECT id, value FROM focus_meta",
];

/// Sets up a connection, and makes missing tables.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    // Another process that holds the file is an outage, not something to wait for.
    connection.busy_timeout(Duration::from_millis(200))?;
    connection.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096;
         PRAGMA temp_store = MEMORY;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS recordings(
           uuid TEXT PRIMARY KEY,
           root TEXT,
           start_time INTEGER, end_time INTEGER,
           deleted INTEGER NOT NULL, deleted_at INTEGER,
           recording_id TEXT, path TEXT, size INTEGER, fingerprint TEXT, metadata TEXT,
           indexed_at INTEGER, version INTEGER
         );
         CREATE INDEX IF NOT EXISTS recordings_start_time ON recordings(start_time);
         CREATE INDEX IF NOT EXISTS recordings_end_time ON recordings(end_time);
         CREATE INDEX IF NOT EXISTS recordings_deleted ON recordings(deleted);
         CREATE TABLE IF NOT EXISTS unrecognized_recordings(
           root TEXT NOT NULL, folder_name TEXT NOT NULL, file_count INTEGER NOT NULL,
           update_time INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
           PRIMARY KEY(root, folder_name)
         ) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS focus_meta(id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
    )?;
    transaction.commit()?;
    COLUMNS.iter().try_for_each(|columns| connection.prepare(columns).map(drop))
}
