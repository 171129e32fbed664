//! Progress of a first fill: what was on storage when the server started is indexed and catalogued.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use focus_common::status::Fill;

/// So many recordings make a fill that is told of.
const TOLD_MIN: u64 = 1_000;

/// The first fill of a process.
#[derive(Debug)]
pub(crate) struct FirstFill {
    began: Instant,
    /// Nothing was left to do at some time.
    is_over: AtomicBool,
}

impl FirstFill {
    /// Begins now.
    pub(crate) fn begin() -> FirstFill {
        FirstFill { began: Instant::now(), is_over: AtomicBool::new(false) }
    }

    /// The progress; none where the fill is over, or small. `waiting` recordings are unsettled or pending, and
    /// `written` were acknowledged since the start. `is_counted`: every root was scanned, so there are no more.
    pub(crate) fn progress(&self, waiting: u64, written: u64, is_counted: bool) -> Option<Fill> {
        self.progress_after(self.began.elapsed(), waiting, written, is_counted)
    }

    fn progress_after(
        &self,
        elapsed: Duration,
        waiting: u64,
        written: u64,
        is_counted: bool,
    ) -> Option<Fill> {
        if waiting == 0 && is_counted {
            self.is_over.store(true, Ordering::Relaxed);
        }
        let of = written.saturating_add(waiting);
        if of < TOLD_MIN || self.is_over.load(Ordering::Relaxed) {
            return None;
        }
        let seconds = elapsed.as_secs_f64();
        let rate_per_s = if seconds > 0.0 { written as f64 / seconds } else { 0.0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate for people"
        )]
        let left_ms = (is_counted && rate_per_s > 0.0)
            .then(|| (waiting as f64 / rate_per_s * 1_000.0) as u64);
        Some(Fill { done: written, of, is_counted, rate_per_s, left_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_is_told_until_nothing_is_left_of_it_once() {
        let fill = FirstFill::begin();
        let after = |waiting, written, is_counted| {
            fill.progress_after(Duration::from_secs(2), waiting, written, is_counted)
        };
        assert_eq!(after(999, 0, false), None, "too small");
        let first = after(1_500, 0, false).expect("told");
        assert_eq!((first.done, first.of, first.left_ms), (0, 1_500, None));
        let counted = after(1_000, 1_000, true).expect("told");
        assert_eq!((counted.done, counted.of, counted.left_ms), (1_000, 2_000, Some(2_000)));
        assert_eq!(after(0, 2_000, true), None);
        assert_eq!(after(5_000, 2_000, true), None, "no first fill any more");
    }
}
