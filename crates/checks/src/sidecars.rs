//! Sidecars: any bytes are refused with a place, or understood as the documents say they are.

use focus_core::document::Versioned;
use focus_core::json::{self, DEPTH_MAX, JsonError, Value};
use focus_core::pair::{PairForm, Preset};
use focus_core::recording::Recording;
use focus_core::sidecar::{self, Of, Sidecar, UUID_BYTES_MAX};
use focus_core::state::State;
use focus_core::time::{EARLIEST_MS, LATEST_MS, TimeUnit};

const RECORDING_ID: &str = "rec-1";

/// Checks one sidecar, with every unit that a root may prescribe.
pub fn sidecars(bytes: &[u8]) {
    let parsed = Value::parse(bytes);
    agrees_with_another_parser(bytes, &parsed);
    if let Err(error) = &parsed {
        lies_within(bytes, error);
    }
    if let Ok(value) = &parsed {
        assert!(depth(value) <= DEPTH_MAX, "deeper than {DEPTH_MAX}");
        assert_eq!(Value::from_text(&value.to_text()).as_ref(), Ok(value), "its text is another");
    }
    let fields = json::object(bytes);
    match (&fields, &parsed) {
        (Ok(fields), Ok(Value::Object(pairs))) => {
            let same = fields
                .iter()
                .zip(pairs)
                .all(|(field, (key, value))| field.key == *key && field.value == *value);
            assert!(same && fields.len() == pairs.len(), "fields are not the object's");
            let places: Vec<_> =
                fields.iter().map(|field| (field.position.line, field.position.column)).collect();
            assert!(places.is_sorted(), "places go back");
        }
        (Ok(_), _) => panic!("fields of what is no object"),
        (Err(_), Ok(Value::Object(_))) => panic!("an object without fields"),
        (Err(error), _) => lies_within(bytes, error),
    }
    let units = [TimeUnit::Seconds, TimeUnit::Millis, TimeUnit::Micros, TimeUnit::Nanos];
    for unit in std::iter::once(None).chain(units.map(Some)) {
        let form = PairForm { time_unit: unit, ..PairForm::focus().clone() };
        match sidecar::parse(bytes, &of(&form, 0)) {
            Ok(sidecar) => {
                let fields = fields.as_ref().expect("a sidecar is an object");
                understood(bytes, fields, &sidecar);
            }
            Err(fault) => {
                assert!(matches!(fault.state, State::SidecarInvalid | State::TimeInvalid));
                assert!(fault.reason.starts_with("rec-1.json"), "{}", fault.reason);
                assert!(fault.reason.len() < 4_096, "a reason of {} bytes", fault.reason.len());
                if fields.is_err() {
                    assert_eq!(fault.state, State::SidecarInvalid);
                    assert!(fault.reason.contains("line "), "{}", fault.reason);
                }
            }
        }
    }
}

fn of(form: &PairForm, data_size: i64) -> Of<'_> {
    Of { root: "root", folder: b"", recording_id: RECORDING_ID, data_size, form }
}

