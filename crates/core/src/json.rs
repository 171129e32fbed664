//! JSON as sidecars have it, kept as BSON can keep it.
//!
//! A parser of our own, because sidecars need what the common ones do not give together: the line
//! and column of every mistake and of every field, duplicate keys refused, a bound on depth, and
//! the text of numbers, so that times are floored exactly and integers never lose a digit.

pub(crate) mod skim;

use std::fmt;

/// Characters of a key that an error shows at most.
const KEY_SHOWN_MAX: usize = 80;

/// Objects and arrays inside one another at most.
pub const DEPTH_MAX: usize = 64;

/// A JSON value that keeps what BSON can keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// A number with a fraction or an exponent; always finite.
    Double(f64),
    /// A string; also an integer too large for 64 bits, or a number too large for a double, digit by digit.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; keys in their order in the file, none twice.
    Object(Vec<(String, Value)>),
}

/// Where something stands in a text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A text that is not JSON, or not such as we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct JsonError {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub message: String,
}

/// A field of the outermost object, with what a reader of single fields needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// The value's own text, where it is a number: a double has lost it.
    pub number: Option<String>,
    /// Where the value begins.
    pub position: Position,
}

/// The fields of a text that is one JSON object.
///
/// # Errors
/// It is not JSON, not an object, has a key twice or is nested too deeply.
pub fn object(bytes: &[u8]) -> Result<Vec<Field>, JsonError> {
    let mut parser = Parser::new(bytes)?;
    parser.space();
    if parser.peek() != Some(b'{') {
        let message = "expected an object, beginning with {".to_owned();
        // What is not even JSON is told so first.
        let at = parser.at;
        parser.value(1)?;
        return Err(parser.error_at(at, message));
    }
    let mut fields: Vec<Field> = Vec::new();
    let mut last = (0, Position { line: 1, column: 1 });
    parser.object(1, &mut |parser, key| {
        let start = parser.at;
        let value = parser.value(2)?;
        let number = parser.number_from(start);
        let position = parser.position_after(last, start);
        last = (start, position);
        fields.push(Field { key, value, number, position });
        Ok(())
    })?;
    parser.end()?;
    Ok(fields)
}

/// The value that these parts of a pointer lead to in a text that [`object`] takes; none where nothing is there.
/// Its key is the last part.
pub fn find(bytes: &[u8], parts: &[String]) -> Option<Field> {
    let mut parser = Parser::new(bytes).ok()?;
    parser.space();
    let mut found = None;
    parser.seek(1, parts, &mut found).ok()?;
    found
}

