//! The drill's part of a state folder: its files, how far it has come, and the lock that shows that it is alive.

pub mod folder;
pub mod journal;
pub mod lock;
pub mod progress;
