//! Ingest: takes recordings that are handed over. `begin` checks whether a root takes one, `taking` puts it in place,
//! `receiving` writes its data, `landed` waits for the index, `claims` and `parts` say what is under way.

mod begin;
pub(crate) mod claims;
mod error;
mod landed;
pub(crate) mod parts;
mod receiving;
mod taking;

pub use error::IngestError;
pub use landed::Landed;
pub use receiving::Receiving;
pub use taking::Ingest;
