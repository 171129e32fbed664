//! Ingest: takes recordings that are handed over. `begin` checks whether a root takes one, `receiving` has a thread for it,
//! on which `taking` writes it and puts it in place and `landed` waits for the index; `claims` and `parts` say what is
//! under way.

mod begin;
pub(crate) mod claims;
mod error;
mod landed;
pub(crate) mod parts;
mod receiving;
mod taking;

pub use error::IngestError;
pub use receiving::Receiving;
pub use taking::Ingest;
