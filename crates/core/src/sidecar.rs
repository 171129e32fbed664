//! What a sidecar says.

use crate::iso8601;
use crate::json::{self, Field, Position, Value};
use crate::pair::{self, EndFrom, PairForm, Pointer, StartFrom, UuidFrom, path_uuid};
use crate::state::{Fault, State};
use crate::time::{self, Decimal, TimeFault, TimeUnit};

/// A sidecar holds at most so many bytes.
pub const SIDECAR_BYTES_MAX: usize = 1 << 20;

/// A `uuid` has at most so many bytes.
pub const UUID_BYTES_MAX: usize = 1_024;

/// Characters of a value that a reason shows at most.
const SHOWN_MAX: usize = 40;

/// Whose sidecar it is.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The id in the root's marker.
    pub root: &'a str,
    /// The folder relative to the root, `/` between parts, empty for the root itself.
    pub folder: &'a [u8],
    /// The file stem.
    pub recording_id: &'a str,
    /// Bytes of the data file.
    pub data_size: i64,
    /// What the sidecars of the root look like.
    pub form: &'a PairForm,
}

impl Of<'_> {
    /// The name of the sidecar, for people.
    fn name(&self) -> String {
        format!("{}.{}", self.recording_id, self.form.sidecar_extension)
    }

    /// The uuid that follows from the place alone.
    fn path_uuid(&self) -> String {
        path_uuid(self.root, self.folder, self.recording_id.as_bytes())
    }
}

/// What is wrong in a sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Where; none: nowhere, for it is missing.
    pub(crate) position: Option<Position>,
    /// What. A sentence that begins with the position where there is one, else with the name of the sidecar.
    pub(crate) words: String,
}

impl Wrong {
    pub(crate) fn of(words: String) -> Wrong {
        Wrong { position: None, words }
    }

    fn fault(self, state: State, of: &Of<'_>) -> Fault {
        let (name, words) = (of.name(), self.words);
        Fault::new(
            state,
            match self.position {
                Some(position) => format!("{name}, {position}: {words}"),
                None => format!("{name} {words}"),
            },
        )
    }
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
pub fn parse(bytes: &[u8], of: &Of<'_>) -> Result<Sidecar, Fault> {
    let fields = json::object(bytes).map_err(|error| {
        let words = format!("is not usable JSON: {error}. Write the sidecar anew");
        Wrong::of(words).fault(State::SidecarInvalid, of)
    })?;
    let read = Read { bytes, fields: &fields, of };
    let invalid = |wrong: Wrong| wrong.fault(State::SidecarInvalid, of);
    let no_time = |wrong: Wrong| wrong.fault(State::TimeInvalid, of);
    let uuid = read.uuid().map_err(invalid)?;
    let deleted = read.deleted().map_err(invalid)?;
    let start_ms = read.start_ms().map_err(no_time)?;
    let end_ms = read.end_ms(start_ms).map_err(no_time)?;
    let own = of.form.own_fields();
    let metadata = fields
        .into_iter()
        .filter(|field| !own.contains(&Some(&field.key)))
        .map(|field| (escape_key(&field.key), escape(field.value)))
        .collect();
    Ok(Sidecar { uuid, start_ms, end_ms, deleted, metadata: Value::Object(metadata) })
}

/// The uuid that a sidecar names, if it is usable JSON with a usable uuid or none. One that is derived from the
/// path needs no sidecar.
pub fn uuid(bytes: &[u8], of: &Of<'_>) -> Option<String> {
    let UuidFrom::Field(pointer) = &of.form.uuid else { return Some(of.path_uuid()) };
    let fields = json::object(bytes).ok()?;
    match pointer.in_sidecar(bytes, &fields).map(|field| field.value) {
        None | Some(Value::Null) => Some(of.recording_id.to_owned()),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= UUID_BYTES_MAX => Some(text),
        Some(_) => None,
    }
}

/// A sidecar that is an object.
struct Read<'a> {
    bytes: &'a [u8],
    fields: &'a [Field],
    of: &'a Of<'a>,
}

