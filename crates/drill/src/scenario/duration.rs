//! Lengths of time, as people write them.

use serde::Deserialize;

/// Reads a length of time, in milliseconds: `500ms`, `3s`, `2m`, `1h`, or a number of seconds.
///
/// # Errors
/// The text is not such a length, or is more than 100 years.
pub fn time_ms(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit_ms = match unit {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return Err(format!("{text:?}: the unit is ms, s, m or h")),
    };
    let ms =
        number.parse::<f64>().map_err(|_| format!("{text:?} is no length of time such as 3s"))?
            * unit_ms;
    std::time::Duration::try_from_secs_f64(ms / 1_000.0)
        .ok()
        .and_then(|time| u64::try_from(time.as_millis()).ok())
        .filter(|ms| *ms <= 100 * 365 * 86_400_000)
        .ok_or_else(|| format!("{text:?} is out of all range"))
}

/// A length of time in a file, as a text such as `"3s"`. Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(pub u64);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Time, String> {
        time_ms(&text).map(Time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_units_and_bounds() {
        for (text, ms) in [("3s", 3_000), ("500ms", 500), ("1.5", 1_500), ("2m", 120_000), ("0", 0)]
        {
            assert_eq!(time_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "s", "-1s", "3 s", "1d", "nan", "inf", "1e99h"] {
            assert!(time_ms(text).is_err(), "{text}");
        }
    }
}
