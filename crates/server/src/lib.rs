//! The binary `focus`: its commands and its HTTP interface.

pub mod alerts;
pub mod api;
pub mod cli;
mod csv;
pub mod events;
mod hint_taker;
pub mod history;
pub mod jobs;
mod page;
mod sessions;
pub mod telemetry;
