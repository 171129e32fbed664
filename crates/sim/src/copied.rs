//! A copy of the root, marker included, and a server that has it in the root's place.

use focus_core::marker_place::MarkerPlace;

use crate::index::Index;
use crate::server::Server;
use crate::storage::Storage;
use crate::world::World;

impl Server {
    /// A server that does nothing, until there is a copy of the root that it can serve.
    pub(crate) fn idle(name: &str, offset_ms: u64, drift: i64) -> Server {
        let mut server = Server::new(name, offset_ms, drift);
        server.is_idle = true;
        server
    }

    /// Where it has the root: each folder has a marker of its own.
    pub(crate) fn marker_place(&self) -> MarkerPlace {
        MarkerPlace {
            ctime_ns: if self.copied.is_some() { 1_000_000 } else { 0 },
            ..MarkerPlace::default()
        }
    }

    /// From now on it serves this copy of the root, and knows nothing else.
    pub(crate) fn serve_copy(&mut self, copied: Storage) {
        self.is_idle = false;
        // Its clock is not told of when the wall clock is set.
        self.copied = Some(Storage { is_local: false, ..copied });
        self.index = Index::new();
        self.crash(self.excludes, self.started_ms, self.least_ahead_ms);
    }

    /// Puts its own storage in the place of the world's, or back.
    pub(crate) fn swap_storage(&mut self, world: &mut World) {
        if let Some(copied) = &mut self.copied {
            std::mem::swap(copied, &mut world.storage);
        }
    }
}
