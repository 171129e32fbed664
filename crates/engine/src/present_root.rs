//! A root while its storage is there, with everything that looking at it needs.

use std::time::Duration;

use focus_common::config::Settings;
use focus_index::{Index, RootId};
use focus_storage::{Pair, Root};

use crate::inbox::Inbox;
use crate::known_folders::KnownFolders;
use crate::served_root::ServedRoot;

/// A root whose storage is there, from its being opened to its being lost.
#[derive(Clone, Copy)]
pub(crate) struct PresentRoot<'a> {
    pub(crate) served: &'a ServedRoot,
    /// The opened storage.
    pub(crate) root: &'a Root,
    /// The root's row in the index.
    pub(crate) id: RootId,
    pub(crate) index: &'a Index,
    /// Which names are data files and sidecars.
    pub(crate) pair: &'a Pair,
    pub(crate) settings: &'a Settings,
    /// What scans remember of its folders.
    pub(crate) folders: &'a KnownFolders,
}

impl<'a> PresentRoot<'a> {
    /// Time between two scans of names.
    pub(crate) fn scan_interval(&self) -> Duration {
        Duration::from_millis(self.settings.scan_interval_ms_of(&self.served.settings))
    }

    /// What waits for the observer.
    pub(crate) fn inbox(&self) -> &'a Inbox {
        &self.served.inbox
    }
}
