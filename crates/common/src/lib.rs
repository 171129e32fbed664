//! What the server, its commands and the drill share: the settings, the state folder, the status that a
//! server tells, the clocks, and the client of a running server.
//!
//! This crate knows nothing of storage, index or catalog, so that the drill can use it and still meet
//! the server only as its users do.

pub mod client;
pub mod clock;
pub mod config;
pub mod http;
pub mod state_dir;
pub mod status;
