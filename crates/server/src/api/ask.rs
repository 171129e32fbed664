//! What a request asks, read strictly: the query string as [`Ask`], a JSON body as [`Told`]. Each mistake names
//! the parameter or the field that is to blame, and what it may be.

use std::fmt::Display;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use focus_core::{iso8601, time};
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor,
};
use serde_json::Value;

use super::Problem;
use super::problem::ProblemKind;

/// Parameters of a query string, at most.
const PAIRS_MAX: usize = 64;

/// Bytes of a parameter's name or value, at most.
const VALUE_BYTES_MAX: usize = 1_024;

/// What parameters like `meta.sensor` begin with. A query has them together, each as key, [`META_ENDS`] and
/// value, in a field that has this name.
pub(super) const META: &str = "meta.";

/// What ends the key of such a parameter: no key has it.
pub(super) const META_ENDS: char = '\0';

/// The query string of a request, as `T`: a struct with `#[serde(deny_unknown_fields)]`. A parameter that may be
/// repeated is a `Vec`.
#[derive(Debug)]
pub(crate) struct Ask<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Ask<T>, Problem> {
        query(parts.uri.query().unwrap_or_default()).map(Ask)
    }
}

/// No parameters at all.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The JSON object that is the body of a request, as `T`.
#[derive(Debug)]
pub(super) struct Told<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Told<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Told<T>, Problem> {
        if essence(&request) != "application/json" {
            let words = "the body has to be JSON: send it with `Content-Type: application/json`";
            return Err(Problem::of(ProblemKind::WrongMediaType, words));
        }
        let body = whole(request, state).await?;
        body_of(&body).map(Told)
    }
}

/// The form that is the body of a request, as `T`: its fields are read as those of a query string.
#[derive(Debug)]
pub(crate) struct Filled<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Filled<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Filled<T>, Problem> {
        if essence(&request) != "application/x-www-form-urlencoded" {
            let words = "the body has to be a form: send it as a page of this server does, with `Content-Type: application/x-www-form-urlencoded`";
            return Err(Problem::of(ProblemKind::WrongMediaType, words));
        }
        let body = whole(request, state).await?;
        let text = std::str::from_utf8(&body)
            .map_err(|_| Problem::of(ProblemKind::BadBody, "the form is no UTF-8"))?;
        query(text).map(Filled)
    }
}

/// The media type of a body, without parameters and in lower case.
fn essence(request: &Request) -> String {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The body of a request, which the guard has read within bounds.
async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state)
        .await
        .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))
}

/// A moment in a query: RFC 3339, or a number whose size tells its unit. Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl<'de> serde::Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Moment, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let ms = match is_whole {
            true => time::from_number(&text, None),
            false => iso8601::from_text(&text, None),
        };
        ms.map(Moment).map_err(|why| {
            serde::de::Error::custom(format!(
                "{text:?} {why}: give RFC 3339, such as 2026-05-01T12:00:00Z, or a whole number since 1970"
            ))
        })
    }
}

/// Reads a query string.
///
/// # Errors
/// A parameter is unknown, repeated, too long or no UTF-8, or has a value that cannot be taken.
pub(crate) fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (n, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if n >= PAIRS_MAX {
            let words = format!("there are more than {PAIRS_MAX} parameters: leave some out");
            return Err(Problem::bad_request(words));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name).ok_or_else(|| {
            Problem::bad_request(
                "a parameter's name is not percent-encoded UTF-8: encode each byte as %XX",
            )
        })?;
        if name.len() > VALUE_BYTES_MAX {
            let words = format!("a parameter's name has more than {VALUE_BYTES_MAX} bytes");
            return Err(Problem::of(ProblemKind::UnknownParameter, words));
        }
        let value = decoded(value).ok_or_else(|| {
            let words = format!("{name}: it is not percent-encoded UTF-8: encode each byte as %XX");
            Problem::bad_value(&name, words)
        })?;
        if value.len() > VALUE_BYTES_MAX {
            let words = format!("{name}: it has more than {VALUE_BYTES_MAX} bytes: give less");
            return Err(Problem::bad_value(&name, words));
        }
        let (name, value) = match name.strip_prefix(META) {
            None => (name, value),
            Some("") => {
                let words = "meta.: the key is missing: ask as in meta.sensor=north";
                return Err(Problem::bad_value(name, words));
            }
            Some(key) => (META.to_owned(), format!("{key}{META_ENDS}{value}")),
        };
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    let map = Named { rest: groups.into_iter(), now: None };
    T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map_err(Fault::of_parameter)
}

