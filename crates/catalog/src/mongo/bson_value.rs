//! JSON values of sidecars as BSON, and back, without any change.

use focus_core::json::Value;
use mongodb::bson::raw::{CString, RawArrayBuf, RawBsonRef, RawDocumentBuf};

/// Appends a value under a key. False: the key cannot be one in BSON.
pub(super) fn append(document: &mut RawDocumentBuf, key: &str, value: &Value) -> bool {
    let Ok(key) = CString::try_from(key) else { return false };
    match value {
        Value::Null => document.append(&key, RawBsonRef::Null),
        Value::Bool(value) => document.append(&key, *value),
        Value::Int(value) => document.append(&key, *value),
        Value::Double(value) => document.append(&key, *value),
        Value::String(value) => document.append(&key, value.as_str()),
        Value::Array(values) => match array(values) {
            Some(array) => document.append(&key, array),
            None => return false,
        },
        Value::Object(fields) => match object(fields) {
            Some(object) => document.append(&key, object),
            None => return false,
        },
    }
    true
}

/// An object as a document; none if BSON does not allow one of its keys.
pub(super) fn object(fields: &[(String, Value)]) -> Option<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    fields.iter().all(|(key, value)| append(&mut document, key, value)).then_some(document)
}

fn array(values: &[Value]) -> Option<RawArrayBuf> {
    let mut array = RawArrayBuf::new();
    for value in values {
        match value {
            Value::Null => array.push(RawBsonRef::Null),
            Value::Bool(value) => array.push(*value),
            Value::Int(value) => array.push(*value),
            Value::Double(value) => array.push(*value),
            Value::String(value) => array.push(value.as_str()),
            Value::Array(values) => array.push(self::array(values)?),
            Value::Object(fields) => array.push(object(fields)?),
        }
    }
    Some(array)
}

/// Levels of a document that is read back. Every server takes as many. A deeper document comes from
/// no server, and would overflow the stack.
const DEPTH_MAX: usize = 100;

/// The JSON value of a BSON value; none if no sidecar could have made it.
pub(super) fn value(bson: RawBsonRef<'_>) -> Option<Value> {
    value_at(bson, 1)
}

fn value_at(bson: RawBsonRef<'_>, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    Some(match bson {
        RawBsonRef::Null => Value::Null,
        RawBsonRef::Boolean(value) => Value::Bool(value),
        RawBsonRef::Int32(value) => Value::Int(i64::from(value)),
        RawBsonRef::Int64(value) => Value::Int(value),
        RawBsonRef::Double(value) if value.is_finite() => Value::Double(value),
        RawBsonRef::String(value) => Value::String(value.to_owned()),
        RawBsonRef::Array(values) => {
            let mut array = Vec::new();
            for item in values {
                array.push(value_at(item.ok()?, depth + 1)?);
            }
            Value::Array(array)
        }
        RawBsonRef::Document(document) => {
            let mut object = Vec::new();
            for item in document {
                let (key, item) = item.ok()?;
                object.push((key.as_str().to_owned(), value_at(item, depth + 1)?));
            }
            Value::Object(object)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_any_depth_does_not_end_on_the_stack() {
        // Written from within, because a serializer would be as deep as the document.
        let mut inner: Vec<u8> = vec![5, 0, 0, 0, 0];
        for depth in 1..100_000 {
            let length = i32::try_from(inner.len() + 8).expect("small").to_le_bytes();
            let mut outer = Vec::with_capacity(inner.len() + 8);
            outer.extend_from_slice(&length);
            outer.extend_from_slice(&[0x03, b'a', 0]);
            outer.append(&mut inner);
            outer.push(0);
            inner = outer;
            if depth == 99 || depth == 100 {
                let document = RawDocumentBuf::from_bytes(inner.clone()).expect("BSON");
                assert_eq!(value(RawBsonRef::Document(&document)).is_some(), depth == 99);
            }
            if inner.len() > 200_000 {
                break;
            }
        }
        let document = RawDocumentBuf::from_bytes(inner).expect("BSON");
        assert_eq!(value(RawBsonRef::Document(&document)), None);
    }

    #[test]
    fn values_come_back_as_they_went() {
        let text = r#"{"a":[1,-9223372036854775808,1.5,"$x",null,{"b.c":true}],"":{},"%24d":[[]]}"#;
        let sent = Value::from_text(text).expect("JSON");
        let Value::Object(fields) = &sent else { unreachable!() };
        let document = object(fields).expect("BSON");
        assert_eq!(value(RawBsonRef::Document(&document)), Some(sent));
        assert!(object(&[("a\0b".to_owned(), Value::Null)]).is_none());
    }
}
