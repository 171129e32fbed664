//! The metadata of recordings by key: what a key is, which values are equal, and filters by them.
//!
//! A value is a string or a number; nothing else is equal to anything. Every value has one text, and two values
//! have the same text where the same question is true of both: the text of a string is itself, that of a number
//! its shortest decimal form. An index of values by their text holds what a filter asks for at one or two texts.

use crate::json::Value;

/// Bytes of a key, at most.
const KEY_BYTES_MAX: usize = 256;

/// Bytes of the text of a value that has a place in an index, at most.
pub const VALUE_BYTES_MAX: usize = 256;

/// Where in the metadata a value is: a top-level field, or a JSON pointer (RFC 6901) where it begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetaKey(String);

/// A filter on metadata: the value at a key equals a text, as a string or as a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetaFilter {
    key: MetaKey,
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

impl MetaKey {
    /// A key.
    ///
    /// # Errors
    /// It is none.
    pub fn new(key: &str) -> Result<MetaKey, MetaFault> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(MetaFault::Length);
        }
        let bad = |part: &str| !part.starts_with('0') && !part.starts_with('1');
        if key.starts_with('/') && key.split('~').skip(1).any(bad) {
            return Err(MetaFault::Tilde);
        }
        Ok(MetaKey(key.to_owned()))
    }

    /// As people spell it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text of the value that metadata has at this key; none where that is no string and no number, or has more
    /// than [`VALUE_BYTES_MAX`] bytes.
    pub fn text_in(&self, metadata: &Value) -> Option<String> {
        let text = match at(metadata, &self.0)? {
            Value::String(text) if text.len() <= VALUE_BYTES_MAX => text.clone(),
            Value::Int(number) => Number::Whole(*number).text(),
            Value::Double(number) => Number::of(*number).text(),
            _ => return None,
        };
        Some(text)
    }
}

impl MetaFilter {
    /// A filter. The key is as [`MetaKey::new`] takes it.
    ///
    /// # Errors
    /// It is no key.
    pub fn new(key: &str, value: &str) -> Result<MetaFilter, MetaFault> {
        Ok(MetaFilter { key: MetaKey::new(key)?, value: value.to_owned() })
    }

    /// The key.
    pub fn key(&self) -> &MetaKey {
        &self.key
    }

    /// The value that is asked for.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether metadata has this value at the key.
    pub fn is_true_of(&self, metadata: &Value) -> bool {
        match at(metadata, &self.key.0) {
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Int(number)) => self.number() == Some(Number::Whole(*number)),
            Some(Value::Double(number)) => self.number() == Some(Number::of(*number)),
            _ => false,
        }
    }

    /// The texts that values have of which this is true. Of another value with such a text it may be false. None: the
    /// text is longer than one that [`MetaKey::text_in`] gives.
    pub fn texts(&self) -> Option<Vec<String>> {
        if self.value.len() > VALUE_BYTES_MAX {
            return None;
        }
        let number = self.number().map(Number::text).filter(|text| *text != self.value);
        Some([self.value.clone()].into_iter().chain(number).collect())
    }

    /// The number that the value is, where it is one.
    fn number(&self) -> Option<Number> {
        match self.value.parse::<i64>() {
            Ok(whole) => Some(Number::Whole(whole)),
            Err(_) => {
                self.value.parse().ok().filter(|asked: &f64| asked.is_finite()).map(Number::of)
            }
        }
    }
}

