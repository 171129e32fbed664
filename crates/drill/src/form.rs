//! What a planted recording looks like in a root of any form: the fields of its sidecar, and the bytes of its data
//! file.

use focus_common::clock;
use focus_core::pair::{EndFrom, PairForm, Pointer, StartFrom, UuidFrom, path_uuid};
use focus_core::recording::DRILL_FIELD;
use focus_core::sidecar::{self, Of};
use focus_core::time::TimeUnit;
use serde_json::{Map, Number, Value, json};

use crate::plan::PlannedRecording;

/// Positions of an array that a pointer may lead to: more would be made for nothing but the last one.
const POSITIONS_MAX: usize = 64;

/// The uuid of a recording that is to be planted.
pub(crate) fn uuid(form: &PairForm, root_id: &str, folder: &str, recording_id: &str) -> String {
    match form.uuid {
        UuidFrom::Path => path_uuid(root_id, folder.as_bytes(), recording_id.as_bytes()),
        UuidFrom::Field(_) => uuid::Uuid::new_v4().to_string(),
    }
}

/// Bytes of the data file of a recording that lasts so long: where that follows from the size, a sample of one
/// byte for each millisecond; else what a uuid takes.
pub(crate) fn data_bytes(form: &PairForm, lasts_ms: i64) -> u64 {
    match form.end_time {
        EndFrom::Sigmf => lasts_ms.unsigned_abs(),
        EndFrom::Field(_) | EndFrom::Duration(_) => 36,
    }
}

/// The sidecar of a recording that is to be planted in the root with this id, and the names of those of its fields
/// that are metadata.
///
/// # Errors
/// No sidecar of this form can say so: why.
pub(crate) fn sidecar(
    form: &PairForm,
    drill: &str,
    root_id: &str,
    planned: &PlannedRecording,
) -> Result<(Value, Vec<String>), String> {
    let mut made = Value::Object(Map::new());
    if form.start_time == StartFrom::Sigmf || form.end_time == EndFrom::Sigmf {
        made = sigmf(planned);
    }
    if let UuidFrom::Field(pointer) = &form.uuid {
        put(&mut made, pointer, json!(planned.uuid))?;
    }
    if let StartFrom::Field(pointer) = &form.start_time {
        put(&mut made, pointer, time(form, planned.start_ms)?)?;
    }
    match &form.end_time {
        EndFrom::Field(pointer) => put(&mut made, pointer, time(form, planned.end_ms)?)?,
        EndFrom::Duration(pointer) => {
            let seconds = TimeUnit::Seconds.from_ms(planned.end_ms - planned.start_ms);
            put(&mut made, pointer, number(&seconds)?)?;
        }
        EndFrom::Sigmf => {}
    }
    made[DRILL_FIELD] = json!(drill);
    means(form, root_id, planned, &made)?;
    let own = form.own_fields();
    let fields = made.as_object().map(|fields| fields.keys().cloned().collect());
    let mut metadata: Vec<String> = fields.unwrap_or_default();
    metadata.retain(|key| !own.contains(&Some(key)));
    Ok((made, metadata))
}

/// A SigMF recording of real samples of one byte, a thousand a second.
fn sigmf(planned: &PlannedRecording) -> Value {
    json!({
        "global": {
            "core:datatype": "ru8",
            "core:sample_rate": 1000,
            "core:version": "1.2.0",
        },
        "captures": [{ "core:sample_start": 0, "core:datetime": clock::rfc3339(planned.start_ms) }],
        "annotations": [],
    })
}

/// A time as the sidecars of the root write it.
fn time(form: &PairForm, ms: i64) -> Result<Value, String> {
    form.time_unit.map_or_else(|| Ok(json!(clock::rfc3339(ms))), |unit| number(&unit.from_ms(ms)))
}

fn number(text: &str) -> Result<Value, String> {
    text.parse::<Number>().map(Value::Number).map_err(|error| format!("{text}: {error}"))
}

/// Puts a value where a pointer leads, and makes what is on the way.
fn put(into: &mut Value, pointer: &Pointer, value: Value) -> Result<(), String> {
    let mut at = into;
    for part in pointer.parts() {
        let position = part.parse::<usize>().ok().filter(|at| at.to_string() == *part);
        if at.is_null() {
            let is_array = position.is_some_and(|at| at < POSITIONS_MAX);
            *at = if is_array { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        }
        at = match at {
            Value::Object(fields) => fields.entry(part.as_str()).or_insert(Value::Null),
            Value::Array(items) => {
                let position = position
                    .filter(|at| *at < POSITIONS_MAX)
                    .ok_or_else(|| format!("{pointer} leads to no position of an array"))?;
                if items.len() <= position {
                    items.resize(position + 1, Value::Null);
                }
                &mut items[position]
            }
            _ => return Err(format!("{pointer} leads into another value")),
        };
    }
    if !at.is_null() {
        return Err(format!("{pointer} leads to another value"));
    }
    *at = value;
    Ok(())
}

/// The sidecar says what was planned.
fn means(
    form: &PairForm,
    root_id: &str,
    planned: &PlannedRecording,
    made: &Value,
) -> Result<(), String> {
    let folder = planned.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let of = Of {
        root: root_id,
        folder: folder.as_bytes(),
        recording_id: &planned.recording_id,
        data_size: i64::try_from(planned.data_bytes).unwrap_or(i64::MAX),
        form,
    };
    let read = sidecar::parse(made.to_string().as_bytes(), &of).map_err(|fault| fault.reason)?;
    let (start_ms, end_ms) = (planned.start_ms, Some(planned.end_ms));
    let is_as_planned = read.uuid == planned.uuid
        && (read.start_ms, read.end_ms, read.deleted) == (start_ms, end_ms, false);
    if is_as_planned { Ok(()) } else { Err("it would say something else".to_owned()) }
}
