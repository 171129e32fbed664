//! The file of the catalog: opened where it is there, and given up where the path leads elsewhere.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use focus_core::answer::Failure;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Notify, watch};

use super::failure::{DAMAGED, failure};
use super::schema;
use crate::Reach;

/// Bytes of a file that is read completely when it is opened.
const CHECKED_MAX: u64 = 32 << 20;

/// A reader waits for a writer's transaction for so long.
const BUSY_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

/// The file of the embedded catalog, whether it is there or not.
#[derive(Debug)]
pub(super) struct CatalogFile {
    pub(super) path: PathBuf,
    pub(super) reach: watch::Sender<Reach>,
    /// Wakes the prober: a call failed in a way that passes.
    pub(super) doubt: Notify,
    open: Mutex<Option<OpenFile>>,
    /// When a call or a look found it in order last.
    answered: Mutex<Option<Instant>>,
}

/// The file while it is there.
#[derive(Debug)]
struct OpenFile {
    connection: Connection,
    /// Device and inode of the file that was opened.
    file: (u64, u64),
}

impl CatalogFile {
    /// Not looked for yet.
    pub(super) fn new(path: PathBuf) -> CatalogFile {
        CatalogFile {
            path,
            reach: watch::Sender::new(Reach::Connecting),
            doubt: Notify::new(),
            open: Mutex::new(None),
            answered: Mutex::new(None),
        }
    }

    /// When a call or a look found the file in order last.
    pub(super) fn last_answer(&self) -> Option<Instant> {
        *self.answered.lock()
    }

    /// Runs a transaction, and tells only of one whose file was there before and after it.
    ///
    /// # Errors
    /// The file is not there, was replaced, or SQLite failed.
    pub(super) fn transact<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let mut guard = self.open.lock();
        let Some(open) = guard.as_mut() else {
            return Err(Failure::transient(format!("{} is not there", self.path.display())));
        };
        let file = open.file;
        self.same_file(file)?;
        let transaction = open
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(|error| failure(&self.path, &error))?;
        let value = work(&transaction).map_err(|error| failure(&self.path, &error))?;
        transaction.commit().map_err(|error| failure(&self.path, &error))?;
        // Taken away meanwhile: it was written, but nobody can tell what will come back.
        self.same_file(file)?;
        *self.answered.lock() = Some(Instant::now());
        Ok(value)
    }

    /// Checks that the path leads to the file that was opened.
    fn same_file(&self, file: (u64, u64)) -> Result<(), Failure> {
        match identity(&self.path) {
            Ok(now) if now == file => Ok(()),
            Ok(_) => Err(Failure::transient(format!("{} was replaced", self.path.display()))),
            Err(error) => Err(Failure::transient(missing(&self.path, &error))),
        }
    }

    /// Looks at the file, and opens it where it is not open; `make` says whether a missing one is made.
    /// True: it was opened just now.
    ///
    /// # Errors
    /// The file is not there, cannot be opened, or is damaged.
    pub(super) fn look(&self, make: bool) -> Result<bool, Failure> {
        let mut guard = self.open.lock();
        if let Some(open) = guard.as_ref() {
            let looked = self.same_file(open.file).and_then(|()| {
                open.connection
                    .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
                    .map_err(|error| failure(&self.path, &error))
            });
            if let Err(failure) = looked {
                *guard = None;
                return Err(failure);
            }
            *self.answered.lock() = Some(Instant::now());
            return Ok(false);
        }
        let connection = open_file(&self.path, make)?;
        let file = identity(&self.path)
            .map_err(|error| Failure::transient(missing(&self.path, &error)))?;
        *guard = Some(OpenFile { connection, file });
        *self.answered.lock() = Some(Instant::now());
        Ok(true)
    }
}

/// Reads a file that nobody here has opened, and changes nothing.
///
/// # Errors
/// The file is not there, cannot be opened, or SQLite failed.
pub(super) fn read_only<T>(
    path: &Path,
    work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, Failure> {
    std::fs::metadata(path).map_err(|error| Failure::transient(missing(path, &error)))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = || {
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        work(&connection.transaction()?)
    };
    read().map_err(|error| failure(path, &error))
}

fn open_file(path: &Path, make: bool) -> Result<Connection, Failure> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if make {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| Failure::transient(format!("{}: {error}", folder.display())))?;
        }
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
        // Its user's alone from the beginning; what stands in the way is told by SQLite.
        let _ = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    } else if let Err(error) = std::fs::metadata(path) {
        return Err(Failure::transient(missing(path, &error)));
    }
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| failure(path, &error))?;
    schema::prepare(&mut connection).map_err(|error| failure(path, &error))?;
    check(&connection, path)?;
    Ok(connection)
}

/// Reads a file that is not large completely, before anything is written to it.
fn check(connection: &Connection, path: &Path) -> Result<(), Failure> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > CHECKED_MAX) {
        return Ok(());
    }
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| failure(path, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Failure::refused_client(format!(
        "the embedded catalog {}: {verdict}{DAMAGED}",
        path.display()
    )))
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

fn missing(path: &Path, error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        return format!(
            "the embedded catalog {} is not there: bring it back, or make an empty file there to begin an empty catalog",
            path.display()
        );
    }
    format!("the embedded catalog {}: {error}", path.display())
}
