//! The binary `focus`: its commands and its HTTP interface.

pub mod alerts;
pub mod api;
pub mod cli;
pub mod events;
pub mod jobs;
pub mod telemetry;
