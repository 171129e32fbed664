//! Times in sidecars and in requests, floored to milliseconds since 1970. What a text says is read in
//! [`crate::iso8601`].

use thiserror::Error;

/// 1970-01-01T00:00:00Z.
pub const EARLIEST_MS: i64 = 0;
/// 2200-12-31T23:59:59.999Z.
pub const LATEST_MS: i64 = 7_289_654_399_999;

/// Larger exponents count as this one.
const EXPONENT_MAX: i64 = 1 << 40;

/// The unit of a number that stands for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// `s`
    Seconds,
    /// `ms`
    Millis,
    /// `us`
    Micros,
    /// `ns`
    Nanos,
}

impl TimeUnit {
    /// The unit of that name: `s`, `ms`, `us` or `ns`.
    pub fn from_name(name: &str) -> Option<TimeUnit> {
        Some(match name {
            "s" => TimeUnit::Seconds,
            "ms" => TimeUnit::Millis,
            "us" => TimeUnit::Micros,
            "ns" => TimeUnit::Nanos,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Seconds => "s",
            TimeUnit::Millis => "ms",
            TimeUnit::Micros => "us",
            TimeUnit::Nanos => "ns",
        }
    }

    /// How many of its digits are below a millisecond; negative where a millisecond has digits below it.
    fn decimals_below_ms(self) -> i32 {
        match self {
            TimeUnit::Seconds => -3,
            TimeUnit::Millis => 0,
            TimeUnit::Micros => 3,
            TimeUnit::Nanos => 6,
        }
    }

    /// The unit of a number, told by its size: below 1e11 seconds, below 1e14 milliseconds, below
    /// 1e17 microseconds, else nanoseconds.
    pub fn of(number: &Decimal) -> TimeUnit {
        match number.magnitude() {
            ..=11 => TimeUnit::Seconds,
            12..=14 => TimeUnit::Millis,
            15..=17 => TimeUnit::Micros,
            _ => TimeUnit::Nanos,
        }
    }

    /// A time in milliseconds as a number of this unit, exact, without trailing zeros.
    pub fn from_ms(self, ms: i64) -> String {
        match self {
            TimeUnit::Seconds => {
                let sign = if ms < 0 { "-" } else { "" };
                let (whole, part) = (ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000);
                if part == 0 {
                    return format!("{sign}{whole}");
                }
                format!("{sign}{whole}.{part:03}").trim_end_matches('0').to_owned()
            }
            TimeUnit::Millis => ms.to_string(),
            TimeUnit::Micros => (i128::from(ms) * 1_000).to_string(),
            TimeUnit::Nanos => (i128::from(ms) * 1_000_000).to_string(),
        }
    }
}

/// A JSON number, digit by digit: its value is `digits × 10^exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Without leading zeros; empty for zero.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number as JSON has them; leading zeros are let pass.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, power(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty()
            || fraction.is_empty()
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let exponent = exponent.saturating_sub(i64::try_from(fraction.len()).unwrap_or(i64::MAX));
        let digits = digits.trim_start_matches('0').to_owned();
        // Zero has no sign: it would be smaller than itself.
        Some(Decimal { negative: negative && !digits.is_empty(), digits, exponent })
    }

    /// Its value as `mantissa × 10^exponent`; none where it is not above zero. Digits after the 18th are left out.
    pub(crate) fn positive_parts(&self) -> Option<(i64, i64)> {
        let digits = self.digits.trim_end_matches('0');
        if self.negative || digits.is_empty() {
            return None;
        }
        let kept = digits.get(..18).unwrap_or(digits);
        let left_out = i64::try_from(self.digits.len() - kept.len()).ok()?;
        Some((kept.parse().ok()?, self.exponent.saturating_add(left_out)))
    }

    /// It is below zero.
    pub(crate) fn is_negative(&self) -> bool {
        self.negative
    }

    /// Digits before the decimal point; zero or less for numbers below one.
    fn magnitude(&self) -> i64 {
        if self.digits.is_empty() {
            return 0;
        }
        i64::try_from(self.digits.len()).unwrap_or(i64::MAX).saturating_add(self.exponent)
    }

    /// Its value in milliseconds, floored; none where it does not fit.
    pub fn floor_ms(&self, unit: TimeUnit) -> Option<i64> {
        let (whole, rest) = self.split(unit)?;
        Some(if self.negative { -whole - i64::from(rest) } else { whole })
    }

    /// Its value in milliseconds, rounded up; none where it does not fit.
    pub fn ceil_ms(&self, unit: TimeUnit) -> Option<i64> {
        let (whole, rest) = self.split(unit)?;
        Some(if self.negative { -whole } else { whole + i64::from(rest) })
    }

    /// Milliseconds without sign, and whether anything is left below one.
    fn split(&self, unit: TimeUnit) -> Option<(i64, bool)> {
        let shift = self.exponent.saturating_sub(i64::from(unit.decimals_below_ms()));
        let count = i64::try_from(self.digits.len()).ok()?;
        if self.digits.is_empty() {
            return Some((0, false));
        }
        let whole = count.saturating_add(shift);
        if whole > 18 {
            return None;
        }
        if whole <= 0 {
            return Some((0, true));
        }
        let taken = usize::try_from(whole.min(count)).ok()?;
        let zeros = usize::try_from((whole - count).max(0)).ok()?;
        let text = format!("{}{}", &self.digits[..taken], "0".repeat(zeros));
        let rest = self.digits[taken..].bytes().any(|byte| byte != b'0');
        Some((text.parse().ok()?, rest))
    }

    /// Orders by size, sign and all.
    pub fn is_larger(&self, other: &Decimal) -> bool {
        match (self.negative, other.negative) {
            (false, true) => true,
            (true, false) => false,
            (false, false) => self.size() > other.size(),
            (true, true) => self.size() < other.size(),
        }
    }

    fn size(&self) -> (i64, &str) {
        let magnitude = if self.digits.is_empty() { i64::MIN } else { self.magnitude() };
        (magnitude, self.digits.trim_end_matches('0'))
    }
}

