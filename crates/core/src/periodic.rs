//! How often work is repeated that costs more the more there is.

/// Such work takes at most one part in so many of a processor.
const COST_PARTS: u64 = 500;

/// The time from one beginning to the next: as it is configured, and longer where the work itself took long.
/// `cpu_ms`: the processor time that it took last.
pub fn interval_ms(configured_ms: u64, cpu_ms: u64) -> u64 {
    configured_ms.max(cpu_ms.saturating_mul(COST_PARTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costly_work_comes_less_often_and_cheap_work_as_configured() {
        assert_eq!(interval_ms(900_000, 100), 900_000);
        assert_eq!(interval_ms(900_000, 5_200), 2_600_000);
        assert_eq!(interval_ms(100, u64::MAX), u64::MAX);
    }
}
