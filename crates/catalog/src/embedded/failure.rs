//! SQLite's errors in the core's classes, with what to do about them.

use std::path::Path;

use focus_core::answer::{Class, Failure};

/// What to do about a damaged file.
pub(super) const DAMAGED: &str = ". It is damaged: bring back a copy, or move it away and make an empty file in its place, which is filled from storage";

/// The failure that an error of SQLite is. A table that is not as we made it is damage, whatever has
/// made it so.
pub(super) fn failure(path: &Path, error: &rusqlite::Error) -> Failure {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError,
        SqliteFailure, Utf8Error,
    };
    use rusqlite::ErrorCode;
    let damaged = (Class::RefusedClient, DAMAGED);
    let (class, todo) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged,
        // A table or a column is missing.
        _ if matches!(error, SqlInputError { .. }) => damaged,
        _ if matches!(error, SqliteFailure(_, Some(words)) if words.starts_with("no such ")) => {
            damaged
        }
        None if matches!(
            error,
            FromSqlConversionFailure(..)
                | InvalidColumnType(..)
                | IntegralValueOutOfRange(..)
                | Utf8Error(..)
        ) =>
        {
            damaged
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
            Class::RefusedClient,
            ". Mend what is there, or its permissions and those of its folder",
        ),
        Some(ErrorCode::DiskFull) => (Class::Transient, ". Make room; it goes on by itself"),
        Some(ErrorCode::TooBig) => (Class::TooLarge, ""),
        _ => (Class::Transient, ""),
    };
    let words = format!("the embedded catalog {}: {error}{todo}", path.display());
    Failure { class, code: None, words }
}
