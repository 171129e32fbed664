//! Distributions, printed for people.

use std::time::Duration;

/// `median 12 ms, p99 30 ms, max 31 ms of 20`.
pub fn describe(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = |permille: usize| {
        sorted.get((sorted.len() * permille / 1_000).min(sorted.len().saturating_sub(1)))
    };
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    format!(
        "median {:.1} ms, p99 {:.1} ms, max {:.1} ms of {}",
        ms(at(500)),
        ms(at(990)),
        ms(sorted.last()),
        sorted.len()
    )
}
