//! Scans of storage: of names, which skip folders, and of everything.

use focus_core::folder::ScanClock;
use focus_core::reconcile::Event;
use focus_core::recording::Place;
use focus_core::settle::Closed;

use super::Server;
use crate::storage::{RootIs, folders};
use crate::world::World;

/// What a scan compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Names alone.
    Names,
    /// Everything.
    Stat,
}

impl Server {
    /// Everything on storage against the index.
    pub(crate) fn scan(&mut self, detail: Detail, world: &World) -> Result<(), String> {
        if world.storage.root != RootIs::There {
            return Ok(());
        }
        let is_full = detail == Detail::Stat || std::mem::take(&mut self.asks_full_scan);
        let detail = if is_full { Detail::Stat } else { Detail::Names };
        let ahead_ms = world.wall_ahead_ms.min(self.least_ahead_ms);
        self.folders.begin(ScanClock { now_ns: self.steady_wall_ns(world), ahead_ms });
        for (folder, places) in folders() {
            self.scan_folder(folder, places, detail, world)?;
        }
        self.folders.end(true);
        let mut all = folders().map(|(folder, _)| folder);
        if is_full {
            self.index.settle_mounts(&|folder| world.storage.mount(folder));
        } else if all.any(|folder| self.index.has_moved(folder, &world.storage.mount(folder))) {
            self.asks_full_scan = true;
        }
        self.core.handle(Event::Scanned);
        Ok(())
    }

    fn scan_folder(
        &mut self,
        folder: &[u8],
        places: impl Iterator<Item = Place>,
        detail: Detail,
        world: &World,
    ) -> Result<(), String> {
        let (seen, changes) = world.storage.folder(folder);
        let is_hidden = self.exclude.hides_folder(folder);
        if !is_hidden {
            if detail == Detail::Names && self.folders.skip(folder, &seen, false).is_some() {
                return self.check_skipped(folder, changes);
            }
            self.folders.read(folder, seen, false);
            self.read_at.insert(folder.to_vec(), changes);
        }
        let mut is_same = true;
        for place in places {
            let there = if is_hidden { (false, false) } else { world.storage.names(&place) };
            let known = self.index.sight(&place);
            let differs = there != (known.data.is_some(), known.sidecar.is_some());
            is_same &= !differs;
            if differs || detail == Detail::Stat {
                self.look(&place, Closed::default(), world)?;
            }
        }
        if is_same && !is_hidden {
            self.folders.was_the_same(folder, &[]);
        }
        Ok(())
    }

    /// In a folder that is skipped no name has come or gone since it was read.
    fn check_skipped(&self, folder: &[u8], changes: u64) -> Result<(), String> {
        if self.read_at.get(folder) == Some(&changes) {
            return Ok(());
        }
        let folder = String::from_utf8_lossy(folder);
        Err(format!("skipped_folders_are_as_they_were_read: {folder} of {} has changed", self.name))
    }
}
