//! How fast a job is, and how long it takes: from how far it was.

use std::time::Instant;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The part of the work; each has a pace of its own.
    pub(super) stage: &'static str,
    pub(super) done: u64,
    pub(super) of: u64,
}

/// How fast a job is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub(super) rate_per_s: f64,
    /// None where the rate is 0.
    pub(super) left_ms: Option<u64>,
}

/// From where the pace of a job is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    from: Progress,
    since: Instant,
}

impl Measure {
    pub(super) fn begin(from: Progress, now: Instant) -> Measure {
        Measure { from, since: now }
    }

    /// The pace by now. Another stage, or one that went back, is measured anew.
    pub(super) fn pace(&mut self, at: Progress, now: Instant) -> Pace {
        if at.stage != self.from.stage || at.done < self.from.done {
            *self = Measure::begin(at, now);
        }
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        let done = at.done.saturating_sub(self.from.done);
        let rate_per_s = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        let left = at.of.saturating_sub(at.done);
        let left_ms = (rate_per_s > 0.0).then(|| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an estimate for people"
            )]
            let ms = (left as f64 / rate_per_s * 1_000.0) as u64;
            ms
        });
        Pace { rate_per_s, left_ms }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_pace_is_that_of_the_stage_and_what_is_left_follows_from_it() {
        let began = Instant::now();
        let at = |stage, done| Progress { stage, done, of: 100 };
        let mut measure = Measure::begin(at("storage", 10), began);
        assert_eq!(measure.pace(at("storage", 10), began), Pace { rate_per_s: 0.0, left_ms: None });
        let later = began + Duration::from_secs(2);
        assert_eq!(
            measure.pace(at("storage", 30), later),
            Pace { rate_per_s: 10.0, left_ms: Some(7_000) }
        );
        assert_eq!(measure.pace(at("catalog", 40), later), Pace { rate_per_s: 0.0, left_ms: None });
        let last = later + Duration::from_secs(1);
        assert_eq!(
            measure.pace(at("catalog", 90), last),
            Pace { rate_per_s: 50.0, left_ms: Some(200) }
        );
    }
}
