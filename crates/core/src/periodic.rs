//! How often work that reads everything is done again: it takes a five-hundredth of a processor at most.

/// Work waits for so many times the processor time that it took last.
const PAUSE: u64 = 500;

/// When work of this interval is done again after it was begun, milliseconds.
pub fn every_ms(interval_ms: u64, last_cpu_ms: u64) -> u64 {
    interval_ms.max(last_cpu_ms.saturating_mul(PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_takes_long_is_done_less_often_than_its_interval_says() {
        assert_eq!(every_ms(900_000, 0), 900_000);
        assert_eq!(every_ms(900_000, 1_800), 900_000);
        assert_eq!(every_ms(900_000, 6_000), 3_000_000);
        assert_eq!(every_ms(1, u64::MAX), u64::MAX);
    }
}
