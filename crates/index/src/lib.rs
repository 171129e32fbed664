//! The index: the server's own memory, in SQLite. Storage is the truth, so losing it costs a
//! rescan, not data.
//!
//! One writer thread; any number of readers that never wait for it (write-ahead log).

mod reader;

pub use reader::{Fault, Listed, Listing, Reader, Totals};

/// What went wrong with the index file.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite's own words, with the file's path.
    #[error("the index {path}: {words}")]
    Sqlite {
        /// Path of the index file.
        path: String,
        /// SQLite's words.
        words: String,
        /// The disk is full: mended by itself once there is room.
        full: bool,
        /// The file is damaged: it is kept aside and rebuilt.
        damaged: bool,
    },
    /// The writer has stopped.
    #[error("the index is closed")]
    Closed,
}
