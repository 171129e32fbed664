//! The times of a SigMF recording: when its first capture began, and when its samples ended.
//!
//! The data file has `(size - header and trailing bytes) / (bytes of a sample × channels)` samples. The last
//! capture with a date says when one of them was taken, and the sample rate when all of them had been.
//! Whatever the numbers are, nothing here overflows: what is no time of 1970 to 2200 is a fault.

use jiff::tz::TimeZone;

use crate::iso8601;
use crate::json::{self, Field, Value};
use crate::sidecar::Wrong;
use crate::time::{Decimal, LATEST_MS, TimeFault, in_range};

const NS_OF_S: i128 = 1_000_000_000;

const NS_OF_MS: i128 = 1_000_000;

/// A sidecar of SigMF, and the data file that it describes.
pub(crate) struct Described<'a> {
    /// The bytes of the sidecar.
    pub(crate) bytes: &'a [u8],
    /// Its fields.
    pub(crate) fields: &'a [Field],
    /// Bytes of the data file.
    pub(crate) data_size: i64,
    /// Where dates without an offset are meant; none: they are no times.
    pub(crate) zone: Option<&'a TimeZone>,
}

/// A capture with a date.
struct Dated<'a> {
    /// Its number, from 0.
    number: usize,
    capture: &'a Value,
}

impl Described<'_> {
    /// Start of the first capture that has a date, milliseconds since 1970.
    ///
    /// # Errors
    /// No capture has one, or it is no time.
    pub(crate) fn start_ms(&self) -> Result<i64, Wrong> {
        let first = self.dated().next().ok_or_else(no_date)?;
        self.date_ns(&first).map(|ns| ns.div_euclid(1_000_000))
    }

    /// End of the last sample, milliseconds since 1970.
    ///
    /// # Errors
    /// No capture has a date, what the samples are is not told, or the data file cannot hold them.
    pub(crate) fn end_ms(&self) -> Result<i64, Wrong> {
        let last = self.dated().last().ok_or_else(no_date)?;
        let date_ns = i128::from(self.date_ns(&last)?);
        let samples = self.samples()?;
        let first = whole(self.global(), "core:offset")?.unwrap_or(0);
        let start = whole(Some(last.capture), "core:sample_start")?.ok_or_else(|| {
            let number = last.number;
            Wrong::of(format!("has no core:sample_start in /captures/{number}. Add it"))
        })?;
        let before = i128::from(start) - i128::from(first);
        if before < 0 {
            return Err(Wrong::of(format!(
                "has core:sample_start {start} in /captures/{}, which is before core:offset {first}. Correct one of the two",
                last.number
            )));
        }
        if before > samples {
            return Err(Wrong::of(format!(
                "says that /captures/{} begins after {before} samples, but the data file has {samples}. Bring all of the data file, or correct core:sample_start",
                last.number
            )));
        }
        let (mantissa, exponent) = self.rate()?;
        let end_ms = duration_ns(samples - before, mantissa, exponent)
            .and_then(|ns| date_ns.checked_add(ns))
            .and_then(|ns| i64::try_from(ns.div_euclid(NS_OF_MS)).ok());
        in_range(end_ms).map_err(|_| {
            let words = "has more samples than fit before the end of 2200 at its core:sample_rate";
            Wrong::of(format!("{words}. Correct the rate"))
        })
    }

    fn captures(&self) -> &[Value] {
        match self.field("captures") {
            Some(Value::Array(captures)) => captures,
            _ => &[],
        }
    }

    fn global(&self) -> Option<&Value> {
        self.field("global")
    }

    fn field(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|field| field.key == key).map(|field| &field.value)
    }

    /// The captures that have a date.
    fn dated(&self) -> impl Iterator<Item = Dated<'_>> {
        let dated = |capture: &&Value| !matches!(member(capture, DATE), None | Some(Value::Null));
        let captures = self.captures().iter().enumerate();
        captures
            .filter(move |(_, capture)| dated(capture))
            .map(|(number, capture)| Dated { number, capture })
    }

    /// The date of a capture, nanoseconds since 1970.
    fn date_ns(&self, of: &Dated<'_>) -> Result<i64, Wrong> {
        let parts = ["captures".to_owned(), of.number.to_string(), DATE.to_owned()];
        let position = || json::find(self.bytes, &parts).map(|field| field.position);
        let shown = |value: &Value, why: String| Wrong {
            position: position(),
            words: format!("{DATE} {} {why}", crate::sidecar::cut_value(value)),
        };
        match member(of.capture, DATE) {
            Some(value @ Value::String(text)) => iso8601::from_text_ns(text, self.zone)
                .map_err(|why: TimeFault| shown(value, crate::sidecar::with_zone(why))),
            value => Err(shown(value.unwrap_or(&Value::Null), "is no text".to_owned())),
        }
    }

    /// How many samples the data file has of each channel.
    fn samples(&self) -> Result<i128, Wrong> {
        let global = self.global();
        let datatype = match global.and_then(|global| member(global, "core:datatype")) {
            Some(Value::String(text)) => sample_bytes(text).ok_or_else(|| {
                let shown = crate::sidecar::cut_value(&Value::String(text.clone()));
                Wrong::of(format!(
                    "has core:datatype {shown}, which is none of SigMF, such as cf32_le, ci16_le or ru8. Correct it"
                ))
            })?,
            _ => return Err(Wrong::of("has no core:datatype in /global. Add it".to_owned())),
        };
        let channels = whole(global, "core:num_channels")?.unwrap_or(1);
        if channels == 0 {
            return Err(Wrong::of("has core:num_channels 0. Correct it".to_owned()));
        }
        let mut beside = i128::from(whole(global, "core:trailing_bytes")?.unwrap_or(0));
        for capture in self.captures() {
            beside += i128::from(whole(Some(capture), "core:header_bytes")?.unwrap_or(0));
        }
        let data = i128::from(self.data_size) - beside;
        if data < 0 {
            return Err(Wrong::of(format!(
                "has {beside} core:header_bytes and core:trailing_bytes, but the data file has {} bytes. Bring all of the data file",
                self.data_size
            )));
        }
        Ok(data / (i128::from(datatype) * i128::from(channels)))
    }

    /// Samples in a second, as `mantissa × 10^exponent`.
    fn rate(&self) -> Result<(i64, i64), Wrong> {
        let parts = ["global".to_owned(), RATE.to_owned()];
        let Some(field) = json::find(self.bytes, &parts) else {
            return Err(Wrong::of(format!(
                "has no {RATE} in /global, so nobody can tell when it ends. Add it"
            )));
        };
        let number = field.number.as_deref().and_then(Decimal::parse);
        number.and_then(|number| number.positive_parts()).ok_or_else(|| Wrong {
            position: Some(field.position),
            words: format!("{RATE} is not a number above 0"),
        })
    }
}

