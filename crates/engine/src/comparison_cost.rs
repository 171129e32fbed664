//! What comparisons cost, and when the next one comes by itself.

use std::time::Duration;

use focus_catalog::cpu;
use focus_core::periodic::interval_ms;
use focus_core::reconcile::Job;
use tokio::time::Instant;

/// The comparisons of one root.
#[derive(Debug)]
pub(crate) struct ComparisonCost {
    interval_ms: u64,
    /// When the last one was asked for by its interval; at first, when the driver began.
    asked: Instant,
    /// Comparisons that have finished.
    finished: u64,
    /// Processor time of the one under way.
    so_far: Duration,
    /// Processor time of the last one that has finished.
    last: Duration,
}

impl ComparisonCost {
    /// None was made yet.
    pub(crate) fn new(interval_ms: u64) -> ComparisonCost {
        let (so_far, last) = (Duration::ZERO, Duration::ZERO);
        ComparisonCost { interval_ms, asked: Instant::now(), finished: 0, so_far, last }
    }

    /// When the next one comes by itself.
    pub(crate) fn next(&self) -> Instant {
        let cpu_ms = u64::try_from(self.last.as_millis()).unwrap_or(u64::MAX);
        // An instant that no clock can tell is as good as a year away.
        let every = Duration::from_millis(interval_ms(self.interval_ms, cpu_ms)).min(YEAR);
        self.asked + every
    }

    /// One is asked for by its interval.
    pub(crate) fn asked(&mut self) {
        self.asked = Instant::now();
    }

    /// A step took so much, and so many comparisons have finished by now.
    pub(crate) fn took(&mut self, cpu: Duration, finished: u64) {
        self.so_far += cpu;
        if self.finished < finished {
            self.finished = finished;
            self.last = std::mem::take(&mut self.so_far);
        }
    }
}

/// No pause is longer.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The counting of one step of a reconciler: only those of comparisons count.
pub(crate) struct Counting {
    /// What had been counted before; none where the step does not count.
    before: Option<Duration>,
}

impl Counting {
    /// Before this step.
    pub(crate) fn of(job: &Job) -> Counting {
        Counting { before: is_of_comparison(job).then(cpu::total) }
    }

    /// Counts a part of the step.
    pub(crate) async fn future<T>(&self, part: impl Future<Output = T>) -> T {
        if self.before.is_some() { cpu::counted_future(part).await } else { part.await }
    }

    /// Counts another part of it.
    pub(crate) fn work<T>(&self, part: impl FnOnce() -> T) -> T {
        if self.before.is_some() { cpu::counted(part) } else { part() }
    }

    /// Processor time of the step so far.
    pub(crate) fn cpu(&self) -> Duration {
        self.before.map_or(Duration::ZERO, |before| cpu::total().saturating_sub(before))
    }
}

/// Whether a step of the reconciler is one of a comparison.
fn is_of_comparison(job: &Job) -> bool {
    match job {
        Job::Window { .. }
        | Job::Rows { .. }
        | Job::SpotCheck { .. }
        | Job::Found { .. }
        | Job::Sweep { .. }
        | Job::Finish { .. } => true,
        Job::Open
        | Job::Mark { .. }
        | Job::Met(_)
        | Job::Call(_)
        | Job::Report
        | Job::Pick(_)
        | Job::Note { .. }
        | Job::Owe { .. }
        | Job::Token(_)
        | Job::Held { .. }
        | Job::Claims(_)
        | Job::Acknowledge { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_comparison_waits_for_five_hundred_times_what_the_last_one_took() {
        let mut cost = ComparisonCost::new(1_000);
        assert_eq!(cost.next() - cost.asked, Duration::from_secs(1));
        cost.took(Duration::from_millis(15), 0);
        assert_eq!(cost.next() - cost.asked, Duration::from_secs(1), "it goes on");
        cost.took(Duration::from_millis(5), 1);
        assert_eq!(cost.next() - cost.asked, Duration::from_secs(10));
        cost.took(Duration::from_micros(900), 2);
        assert_eq!(cost.next() - cost.asked, Duration::from_secs(1));
    }
}
