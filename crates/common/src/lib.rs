//! The parts that the server, its commands and the drill share: the settings, the state folder, the status
//! of a server, the clocks, and the client of a running server.
//!
//! This crate knows nothing of storage, index or catalog, so the drill can use it and still reach
//! the server only as a user would.

pub mod alerts;
pub mod client;
pub mod clock;
pub mod config;
pub mod http;
pub mod machine;
pub mod memory_budget;
pub mod metrics;
pub mod standing;
pub mod state_dir;
pub mod status;
