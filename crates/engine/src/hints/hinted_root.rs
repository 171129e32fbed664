//! A root, as hints from outside name it: by their paths alone.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use focus_core::exclude::Exclude;
use focus_core::hint::{Target, below, target};
use focus_storage::Pair;

use crate::inbox::Inbox;
use crate::served_root::ServedRoot;

/// A root, as hints name it.
#[derive(Debug)]
pub(crate) struct HintedRoot {
    served: Arc<ServedRoot>,
    exclude: Exclude,
    pair: Pair,
}

impl HintedRoot {
    /// `exclude` is what is not there in it, and `pair` tells which names are files of recordings.
    pub(crate) fn new(served: Arc<ServedRoot>, exclude: Exclude, pair: Pair) -> HintedRoot {
        HintedRoot { served, exclude, pair }
    }

    /// What waits for the observer.
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.served.inbox
    }

    /// Whether a hint that names a root means this one: by its configured path, or by its id.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let path = self.served.settings.path.as_os_str().as_bytes();
        let id = self.served.memory.borrow();
        let without_slash = name.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(name);
        path == without_slash.as_bytes() || id.as_ref().is_some_and(|(id, _)| id == name)
    }

    /// What a hint names in this root; none: nothing.
    pub(crate) fn target(&self, path: &[u8]) -> Option<Target> {
        let (path, is_folder) = below(path, self.served.settings.path.as_os_str().as_bytes())?;
        if self.exclude.hides_path(&path) {
            return None;
        }
        target(&path, is_folder, |name| self.pair.part(name).map(|part| part.stem.len()))
    }
}