impl Value {
    /// The value of a JSON text.
    ///
    /// # Errors
    /// It is not JSON, has a key twice or is nested too deeply.
    pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
        let mut parser = Parser::new(bytes)?;
        parser.space();
        let value = parser.value(1)?;
        parser.end()?;
        Ok(value)
    }

    /// The value of a text made by [`Value::to_text`].
    ///
    /// # Errors
    /// As [`Value::parse`].
    pub fn from_text(text: &str) -> Result<Value, JsonError> {
        Value::parse(text.as_bytes())
    }

    /// Its text, from which the very same value is read again: doubles have a fraction or exponent.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => out.push_str(&value.to_string()),
            Value::Double(value) => out.push_str(&format!("{value:?}")),
            Value::String(value) => write_string(value, out),
            Value::Array(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Value::Object(fields) => {
                out.push('{');
                for (at, (key, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8]) -> Result<Parser<'a>, JsonError> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let parser = Parser { bytes, at: 0 };
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(parser),
            Err(error) => Err(parser.error_at(error.valid_up_to(), "not UTF-8".to_owned())),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn position(&self, at: usize) -> Position {
        self.position_after((0, Position { line: 1, column: 1 }), at)
    }

    /// Counts on from an earlier place, so that the places of many fields cost one pass in all.
    fn position_after(&self, (from, mut position): (usize, Position), at: usize) -> Position {
        for byte in self.bytes.get(from..at.min(self.bytes.len())).unwrap_or_default() {
            if *byte == b'\n' {
                position = Position { line: position.line + 1, column: 1 };
            } else if byte & 0xC0 != 0x80 {
                // Every character has one byte that continues no other.
                position.column += 1;
            }
        }
        position
    }

    fn error_at(&self, at: usize, message: String) -> JsonError {
        JsonError { position: self.position(at), message }
    }

    fn error(&self, message: &str) -> JsonError {
        let message = match self.peek() {
            None => format!("{message}, and the file ends"),
            Some(_) => {
                let rest = String::from_utf8_lossy(
                    &self.bytes[self.at..self.bytes.len().min(self.at + 4)],
                );
                let found = rest.chars().next().unwrap_or(' ');
                format!("{message}, found {found:?}")
            }
        };
        self.error_at(self.at, message)
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.at < self.bytes.len() {
            return Err(self.error("expected the end of the file"));
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'{') => {
                let mut fields = Vec::new();
                self.object(depth, &mut |parser, key| {
                    let value = parser.value(depth + 1)?;
                    fields.push((key, value));
                    Ok(())
                })?;
                Ok(Value::Object(fields))
            }
            Some(b'[') => {
                let mut values = Vec::new();
                self.array(depth, &mut |parser| {
                    values.push(parser.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::Array(values))
            }
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("null", Value::Null),
                ] {
                    if self.bytes[self.at..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.error("expected a value"))
            }
        }
    }

    /// Reads a value, and takes what these parts lead to in it.
    fn seek(
        &mut self,
        depth: usize,
        parts: &[String],
        found: &mut Option<Field>,
    ) -> Result<(), JsonError> {
        let Some((part, rest)) = parts.split_first() else {
            return self.value(depth).map(|_| ());
        };
        let mut take = |parser: &mut Parser<'a>, is_it: bool| {
            if !is_it {
                return parser.value(depth + 1).map(|_| ());
            }
            if !rest.is_empty() {
                return parser.seek(depth + 1, rest, found);
            }
            let start = parser.at;
            let value = parser.value(depth + 1)?;
            let position = parser.position(start);
            *found = Some(Field {
                key: part.clone(),
                value,
                number: parser.number_from(start),
                position,
            });
            Ok(())
        };
        match self.peek() {
            Some(b'{') => self.object(depth, &mut |parser, key| take(parser, key == *part)),
            Some(b'[') => {
                // An index has no leading zeros.
                let wanted = part.parse::<usize>().ok().filter(|at| at.to_string() == *part);
                let mut at = 0;
                self.array(depth, &mut |parser| {
                    at += 1;
                    take(parser, wanted == Some(at - 1))
                })
            }
            _ => self.value(depth).map(|_| ()),
        }
    }

    /// The text from there on, where it is that of a number.
    fn number_from(&self, start: usize) -> Option<String> {
        let first = self.bytes.get(start)?;
        (*first == b'-' || first.is_ascii_digit())
            .then(|| String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned())
    }

    fn deeper(&self, depth: usize) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(self.error_at(self.at, format!("nested more than {DEPTH_MAX} deep")));
        }
        Ok(())
    }

    fn object(
        &mut self,
        depth: usize,
        field: &mut dyn FnMut(&mut Parser<'a>, String) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.deeper(depth)?;
        self.at += 1;
        let mut seen = std::collections::HashSet::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key in double quotes"));
            }
            let key = self.string()?;
            if !seen.insert(key.clone()) {
                let shown: String = key.chars().take(KEY_SHOWN_MAX).collect();
                return Err(self.error_at(start, format!("the key {shown:?} is there twice")));
            }
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.error("expected : after the key"));
            }
            self.at += 1;
            self.space();
            field(self, key)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("expected , or }")),
            }
        }
    }

    fn array(
        &mut self,
        depth: usize,
        item: &mut dyn FnMut(&mut Parser<'a>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.deeper(depth)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            item(self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("expected , or ]")),
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let opened = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let run = self.at;
            while self.peek().is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            text.push_str(&String::from_utf8_lossy(&self.bytes[run..self.at]));
            match self.peek() {
                None => return Err(self.error_at(opened, "a string that does not end".to_owned())),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.error("a control character inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(start);
            }
            _ => return Err(self.error("expected an escape such as \\n or \\u00e9")),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        let alone = |parser: &Self| parser.error_at(start, "half of a surrogate pair".to_owned());
        let first = self.hex()?;
        if !(0xD800..0xE000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| alone(self));
        }
        if first >= 0xDC00 || !self.bytes[self.at..].starts_with(b"\\u") {
            return Err(alone(self));
        }
        self.at += 2;
        let second = self.hex()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(alone(self));
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
            .ok_or_else(|| alone(self))
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.error("expected four hexadecimal digits after \\u"));
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => {
                self.at += 1;
                if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                    return Err(self.error_at(start, "a number that begins with 0".to_owned()));
                }
            }
            _ => self.digits()?,
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned();
        if whole {
            return Ok(text.parse().map_or(Value::String(text), Value::Int));
        }
        Ok(match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Value::Double(value),
            _ => Value::String(text),
        })
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.error("expected a digit"));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