impl Read<'_> {
    fn at(&self, pointer: &Pointer) -> Option<Field> {
        pointer.in_sidecar(self.bytes, self.fields)
    }

    fn uuid(&self) -> Result<String, Wrong> {
        let UuidFrom::Field(pointer) = &self.of.form.uuid else { return Ok(self.of.path_uuid()) };
        let Some(field) = self.at(pointer) else { return Ok(self.of.recording_id.to_owned()) };
        match field.value {
            Value::Null => Ok(self.of.recording_id.to_owned()),
            Value::String(text)
                if !text.is_empty() && text.len() <= UUID_BYTES_MAX && field.number.is_none() =>
            {
                Ok(text)
            }
            _ => Err(Wrong {
                position: Some(field.position),
                words: format!("{} must be a text of 1 to {UUID_BYTES_MAX} bytes", pointer.shown()),
            }),
        }
    }

    fn deleted(&self) -> Result<bool, Wrong> {
        let pointer = &self.of.form.deleted;
        match self.at(pointer) {
            None => Ok(false),
            Some(Field { value: Value::Null, .. }) => Ok(false),
            Some(Field { value: Value::Bool(value), .. }) => Ok(value),
            Some(Field { position, .. }) => Err(Wrong {
                position: Some(position),
                words: format!("{} must be true or false", pointer.shown()),
            }),
        }
    }

    fn start_ms(&self) -> Result<i64, Wrong> {
        let pointer = match &self.of.form.start_time {
            StartFrom::Sigmf => return self.sigmf().start_ms(),
            StartFrom::Field(pointer) => pointer,
        };
        let field = self.at(pointer);
        let start_ms = field.map(|field| self.time(pointer, &field)).transpose()?.flatten();
        start_ms.ok_or_else(|| {
            let wanted = pointer.shown();
            let like =
                |field: &&Field| pointer.field().is_some_and(|name| is_like(&field.key, name));
            Wrong::of(match self.fields.iter().find(like) {
                Some(field) if field.key != wanted => format!(
                    "has no {wanted}, but {}, {}. Rename that field to {wanted}",
                    Value::String(cut(&field.key)).to_text(),
                    field.position
                ),
                _ => format!("has no {wanted}. Add one, such as \"2024-05-01T12:00:00Z\""),
            })
        })
    }

    /// None: it is live.
    fn end_ms(&self, start_ms: i64) -> Result<Option<i64>, Wrong> {
        let (pointer, field) = match &self.of.form.end_time {
            EndFrom::Sigmf => {
                let end_ms = self.sigmf().end_ms()?;
                let before = || Wrong::of("has a later date before an earlier one".to_owned());
                return if end_ms < start_ms { Err(before()) } else { Ok(Some(end_ms)) };
            }
            EndFrom::Field(pointer) | EndFrom::Duration(pointer) => (pointer, self.at(pointer)),
        };
        let Some(field) = field else { return Ok(None) };
        if let EndFrom::Duration(_) = self.of.form.end_time {
            return duration(pointer, &field, start_ms);
        }
        match self.time(pointer, &field)? {
            Some(end_ms) if end_ms < start_ms => Err(Wrong {
                position: Some(field.position),
                words: format!("{} is before {}", pointer.shown(), self.of.form.start_shown()),
            }),
            end_ms => Ok(end_ms),
        }
    }

    fn sigmf(&self) -> pair::Described<'_> {
        pair::Described {
            bytes: self.bytes,
            fields: self.fields,
            data_size: self.of.data_size,
            zone: self.of.form.time_zone.as_ref(),
        }
    }

    /// The time that a field is; none where it is null.
    fn time(&self, pointer: &Pointer, field: &Field) -> Result<Option<i64>, Wrong> {
        let form = self.of.form;
        let read = match (&field.number, &field.value) {
            (Some(number), _) => {
                time::from_number(number, form.time_unit).map_err(|why| why.to_string())
            }
            (None, Value::Null) => return Ok(None),
            (None, Value::String(text)) => {
                iso8601::from_text(text, form.time_zone.as_ref()).map_err(with_zone)
            }
            _ => Err("is neither a text nor a number".to_owned()),
        };
        read.map(Some).map_err(|why| wrong_value(pointer, field, &why))
    }
}

/// The end of a recording that lasts so many seconds; none where the length is null.
fn duration(pointer: &Pointer, field: &Field, start_ms: i64) -> Result<Option<i64>, Wrong> {
    let number = match (&field.number, &field.value) {
        (Some(number), _) => Decimal::parse(number),
        (None, Value::Null) => return Ok(None),
        _ => None,
    };
    let wrong = |why: &str| wrong_value(pointer, field, why);
    let Some(seconds) = number.filter(|seconds| !seconds.is_negative()) else {
        return Err(wrong("is not a number of seconds, 0 or more"));
    };
    let end_ms = seconds.floor_ms(TimeUnit::Seconds).and_then(|ms| start_ms.checked_add(ms));
    time::in_range(end_ms).map(Some).map_err(|_| wrong("is longer than until the end of 2200"))
}

/// A field in other letters: `StartTime`, `start-time`, `starttime`.
fn is_like(key: &str, name: &str) -> bool {
    let letters = |text: &str| {
        let letters = text.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '.'));
        letters.map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    letters(key) == letters(name)
}

/// Why a text is no time, and that a root may say in which time zone it is meant.
pub(crate) fn with_zone(why: TimeFault) -> String {
    match why {
        TimeFault::NoOffset => format!("{why}, or set time_zone of the root"),
        why => why.to_string(),
    }
}

