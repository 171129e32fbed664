//! What a sidecar says.

use jiff::tz::TimeZone;

use crate::iso8601;
use crate::json::{self, Field, Value};
use crate::state::{Fault, State};
use crate::time::{self, TimeFault, TimeUnit};

/// A sidecar holds at most so many bytes.
pub const SIDECAR_BYTES_MAX: usize = 1 << 20;

/// A `uuid` has at most so many bytes.
pub const UUID_BYTES_MAX: usize = 1_024;

/// Characters of a value that a reason shows at most.
const SHOWN_MAX: usize = 40;

/// How the sidecars of a root write times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times<'a> {
    /// The unit of numbers; none: told by the size of the number.
    pub unit: Option<TimeUnit>,
    /// Where texts without an offset are meant; none: they are no times.
    pub zone: Option<&'a TimeZone>,
}

/// A sidecar that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Sidecar {
    /// The recording id where the sidecar names none.
    pub uuid: String,
    /// Milliseconds since 1970.
    pub start_ms: i64,
    /// Milliseconds since 1970; none while live.
    pub end_ms: Option<i64>,
    /// Marked as deleted.
    pub deleted: bool,
    /// Every other field; an object, its keys escaped.
    pub metadata: Value,
}

/// Reads a sidecar.
///
/// # Errors
/// `sidecar_invalid` or `time_invalid`, with line and column.
pub fn parse(bytes: &[u8], recording_id: &str, times: Times<'_>) -> Result<Sidecar, Fault> {
    let invalid = |reason: String| Fault::new(State::SidecarInvalid, reason);
    let fields = json::object(bytes).map_err(|error| {
        invalid(format!("{recording_id}.json is not usable JSON: {error}. Write the sidecar anew"))
    })?;
    let mut uuid = recording_id.to_owned();
    let mut start = None;
    let mut end = None;
    let mut deleted = false;
    let mut metadata = Vec::new();
    let mut misspelt = None;
    for field in fields {
        match field.key.as_str() {
            "uuid" => match &field.value {
                Value::Null => {}
                Value::String(text)
                    if !text.is_empty()
                        && text.len() <= UUID_BYTES_MAX
                        && field.number.is_none() =>
                {
                    uuid.clone_from(text);
                }
                _ => {
                    return Err(invalid(format!(
                        "{recording_id}.json, {}: uuid must be a text of 1 to {UUID_BYTES_MAX} bytes",
                        field.position
                    )));
                }
            },
            "deleted" => match field.value {
                Value::Null => {}
                Value::Bool(value) => deleted = value,
                _ => {
                    return Err(invalid(format!(
                        "{recording_id}.json, {}: deleted must be true or false",
                        field.position
                    )));
                }
            },
            "start_time" => start = time_of(&field, recording_id, times)?,
            "end_time" => {
                end = time_of(&field, recording_id, times)?.map(|ms| (ms, field.position));
            }
            _ => {
                if misspelt.is_none() && is_like_start_time(&field.key) {
                    misspelt = Some((field.key.clone(), field.position));
                }
                metadata.push((escape_key(&field.key), escape(field.value)));
            }
        }
    }
    let Some(start_ms) = start else {
        let reason = match misspelt {
            Some((key, position)) => format!(
                "{recording_id}.json has no start_time, but {}, {position}. Rename that field to start_time",
                Value::String(cut(&key)).to_text()
            ),
            None => format!(
                "{recording_id}.json has no start_time. Add one, such as \"2024-05-01T12:00:00Z\""
            ),
        };
        return Err(Fault::new(State::TimeInvalid, reason));
    };
    if let Some((end_ms, position)) = end
        && end_ms < start_ms
    {
        return Err(Fault::new(
            State::TimeInvalid,
            format!("{recording_id}.json, {position}: end_time is before start_time"),
        ));
    }
    let end_ms = end.map(|(ms, _)| ms);
    Ok(Sidecar { uuid, start_ms, end_ms, deleted, metadata: Value::Object(metadata) })
}

