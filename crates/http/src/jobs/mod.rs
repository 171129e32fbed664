//! Jobs: work that people and programs start, and that goes on without them.
//!
//! | file | what it does |
//! |---|---|
//! | `board` | the jobs that are known; starts and ends them |
//! | `work` | has the engine do what a job is for, and tells how far it is |
//! | `pace` | how fast a job is, from how far it was |
//! | `kept` | a file for each job in the state folder |

mod board;
mod kept;
mod pace;
mod work;

pub use board::{CancelError, Jobs, ShownJob};