/// The exponent of a number. One beyond all reason is out of any range, whatever its exact size.
fn power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than any text that is read here has, so that none of them can make up for it.
    let size = digits.parse::<i64>().map_or(EXPONENT_MAX, |size| size.min(EXPONENT_MAX));
    Some(if text.starts_with('-') { -size } else { size })
}

/// Why a value is no time. It is told as a part of a sentence that begins with the value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TimeFault {
    /// A number was wanted.
    #[error("is not a number")]
    NotANumber,
    /// The text has none of the forms of a time.
    #[error("is not an ISO 8601 time with an offset, such as 2024-05-01T12:00:00Z")]
    Form,
    /// Nothing says in which time zone the text is meant.
    #[error("has no offset: add one, such as Z or +02:00")]
    NoOffset,
    /// The month does not exist.
    #[error("has month {0}: the months are 01 to 12. Correct the date")]
    Month(i8),
    /// The day does not exist.
    #[error("has day {day}, but {year:04}-{month:02} has the days 01 to {days}. Correct the date")]
    Day {
        /// The year.
        year: i16,
        /// The month.
        month: i8,
        /// The day that the text has.
        day: i8,
        /// How many days the month has.
        days: i8,
    },
    /// The time of day does not exist.
    #[error("has no time of day: it is 00:00:00 to 23:59:59. Correct the time")]
    TimeOfDay,
    /// A second 60 where no leap second can be.
    #[error(
        "has second 60, which only the last minute of a month in UTC can have. Correct the second"
    )]
    LeapSecond,
    /// The offset does not exist.
    #[error("has an offset beyond 23:59. Correct the offset")]
    Offset,
    /// A local time that the clocks left out.
    #[error("does not exist in {zone}, where the clocks were put forward over it. Add an offset")]
    Skipped {
        /// The name of the time zone.
        zone: String,
    },
    /// A local time that the clocks showed twice.
    #[error("exists twice in {zone}, where the clocks were put back over it. Add an offset")]
    Twice {
        /// The name of the time zone.
        zone: String,
    },
    /// It is too early or too late.
    #[error("is outside 1970-2200")]
    Range,
}

