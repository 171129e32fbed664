//! The drill: the reference scenario as a product. It takes the database away, plants recordings,
//! brings the database back, and says what became of each of them.
//!
//! It reaches the running server as a user does, by HTTP, and the catalog with a client of its own.

pub mod database;
pub mod experiment;
pub mod group;
pub mod options;
pub mod outage;
pub mod plan;
pub mod relay;
pub mod report;
