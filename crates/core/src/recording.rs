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

/// Text of a byte string: UTF-8 as it is, every other byte as `\xNN`. Where UTF-8 itself looks like
/// that, its backslash is shown as `\x5C`, so two byte strings never look the same.
pub fn show_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find('\\') {
            let (before, after) = (&rest[..at], &rest[at + 1..]);
            text.push_str(before);
            text.push_str(if is_code(after.as_bytes()) { "\\x5C" } else { "\\" });
            rest = after;
        }
        text.push_str(rest);
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

/// Characters of a name that [`quoted`] shows at most.
const QUOTED_MAX: usize = 80;

/// A name in quotes for a sentence: as [`show_bytes`], with every control character as its escape and no
/// more than the beginning of a long one. Each byte is escaped once.
pub fn quoted(bytes: &[u8]) -> String {
    let shown = show_bytes(bytes);
    let mut text = String::from("\"");
    for (at, c) in shown.chars().enumerate() {
        if at == QUOTED_MAX {
            text.push('…');
            break;
        }
        if c.is_control() || c == '"' {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text.push('"');
    text
}

/// It begins with `xNN`.
fn is_code(text: &[u8]) -> bool {
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
    matches!(text, [b'x', first, second, ..] if hex(first) && hex(second))
}

/// The byte string that is shown like this.
pub fn shown_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(1..3).filter(|_| byte == b'\\' && is_code(after));
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_sentence_is_escaped_once_and_its_quote_ends() {
        for (bytes, shown) in [
            (&b"a\xFFb"[..], r#""a\xFFb""#),
            (b"a\tb\n", r#""a\tb\n""#),
            (br#"a"b\c"#, r#""a\"b\c""#),
            ("ü日".as_bytes(), "\"ü日\""),
        ] {
            assert_eq!(quoted(bytes), shown);
        }
        assert_eq!(quoted(&[b'x'; 300]), format!("\"{}…\"", "x".repeat(80)));
    }

    #[test]
    fn two_byte_strings_never_look_the_same() {
        for (bytes, shown) in [
            (&b"a\xFFb"[..], "a\\xFFb"),
            (br"a\xFFb", "a\\x5CxFFb"),
            (br"C:\x", "C:\\x"),
            (b"\\\xFF", "\\\\xFF"),
            (br"\\xFF", "\\\\x5CxFF"),
            ("ü".as_bytes(), "ü"),
        ] {
            assert_eq!(show_bytes(bytes), shown);
            assert_eq!(shown_bytes(shown), bytes, "{shown}");
        }
    }
}
