//! Recordings as documents, and documents as recordings.

use focus_core::json::Value;
use focus_core::recording::Recording;
use mongodb::bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::bson::{Bson, DateTime, Document, cstr};

use super::bson_value;
use crate::{Stored, Versioned};

/// The fields that an upsert on `uuid` and `root` sets besides these two; none if BSON cannot hold
/// them.
pub(super) fn fields(document: &Versioned, indexed_at: DateTime) -> Option<RawDocumentBuf> {
    let mut out = RawDocumentBuf::new();
    append_fields(&mut out, document, indexed_at)?;
    Some(out)
}

/// The whole document, for an insert.
pub(super) fn whole(document: &Versioned, indexed_at: DateTime) -> Option<RawDocumentBuf> {
    let mut out = RawDocumentBuf::new();
    out.append(cstr!("_id"), mongodb::bson::oid::ObjectId::new());
    out.append(cstr!("uuid"), document.recording.uuid.as_str());
    out.append(cstr!("root"), document.recording.root.as_str());
    append_fields(&mut out, document, indexed_at)?;
    Some(out)
}

fn append_fields(
    out: &mut RawDocumentBuf,
    document: &Versioned,
    indexed_at: DateTime,
) -> Option<()> {
    let recording = &document.recording;
    out.append(cstr!("start_time"), DateTime::from_millis(recording.start_ms));
    match recording.end_ms {
        Some(ms) => out.append(cstr!("end_time"), DateTime::from_millis(ms)),
        None => out.append(cstr!("end_time"), RawBsonRef::Null),
    }
    out.append(cstr!("deleted"), recording.deleted);
    match recording.deleted_at_ms {
        Some(ms) => out.append(cstr!("deleted_at"), DateTime::from_millis(ms)),
        None => out.append(cstr!("deleted_at"), RawBsonRef::Null),
    }
    out.append(cstr!("recording_id"), recording.recording_id.as_str());
    out.append(cstr!("path"), recording.path.as_str());
    out.append(cstr!("size"), recording.size);
    out.append(cstr!("fingerprint"), recording.fingerprint.as_str());
    let Value::Object(metadata) = &recording.metadata else { return None };
    out.append(cstr!("metadata"), bson_value::object(metadata)?);
    out.append(cstr!("indexed_at"), indexed_at);
    out.append(cstr!("version"), document.version);
    Some(())
}

/// The projection to our own fields. Fields of others may have any size.
pub(super) fn ours() -> Document {
    let fields = [
        "uuid",
        "root",
        "version",
        "deleted",
        "path",
        "start_time",
        "end_time",
        "deleted_at",
        "recording_id",
        "size",
        "fingerprint",
        "metadata",
    ];
    let all = fields.into_iter().map(|field| (field.to_owned(), Bson::Int32(1)));
    std::iter::once(("_id".to_owned(), Bson::Int32(0))).chain(all).collect()
}

/// The content of a document; none if its uuid is no text.
pub(super) fn stored(document: &RawDocument) -> Option<Stored> {
    let text = |key: &str| document.get_str(key).ok().map(str::to_owned);
    let uuid = text("uuid")?;
    Some(Stored {
        root: text("root"),
        version: integer(document, "version"),
        deleted: document.get_bool("deleted").unwrap_or(false),
        path: text("path"),
        recording: recording(document),
        uuid,
    })
}

fn recording(document: &RawDocument) -> Option<Recording> {
    let text = |key: &str| document.get_str(key).ok().map(str::to_owned);
    // Present, and either a date or null.
    let date = |key: &str| match document.get(key).ok()?? {
        RawBsonRef::Null => Some(None),
        RawBsonRef::DateTime(date) => Some(Some(date.timestamp_millis())),
        _ => None,
    };
    Some(Recording {
        uuid: text("uuid")?,
        start_ms: date("start_time")??,
        end_ms: date("end_time")?,
        deleted: document.get_bool("deleted").ok()?,
        deleted_at_ms: match document.get("deleted_at").ok()? {
            None => None,
            Some(_) => date("deleted_at")?,
        },
        recording_id: text("recording_id")?,
        root: text("root")?,
        path: text("path")?,
        size: integer(document, "size")?,
        fingerprint: text("fingerprint")?,
        metadata: bson_value::value(RawBsonRef::Document(document.get_document("metadata").ok()?))?,
    })
}

fn integer(document: &RawDocument, key: &str) -> Option<i64> {
    match document.get(key).ok()?? {
        RawBsonRef::Int32(value) => Some(i64::from(value)),
        RawBsonRef::Int64(value) => Some(value),
        _ => None,
    }
}
