//! Times as texts: ISO 8601 with an offset, or with none in a time zone that is known. They are floored to
//! milliseconds since 1970.
//!
//! The forms are those that can mean one instant only: a calendar date and a time of day with minutes, each
//! with its separators or without, `T`, `t` or a space between them, any number of decimals of the second,
//! and `Z`, `z`, `±hh:mm`, `±hhmm` or `±hh`.

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use crate::time::{TimeFault, in_range};

/// The last second of a minute, as clocks show it that know no leap seconds.
const LAST_SECOND: i8 = 59;

const DAY_S: i64 = 86_400;

const NS_OF_MS: i64 = 1_000_000;

/// The time zone of this IANA name, from the table in the program. It has all rules of a zone's past, and
/// those that were decided when the program was built.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// A text as a time. `zone` is where a text without an offset is meant.
///
/// # Errors
/// It has none of the forms, names a day or a time of day that does not exist, has no offset and no zone, is
/// not one instant in that zone, or is outside 1970-2200.
pub fn from_text(text: &str, zone: Option<&TimeZone>) -> Result<i64, TimeFault> {
    from_text_ns(text, zone).map(|ns| ns.div_euclid(NS_OF_MS))
}

/// A text as a time, floored to nanoseconds since 1970: for adding to it.
///
/// # Errors
/// As [`from_text`].
pub fn from_text_ns(text: &str, zone: Option<&TimeZone>) -> Result<i64, TimeFault> {
    let read = read(text.as_bytes()).ok_or(TimeFault::Form)?;
    let date = date(read.year, read.month, read.day)?;
    let leap = read.second == LAST_SECOND + 1;
    let second = if leap { LAST_SECOND } else { read.second };
    let time = Time::new(read.hour, read.minute, second, 0).map_err(|_| TimeFault::TimeOfDay)?;
    let local = date.to_datetime(time);
    let offset = match (read.offset_s, zone) {
        (Some(offset_s), _) => Offset::from_seconds(offset_s).map_err(|_| TimeFault::Offset)?,
        (None, None) => return Err(TimeFault::NoOffset),
        (None, Some(zone)) => {
            let name = || zone.iana_name().unwrap_or("the time zone").to_owned();
            match zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset,
                AmbiguousOffset::Gap { .. } => return Err(TimeFault::Skipped { zone: name() }),
                AmbiguousOffset::Fold { .. } => return Err(TimeFault::Twice { zone: name() }),
            }
        }
    };
    // What lies outside the calendar of the library lies outside 1970-2200.
    let instant = offset.to_timestamp(local).map_err(|_| TimeFault::Range)?;
    let mut seconds = instant.as_second();
    if leap {
        seconds += 1;
        // The second after it begins a day in UTC, and this day a month.
        let day = Offset::UTC.to_datetime(instant).date().tomorrow();
        if seconds % DAY_S != 0 || day.is_ok_and(|day| day.day() != 1) {
            return Err(TimeFault::LeapSecond);
        }
    }
    let ms = in_range(Some(seconds * 1_000 + read.nanos / NS_OF_MS))?;
    // Until 2200 they fit.
    Ok(ms * NS_OF_MS + read.nanos % NS_OF_MS)
}

fn date(year: i16, month: i8, day: i8) -> Result<Date, TimeFault> {
    let first = Date::new(year, month, 1).map_err(|_| TimeFault::Month(month))?;
    Date::new(year, month, day).map_err(|_| TimeFault::Day {
        year,
        month,
        day,
        days: first.days_in_month(),
    })
}

/// The numbers of a text. Those that have two digits may be too large.
struct Numbers {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    /// Below the second, floored.
    nanos: i64,
    /// Seconds east of UTC; none where the text has no offset. One beyond 23:59 is larger than a day.
    offset_s: Option<i32>,
}

/// Reads a text of one of the forms.
fn read(text: &[u8]) -> Option<Numbers> {
    let mut rest = Rest(text);
    let (century, year) = (rest.pair()?, rest.pair()?);
    let separated = rest.skip(b"-");
    let month = rest.pair()?;
    if separated != rest.skip(b"-") {
        return None;
    }
    let day = rest.pair()?;
    if !rest.skip(b"Tt ") {
        return None;
    }
    let hour = rest.pair()?;
    let separated = rest.skip(b":");
    let minute = rest.pair()?;
    let has_seconds =
        if separated { rest.skip(b":") } else { rest.0.first().is_some_and(u8::is_ascii_digit) };
    let second = if has_seconds { rest.pair()? } else { 0 };
    let nanos = if has_seconds && rest.skip(b".,") { rest.nanos()? } else { 0 };
    let offset_s = rest.offset()?;
    Some(Numbers {
        year: i16::from(century) * 100 + i16::from(year),
        month,
        day,
        hour,
        minute,
        second,
        nanos,
        offset_s,
    })
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// A number of two digits.
    fn pair(&mut self) -> Option<i8> {
        let (&[tens, ones], rest) = self.0.split_first_chunk::<2>()?;
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return None;
        }
        self.0 = rest;
        i8::try_from((tens - b'0') * 10 + (ones - b'0')).ok()
    }

    /// Passes over one byte if it is one of these.
    fn skip(&mut self, any_of: &[u8]) -> bool {
        match self.0.split_first() {
            Some((byte, rest)) if any_of.contains(byte) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Decimals of a second, at least one.
    fn nanos(&mut self) -> Option<i64> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let digit = |at: usize| digits.get(at).map_or(0, |byte| i64::from(byte - b'0'));
        (count > 0).then(|| (0..9).fold(0, |nanos, at| nanos * 10 + digit(at)))
    }

    /// The offset at the end, in seconds; the inner none where there is none.
    fn offset(mut self) -> Option<Option<i32>> {
        if self.0.is_empty() {
            return Some(None);
        }
        if self.skip(b"Zz") {
            return self.0.is_empty().then_some(Some(0));
        }
        let sign = if self.skip(b"+") {
            1
        } else if self.skip(b"-") {
            -1
        } else {
            return None;
        };
        let hours = self.pair()?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.skip(b":");
            self.pair()?
        };
        if !self.0.is_empty() {
            return None;
        }
        // An offset is a time of day: 23:59 at most.
        if hours > 23 || minutes > 59 {
            return Some(Some(i32::MAX));
        }
        Some(Some(sign * (i32::from(hours) * 60 + i32::from(minutes)) * 60))
    }
}

#[cfg(test)]
#[path = "iso8601_tests.rs"]
mod tests;
