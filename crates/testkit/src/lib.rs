//! Real servers, a fault proxy and trees of recordings, for tests and benches.
//!
//! Nothing here uses the product's own code: what it says is checked against what the product did.

pub mod focus;
pub mod kubernetes;
pub mod mongo;
pub mod oracle;
pub mod podman;
pub mod power;
pub mod proxy;
pub mod schema;
pub mod stats;
pub mod store;
pub mod systemd;
pub mod tree;
pub mod wait;
