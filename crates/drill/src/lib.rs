//! The drill: the reference scenario as a product. It takes the database away, plants recordings,
//! brings the database back, and says what became of each of them.
//!
//! It reaches the running server as a user does, by HTTP, and the catalog with a client of its own.

pub mod baseline;
pub mod clean;
pub mod converge;
pub mod database;
pub mod experiment;
pub mod group;
pub mod guard;
pub mod judge;
pub mod kept;
pub mod lock;
pub mod mark;
pub mod options;
pub mod outage;
pub mod pause;
pub mod plan;
pub mod planting;
pub mod recover;
pub mod relay;
pub mod render;
pub mod report;
pub mod restore;
pub mod run;
pub mod server;
pub mod site;
pub mod verdict;
pub mod watcher;
