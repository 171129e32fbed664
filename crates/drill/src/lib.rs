//! The drill: the reference scenario as a product. It takes the database away, plants recordings, brings the
//! database back, and tells how each recording ended.
//!
//! The drill reaches the running server by HTTP, as a user does, and the catalog with a client of its own.
//!
//! Where to look:
//!
//! | | |
//! |---|---|
//! | the order of the ten steps | [`run`], `run/sequence.rs` |
//! | what proves the outage | `run/steps/proof_of_outage.rs`, [`watcher`] |
//! | how the database is brought back, also after a crash | [`restore`], [`recover`], [`guard`] |
//! | who removes a drill's files | [`cleanup`] |
//! | what is on disk before anything is broken | [`plan`], [`state`] |
//! | each kind of outage | [`outage`] |

pub mod arrivals;
pub mod baseline;
pub mod breakpoint;
pub mod cleanup;
pub mod database;
pub mod early_end;
pub mod fate;
mod form;
pub mod guard;
pub mod outage;
pub mod plan;
pub mod planting;
pub mod posting;
pub mod preflight;
pub mod process;
pub mod proxy;
pub mod recover;
pub mod redaction;
pub mod render;
pub mod report;
pub mod restore;
pub mod run;
pub mod scenario;
pub mod server;
pub mod state;
pub mod watcher;
