//! JSON as sidecars have it (stub: the parser follows).

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
    /// A string; also an integer too large for 64 bits, digit by digit.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; keys in their order in the file, none twice.
    Object(Vec<(String, Value)>),
}
