//! Scans of names: a folder that is as it was is not read.

use std::collections::BTreeMap;

use focus_core::folder::{FolderStamp, is_set_back};
use focus_core::reconcile::Event;
use focus_core::settle::{Closed, Sight};

use super::Server;
use crate::storage::{FOLDERS, RootIs, places_of};
use crate::world::World;

/// What the scans of a server remember of folders.
#[derive(Default)]
pub(super) struct KnownFolders {
    /// Those that need not be read while they show this.
    stamps: BTreeMap<Vec<u8>, FolderStamp>,
    /// How far the wall clock was ahead at the least when these were read first, milliseconds.
    ahead_ms: i64,
}

impl KnownFolders {
    /// A look made this of what was known of a place.
    pub(super) fn looked(&mut self, folder: &[u8], before: &Sight, now: &Sight) {
        if names(before) != names(now) {
            self.stamps.remove(folder);
        }
    }
}

/// Which files a place has: a data file, a sidecar.
fn names(sight: &Sight) -> (bool, bool) {
    (sight.data.is_some(), sight.sidecar.is_some())
}

impl Server {
    /// The names on storage against those of the index.
    pub(crate) fn scan_names(&mut self, world: &World) -> Result<(), String> {
        if world.storage.root != RootIs::There {
            self.folders = KnownFolders::default();
            return Ok(());
        }
        let ahead_ms = world.wall_ahead_ms.min(self.least_ahead_ms);
        if is_set_back(self.folders.ahead_ms, ahead_ms) || self.folders.stamps.is_empty() {
            self.folders = KnownFolders { ahead_ms, ..KnownFolders::default() };
        }
        // What lies on another mount is looked at before it counts as found there.
        let is_moved = |folder: &str| {
            self.index.is_moved(folder.as_bytes(), &world.storage.mount(folder.as_bytes()))
        };
        if FOLDERS.into_iter().any(is_moved) {
            return self.scan(world);
        }
        for folder in FOLDERS {
            self.scan_folder(folder, world)?;
        }
        self.core.handle(Event::Scanned);
        Ok(())
    }

    fn scan_folder(&mut self, folder: &str, world: &World) -> Result<(), String> {
        let key = folder.as_bytes();
        let stamp = world.storage.folder_stamp(key);
        let is_hidden = self.exclude.hides_folder(key);
        let is_known = self.folders.stamps.get(key) == Some(&stamp);
        let read_ns = self.steady_wall_ns(world);
        let mut has_news = false;
        for place in places_of(folder) {
            let there = if is_hidden { (false, false) } else { world.storage.names(&place) };
            if names(&self.index.sight(&place)) == there {
                continue;
            }
            if is_known {
                let at = place.display();
                return Err(format!(
                    "a_folder_that_changed_is_read_again: {at} is not as the index has it"
                ));
            }
            has_news = true;
            self.look(&place, Closed::default(), world)?;
        }
        if !has_news && !is_hidden && world.storage.is_local && stamp.is_lasting(read_ns) {
            self.folders.stamps.insert(key.to_vec(), stamp);
        } else {
            self.folders.stamps.remove(key);
        }
        Ok(())
    }
}
