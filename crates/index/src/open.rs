//! Opening the index file, and keeping a damaged one aside.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use focus_crash::{Point, Step, here};
use rusqlite::{Connection, OpenFlags};

use crate::rows::signed;
use crate::{Index, IndexError, coverage, metadata, schema};

/// An index that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The index.
    pub index: Index,
    /// Why the file that was there was kept aside and a new one made, and where it is now.
    pub rebuilt: Option<String>,
}

/// Opens the file at `path`, or makes it. A damaged one is kept aside first.
pub(crate) fn open(path: &Path) -> Result<(Connection, Option<String>), IndexError> {
    match connect(path) {
        Ok(connection) => Ok((connection, None)),
        Err(error) if error.is_damage() => anew(path, &error.to_string()),
        Err(error) => Err(error),
    }
}

/// Makes the file where it is missing, and keeps it to its user: it knows every recording's name.
/// SQLite gives its log the same mode. Whether it may be written.
fn keep_private(path: &Path) -> bool {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    // What stands in the way is told by SQLite, which opens it next.
    let Ok(file) = file else { return false };
    let mode = file.metadata().map_or(0, |meta| meta.permissions().mode());
    if mode & 0o077 != 0 {
        let _ = file.set_permissions(Permissions::from_mode(0o600));
    }
    true
}

/// An error at opening, in our classes. Tables of ours that are not as we made them are damage, and so
/// is a file that says of itself that it is not to be written, though it may be.
fn at_opening(path: &Path, writable: bool, error: &rusqlite::Error) -> IndexError {
    use rusqlite::ErrorCode::{ConstraintViolation, ReadOnly, Unknown};
    // A statement that does not fit the tables is an error of its own.
    let unfit = matches!(error, rusqlite::Error::SqlInputError { .. });
    let is_damage = unfit
        || error.sqlite_error().is_some_and(|sqlite| match sqlite.code {
            Unknown | ConstraintViolation => true,
            // Without a further reason: the folder's rights are one.
            ReadOnly => writable && sqlite.extended_code == rusqlite::ffi::SQLITE_READONLY,
            _ => false,
        });
    match IndexError::of(path, error) {
        IndexError::Sqlite { path, words } | IndexError::Unopened { path, words } if is_damage => {
            IndexError::Damaged { path, words }
        }
        other => other,
    }
}

/// Keeps the file at `path` aside, and makes a new one; `why` is told with where it is now.
pub(crate) fn anew(path: &Path, why: &str) -> Result<(Connection, Option<String>), IndexError> {
    let aside = keep_aside(path).map_err(|io| IndexError::Sqlite {
        path: path.display().to_string(),
        words: format!("it is damaged, and could not be kept aside: {io}"),
    })?;
    let connection = connect(path)?;
    Ok((connection, Some(format!("{why}; it is kept as {}", aside.display()))))
}

fn connect(path: &Path) -> Result<Connection, IndexError> {
    let writable = keep_private(path);
    let fail = |error: rusqlite::Error| at_opening(path, writable, &error);
    let mut connection = Connection::open(path).map_err(fail)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(fail)?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fail)?;
    if version > schema::VERSION {
        return Err(IndexError::Newer {
            path: path.display().to_string(),
            found: version,
            known: schema::VERSION,
        });
    }
    // Rows of one time lie on shared pages: the larger cache and log are, the more rows have come when a page is written
    // once more. The cache of a server is bounded by [`Index::bound`], and the log by [`crate::log`] once the
    // writer is there.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;
             PRAGMA wal_autocheckpoint = 8192; PRAGMA journal_size_limit = 33554432;
             PRAGMA temp_store = MEMORY;",
        )
        .map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(64);
    if version > 0 {
        check(&connection, path)?;
    }
    schema::migrate(&mut connection).map_err(fail)?;
    match coverage::fill(&mut connection) {
        // It is filled when the file is opened with room on its disk.
        Err(error) if IndexError::of(path, &error).is_full() => {}
        filled => filled.map_err(fail)?,
    }
    coverage::watch(&connection).map_err(fail)?;
    metadata::watch(&connection).map_err(fail)?;
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0").map_err(fail)?;
    match connection.execute("INSERT OR REPLACE INTO meta VALUES('clean', '0')", []) {
        Ok(_) => Ok(connection),
        // It can be read, and is written as soon as there is room.
        Err(error) if IndexError::of(path, &error).is_full() => Ok(connection),
        Err(error) => Err(fail(error)),
    }
}

/// After a clean close a look at the schema is enough; else every page is looked at.
fn check(connection: &Connection, path: &Path) -> Result<(), IndexError> {
    let fail = |error: rusqlite::Error| IndexError::of(path, &error);
    let clean: Option<String> = connection
        .query_row("SELECT max(value) FROM meta WHERE key = 'clean'", [], |row| row.get(0))
        .map_err(|error| match IndexError::of(path, &error) {
            // A table that is not there although the version says so.
            IndexError::Sqlite { path, words } => IndexError::Damaged { path, words },
            other => other,
        })?;
    if clean.as_deref() == Some("1") {
        return Ok(());
    }
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fail)?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(IndexError::Damaged { path: path.display().to_string(), words: verdict })
}

/// Damaged files kept at most: the first ones go.
const KEPT_MAX: u32 = 5;

/// Renames the file, with its log, to the first free `.damaged-N` above those that are there.
fn keep_aside(path: &Path) -> std::io::Result<PathBuf> {
    let named = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let n = 1 + last_kept(path)?;
    let aside = named(&format!(".damaged-{n}"));
    if let Some(old) = n.checked_sub(KEPT_MAX).filter(|old| *old > 0) {
        for log in ["", "-wal", "-shm"] {
            match std::fs::remove_file(named(&format!(".damaged-{old}{log}"))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    std::fs::rename(path, &aside)?;
    here(Point::At(Step::AsideDatabase));
    for log in ["-wal", "-shm"] {
        match std::fs::rename(named(log), named(&format!(".damaged-{n}{log}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    here(Point::At(Step::AsideLogs));
    Ok(aside)
}

/// The highest number of a damaged file that is kept; 0 where none is.
fn last_kept(path: &Path) -> std::io::Result<u32> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(0) };
    let prefix = format!("{}.damaged-", name.to_string_lossy());
    let mut last = 0;
    for entry in std::fs::read_dir(folder)? {
        let kept = entry?.file_name();
        let number = kept.to_str().and_then(|kept| kept.strip_prefix(&prefix)?.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}

/// A connection that only reads, for the pool.
pub(crate) fn read_only(path: &Path, keeps_kib: u64) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    connection.pragma_update(None, "cache_size", -signed(keeps_kib))?;
    connection.pragma_update(None, "query_only", true)?;
    // Listings and windows have a statement for each of up to 64 classes, in either order.
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}
