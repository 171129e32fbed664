//! Focus Server: the shell around the core, and everything people touch.

pub mod config;
pub mod engine;
pub mod status;
