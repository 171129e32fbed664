//! Times: every text and number is refused, or gives the same millisecond as other arithmetic.

use focus_core::time::{self, Decimal, EARLIEST_MS, LATEST_MS, TimeUnit};

const UNITS: [(TimeUnit, i128); 4] = [
    (TimeUnit::Seconds, 1_000_000_000),
    (TimeUnit::Millis, 1_000_000),
    (TimeUnit::Micros, 1_000),
    (TimeUnit::Nanos, 1),
];

/// Checks one text as a time, and as a number of every unit.
pub fn times(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let ours = time::from_text(text);
    assert_eq!(
        ours.clone().ok(),
        rfc3339_ms(bytes).filter(|ms| in_range(*ms)),
        "{text:?}: {ours:?}"
    );
    let decimal = Decimal::parse(text);
    if let Ok(number) = serde_json::from_str::<serde_json::Number>(text) {
        // Their number allows space around it, and a double may be out of their range.
        assert!(decimal.is_some() || text.trim() != text, "{number} is a number");
    }
    let Some(decimal) = decimal else {
        assert!(time::from_number(text, None).is_err());
        return;
    };
    for (unit, nanos) in UNITS {
        let floor = decimal.floor_ms(unit);
        let ceil = decimal.ceil_ms(unit);
        if let (Some(floor), Some(ceil)) = (floor, ceil) {
            assert!(ceil == floor || ceil == floor + 1, "{text}: {floor} and {ceil}");
            let again = unit.from_ms(floor);
            let again = Decimal::parse(&again).and_then(|number| number.floor_ms(unit));
            // Eighteen digits are read; what is floored below them has one more.
            let read = floor.unsigned_abs() < 1_000_000_000_000_000_000;
            assert!(!read || again == Some(floor), "{text} in {unit:?}: {again:?}");
        }
        if let Some((number, scale)) = plain(text) {
            let (number, scale) = (number * nanos, scale * 1_000_000);
            let exact = number.div_euclid(scale);
            assert_eq!(floor.map(i128::from), Some(exact), "{text} in {unit:?}");
            let up = exact + i128::from(number.rem_euclid(scale) != 0);
            assert_eq!(ceil.map(i128::from), Some(up), "{text} in {unit:?}");
            let given = time::from_number(text, Some(unit)).ok().map(i128::from);
            let range = i128::from(EARLIEST_MS)..=i128::from(LATEST_MS);
            assert_eq!(given, Some(exact).filter(|ms| range.contains(ms)), "{text} in {unit:?}");
        }
    }
    if let Some((number, scale)) = plain(text) {
        let size = number.abs();
        let told = [100_000_000_000, 100_000_000_000_000, 100_000_000_000_000_000]
            .iter()
            .position(|limit| size < limit * scale)
            .map_or(TimeUnit::Nanos, |at| UNITS[at].0);
        assert_eq!(TimeUnit::of(&decimal), told, "{text}");
    }
    assert!(!decimal.is_larger(&decimal));
    let one = Decimal::parse("1").expect("a number");
    assert!(!(decimal.is_larger(&one) && one.is_larger(&decimal)), "{text}");
}

fn in_range(ms: i64) -> bool {
    (EARLIEST_MS..=LATEST_MS).contains(&ms)
}

/// A number of few digits without an exponent, as a mantissa and a factor.
fn plain(text: &str) -> Option<(i128, i128)> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || whole.len() > 15 || fraction.len() > 10 || digits.contains(['e', 'E']) {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some((sign * (whole.parse::<i128>().ok()? * scale + part), scale))
}

/// RFC 3339 by its grammar, with days counted one by one.
fn rfc3339_ms(text: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
        })
    };
    let is = |at: usize, set: &[u8]| text.get(at).is_some_and(|byte| set.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let mut at = 19;
    let mut millis = 0;
    if is(at, b".") {
        let digits = text[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let three = [0, 1, 2].map(|n| if n < digits { i64::from(text[20 + n] - b'0') } else { 0 });
        millis = three[0] * 100 + three[1] * 10 + three[2];
        at = 20 + digits;
        if digits == 0 {
            return None;
        }
    }
    let offset = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 && is(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1..at + 3)?, number(at + 4..at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_at = usize::try_from(month.checked_sub(1)?).ok()?;
    if !(1..=*days_in.get(month_at)?).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let before: i64 = days_in[..month_at].iter().sum();
    let years = year - 1;
    let days = years * 365 + years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    // 719,162 days lie between year 1 and 1970. A leap second counts as the one before it.
    let days = days + before + day - 1 - 719_162;
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second.min(59);
    Some(seconds * 1_000 + millis)
}