/// A number that stands for a time, floored to milliseconds.
///
/// # Errors
/// It is no number, or outside 1970-2200.
pub fn from_number(text: &str, unit: Option<TimeUnit>) -> Result<i64, TimeFault> {
    let number = Decimal::parse(text).ok_or(TimeFault::NotANumber)?;
    let unit = unit.unwrap_or_else(|| TimeUnit::of(&number));
    in_range(number.floor_ms(unit))
}

pub(crate) fn in_range(ms: Option<i64>) -> Result<i64, TimeFault> {
    ms.filter(|ms| (EARLIEST_MS..=LATEST_MS).contains(ms)).ok_or(TimeFault::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_a_number_is_told_by_its_size() {
        assert_eq!(from_number("1700000000", None), Ok(1_700_000_000_000));
        assert_eq!(from_number("1700000000000", None), Ok(1_700_000_000_000));
        assert_eq!(from_number("1700000000000000", None), Ok(1_700_000_000_000));
        assert_eq!(from_number("1700000000000000000", None), Ok(1_700_000_000_000));
        assert_eq!(from_number("99999999999", None), Err(TimeFault::Range));
        assert_eq!(from_number("100000000000", None), Ok(100_000_000_000));
        assert_eq!(from_number("1700000000", Some(TimeUnit::Millis)), Ok(1_700_000_000));
    }

    #[test]
    fn fractions_are_floored_without_error() {
        assert_eq!(from_number("1700000000.123", None), Ok(1_700_000_000_123));
        assert_eq!(from_number("1700000000.9999999999999", None), Ok(1_700_000_000_999));
        assert_eq!(from_number("1.7e9", None), Ok(1_700_000_000_000));
        assert_eq!(from_number("17000000000000e-4", None), Ok(1_700_000_000_000));
        assert_eq!(from_number("0", None), Ok(0));
        assert_eq!(from_number("-0.0001", None), Err(TimeFault::Range));
        assert_eq!(from_number("-0", None), Ok(0));
    }

    #[test]
    fn exponents_beyond_all_reason_are_refused_quickly() {
        for text in ["1e999999999999999999999", "1e300", "9e18"] {
            assert!(from_number(text, None).is_err(), "{text}");
        }
        assert_eq!(from_number("1e-999999999999999999999", None), Ok(0));
        let (zeros, half) = ("0".repeat(1_000_001), "0".repeat(500_000));
        assert_eq!(from_number(&format!("17{zeros}e-999993"), None), Ok(1_700_000_000_000));
        assert_eq!(from_number(&format!("0.{half}17e500010"), None), Ok(1_700_000_000_000));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "1e", "1e+", "1efoo", "1.", ".5", "+1", "1e1.5", "0x1", "1 ", "NaN"] {
            assert_eq!(from_number(text, None), Err(TimeFault::NotANumber), "{text}");
        }
    }

    #[test]
    fn a_time_is_given_back_in_the_unit_asked_for() {
        assert_eq!(TimeUnit::Seconds.from_ms(1_700_000_000_120), "1700000000.12");
        assert_eq!(TimeUnit::Seconds.from_ms(1_700_000_000_000), "1700000000");
        assert_eq!(TimeUnit::Nanos.from_ms(7_289_654_399_999), "7289654399999000000");
    }

    #[test]
    fn numbers_are_ordered_by_size() {
        let larger = |a: &str, b: &str| {
            Decimal::parse(a).zip(Decimal::parse(b)).is_some_and(|(a, b)| a.is_larger(&b))
        };
        assert!(larger("10", "9.99"));
        assert!(larger("1e3", "999"));
        assert!(!larger("1000", "1e3"));
        assert!(larger("0", "-1"));
        assert!(larger("-1", "-2"));
        assert!(larger("0.01", "0"));
        assert!(!larger("0", "-0"));
    }
}
