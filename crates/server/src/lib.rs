//! The binary `focus`: its commands, and the server that they start.

pub mod cli;
mod hint_taker;
pub mod telemetry;
