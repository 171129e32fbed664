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
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                IndexError::Damaged { path, words }
            }
            _ => IndexError::Sqlite { path, words },
        }
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