/// Reads a body.
///
/// # Errors
/// It is no JSON object, or a field is missing, unknown, or has a value that cannot be taken.
pub(super) fn body_of<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let wrong = |words: String| Problem::of(ProblemKind::BadBody, words);
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| wrong(format!("the body is not JSON: {error}")))?;
    let Value::Object(fields) = value else {
        return Err(wrong("the body has to be a JSON object".to_owned()));
    };
    let fields = fields.into_iter().map(|(name, value)| (name, as_whole(value)));
    let map = Named { rest: fields, now: None };
    T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map_err(Fault::of_body)
}

/// JSON has one kind of numbers: 5.0 is as whole as 5.
fn as_whole(value: Value) -> Value {
    /// Beyond this, a fraction is not told from a whole number: 2^53.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let fraction = value.as_f64().filter(|_| value.is_f64());
    match fraction.filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX) {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        Some(number) => Value::from(number as i64),
        None => value,
    }
}

/// The text that a part of a query string stands for; none where it stands for none.
pub(crate) fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A mistake in what was asked.
#[derive(Debug)]
struct Fault {
    unknown: bool,
    field: Option<String>,
    words: String,
}

impl Fault {
    fn at(mut self, field: &str) -> Fault {
        self.field.get_or_insert_with(|| field.to_owned());
        self
    }

    fn of_parameter(self) -> Problem {
        let kind = match self.unknown {
            true => ProblemKind::UnknownParameter,
            false => ProblemKind::BadValue,
        };
        self.problem(kind)
    }

    fn of_body(self) -> Problem {
        self.problem(ProblemKind::BadBody)
    }

    fn problem(self, kind: ProblemKind) -> Problem {
        match self.field {
            Some(field) => Problem::of(kind, format!("{}: {}", shortened(&field), self.words))
                .at(shortened(&field)),
            None => Problem::of(kind, self.words),
        }
    }
}

/// What a caller gave, as much of it as an answer repeats.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: Display>(words: T) -> Fault {
        Fault { unknown: false, field: None, words: words.to_string() }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Fault {
        let words = match expected {
            [] => "it is not known: nothing can be given here".to_owned(),
            names => {
                let names = names.iter().map(|name| if *name == META { "meta.KEY" } else { name });
                let names: Vec<&str> = names.collect();
                format!("it is not known: what can be given is {}", names.join(", "))
            }
        };
        Fault { unknown: true, field: Some(field.to_owned()), words }
    }

    fn missing_field(field: &'static str) -> Fault {
        Fault { unknown: false, field: Some(field.to_owned()), words: "it is missing".to_owned() }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Fault {
        Fault::custom(format!("{:?} is not one of {}", shortened(variant), expected.join(", ")))
    }
}

/// Named values, each of which is read with its name at hand.
struct Named<I, V> {
    rest: I,
    now: Option<(String, V)>,
}

/// A value that can be read.
trait Give {
    fn give<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault>;
}

impl Give for Value {
    fn give<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self).map_err(serde::de::Error::custom)
    }
}

impl Give for Vec<String> {
    fn give<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(Values(self))
    }
}

impl<'de, V: Give, I: Iterator<Item = (String, V)>> MapAccess<'de> for Named<I, V> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.now = self.rest.next();
        let Some((name, _)) = &self.now else { return Ok(None) };
        let name: StringDeserializer<Fault> = name.clone().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((name, value)) = self.now.take() else {
            return Err(serde::de::Error::custom("a value without a name"));
        };
        value.give(seed).map_err(|fault| fault.at(&name))
    }
}

/// The values of one parameter.
struct Values(Vec<String>);

impl Values {
    /// The only value.
    fn one(self) -> Result<String, Fault> {
        let [value] = <[String; 1]>::try_from(self.0)
            .map_err(|_| <Fault as serde::de::Error>::custom("it is given twice: give it once"))?;
        Ok(value)
    }

