//! The last failure, and how long to wait after it.

use crate::answer::{Class, Failure};
use crate::backoff::Backoff;

/// Waits after what may pass by itself.
const PASSING_MS: (u64, u64) = (50, 2_000);

/// Waits after what an operator has to mend.
const REFUSED_MS: (u64, u64) = (1_000, 30_000);

/// What stands in the way.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    passing: Backoff,
    refused: Backoff,
    failure: Option<Failure>,
}

impl Trouble {
    /// Nothing does.
    pub(super) fn new() -> Trouble {
        Trouble {
            passing: Backoff::new(PASSING_MS.0, PASSING_MS.1),
            refused: Backoff::new(REFUSED_MS.0, REFUSED_MS.1),
            failure: None,
        }
    }

    /// The last failure, until something succeeds.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Keeps the failure, and gives the ceiling of the wait that follows it, in milliseconds.
    pub(super) fn fail(&mut self, failure: Failure) -> u64 {
        let backoff = match failure.class {
            Class::RefusedClient => &mut self.refused,
            _ => &mut self.passing,
        };
        let within_ms = backoff.failed();
        self.failure = Some(failure);
        within_ms
    }

    /// The ceiling of a wait that no failure is told for, in milliseconds.
    pub(super) fn pause(&mut self) -> u64 {
        self.passing.failed()
    }

    /// Something succeeded, or begins anew.
    pub(super) fn clear(&mut self) {
        self.failure = None;
        self.passing.reset();
        self.refused.reset();
    }
}
