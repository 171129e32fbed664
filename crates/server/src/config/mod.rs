//! Settings: file, then environment, then flags.

use std::path::PathBuf;

/// What a command works with, after file, environment and flags were joined.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The roots, in order.
    pub roots: Vec<RootSettings>,
    /// None: the embedded catalog.
    pub mongodb_uri: Option<String>,
    /// MongoDB database.
    pub database: String,
    /// MongoDB collection (layout `collection`).
    pub collection: String,
    /// How recordings lie in the database.
    pub layout: Layout,
    /// Index, embedded catalog, lock, address and token of the server.
    pub state_dir: PathBuf,
    /// Where HTTP is served.
    pub listen: String,
    /// How long files must have stood still.
    pub settle_ms: u64,
    /// Time between scans of names.
    pub scan_interval_ms: u64,
    /// Time between scans with stat.
    pub stat_interval_ms: u64,
    /// Time between comparisons of catalog and index.
    pub compare_interval_ms: u64,
    /// Data extensions, without the dot.
    pub extensions: Vec<String>,
}

/// One root.
#[derive(Clone, Debug)]
pub struct RootSettings {
    /// Its folder.
    pub path: PathBuf,
    /// Overrides the unit of numbers in sidecars: `s`, `ms`, `us`, `ns`.
    pub time_unit: Option<String>,
    /// Nothing in it is ever marked deleted.
    pub is_archive: bool,
}

/// How recordings lie in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All in one collection.
    Collection,
    /// A collection per root, named by the `base_paths` collection.
    BasePaths,
}
