//! What can go wrong with the index file, in classes that a caller can act on.

use std::path::Path;

/// What went wrong with the index file.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IndexError {
    /// No room on the disk under the index: mended by itself once there is.
    #[error(
        "the disk under the index {path} is full: make room there; nothing is lost, and it goes on by itself ({words})"
    )]
    Full {
        /// Path of the index file.
        path: String,
        /// SQLite's words.
        words: String,
    },
    /// The file is damaged: it is kept aside and rebuilt from storage.
    #[error("the index {path} is damaged: {words}")]
    Damaged {
        /// Path of the index file.
        path: String,
        /// SQLite's words.
        words: String,
    },
    /// The file was made by a newer version of the product.
    #[error(
        "the index {path} has schema version {found}, and this program knows {known} at most: run the newer program, or give another --state-dir"
    )]
    Newer {
        /// Path of the index file.
        path: String,
        /// The version found.
        found: i64,
        /// The version known.
        known: i64,
    },
    /// The disk fails, or the machine has no file handle or memory left: tried again.
    #[error(
        "the disk under the index {path}: {words}. Look at the disk, and at the limit of open files; it goes on by itself"
    )]
    Hardship {
        /// Path of the index file.
        path: String,
        /// SQLite's words.
        words: String,
    },
    /// The file, or one beside it, cannot be opened or written.
    #[error(
        "the index {path}, or {path}-wal or {path}-shm beside it, cannot be opened: mend their permissions, or move them away, and they are made anew from storage ({words})"
    )]
    Unopened {
        /// Path of the index file.
        path: String,
        /// SQLite's words.
        words: String,
    },
    /// Anything else SQLite says.
    #[error("the index {path}: {words}")]
    Sqlite {
        /// Path of the index file.
        path: String,
        /// SQLite's words.
        words: String,
    },
    /// The writer has stopped.
    #[error("the index is closed")]
    Closed,
}

impl IndexError {
    /// The error of SQLite in our classes.
    pub(crate) fn of(path: &Path, error: &rusqlite::Error) -> IndexError {
        use rusqlite::ErrorCode;
        let words = error.to_string();
        let path = path.display().to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => IndexError::Full { path, words },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
                IndexError::Damaged { path, words }
            }
            Some(ErrorCode::CannotOpen) if is_exhausted() => IndexError::Hardship { path, words },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                IndexError::Unopened { path, words }
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
                IndexError::Hardship { path, words }
            }
            // What we wrote ourselves, and cannot be read any more: a value, or the schema.
            None if is_unreadable(error) => IndexError::Damaged { path, words },
            _ => IndexError::Sqlite { path, words },
        }
    }

    /// The machine is in trouble, and the file may be well.
    pub fn is_hardship(&self) -> bool {
        matches!(self, IndexError::Hardship { .. })
    }

    /// The file has to be kept aside and rebuilt.
    pub fn is_damage(&self) -> bool {
        matches!(self, IndexError::Damaged { .. })
    }

    /// The disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, IndexError::Full { .. })
    }
}

fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError,
        Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | SqlInputError { .. }
            | Utf8Error(..)
    )
}

/// No file can be opened at all: SQLite does not say why it could not.
fn is_exhausted() -> bool {
    std::fs::File::open("/").is_err()
}
