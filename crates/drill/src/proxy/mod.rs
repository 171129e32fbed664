//! `focus drill proxy`: a TCP proxy between server and database that fails as a drill orders it to.

mod connection;
pub mod protocol;
pub mod server;
