//! The catalog without MongoDB: the same documents in one SQLite file.
//!
//! The file can be taken away and brought back like any other database. While the path does not lead to
//! the file that was opened, the catalog is down; a file that comes back may be another one, until it
//! has shown its identity. SQLite's rollback journal keeps all of the catalog in one file.

pub mod backup;
mod calls;
mod catalog;
mod failure;
mod file;
mod lease;
mod prober;
mod schema;

pub use catalog::EmbeddedCatalog;
