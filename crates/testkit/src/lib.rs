//! Real servers, a fault proxy and trees of recordings, for tests and benches.
//!
//! The testkit does not use the product's code, because it judges the product.

pub mod amqp;
pub mod broker;
pub mod certificates;
pub mod fields;
pub mod focus;
pub mod kubernetes;
pub mod mongo;
pub mod mqtt;
pub mod nats;
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
