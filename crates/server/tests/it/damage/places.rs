//! The files that the server reads, and what comes of damage to each.

use super::actions::Action;

/// A file that the server reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Index,
    IndexLog,
    Catalog,
    Identity,
    Marker,
    Settings,
    Result,
    Server,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server starts, and puts everything right.
    Mended,
    /// A verification finds it and mends it, or says that a person has to.
    Verified,
    /// It ends with 2 and a message that holds these words.
    Refused(&'static str),
    /// It serves, and the status says these words at this place; a person has to act.
    Told(&'static str, &'static str),
}

use Outcome::{Mended, Refused, Told, Verified};

impl Place {
    /// All of them.
    pub(crate) const ALL: [Place; 8] = [
        Place::Index,
        Place::IndexLog,
        Place::Catalog,
        Place::Identity,
        Place::Marker,
        Place::Settings,
        Place::Result,
        Place::Server,
    ];

    /// The file, below the site's folder.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Place::Index => "state/index.db",
            Place::IndexLog => "state/index.db-wal",
            Place::Catalog => "state/catalog/catalog.db",
            Place::Identity => "state/identity",
            Place::Marker => "root/.focus-root",
            Place::Settings => "settings/focus.toml",
            Place::Result => "state/verification.json",
            Place::Server => "state/server.json",
        }
    }

    /// What has to come of this action.
    pub(crate) fn outcome(self, action: Action) -> Outcome {
        match (self, action) {
            (Place::Index | Place::IndexLog, Action::Folder | Action::Shut)
            // SQLite follows no link to a log.
            | (Place::IndexLog, Action::Link) => {
                Refused("mend their permissions, or move them away")
            }
            (Place::Index | Place::IndexLog, _) => Mended,

            (Place::Catalog, Action::Emptied) => Mended,
            (Place::Catalog, Action::MiddleFlipped) => Verified,
            (Place::Catalog, Action::Removed) => Told("/catalog_reason", "bring it back, or make an empty"),
            (Place::Catalog, Action::Folder | Action::Shut) => {
                Told("/catalog_reason", "Mend what is there, or its permissions")
            }
            (Place::Catalog, _) => Told("/catalog_reason", "It is damaged: bring back a copy"),

            (Place::Identity, Action::Folder | Action::Shut) => {
                Refused("mend its permissions, or move it away")
            }
            (Place::Identity, _) => Mended,

            (Place::Marker, Action::Removed) => Told("/roots/0/reason", "has no marker .focus-root"),
            (Place::Marker, Action::Shut) => Told("/roots/0/reason", "cannot be read"),
            (Place::Marker, _) => Told("/roots/0/reason", "is damaged: restore it from a copy"),

            // No setting in it is needed.
            (Place::Settings, Action::Emptied) => Mended,
            (Place::Settings, Action::Cut | Action::Link | Action::MiddleFlipped) => Refused("focus.toml"),
            (Place::Settings, _) => Refused("cannot be read"),

            (Place::Server, Action::Folder) => Refused("cannot be written: move away what is there"),
            (Place::Result | Place::Server, _) => Mended,
        }
    }
}
