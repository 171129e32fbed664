//! Hints that come from outside: how they are written, which places they name, and how long one waits for its files.
//!
//! A hint says where to look and proves nothing. So a hint that is wrong costs a look, and a hint that is lost costs
//! the time to the next scan.

mod body;
mod place;
mod waiting;

pub use body::{BinaryEvent, BodyProblem, Envelope, Form, Hints, form, parse};
pub use place::{PATH_BYTES_MAX, Target, below, target};
pub use waiting::{HintList, Outcome, Pushed, WAITING_MAX};