fn wrong_value(pointer: &Pointer, field: &Field, why: &str) -> Wrong {
    let shown = match &field.number {
        Some(number) => cut(number),
        None => cut_value(&field.value),
    };
    Wrong { position: Some(field.position), words: format!("{} {shown} {why}", pointer.shown()) }
}

/// The beginning of a value as JSON, for a reason.
pub(crate) fn cut_value(value: &Value) -> String {
    match value {
        Value::String(text) => Value::String(cut(text)).to_text(),
        value => cut(&value.to_text()),
    }
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

    fn of(form: &PairForm) -> Of<'_> {
        Of { root: "r", folder: b"d", recording_id: "r1", data_size: 0, form }
    }

    fn read(text: &str) -> Result<Sidecar, Fault> {
        parse(text.as_bytes(), &of(PairForm::focus()))
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
        let time_zone = iso8601::zone("Europe/Berlin");
        let form = PairForm { time_zone, ..PairForm::focus().clone() };
        let read = |text: &str| parse(text.as_bytes(), &of(&form));
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
    fn pointers_lead_into_a_sidecar_and_only_whole_fields_are_taken_out_of_the_metadata() {
        let pointer = |text: &str| Pointer::new(text).expect("a pointer");
        let form = PairForm {
            uuid: UuidFrom::Field(pointer("/ids/1")),
            start_time: StartFrom::Field(pointer("/begin")),
            end_time: EndFrom::Duration(pointer("/call/length")),
            deleted: pointer("/state/gone"),
            ..PairForm::focus().clone()
        };
        let read = |text: &str| parse(text.as_bytes(), &of(&form));
        let text = r#"{"begin": 1700000000, "ids": ["a", "b"], "call": {"length": 1.2345},
            "state": {"gone": true}, "uuid": "mine", "start_time": 7}"#;
        let sidecar = read(text).expect("good");
        assert_eq!((sidecar.uuid.as_str(), sidecar.deleted), ("b", true));
        assert_eq!(
            (sidecar.start_ms, sidecar.end_ms),
            (1_700_000_000_000, Some(1_700_000_001_234))
        );
        assert_eq!(
            sidecar.metadata.to_text(),
            r#"{"ids":["a","b"],"call":{"length":1.2345},"state":{"gone":true},"uuid":"mine","start_time":7}"#
        );
        assert_eq!(uuid(text.as_bytes(), &of(&form)).as_deref(), Some("b"));
        let live = read(r#"{"begin": 5, "ids": ["a"], "call": {"length": null}}"#).expect("live");
        assert_eq!((live.uuid.as_str(), live.end_ms, live.deleted), ("r1", None, false));
        for (text, words) in [
            (
                r#"{"begin": 5, "call": {"length": -1}}"#,
                "line 1, column 33: /call/length -1 is not a number of seconds",
            ),
            (r#"{"begin": 5, "call": {"length": 1e30}}"#, "/call/length 1e30 is longer than"),
            (r#"{"begin": 5, "call": {"length": "1"}}"#, "/call/length \"1\" is not a number"),
            (r#"{"begin": 5, "ids": [1, 2]}"#, "line 1, column 25: /ids/1 must be a text"),
            (r#"{"Begin": 5}"#, "Rename that field to begin"),
        ] {
            let fault = read(text).expect_err(text);
            assert!(fault.reason.contains(words), "{text}: {}", fault.reason);
        }
    }

    #[test]
    fn a_uuid_from_the_path_needs_no_sidecar_that_can_be_read() {
        let form = PairForm { uuid: UuidFrom::Path, ..PairForm::focus().clone() };
        let derived = path_uuid("r", b"d", b"r1");
        let sidecar = parse(br#"{"uuid": "mine", "start_time": 5}"#, &of(&form)).expect("good");
        assert_eq!(
            (&sidecar.uuid, sidecar.metadata.to_text().as_str()),
            (&derived, r#"{"uuid":"mine"}"#)
        );
        assert_eq!(uuid(b"{", &of(&form)), Some(derived));
        assert_eq!(uuid(b"{", &of(PairForm::focus())), None);
    }

    #[test]
    fn calls_of_trunk_recorder_have_seconds_and_are_told_apart_by_their_path() {
        let form = PairForm::of(pair::Preset::TrunkRecorder);
        let text = br#"{"freq": 854412500, "start_time": 1714564800, "stop_time": 1714564807,
            "emergency": 0, "call_length": 7, "talkgroup": 101, "srcList": []}"#;
        let sidecar = parse(text, &of(&form)).expect("a call");
        assert_eq!(
            (sidecar.start_ms, sidecar.end_ms),
            (1_714_564_800_000, Some(1_714_564_807_000))
        );
        assert_eq!(
            sidecar.metadata.to_text(),
            r#"{"freq":854412500,"emergency":0,"call_length":7,"talkgroup":101,"srcList":[]}"#
        );
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
