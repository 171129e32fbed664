//! The clocks: one that decides, one for the age of files, and one for people.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of the boot-time clock. Nobody can set it, and it goes on while the machine is suspended.
pub fn boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(millis)
}

/// Nanoseconds since 1970, for the age of files. This clock is as far ahead of the boot-time clock as the wall clock was
/// at the least of all calls: a wall clock that is set forward makes no file look older than it is.
pub fn steady_wall_ns() -> i64 {
    static AHEAD_MS: AtomicI64 = AtomicI64::new(i64::MAX);
    let boot_ms = i64::try_from(self::boot_ms()).unwrap_or(i64::MAX);
    let now_ms = self::wall_ms().saturating_sub(boot_ms);
    let ahead_ms = AHEAD_MS.fetch_min(now_ms, Ordering::Relaxed).min(now_ms);
    boot_ms.saturating_add(ahead_ms).saturating_mul(1_000_000)
}

/// Milliseconds since 1970, for people and for hourly bounds.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time in milliseconds since 1970 as RFC 3339, in UTC, with milliseconds.
pub fn rfc3339(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{ms} ms"),
    }
}
