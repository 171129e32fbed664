//! Outages of the catalog: when each began and ended, and how fast what it left was caught up. What happened is in
//! [`focus_core::outage`]; here are the clocks, and what the state folder keeps.

mod follow;
mod kept;
mod known;
mod told;

pub(crate) use follow::{Followed, follow};
pub(crate) use known::Outages;
pub use told::kept_outages;
