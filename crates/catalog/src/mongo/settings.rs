//! Where the catalog in MongoDB is, and how patient its calls are.

/// How recordings lie in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All roots in one collection.
    Collection,
    /// A collection per root, named by its row in `base_paths`.
    BasePaths,
}

/// The collections of one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collections {
    pub(super) recordings: String,
    pub(super) unrecognised: String,
    pub(super) is_archive: bool,
}

impl Collections {
    /// Those that this name leads to.
    pub(super) fn named(recordings: &str, is_archive: bool) -> Collections {
        Collections {
            recordings: recordings.to_owned(),
            unrecognised: format!("{recordings}-unrecognized_recordings"),
            is_archive,
        }
    }
}

/// Where the catalog is, and how patient its probe is.
#[derive(Clone)]
pub struct MongoSettings {
    /// A MongoDB connection string; may hold a password, so it is never shown.
    pub uri: String,
    /// The database.
    pub database: String,
    /// The collection, in the layout `collection`.
    pub collection: String,
    /// How recordings lie.
    pub layout: Layout,
    /// Silence of the database for longer than about twice this counts as an outage, milliseconds.
    pub probe_timeout_ms: u64,
    /// A write that has not been answered after so long is in doubt, milliseconds.
    pub write_timeout_ms: u64,
}

impl MongoSettings {
    /// Settings with the measured defaults.
    pub fn new(uri: &str, database: &str, collection: &str, layout: Layout) -> MongoSettings {
        MongoSettings {
            uri: uri.to_owned(),
            database: database.to_owned(),
            collection: collection.to_owned(),
            layout,
            probe_timeout_ms: 500,
            write_timeout_ms: 20_000,
        }
    }

    /// The collections of every root, in the layout `collection`.
    pub(super) fn collections(&self) -> Collections {
        Collections::named(&self.collection, false)
    }
}

impl std::fmt::Debug for MongoSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoSettings")
            .field("database", &self.database)
            .field("collection", &self.collection)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}
