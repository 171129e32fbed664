//! Distributions, printed for people.

use std::time::Duration;

/// The time that so many of 1,000 do not exceed; nothing where there are no times.
pub fn at(times: &[Duration], permille: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * permille / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

/// The one in the middle.
pub fn median(times: &[Duration]) -> Duration {
    at(times, 500)
}

/// `median 12 ms, p99 30 ms, max 31 ms of 20`.
pub fn describe(times: &[Duration]) -> String {
    let ms = |permille| at(times, permille).as_secs_f64() * 1_000.0;
    format!(
        "median {:.1} ms, p99 {:.1} ms, max {:.1} ms of {}",
        ms(500),
        ms(990),
        ms(1_000),
        times.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ten_times_the_sixth_is_the_median_and_the_last_the_most() {
        let times: Vec<Duration> = (1..=10).rev().map(Duration::from_millis).collect();
        assert_eq!(median(&times), Duration::from_millis(6));
        assert_eq!(at(&times, 1_000), Duration::from_millis(10));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
