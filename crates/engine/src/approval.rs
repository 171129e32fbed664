//! Deletions that are held, and their approval.

use focus_common::clock;
use focus_index::{IndexError, RootId};

use crate::engine::Engine;

/// The held deletions of one root.
#[derive(Clone, Debug)]
pub struct HeldRoot {
    /// The root's row in the index.
    pub id: RootId,
    /// The id in the root's marker.
    pub marker: String,
    /// The root's configured path.
    pub path: String,
    /// How many deletions are held.
    pub held: u64,
    /// The end of the set that is held now: an approval of this set leaves later deletions held.
    pub through: i64,
}

impl Engine {
    /// What is held of each root that is known. Blocks for as long as a read takes.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn held_roots(&self) -> Result<Vec<HeldRoot>, IndexError> {
        let mut roots = Vec::new();
        for served in &self.roots {
            let Some((marker, memory)) = served.memory.borrow().clone() else { continue };
            roots.push(HeldRoot {
                id: memory.id,
                marker,
                path: served.path(),
                held: self.reader.root_totals(memory.id)?.held,
                through: self.reader.held_through(memory.id)?,
            });
        }
        Ok(roots)
    }

    /// Approves the held deletions of a root up to `through`, and tells how many these are.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn approve(&self, root: RootId, through: i64) -> Result<u64, IndexError> {
        let approved = self.index.approve(root, through, clock::wall_ms()).await?;
        for served in &self.roots {
            served.wake.notify_one();
        }
        if approved > 0 {
            tracing::info!(approved, "{approved} held deletions were approved");
        }
        Ok(approved)
    }
}
