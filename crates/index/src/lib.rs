//! The index: the server's own memory, in SQLite. Storage is the truth, so losing the index costs
//! a rescan, not data.
//!
//! One writer thread owns the only writing connection; every call on [`Index`] is one transaction
//! there. Any number of readers never wait for it (write-ahead log). After a power loss the index
//! may have lost its last transactions, never half of one: what it forgot, a scan or a comparison
//! with the catalog finds again.

mod acknowledge;
mod compare;
mod error;
mod observe;
mod open;
mod overlap;
mod reader;
mod rows;
mod scan;
mod schema;
mod sum;
mod unrecognised;
mod vanish;
mod writer;

pub use acknowledge::{Ack, AckOutcome, Pending};
pub use error::IndexError;
pub use observe::{Observation, Observed};
pub use open::Opened;
pub use reader::{Listed, Listing, Reader, Totals, Unrecognised};
pub use rows::{RootId, RootMemory, RootTotals};
pub use scan::{FolderPlace, KnownPlace, ScanView};
pub use unrecognised::{UnrecognisedChange, UnrecognisedFiles};
pub use vanish::{Candidate, Concluded, HeldRow};
pub use writer::Index;
