//! The decisions of Focus Server.
//!
//! Everything here is a plain function or state machine: no files, sockets, clock,
//! randomness or database. The shell (the crate `focus-server`) observes the world,
//! asks this crate what follows, and carries it out.
#![warn(clippy::pedantic)]
#![allow(
    clippy::module_name_repetitions,
    clippy::must_use_candidate,
    reason = "names read better in full where they are used; getters say what they are"
)]

pub mod answer;
pub mod backoff;
pub mod batch;
pub mod claim;
pub mod compare;
pub mod document;
pub mod json;
pub mod look;
pub mod recording;
pub mod reconcile;
pub mod state;