const DATE: &str = "core:datetime";

const RATE: &str = "core:sample_rate";

fn no_date() -> Wrong {
    Wrong::of(format!(
        "has no {DATE} in any of /captures. Add one, such as \"2024-05-01T12:00:00Z\""
    ))
}

fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let Value::Object(fields) = value else { return None };
    fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// A number of 0 or more without a fraction; none where there is none.
fn whole(of: Option<&Value>, key: &str) -> Result<Option<i64>, Wrong> {
    /// The largest whole number up to which a double tells all whole numbers apart.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match of.and_then(|of| member(of, key)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Int(number)) if *number >= 0 => Ok(Some(*number)),
        Some(Value::Double(number))
            if number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(number) =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and below 2^53")]
            let number = *number as i64;
            Ok(Some(number))
        }
        Some(value) => Err(Wrong::of(format!(
            "has {key} {}, which is not a whole number of 0 or more. Correct it",
            crate::sidecar::cut_value(value)
        ))),
    }
}

/// Bytes of a sample of one channel; none where SigMF has no such type.
fn sample_bytes(datatype: &str) -> Option<i64> {
    let parts = match datatype.split_at_checked(1)? {
        ("r", format) => (1, format),
        ("c", format) => (2, format),
        _ => return None,
    };
    let (values, format) = parts;
    let format = format.strip_suffix("_le").or(format.strip_suffix("_be")).unwrap_or(format);
    let bytes = match format {
        "f64" => 8,
        "f32" | "i32" | "u32" => 4,
        "i16" | "u16" => 2,
        "i8" | "u8" => 1,
        _ => return None,
    };
    Some(values * bytes)
}

/// How long so many samples last; none where that is longer than all times together.
fn duration_ns(samples: i128, mantissa: i64, exponent: i64) -> Option<i128> {
    let (samples, mantissa) = (samples.checked_mul(NS_OF_S)?, i128::from(mantissa));
    let power = u32::try_from(exponent.unsigned_abs()).ok().and_then(|by| 10_i128.checked_pow(by));
    if samples == 0 {
        return Some(0);
    }
    let ns = if exponent < 0 {
        samples.checked_mul(power?)? / mantissa
    } else {
        // A rate beyond all numbers leaves no time to a sample.
        power.and_then(|power| mantissa.checked_mul(power)).map_or(0, |rate| samples / rate)
    };
    (ns <= i128::from(LATEST_MS) * NS_OF_MS).then_some(ns)
}

#[cfg(test)]
#[path = "sigmf_tests.rs"]
mod tests;
