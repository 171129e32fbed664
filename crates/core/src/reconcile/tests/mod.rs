//! Tests of the reconciler, with an index and a catalog in memory.

mod beside;
mod changes;
mod comparisons;
mod invariants;
mod leases;
mod recovery;
mod world;

use super::*;
use world::World;
