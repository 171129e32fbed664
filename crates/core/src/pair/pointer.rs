//! Pointers to a value of a sidecar (RFC 6901).

use std::fmt;

use crate::json::{self, Field};

/// Bytes of a pointer at most.
const BYTES_MAX: usize = 256;

/// Where in a sidecar a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    /// Its parts, unescaped: at least one.
    parts: Vec<String>,
}

/// A text that is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerFault {
    /// It does not begin with a slash.
    #[error("a JSON pointer begins with /, such as /start_time")]
    Slash,
    /// It has too many bytes.
    #[error("a JSON pointer has at most {BYTES_MAX} bytes")]
    Length,
    /// A tilde that no pointer has.
    #[error("in a JSON pointer, ~0 stands for ~ and ~1 for /")]
    Tilde,
}

impl Pointer {
    /// The pointer that a text is.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<Pointer, PointerFault> {
        if text.len() > BYTES_MAX {
            return Err(PointerFault::Length);
        }
        let parts = text.strip_prefix('/').ok_or(PointerFault::Slash)?;
        let bad = |rest: &str| !rest.starts_with(['0', '1']);
        if parts.split('~').skip(1).any(bad) {
            return Err(PointerFault::Tilde);
        }
        let parts = parts.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
        Ok(Pointer { text: text.to_owned(), parts: parts.collect() })
    }

    /// The pointer to a field of the outermost object.
    pub(crate) fn of_field(name: &str) -> Pointer {
        let text = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        Pointer { text, parts: vec![name.to_owned()] }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The field of the outermost object that it leads to; none where it leads into one.
    pub fn field(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }

    /// Its parts, unescaped.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The name of what it leads to, for people.
    pub(crate) fn shown(&self) -> &str {
        self.field().unwrap_or(&self.text)
    }

    /// What it leads to in a sidecar of these bytes and fields; none where nothing is there.
    pub(crate) fn in_sidecar(&self, bytes: &[u8], fields: &[Field]) -> Option<Field> {
        match self.field() {
            Some(name) => fields.iter().find(|field| field.key == name).cloned(),
            None => json::find(bytes, &self.parts),
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_have_parts_and_anything_else_is_told_why() {
        let pointer = Pointer::new("/captures/0/core:datetime").expect("a pointer");
        assert_eq!(pointer.parts(), ["captures", "0", "core:datetime"]);
        assert_eq!((pointer.field(), pointer.shown()), (None, "/captures/0/core:datetime"));
        let field = Pointer::new("/a~1b~0c").expect("a pointer");
        assert_eq!((field.field(), field.as_str()), (Some("a/b~c"), "/a~1b~0c"));
        assert_eq!(Pointer::of_field("a/b~c"), field);
        assert_eq!(Pointer::new(""), Err(PointerFault::Slash));
        assert_eq!(Pointer::new("start_time"), Err(PointerFault::Slash));
        assert_eq!(Pointer::new("/a~2"), Err(PointerFault::Tilde));
        assert_eq!(Pointer::new(&format!("/{}", "x".repeat(256))), Err(PointerFault::Length));
    }
}
