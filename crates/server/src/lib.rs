//! Focus Server: the shell around the core, and everything people touch.

pub mod api;
pub mod cli;
pub mod config;
pub mod drill;
pub mod engine;
pub mod state_dir;
pub mod status;
pub mod telemetry;
