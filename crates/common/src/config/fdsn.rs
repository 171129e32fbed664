//! The table `[fdsn]`: by which codes the service `fdsnws-availability` knows recordings.

use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use super::value::{Kind, Value};

/// What a mistake in the table begins with.
pub(super) const WRONG: &str = "fdsn: ";

/// Where a code of a recording is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeFrom {
    /// All recordings have this one.
    Fixed(String),
    /// It is the value of this field of the metadata.
    Meta(String),
}

/// The codes of recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    /// The network.
    pub network: CodeFrom,
    /// The station.
    pub station: CodeFrom,
    /// The location.
    pub location: CodeFrom,
    /// The channel.
    pub channel: CodeFrom,
    /// The quality.
    pub quality: CodeFrom,
    /// The sample rate; none: it is not told.
    pub sample_rate: Option<CodeFrom>,
}

/// The service, which is off without codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fdsn {
    /// The codes.
    pub codes: Option<Codes>,
}

impl Codes {
    /// Whether this is a quality.
    pub fn is_quality(text: &str) -> bool {
        ["D", "R", "Q", "M"].contains(&text)
    }

    /// The samples in a second that a text says; none where it says none.
    pub fn sample_rate_of(text: &str) -> Option<f64> {
        text.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Text(String),
    Number(f64),
    Meta(Meta),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    meta: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    network: Option<Given>,
    station: Option<Given>,
    location: Option<Given>,
    channel: Option<Given>,
    quality: Option<Given>,
    sample_rate: Option<Given>,
}

/// What a value of the table may be: how that is told, and whether a text is one.
type Form = (&'static str, fn(&str) -> bool);

const CODE: Form = ("a code has 1 to 8 letters and digits", is_code);
const LOCATION: Form = ("a location has up to 8 letters and digits", is_location);
const QUALITY: Form = ("a quality is D, R, Q or M", Codes::is_quality);
const RATE: Form = ("a sample rate is a number above 0", is_rate);

fn code(name: &str, given: Given, (form, is_good): Form) -> Result<CodeFrom, String> {
    let text = match given {
        Given::Meta(Meta { meta }) if meta.is_empty() => {
            return Err(format!("{name}: meta names no field of the metadata"));
        }
        Given::Meta(Meta { meta }) => return Ok(CodeFrom::Meta(meta)),
        Given::Text(text) => text,
        Given::Number(number) => number.to_string(),
    };
    if is_good(&text) {
        return Ok(CodeFrom::Fixed(text));
    }
    Err(format!("{name}: {form}, or it is {{ meta = \"FIELD\" }}"))
}

/// 1 to 8 letters and digits.
fn is_code(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_location(text: &str) -> bool {
    text.is_empty() || is_code(text)
}

fn is_rate(text: &str) -> bool {
    Codes::sample_rate_of(text).is_some()
}

fn codes(table: Table) -> Result<Codes, String> {
    let needed = |name: &str, given: Option<Given>| {
        given.ok_or_else(|| format!("{name} is missing: a code, or {{ meta = \"FIELD\" }}"))
    };
    let fixed = |text: &str| Given::Text(text.to_owned());
    Ok(Codes {
        network: code("network", needed("network", table.network)?, CODE)?,
        station: code("station", needed("station", table.station)?, CODE)?,
        location: code("location", table.location.unwrap_or_else(|| fixed("")), LOCATION)?,
        channel: code("channel", needed("channel", table.channel)?, CODE)?,
        quality: code("quality", table.quality.unwrap_or_else(|| fixed("D")), QUALITY)?,
        sample_rate: table.sample_rate.map(|rate| code("sample_rate", rate, RATE)).transpose()?,
    })
}

impl<'de> Deserialize<'de> for Fdsn {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fdsn, D::Error> {
        codes(Table::deserialize(from)?)
            .map(|codes| Fdsn { codes: Some(codes) })
            .map_err(|words| serde::de::Error::custom(format!("{WRONG}{words}")))
    }
}

impl Value for Fdsn {
    const KIND: Kind = Kind::Table;

    fn shown(&self) -> Json {
        let Some(codes) = &self.codes else { return Json::Null };
        let shown = |from: &CodeFrom| match from {
            CodeFrom::Fixed(text) => json!(text),
            CodeFrom::Meta(field) => json!({ "meta": field }),
        };
        json!({
            "network": shown(&codes.network),
            "station": shown(&codes.station),
            "location": shown(&codes.location),
            "channel": shown(&codes.channel),
            "quality": shown(&codes.quality),
            "sample_rate": codes.sample_rate.as_ref().map(shown),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_fixed_or_fields_and_what_is_wrong_is_named() {
        let read =
            |text: &str| serde_json::from_str::<Fdsn>(text).map_err(|error| error.to_string());
        let fdsn = read(
            r#"{"network": "XX", "station": {"meta": "site"}, "channel": "HSF", "sample_rate": 200}"#,
        );
        let codes = fdsn.expect("good").codes.expect("codes");
        assert_eq!(codes.station, CodeFrom::Meta("site".to_owned()));
        assert_eq!(codes.location, CodeFrom::Fixed(String::new()));
        assert_eq!(codes.sample_rate, Some(CodeFrom::Fixed("200".to_owned())));
        for (text, name) in [
            (r#"{"network": "XX", "station": "A"}"#, "channel"),
            (r#"{"network": "X X", "station": "A", "channel": "B"}"#, "network"),
            (r#"{"network": "XX", "station": {"meta": ""}, "channel": "B"}"#, "station"),
            (
                r#"{"network": "XX", "station": "A", "channel": "B", "quality": "X"}"#,
                "D, R, Q or M",
            ),
            (
                r#"{"network": {"meta": "a", "other": 1}, "station": "A", "channel": "B"}"#,
                "did not match",
            ),
            (
                r#"{"network": "XX", "station": "A", "channel": "B", "sample_rate": 0}"#,
                "sample_rate: a sample rate is a number above 0",
            ),
            (r#"{"network": "XX", "station": "A", "channel": "B", "colour": 1}"#, "colour"),
        ] {
            assert!(read(text).expect_err(text).contains(name), "{text}");
        }
    }
}
