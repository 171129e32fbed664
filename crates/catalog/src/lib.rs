//! The catalog: one interface with three backends, which pass one contract suite.
//!
//! The reconciler decides what is to be written. A backend carries a call out, tells what the database
//! answered for each document, and tells when the database comes and goes.

use std::sync::Arc;

use async_trait::async_trait;
use focus_core::answer::{Answer, Failure};
use focus_core::compare::Page;
use focus_core::lease::LeaseDoc;
use focus_core::state::State;
use tokio::sync::watch;

mod change_hints;
pub mod embedded;
pub mod memory;
pub mod mongo;

pub use change_hints::{ChangeHints, ChangedDocuments};

pub use focus_core::document::{OpenedCatalog, Stored, Versioned};

/// What holds the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// In memory, for tests.
    Memory,
    /// A SQLite file beside the index.
    Embedded,
    /// MongoDB, or a server that speaks its protocol.
    Mongodb,
}

/// Whether the database takes writes, as last seen by the backend's own probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Not known yet: the first attempt is under way.
    Connecting,
    /// A primary takes writes. `epoch` grows with every return: a database that was away may be another one.
    Up {
        /// 1 for the first time, one more for every return.
        epoch: u64,
    },
    /// The database cannot be reached, or takes no writes.
    Down {
        /// What happened, in words for a person.
        why: String,
        /// The database refuses this client (authentication, authorisation), so an operator has to
        /// act.
        refused: bool,
    },
}

/// A root as the catalog needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RootPlace {
    /// The id in the root's marker, which is the `root` field of its documents.
    pub id: String,
    /// The root's configured path, which is `base_path` in the layout `base_paths`.
    pub path: String,
}

/// An unrecognised recording, as the unrecognised collection holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnrecognisedDoc {
    /// Relative path without extension.
    pub folder_name: String,
    /// How many of its files are there.
    pub file_count: i64,
    /// The time since when the recording is unrecognised, milliseconds since 1970.
    pub update_time_ms: i64,
    /// The named state.
    pub state: State,
    /// The reason, for a person.
    pub reason: String,
}

/// A database that holds the catalog.
///
/// Every call ends within a bound that the backend sets. A call that fails may have done its work all
/// the same, now or later: callers repeat it, and every call may be repeated.
#[async_trait]
pub trait Catalog: std::fmt::Debug + Send + Sync + 'static {
    /// Which backend this is.
    fn kind(&self) -> Backend;

    /// The catalog's address for people, without credentials: `mongodb://host:port/database` or the path
    /// of a file.
    fn address(&self) -> String;

    /// Whether the database takes writes, with every change of it.
    fn reach(&self) -> watch::Receiver<Reach>;

    /// Tells that a call failed in a way that passes: the backend looks at once whether the database is
    /// there.
    fn doubt(&self);

    /// Makes what is missing for this root (collections, indexes, the row in `base_paths`, the identity),
    /// and tells which database it is. Refused where `uuid` cannot be made unique.
    async fn open(&self, root: &RootPlace) -> Result<OpenedCatalog, Failure>;

    /// The identity of the database, without making anything; empty where the database has none yet.
    async fn identify(&self, root: &RootPlace) -> Result<String, Failure>;

    /// Inserts documents, unordered, majority and journaled. One answer per document, in order.
    async fn insert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure>;

    /// Upserts each on `{uuid, root: ours, version: {$not: {$gt: v}}}`, unordered. Fields of
    /// others in a document stay. One answer per document, in order.
    async fn upsert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure>;

    /// Sets our fields in a document of others, on `{uuid, root: null}`. `Duplicate` says that no such
    /// document is there any more.
    async fn adopt(&self, root: &RootPlace, document: &Versioned) -> Result<Answer, Failure>;

    /// Takes over a document on `{uuid, root, version}` as `from` was read; where it was deleted, only
    /// while it still is. `Duplicate` says that the document is not as it was read any more.
    async fn take_over(
        &self,
        root: &RootPlace,
        document: &Versioned,
        from: &Stored,
    ) -> Result<Answer, Failure>;

    /// Removes the documents of drills' recordings that are gone, each on `{uuid, root: ours,
    /// "metadata.focus_drill": exists, version: {$not: {$gt: v}}}`, unordered, majority and journaled.
    /// A document that does not meet the conditions stays. A reading tells which ones are gone.
    async fn remove_drilled(&self, root: &RootPlace, batch: &[Versioned]) -> Result<(), Failure>;

    /// Reads the documents with these uuids, of any root, in any order.
    async fn read(&self, root: &RootPlace, uuids: &[String]) -> Result<Vec<Stored>, Failure>;

    /// Reads the next page of documents of this root after the uuid `after`, ordered bytewise by uuid: at
    /// most `limit` documents, and no more bytes than a page holds.
    async fn page(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Stored>, Failure>;

    /// Writes the watermark of this root, majority and journaled.
    async fn mark(&self, root: &RootPlace, watermark: &str) -> Result<(), Failure>;

    /// Reads this root's lease from the primary.
    async fn lease(&self, root: &RootPlace) -> Result<Option<LeaseDoc>, Failure>;

    /// Draws a token above `above` from the catalog's only counter. No token is drawn twice.
    async fn draw_token(&self, above: i64) -> Result<i64, Failure>;

    /// Puts `new` in place of the lease where it is exactly `expected`, or where there is none,
    /// majority and journaled. False says that the lease is another one.
    async fn put_lease(
        &self,
        root: &RootPlace,
        expected: Option<&LeaseDoc>,
        new: &LeaseDoc,
    ) -> Result<bool, Failure>;

    /// Writes these into the unrecognised collection, in place of earlier ones of the same places.
    async fn put_unrecognised(
        &self,
        root: &RootPlace,
        batch: &[UnrecognisedDoc],
    ) -> Result<(), Failure>;

    /// Removes these places from the unrecognised collection.
    async fn remove_unrecognised(
        &self,
        root: &RootPlace,
        folder_names: &[String],
    ) -> Result<(), Failure>;

    /// The next page of this root's unrecognised places, ordered by `folder_name` (bytewise).
    async fn page_unrecognised(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UnrecognisedDoc>, Failure>;

    /// Whether the root is an archive, in which nothing is marked as deleted. None says that this is not
    /// known yet.
    fn is_archive(&self, root: &RootPlace) -> Option<bool> {
        let _ = root;
        Some(false)
    }

    /// Counts the documents of this root that are not deleted.
    async fn count(&self, root: &RootPlace) -> Result<u64, Failure>;

    /// Counts the documents beside those of this root. They are never changed.
    async fn foreign(&self, root: &RootPlace) -> Result<u64, Failure>;

    /// Follows what others do to documents of this root, and tells `hints`, until the connection goes.
    /// False says that the database does not tell of changes. The future may be dropped at any time.
    async fn follow(&self, root: &RootPlace, hints: &Arc<ChangeHints>) -> Result<bool, Failure> {
        let _ = (root, hints);
        Ok(false)
    }

    /// What the server lacks and what that means, one sentence each; empty where it lacks nothing.
    fn remarks(&self) -> Vec<String>;
}