/// The uuid that a sidecar names, if it is usable JSON with a usable uuid or none.
pub fn uuid(bytes: &[u8], recording_id: &str) -> Option<String> {
    let fields = json::object(bytes).ok()?;
    match fields.into_iter().find(|field| field.key == "uuid").map(|field| field.value) {
        None | Some(Value::Null) => Some(recording_id.to_owned()),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= UUID_BYTES_MAX => Some(text),
        Some(_) => None,
    }
}

/// `start_time` in other letters: `StartTime`, `start-time`, `starttime`.
fn is_like_start_time(key: &str) -> bool {
    let letters = key.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '.'));
    letters.map(|c| c.to_ascii_lowercase()).eq("starttime".chars())
}

fn time_of(field: &Field, recording_id: &str, times: Times<'_>) -> Result<Option<i64>, Fault> {
    let read = match (&field.number, &field.value) {
        (Some(number), _) => time::from_number(number, times.unit).map_err(|why| why.to_string()),
        (None, Value::Null) => return Ok(None),
        (None, Value::String(text)) => {
            iso8601::from_text(text, times.zone).map_err(|why| match why {
                TimeFault::NoOffset => format!("{why}, or set time_zone of the root"),
                why => why.to_string(),
            })
        }
        _ => Err("is neither a text nor a number".to_owned()),
    };
    read.map(Some).map_err(|why| {
        let shown = match (&field.number, &field.value) {
            (Some(number), _) => cut(number),
            (None, Value::String(text)) => Value::String(cut(text)).to_text(),
            (None, value) => cut(&value.to_text()),
        };
        Fault::new(
            State::TimeInvalid,
            format!("{recording_id}.json, {}: {} {shown} {why}", field.position, field.key),
        )
    })
}

/// The beginning of a value, for a reason.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Escapes the keys that BSON or a database refuses, at every level; reversible.
///
/// NUL becomes `%00`, a leading `$` becomes `%24`, and a `%` before `00`, `24` or `25` becomes `%25`.
fn escape(value: Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(escape).collect()),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(key, value)| (escape_key(&key), escape(value))).collect(),
        ),
        other => other,
    }
}