/// Checks a sidecar of another field, beside data files of several sizes: it is a span of time, or a fault
/// with a reason. The first byte says how the sizes are spread.
pub fn other_fields(bytes: &[u8]) {
    let (first, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let sizes = [0, i64::from(*first), 1 << (first % 63), i64::MAX];
    for preset in [Preset::Sigmf, Preset::TrunkRecorder] {
        let form = PairForm::of(preset);
        for data_size in sizes {
            let of = of(&form, data_size);
            match sidecar::parse(bytes, &of) {
                Ok(sidecar) => {
                    let range = EARLIEST_MS..=LATEST_MS;
                    let end_ms = sidecar.end_ms.unwrap_or(sidecar.start_ms);
                    assert!(range.contains(&sidecar.start_ms) && range.contains(&end_ms));
                    assert!(sidecar.start_ms <= end_ms, "it ends before it begins");
                    assert_eq!(sidecar::uuid(bytes, &of), Some(sidecar.uuid));
                }
                Err(fault) => {
                    assert!(matches!(fault.state, State::SidecarInvalid | State::TimeInvalid));
                    assert!(fault.reason.starts_with("rec-1."), "{}", fault.reason);
                    assert!(fault.reason.len() < 4_096, "a reason of {} bytes", fault.reason.len());
                }
            }
        }
    }
}

/// Checks what the documents promise of a sidecar that was understood.
fn understood(bytes: &[u8], fields: &[json::Field], sidecar: &Sidecar) {
    let range = EARLIEST_MS..=LATEST_MS;
    assert!(range.contains(&sidecar.start_ms), "start {}", sidecar.start_ms);
    if let Some(end_ms) = sidecar.end_ms {
        assert!(range.contains(&end_ms) && end_ms >= sidecar.start_ms, "end {end_ms}");
    }
    assert!((1..=UUID_BYTES_MAX).contains(&sidecar.uuid.len()));
    assert_eq!(sidecar::uuid(bytes, &of(PairForm::focus(), 0)).as_ref(), Some(&sidecar.uuid));
    let Value::Object(metadata) = &sidecar.metadata else { panic!("metadata is no object") };
    let known = ["uuid", "start_time", "end_time", "deleted"];
    let others: Vec<_> =
        fields.iter().filter(|field| !known.contains(&field.key.as_str())).collect();
    assert_eq!(others.len(), metadata.len(), "a field is lost, or made");
    for (field, (key, value)) in others.iter().zip(metadata) {
        assert_eq!(unescape(key), field.key);
        assert_eq!(unescaped(value), field.value);
    }
    let document = Versioned {
        recording: Recording {
            uuid: sidecar.uuid.clone(),
            start_ms: sidecar.start_ms,
            end_ms: sidecar.end_ms,
            deleted: sidecar.deleted,
            deleted_at_ms: None,
            recording_id: RECORDING_ID.to_owned(),
            root: "root".to_owned(),
            path: "rec-1.dat".to_owned(),
            size: 0,
            fingerprint: "f".to_owned(),
            metadata: sidecar.metadata.clone(),
        },
        version: 1,
    };
    let sent = focus_catalog::mongo::to_bytes(&document).expect("every sidecar has a document");
    let back = focus_catalog::mongo::read_back(&sent).and_then(|stored| stored.recording);
    assert_eq!(back, Some(document.recording), "another document came back");
}

/// Undoes `escape_key`, and checks that no database refuses the escaped key.
fn unescape(key: &str) -> String {
    assert!(!key.starts_with('$') && !key.contains('\0'), "{key:?} reaches the database");
    let mut text = String::new();
    let mut rest = key;
    while let Some(c) = rest.chars().next() {
        let code = [("%00", '\0'), ("%24", '$'), ("%25", '%')];
        match code.into_iter().find(|(code, _)| rest.starts_with(code)) {
            Some((code, plain)) => {
                text.push(plain);
                rest = &rest[code.len()..];
            }
            None => {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    text
}

fn unescaped(value: &Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.iter().map(unescaped).collect()),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(key, value)| (unescape(key), unescaped(value))).collect(),
        ),
        other => other.clone(),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.iter().map(|(_, v)| depth(v)).max().unwrap_or(0),
        _ => 0,
    }
}

/// Checks that a mistake names a place within the text.
fn lies_within(bytes: &[u8], error: &JsonError) {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    let (line, column) = (error.position.line, error.position.column);
    assert!((1..=lines).contains(&line), "line {line} of {lines}");
    assert!((1..=bytes.len() + 1).contains(&column), "column {column}");
    assert!(!error.message.is_empty());
}

/// Checks that our JSON has the values of another library's, except where the documents say
/// otherwise.
fn agrees_with_another_parser(bytes: &[u8], ours: &Result<Value, JsonError>) {
    let plain = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let theirs = serde_json::from_slice::<serde_json::Value>(plain);
    match (ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert!(is_same(ours, theirs), "{ours:?} {theirs:?}"),
        (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => {
            let known =
                error.message.contains("is there twice") || error.message.contains("nested");
            assert!(known, "refused here alone: {error}");
        }
        (Ok(_), Err(error)) => {
            assert!(error.to_string().contains("out of range"), "taken here alone: {error}");
        }
    }
}

fn is_same(ours: &Value, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Theirs;
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        // Theirs keeps the sign of a zero, as a double.
        (Value::Int(a), Theirs::Number(b)) => {
            b.as_i64() == Some(*a) || (*a == 0 && b.as_f64() == Some(0.0))
        }
        (Value::Double(a), Theirs::Number(b)) => b.as_f64().is_some_and(|b| is_close(*a, b)),
        // Integers that are too large for 64 bits are kept digit by digit.
        (Value::String(a), Theirs::Number(b)) => match a.parse::<f64>() {
            Ok(a) => b.as_f64().is_some_and(|b| is_close(a, b)),
            Err(_) => false,
        },
        (Value::String(a), Theirs::String(b)) => a == b,
        (Value::Array(a), Theirs::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Theirs::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        _ => false,
    }
}

/// Their doubles may be off by a unit in the last place; ours are the nearest.
fn is_close(a: f64, b: f64) -> bool {
    a.to_bits().abs_diff(b.to_bits()) <= 4 || (a == 0.0 && b == 0.0)
}