    fn number<T: std::str::FromStr>(self) -> Result<T, Fault> {
        let text = self.one()?;
        text.parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "{:?} is not a whole number in range",
                shortened(&text)
            ))
        })
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty;)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.number::<$type>()?)
        })+
    };
}

impl<'de> Deserializer<'de> for Values {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.one()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.one()?.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(serde::de::Error::custom("it has to be true or false")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let each = self.0.into_iter().map(|value| Values(vec![value]));
        visitor.visit_seq(serde::de::value::SeqDeserializer::new(each))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let text: StringDeserializer<Fault> = self.one()?.into_deserializer();
        visitor.visit_enum(text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct
        identifier ignored_any
    }
}

impl IntoDeserializer<'_, Fault> for Values {
    type Deserializer = Values;

    fn into_deserializer(self) -> Values {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        from: Option<Moment>,
        #[serde(default)]
        state: Vec<String>,
        limit: Option<u16>,
        text: Option<String>,
        #[serde(default, rename = "meta.")]
        meta: Vec<String>,
    }

    fn wrong(text: &str) -> Value {
        problem(query::<Asked>(text).expect_err(text))
    }

    fn problem(problem: Problem) -> Value {
        let response = axum::response::IntoResponse::into_response(problem);
        let body = futures_util::FutureExt::now_or_never(axum::body::to_bytes(
            response.into_body(),
            9_999,
        ));
        serde_json::from_slice(&body.expect("at once").expect("a body")).expect("JSON")
    }

    #[test]
    fn a_query_is_read_with_what_may_be_repeated() {
        let asked: Asked = query(
            "from=2024-05-01T12:00:00Z&state=a&state=b&limit=5&text=a%20b+c&meta.x=1&meta./a/b=%C3%A9&&",
        )
        .expect("good");
        assert_eq!(asked.from, Some(Moment(1_714_564_800_000)));
        assert_eq!(asked.state, ["a", "b"]);
        assert_eq!((asked.limit, asked.text.as_deref()), (Some(5), Some("a b c")));
        assert_eq!(asked.meta, ["x\u{0}1", "/a/b\u{0}é"]);
        assert_eq!(
            query::<Asked>("from=1700000000").expect("s").from,
            Some(Moment(1_700_000_000_000))
        );
    }

    #[test]
    fn a_mistake_in_a_query_names_the_parameter_and_the_remedy() {
        let long = format!("text={}", "x".repeat(2_000));
        for (text, kind, field, words) in [
            ("colour=red", "unknown-parameter", "colour", "what can be given is from, state"),
            ("meta.=1", "bad-value", "meta.", "meta.sensor=north"),
            ("limit=1&limit=2", "bad-value", "limit", "give it once"),
            ("limit=ten", "bad-value", "limit", "whole number"),
            ("limit=-1", "bad-value", "limit", "whole number"),
            ("limit=99999999999999999999", "bad-value", "limit", "whole number"),
            ("limit=", "bad-value", "limit", "whole number"),
            ("from=yesterday", "bad-value", "from", "RFC 3339"),
            ("text=%zz", "bad-value", "text", "%XX"),
            ("text=%ff", "bad-value", "text", "%XX"),
            ("text=%", "bad-value", "text", "%XX"),
            (&long, "bad-value", "text", "give less"),
        ] {
            let told = wrong(text);
            assert_eq!(told["type"], format!("/docs#error-{kind}"), "{text}: {told}");
            assert_eq!(told["field"], field, "{text}: {told}");
            assert!(told["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{told}");
        }
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is looked at")]
    struct Body {
        root: String,
        through: i64,
    }

    #[test]
    fn a_mistake_in_a_body_names_the_field() {
        for (text, field) in [
            (r#"{"root": "a"}"#, "through"),
            (r#"{"root": 1, "through": 1}"#, "root"),
            (r#"{"root": "a", "through": "b"}"#, "through"),
            (r#"{"root": "a", "through": 1, "x": 1}"#, "x"),
        ] {
            let told = problem(body_of::<Body>(text.as_bytes()).expect_err(text));
            assert_eq!(
                (&told["type"], &told["field"]),
                (&"/docs#error-bad-body".into(), &field.into()),
                "{told}"
            );
        }
        for text in ["", "[]", "null", "{", "\u{0}"] {
            assert!(body_of::<Body>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
