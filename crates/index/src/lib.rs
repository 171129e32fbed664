//! The index: the server's own memory, in SQLite. Storage is the truth, so losing the index costs
//! a rescan, not data.
//!
//! One writer thread owns the only writing connection; every call on [`Index`] is one transaction
//! there. Any number of readers never wait for it (write-ahead log). After a power loss the index
//! may have lost its last transactions, never half of one: what it forgot, a scan or a comparison
//! with the catalog finds again.
//!
//! How a recording stands, and what follows from what happens to it, is decided by
//! `focus_core::entry`. This crate loads a row, asks, and stores; where a statement does that to many rows
//! at once it is in `bulk`, and proved equal. Its tables are its own: ids are opaque.

mod absence;
mod acknowledge;
mod bulk;
mod bulk_mounts;
mod compare;
mod coverage;
mod entry;
mod error;
mod folder_places;
mod forget;
mod form;
mod invariants;
mod listed;
mod listing;
mod log;
mod metadata;
mod missing;
mod mount;
mod observe;
mod open;
mod overlap;
mod page;
mod place;
mod prefer;
mod reader;
mod root;
mod rows;
mod scan;
mod schema;
mod scope;
mod stage;
mod sum;
mod tap;
mod text;
mod unrecognised;
mod uuids;
mod verify;
mod walk;
mod window;
mod writer;

pub use absence::{Candidate, Concluded, HeldRow, ProvedTwice};
pub use acknowledge::{Ack, Watermarks};
pub use coverage::{
    Bucket, CoverageQuery, Covered, CoveredLane, Gap, GapPage, GapQuery, LanesBy, NoLanes,
};
pub use error::IndexError;
pub use focus_core::configured::ConfiguredRoot;
pub use focus_core::entry::EntryId;
pub use focus_core::entry::answered::Answer;
pub use folder_places::FolderPlaces;
pub use forget::Forgotten;
pub use form::KnownForm;
pub use listed::{Listed, Whole};
pub use listing::{Cursor, Listing, MORE_MAX, Order, RecordingsPage, WrongCursor};
pub use metadata::{IndexedKey, KeyState};
pub use observe::{Observation, Observed};
pub use open::Opened;
pub use reader::{Doubts, Reader, Totals, Unrecognised};
pub use rows::{FolderId, PlaceId, RootCounts, RootId, RootMemory, RootTotals};
pub use scan::{FolderPlace, KnownPlace, ScanView, SettledPlace};
pub use scope::IndexedRoot;
pub use tap::{ChangeTap, Changes};
pub use text::{TextDue, TextIndexed};
pub use unrecognised::{UnrecognisedChange, UnrecognisedFiles};
pub use window::InWindow;
pub use writer::{Index, IndexBounds};
