//! A marker that was lost, and `focus init` after it.

use focus_core::recognise::{Known, Recognition, Sampled, recognise};

use crate::catalog::{Data, EARLIER, ROOT};
use crate::index::Index;
use crate::server::Server;
use crate::storage::RootIs;
use crate::world::World;

impl World {
    /// The root that has lost its marker is marked again, on the machine of `servers[by]`. False: nobody can
    /// tell which root it is, and it waits.
    pub(crate) fn mark_again(&mut self, servers: &mut [Server], by: usize) -> bool {
        if self.storage.root != RootIs::Unmarked {
            return false;
        }
        let sample = self.storage.sample();
        let rows = servers[by].index.rows.values();
        let mut known: Vec<Known> = rows
            .map(|row| Known {
                uuid: row.recording.uuid.clone(),
                root: ROOT.to_owned(),
                path: row.recording.path.clone(),
                deleted: row.entry.is_marked(),
            })
            .collect();
        let mut recognised = recognise(&sample, &known, &|_| None);
        if matches!(recognised, Recognition::New { .. }) {
            if !self.catalog.up {
                return false;
            }
            known.extend(in_catalog(&self.catalog.data));
            recognised = recognise(&sample, &known, &|_| None);
        }
        match recognised {
            Recognition::Again(root) if root.root == ROOT => self.storage.root = RootIs::There,
            // Nobody makes a new root of files that are all known, unless he is told that they are not.
            Recognition::New { .. } if are_all_known(&sample, &known) => self.make_anew(servers),
            _ => return false,
        }
        true
    }

    /// From now on the root has another id. What the catalog has of it is of the earlier one.
    fn make_anew(&mut self, servers: &mut [Server]) {
        self.storage.root = RootIs::There;
        for data in self.catalog.copies.iter_mut().chain([&mut self.catalog.data]) {
            (data.lease, data.watermark) = (None, None);
            for stored in data.documents.values_mut() {
                if stored.root.as_deref() == Some(ROOT) {
                    stored.root = Some(EARLIER.to_owned());
                }
            }
        }
        self.delayed.clear();
        for server in servers {
            server.index = Index::new();
            server.crash(self.excludes, self.true_ms, self.wall_ahead_ms);
        }
    }
}

fn in_catalog(data: &Data) -> impl Iterator<Item = Known> + '_ {
    data.documents.values().filter_map(|stored| {
        Some(Known {
            uuid: stored.uuid.clone(),
            root: stored.root.clone()?,
            path: stored.path.clone()?,
            deleted: stored.deleted,
        })
    })
}

fn are_all_known(sample: &[Sampled], known: &[Known]) -> bool {
    let is_known = |one: &Sampled| {
        known.iter().any(|row| row.root == ROOT && (&row.uuid, &row.path) == (&one.uuid, &one.path))
    };
    !sample.is_empty() && sample.iter().all(is_known)
}
