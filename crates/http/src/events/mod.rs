//! Events: what happens, told to readers that stay.
//!
//! | file | what it does |
//! |---|---|
//! | `bus` | the last events, and the readers; who publishes never waits |
//! | `source` | looks at engine and alerts while there are readers, and publishes what has changed |

mod bus;
mod source;

pub use bus::{Events, Place, READERS_MAX};
pub use source::feed;