/// A number. One that is whole and fits is a whole one, however it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn of(number: f64) -> Number {
        // The least double that is no i64.
        const END: f64 = 9_223_372_036_854_775_808.0;
        if number.fract() == 0.0 && (-END..END).contains(&number) {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole, and within the range"
            )]
            return Number::Whole(number as i64);
        }
        Number::Real(number)
    }

    /// The shortest decimal form that is this number again.
    fn text(self) -> String {
        match self {
            Number::Whole(number) => number.to_string(),
            Number::Real(number) => format!("{number:?}"),
        }
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_filter_is_true_of_an_equal_string_or_number_at_its_key() {
        let text = r#"{"sensor": "north", "gain": 2, "rate": 0.5, "a/b": "x", "big": 9007199254740993,
            "huge": 1e19, "whole": 3.0, "text": "2.0",
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
            ("big", "9007199254740992.0", false),
            ("huge", "1e19", true),
            ("huge", "10000000000000000000.0", true),
            ("whole", "3", true),
            ("whole", "3.00", true),
            ("text", "2.0", true),
            ("text", "2", false),
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
            let text = filter.key().text_in(&metadata);
            let is_at_a_text = filter
                .texts()
                .is_some_and(|texts| texts.iter().any(|one| Some(one) == text.as_ref()));
            assert!(is_at_a_text || !wanted, "{key}={value}: {text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_filter_looks_at_the_text_of_every_value_of_which_it_is_true(one in value(), asked in asked()) {
            let key = MetaKey::new("k").expect("a key");
            let metadata = Value::Object(vec![("k".to_owned(), one.clone())]);
            let filter = MetaFilter::new("k", &asked).expect("a key");
            let text = key.text_in(&metadata);
            if filter.is_true_of(&metadata) {
                let text = text.as_ref().expect("short");
                prop_assert!(filter.texts().expect("short").contains(text), "{asked} {text}");
            }
            if let Some(text) = text {
                let by_its_text = MetaFilter::new("k", &text).expect("a key");
                prop_assert!(by_its_text.is_true_of(&metadata), "{text}");
            }
        }

        #[test]
        fn numbers_have_one_text_exactly_where_they_are_equal(one in number(), other in number()) {
            let key = MetaKey::new("k").expect("a key");
            let metadata = |value: &Value| Value::Object(vec![("k".to_owned(), value.clone())]);
            let text = key.text_in(&metadata(&one)).expect("a text");
            let of_other = key.text_in(&metadata(&other)).expect("a text");
            let filter = MetaFilter::new("k", &text).expect("a key");
            prop_assert_eq!(filter.texts(), Some(vec![text.clone()]));
            prop_assert_eq!(filter.is_true_of(&metadata(&other)), text == of_other, "{} {}", text, of_other);
        }
    }

    fn number() -> impl Strategy<Value = Value> {
        prop_oneof![
            (-3i64..3).prop_map(Value::Int),
            any::<i64>().prop_map(Value::Int),
            (-6i32..6).prop_map(|halves| Value::Double(f64::from(halves) / 2.0)),
            any::<f64>()
                .prop_filter("JSON has no other", |one| one.is_finite())
                .prop_map(Value::Double),
            (-1i64..2).prop_map(|off| Value::Int((1 << 53) + off)),
            (-1i64..2).prop_map(|off| Value::Double(((1_i64 << 53) + off) as f64)),
        ]
    }

    fn asked() -> impl Strategy<Value = String> {
        prop_oneof![
            (-3i64..3).prop_map(|one| one.to_string()),
            (-6i32..6).prop_map(|halves| format!("{:.2}", f64::from(halves) / 2.0)),
            (-6i32..6).prop_map(|halves| format!("{:e}", f64::from(halves) / 2.0)),
            (-1i64..2).prop_map(|off| ((1_i64 << 53) + off).to_string()),
            (-1i64..2).prop_map(|off| format!("{}.0", (1_i64 << 53) + off)),
            "[0-9.e+-]{0,4}|[a-z ]{0,3}",
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![number(), asked().prop_map(Value::String), Just(Value::Null)]
    }

    #[test]
    fn a_long_value_has_no_text_and_is_compared_all_the_same() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        let metadata = Value::Object(vec![("k".to_owned(), Value::String(long.clone()))]);
        let filter = MetaFilter::new("k", &long).expect("a key");
        assert!(filter.is_true_of(&metadata));
        assert_eq!((filter.texts(), filter.key().text_in(&metadata)), (None, None));
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
