//! Filters on the metadata of recordings: a key, and the value that it has to have.

use crate::json::Value;

/// Bytes of a key, at most.
const KEY_BYTES_MAX: usize = 256;

/// A filter on metadata: the value at a key equals a text, as a string or as a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetaFilter {
    key: String,
    value: String,
}

/// Why a key is none. The words say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaFault {
    /// There is no key, or it is too long.
    #[error(
        "a key has 1 to {KEY_BYTES_MAX} bytes: give the name of a field, or a JSON pointer such as /site/name"
    )]
    Length,
    /// A tilde that no pointer has.
    #[error("in a JSON pointer, ~0 stands for ~ and ~1 for /")]
    Tilde,
}

impl MetaFilter {
    /// A filter. The key is a top-level field, or a JSON pointer (RFC 6901) where it begins with `/`.
    ///
    /// # Errors
    /// It is no key.
    pub fn new(key: &str, value: &str) -> Result<MetaFilter, MetaFault> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(MetaFault::Length);
        }
        let bad = |part: &str| !part.starts_with('0') && !part.starts_with('1');
        if key.starts_with('/') && key.split('~').skip(1).any(bad) {
            return Err(MetaFault::Tilde);
        }
        Ok(MetaFilter { key: key.to_owned(), value: value.to_owned() })
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value that is asked for.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether metadata has this value at the key.
    pub fn is_true_of(&self, metadata: &Value) -> bool {
        match at(metadata, &self.key) {
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Int(number)) => is_number(&self.value, *number as f64, Some(*number)),
            Some(Value::Double(number)) => is_number(&self.value, *number, None),
            _ => false,
        }
    }
}

/// Whether the text is this number.
fn is_number(text: &str, double: f64, whole: Option<i64>) -> bool {
    match (text.parse::<i64>(), whole) {
        (Ok(asked), Some(whole)) => asked == whole,
        _ => text.parse::<f64>().is_ok_and(|asked| asked.is_finite() && asked == double),
    }
}

/// The value at a key.
pub fn at<'a>(metadata: &'a Value, key: &str) -> Option<&'a Value> {
    let Some(pointer) = key.strip_prefix('/') else { return field(metadata, key) };
    pointer.split('/').try_fold(metadata, |value, part| {
        let part = part.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => field(other, &part),
        }
    })
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Object(fields) = value else { return None };
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_true_of_an_equal_string_or_number_at_its_key() {
        let text = r#"{"sensor": "north", "gain": 2, "rate": 0.5, "a/b": "x", "big": 9007199254740993,
            "site": {"name": "hill", "legs": [1, {"n~m": "y"}]}, "flag": true, "no": null}"#;
        let metadata = Value::from_text(text).expect("JSON");
        for (key, value, wanted) in [
            ("sensor", "north", true),
            ("sensor", "North", false),
            ("gain", "2", true),
            ("gain", "2.0", true),
            ("gain", "3", false),
            ("rate", "0.5", true),
            ("rate", "5e-1", true),
            ("big", "9007199254740993", true),
            ("big", "9007199254740992", false),
            ("a/b", "x", true),
            ("/a~1b", "x", true),
            ("/site/name", "hill", true),
            ("site/name", "hill", false),
            ("/site/legs/0", "1", true),
            ("/site/legs/1/n~0m", "y", true),
            ("/site/legs/9", "1", false),
            ("flag", "true", false),
            ("no", "null", false),
            ("none", "", false),
            ("site", "hill", false),
        ] {
            let filter = MetaFilter::new(key, value).expect("a key");
            assert_eq!(filter.is_true_of(&metadata), wanted, "{key}={value}");
        }
    }

    #[test]
    fn what_is_no_key_is_told() {
        assert_eq!(MetaFilter::new("", "x"), Err(MetaFault::Length));
        assert_eq!(MetaFilter::new(&"k".repeat(300), "x"), Err(MetaFault::Length));
        assert_eq!(MetaFilter::new("/a~2", "x"), Err(MetaFault::Tilde));
        assert_eq!(MetaFilter::new("/a~", "x"), Err(MetaFault::Tilde));
        assert!(MetaFilter::new("a~2", "x").is_ok());
    }
}
