//! Ways to take a database away, and to bring it back.
//!
//! Each kind of outage has a file, with its way down and its way up side by side. [`contract`] says what every
//! kind has to do; [`restore`] is the record of a way up that goes into the plan, so that another process can
//! take it; [`choice`] makes an outage from the options.

pub mod choice;
pub mod command;
pub mod contract;
pub mod docker;
pub mod kubernetes;
pub mod process;
pub mod proxy;
pub mod restore;
mod run_up;
pub mod systemd;
