//! Exponential backoff with full jitter and no last attempt.

/// The ceilings of waits after failures, in milliseconds.
///
/// The caller draws the wait itself uniformly from `0..=ceiling` ("full jitter"), so that many servers
/// do not come back at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first_ms: u64,
    ceiling_max_ms: u64,
    failures: u32,
}

impl Backoff {
    /// Waits of up to `first_ms` at first, doubled with every failure, never over `ceiling_max_ms`.
    pub fn new(first_ms: u64, ceiling_max_ms: u64) -> Backoff {
        Backoff { first_ms, ceiling_max_ms, failures: 0 }
    }

    /// Counts a failure, and gives the ceiling of the wait that follows it, in milliseconds.
    pub fn failed(&mut self) -> u64 {
        let doubled = self.first_ms.saturating_mul(1 << self.failures.min(32));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.ceiling_max_ms)
    }

    /// Forgets the failures.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_never_end() {
        let mut backoff = Backoff::new(50, 2_000);
        let ceilings: Vec<u64> = (0..8).map(|_| backoff.failed()).collect();
        assert_eq!(ceilings, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
        for _ in 0..1_000 {
            assert_eq!(backoff.failed(), 2_000);
        }
        backoff.reset();
        assert_eq!(backoff.failed(), 50);
    }
}
