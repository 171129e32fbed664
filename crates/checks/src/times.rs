//! Times: every text and number is refused, or gives the same millisecond as other arithmetic.

use focus_core::iso8601;
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
    let ours = iso8601::from_text(text, None);
    assert_eq!(ours.clone().ok(), by_shapes(text).filter(|ms| in_range(*ms)), "{text:?}: {ours:?}");
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

/// A text by the shapes of its parts, with days counted one by one.
fn by_shapes(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let offset_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, offset) = rest.split_at(offset_at);
    let (time, fraction) =
        time.split_once(['.', ',']).map_or((time, None), |(time, part)| (time, Some(part)));
    let date = digits(date, &["####-##-##", "########"])?;
    let time = digits(time, &["##:##:##", "######", "##:##", "####"])?;
    let (has_second, second) = (time.len() == 6, time.get(4..).map_or(0, number));
    let millis = match fraction {
        None => 0,
        Some("") => return None,
        Some(part) if has_second && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            number(&format!("{part}00")[..3])
        }
        Some(_) => return None,
    };
    let offset = match offset {
        "Z" | "z" => 0,
        offset => {
            let size = digits(&offset[1..], &["##:##", "####", "##"])?;
            let (hours, minutes) = (number(&size[..2]), number(&size[2..]));
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if offset.starts_with('-') { -1 } else { 1 }
        }
    };
    let (year, month, day) = (number(&date[..4]), number(&date[4..6]), number(&date[6..]));
    let (hour, minute) = (number(&time[..2]), number(&time[2..4]));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_at = usize::try_from(month.checked_sub(1)?).ok()?;
    if !(1..=*days_in.get(month_at)?).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let before: i64 = days_in[..month_at].iter().sum();
    let years = year - 1;
    let days = years * 365 + years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    // 719,162 days lie between year 1 and 1970.
    let days = days + before + day - 1 - 719_162;
    let minutes = (days * 24 + hour) * 60 + minute - offset;
    if second == 60 && !ends_a_month(minutes) {
        return None;
    }
    Some((minutes * 60 + second) * 1_000 + millis)
}

/// Whether the minute that many minutes after 1970 began is the last one of a month in UTC.
fn ends_a_month(minutes: i64) -> bool {
    let (mut days, rest) = ((minutes + 1).div_euclid(1_440), (minutes + 1).rem_euclid(1_440));
    // Every 400 years have 146,097 days, and 1600 began 135,140 days before 1970.
    days = (days + 135_140).rem_euclid(146_097);
    let mut year = 1600;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for days_in in [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if days <= 0 {
                return days == 0 && rest == 0;
            }
            days -= days_in;
        }
        year += 1;
    }
}

/// The digits of a text that has one of these shapes.
fn digits(text: &str, shapes: &[&str]) -> Option<String> {
    let fits = |shape: &&&str| {
        shape.len() == text.len()
            && shape
                .bytes()
                .zip(text.bytes())
                .all(|(want, byte)| if want == b'#' { byte.is_ascii_digit() } else { byte == want })
    };
    shapes.iter().find(fits).map(|_| text.chars().filter(char::is_ascii_digit).collect())
}

/// A number of few digits; 0 for none.
fn number(digits: &str) -> i64 {
    digits.bytes().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'))
}
