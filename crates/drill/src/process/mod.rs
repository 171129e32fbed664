//! Processes that a drill starts or stops, and that may outlive it.

pub mod group;
pub mod held_command;
pub mod identity;
pub mod output;