fn escape_key(key: &str) -> String {
    let mut escaped = String::with_capacity(key.len());
    for (at, c) in key.char_indices() {
        let rest = &key[at + c.len_utf8()..];
        match c {
            '\0' => escaped.push_str("%00"),
            '$' if at == 0 => escaped.push_str("%24"),
            '%' if ["00", "24", "25"].iter().any(|code| rest.starts_with(code)) => {
                escaped.push_str("%25");
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sidecar, Fault> {
        parse(text.as_bytes(), "r1", Times::default())
    }

    #[test]
    fn known_fields_are_taken_out_and_all_others_are_metadata() {
        let sidecar = read(
            r#"{"uuid": "u", "start_time": 1700000000, "end_time": "2023-11-14T22:13:21Z",
                "deleted": true, "metadata": {"x": "$x"}, "n": 12345678901234567890}"#,
        )
        .expect("a good sidecar");
        assert_eq!(sidecar.uuid, "u");
        assert_eq!(
            (sidecar.start_ms, sidecar.end_ms),
            (1_700_000_000_000, Some(1_700_000_001_000))
        );
        assert!(sidecar.deleted);
        assert_eq!(
            sidecar.metadata.to_text(),
            r#"{"metadata":{"x":"$x"},"n":"12345678901234567890"}"#
        );
    }

    #[test]
    fn without_uuid_and_end_it_is_live_and_named_by_its_files() {
        let sidecar = read(r#"{"start_time": 0, "end_time": null}"#).expect("good");
        assert_eq!((sidecar.uuid.as_str(), sidecar.end_ms, sidecar.deleted), ("r1", None, false));
    }

    #[test]
    fn an_end_equal_to_its_start_is_valid() {
        assert!(read(r#"{"start_time": 5, "end_time": 5}"#).is_ok());
    }

    #[test]
    fn faults_have_their_state_and_their_place() {
        for (text, state, words) in [
            ("{", State::SidecarInvalid, "line 1, column 2"),
            ("[]", State::SidecarInvalid, "object"),
            ("{\"a\":1,\n\"a\":2, \"start_time\":1}", State::SidecarInvalid, "line 2, column 1"),
            ("{\"start_time\":1, \"uuid\": 7}", State::SidecarInvalid, "line 1, column 26"),
            ("{\"start_time\":1, \"uuid\": 99999999999999999999}", State::SidecarInvalid, "uuid"),
            ("{\"start_time\":1, \"deleted\": 0}", State::SidecarInvalid, "deleted"),
            ("{}", State::TimeInvalid, "no start_time"),
            ("{\"start_time\": null}", State::TimeInvalid, "no start_time"),
            ("{\"start_time\": \"now\"}", State::TimeInvalid, "line 1, column 16"),
            ("{\"start_time\": 2, \"end_time\": 1}", State::TimeInvalid, "before"),
            ("{\"start_time\": [1]}", State::TimeInvalid, "neither"),
            ("{\"start_time\": -1}", State::TimeInvalid, "1970"),
        ] {
            let fault = read(text).expect_err(text);
            assert_eq!(fault.state, state, "{text}: {}", fault.reason);
            assert!(fault.reason.contains(words), "{text}: {}", fault.reason);
        }
    }

    #[test]
    fn a_reason_says_what_to_do_about_a_time() {
        let long = format!("{{\"start_time\": \"{}\"}}", "é".repeat(50));
        for (text, words) in [
            (
                r#"{"start_time": "2024-02-30T12:00:00Z"}"#,
                r#"r1.json, line 1, column 16: start_time "2024-02-30T12:00:00Z" has day 30, but 2024-02 has the days 01 to 29. Correct the date"#,
            ),
            (
                r#"{"start_time": "2024-02-28T12:00:00"}"#,
                r#""2024-02-28T12:00:00" has no offset: add one, such as Z or +02:00, or set time_zone of the root"#,
            ),
            (
                r#"{"a": 1, "StartTime": "2024-02-28T12:00:00Z"}"#,
                r#"r1.json has no start_time, but "StartTime", line 1, column 23. Rename that field to start_time"#,
            ),
            (r#"{"start-time": 1}"#, "Rename that field to start_time"),
            (r#"{"starttimes": 1}"#, "has no start_time. Add one"),
            (&long, &format!("start_time \"{}…\" is not an ISO 8601 time", "é".repeat(40))),
        ] {
            let fault = read(text).expect_err(text);
            assert_eq!(fault.state, State::TimeInvalid, "{text}");
            assert!(fault.reason.contains(words), "{text}: {}", fault.reason);
        }
    }

    #[test]
    fn a_recording_that_ends_in_a_leap_second_ends_after_its_start() {
        let sidecar = read(
            r#"{"start_time": "2012-06-30T23:59:59.900Z", "end_time": "2012-06-30T23:59:60.620Z"}"#,
        )
        .expect("times");
        assert_eq!(sidecar.end_ms.map(|end_ms| end_ms - sidecar.start_ms), Some(720));
    }

    #[test]
    fn the_time_zone_of_a_root_gives_the_offset_that_a_text_does_not_have() {
        let zone = iso8601::zone("Europe/Berlin").expect("a zone");
        let times = Times { unit: None, zone: Some(&zone) };
        let read = |text: &str| parse(text.as_bytes(), "r1", times);
        let sidecar = read(r#"{"start_time": "2024-05-01 14:00:00"}"#).expect("a time");
        assert_eq!(sidecar.start_ms, 1_714_564_800_000);
        for (text, words) in [
            (r#"{"start_time": "2024-03-31 02:30:00"}"#, "does not exist in Europe/Berlin"),
            (r#"{"start_time": "2024-10-27 02:30:00"}"#, "exists twice in Europe/Berlin"),
        ] {
            let fault = read(text).expect_err(text);
            assert_eq!(fault.state, State::TimeInvalid, "{text}");
            assert!(fault.reason.contains(words), "{text}: {}", fault.reason);
        }
    }

    #[test]
    fn keys_are_escaped_reversibly() {
        for (key, escaped) in [
            ("$x", "%24x"),
            ("a$", "a$"),
            ("a\0", "a%00"),
            ("%24x", "%2524x"),
            ("100%", "100%"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(escape_key(key), escaped);
        }
    }
}
