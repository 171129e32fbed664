//! A recording, as storage tells it and as the catalog is to say it.

use crate::json::Value;

/// Where a recording is: its folder below a root, and the name its files share.
///
/// Both are bytes as the file system gives them, because names need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Folder relative to the root, `/` between parts, empty for the root itself.
    pub folder: Vec<u8>,
    /// File name without its extension: the recording id, where it is valid.
    pub stem: Vec<u8>,
}

impl Place {
    /// The relative path without extension, for people: bytes that are not UTF-8 are
    /// shown as `\xNN`, so two places never look the same.
    pub fn display(&self) -> String {
        let mut bytes = self.folder.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(&self.stem);
        show_bytes(&bytes)
    }
}

/// Text of a byte string: UTF-8 as it is, every other byte as `\xNN`.
pub fn show_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

/// The content of a recording's catalog document, apart from `version` and `indexed_at`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Unique in the catalog; the recording id where the sidecar names none.
    pub uuid: String,
    /// Start, milliseconds since 1970-01-01T00:00:00Z.
    pub start_ms: i64,
    /// End, milliseconds since 1970; none while live.
    pub end_ms: Option<i64>,
    /// As the sidecar says, or because the recording vanished.
    pub deleted: bool,
    /// When it was found to have vanished, milliseconds since 1970.
    pub deleted_at_ms: Option<i64>,
    /// The file stem.
    pub recording_id: String,
    /// The id in the root's marker.
    pub root: String,
    /// Path of the data file relative to the root.
    pub path: String,
    /// Size of the data file, bytes.
    pub size: i64,
    /// Changes when the sidecar's bytes, or the data file's size or mtime change.
    pub fingerprint: String,
    /// Every other field of the sidecar; always an object, keys escaped for BSON.
    pub metadata: Value,
}

/// The field of a sidecar that says which drill planted the recording.
pub const DRILL_FIELD: &str = "focus_drill";

impl Recording {
    /// A drill planted it: once its files are gone, its document goes too.
    pub fn is_drilled(&self) -> bool {
        match &self.metadata {
            Value::Object(fields) => fields.iter().any(|(key, _)| key == DRILL_FIELD),
            _ => false,
        }
    }

    /// A drill planted it, and its files are proved to be gone: its document is to be removed, where
    /// another recording's would be marked as deleted.
    pub fn is_leaving(&self) -> bool {
        self.deleted_at_ms.is_some() && self.is_drilled()
    }
}
