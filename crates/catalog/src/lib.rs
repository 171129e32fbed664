//! The catalog: one interface with three backends, which pass one contract suite.
//!
//! The reconciler decides what to write. A backend carries out a call, returns the database's
//! answer for each document, and reports when the database comes and goes.

use std::sync::Arc;

use async_trait::async_trait;
use focus_core::answer::{Answer, Failure};
use focus_core::compare::Page;
use focus_core::lease::LeaseDoc;
use focus_core::state::State;
use tokio::sync::watch;

mod change_hints;
pub mod cpu;
pub mod embedded;
pub mod memory;
pub mod mongo;

pub use change_hints::{ChangeHints, ChangedDocuments};

pub use focus_core::document::{OpenedCatalog, Stored, Versioned};

/// Which backend a catalog is, as `focus status` spells it.
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
    /// Not yet known: the first attempt is under way.
    Connecting,
    /// A primary takes writes. `epoch` grows with every return, because another database may have
    /// returned.
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
    /// The id in the root's marker: the `root` field of its documents.
    pub id: String,
    /// The root's configured path: `base_path` in the layout `base_paths`.
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
/// Every call ends within a bound of the backend's own. A call that fails may still do its work,
/// now or later. Callers repeat it, and every call may be repeated.
#[async_trait]
pub trait Catalog: std::fmt::Debug + Send + Sync + 'static {
    /// Which backend this is.
    fn kind(&self) -> Backend;

    /// The address of the database for people, without credentials: `mongodb://host:port/database`,
    /// or a file's path.
    fn address(&self) -> String;

    /// Whether the database takes writes, with every change of it.
    fn reach(&self) -> watch::Receiver<Reach>;

    /// Reports that a call failed for a reason that may pass, so that the probe looks at once.
    fn doubt(&self);

    /// Makes what is missing for this root (collections, indexes, the `base_paths` row, the
    /// identity) and returns who the database is. The failure is a refusal where `uuid` cannot be
    /// made unique.
    async fn open(&self, root: &RootPlace) -> Result<OpenedCatalog, Failure>;

    /// The identity of the database now; empty where it has none yet. Makes nothing.
    async fn identify(&self, root: &RootPlace) -> Result<String, Failure>;

    /// Inserts documents, unordered, majority and journaled. One answer per document, in order.
    async fn insert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure>;

    /// Upserts each on `{uuid, root: ours, version: {$not: {$gt: v}}}`, unordered. Fields of
    /// others in a document stay. One answer per document, in order.
    async fn upsert(&self, root: &RootPlace, batch: &[Versioned]) -> Result<Vec<Answer>, Failure>;

    /// Sets our fields in a document of others, on `{uuid, root: null}`. `Duplicate`: the document
    /// has changed since.
    async fn adopt(&self, root: &RootPlace, document: &Versioned) -> Result<Answer, Failure>;

    /// Takes over a document on `{uuid, root: from, version}` as it was read. A document that was
    /// read as deleted is taken over only while it is deleted. `Duplicate`: the document has
    /// changed since.
    async fn take_over(
        &self,
        root: &RootPlace,
        document: &Versioned,
        from: &Stored,
    ) -> Result<Answer, Failure>;

    /// Removes the documents of drills' recordings that are gone, each on `{uuid, root: ours,
    /// "metadata.focus_drill": exists, version: {$not: {$gt: v}}}`, unordered, majority and
    /// journaled. A document that does not meet the conditions stays. The call does not say which
    /// ones went: the caller reads them afterwards.
    async fn remove_drilled(&self, root: &RootPlace, batch: &[Versioned]) -> Result<(), Failure>;

    /// Reads the documents with these uuids, those of others too, in any order.
    async fn read(&self, root: &RootPlace, uuids: &[String]) -> Result<Vec<Stored>, Failure>;

    /// The next page, ordered by uuid (bytewise), of documents with our `root`, after `after` and up to
    /// `through`: at most `limit`, and no more bytes than a page holds. Without `through` some databases read
    /// all that follows for each page.
    async fn page(
        &self,
        root: &RootPlace,
        after: Option<&str>,
        through: Option<&str>,
        limit: usize,
    ) -> Result<Page<Stored>, Failure>;

    /// Writes the watermark of this root, majority and journaled.
    async fn mark(&self, root: &RootPlace, watermark: &str) -> Result<(), Failure>;

    /// Writes what the holder of this root has told people, for whoever takes over, unless a holder with a
    /// token above `token` has written.
    async fn put_alerts(&self, root: &RootPlace, token: i64, text: &str) -> Result<(), Failure>;

    /// Reads what a holder of this root has told people; none where none has.
    async fn alerts(&self, root: &RootPlace) -> Result<Option<String>, Failure>;

    /// Reads this root's lease from the primary.
    async fn lease(&self, root: &RootPlace) -> Result<Option<LeaseDoc>, Failure>;

    /// Draws a token above `above` from the catalog's one counter. No token is drawn twice.
    async fn draw_token(&self, above: i64) -> Result<i64, Failure>;

    /// Replaces the lease by `new` if it is exactly `expected` (none: if there is no lease),
    /// majority and journaled. Returns false if the lease is another one.
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

    /// Whether the root is an archive, in which nothing is marked as deleted; none while that is
    /// not known.
    fn is_archive(&self, root: &RootPlace) -> Option<bool> {
        let _ = root;
        Some(false)
    }

    /// How many documents of this root are in the catalog and not deleted.
    async fn count(&self, root: &RootPlace) -> Result<u64, Failure>;

    /// How many documents beside those of these roots belong to none of them. Nothing touches them.
    async fn foreign(&self, roots: &[RootPlace]) -> Result<u64, Failure>;

    /// Follows what others do to documents of this root, and adds it to `hints`, until the
    /// connection goes. Returns false if the database does not report changes. May be dropped at
    /// any time.
    async fn follow(&self, root: &RootPlace, hints: &Arc<ChangeHints>) -> Result<bool, Failure> {
        let _ = (root, hints);
        Ok(false)
    }

    /// When the database answered last; none for a backend that is not asked by the way.
    fn last_answer(&self) -> Option<std::time::Instant> {
        None
    }

    /// The hosts that calls go to now: those of the connection string, or the members that the database names.
    /// Empty while it is away, and for a backend without hosts.
    fn hosts(&self) -> Vec<String> {
        Vec::new()
    }

    /// What the database server lacks and how the backend works around it, one sentence each; empty
    /// if it lacks nothing.
    fn remarks(&self) -> Vec<String>;
}
