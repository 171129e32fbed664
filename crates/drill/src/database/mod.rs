//! The drill's own view of the database: whether it takes writes, what is in it, and that one drill at a time
//! has it.

pub mod address;
pub mod client;
pub mod heartbeat_lock;
pub mod probe;
