//! The index against real files: what it remembers, forgets, refuses and survives.

mod acknowledging;
mod clock;
mod drilling;
mod file;
mod fixture;
mod listing;
mod metadata;
mod model;
mod observing;
mod overlapping;
mod power;
mod removing;
mod text;
mod vanishing;
