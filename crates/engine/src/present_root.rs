//! A root while its storage is there, with everything that looking at it needs.

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
    /// What waits for the observer.
    pub(crate) fn inbox(&self) -> &'a Inbox {
        &self.served.inbox
    }
}
