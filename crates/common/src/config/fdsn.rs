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

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Text(String),
    Number(f64),
    Meta { meta: String },
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

fn code(name: &str, given: Given, is_good: fn(&str) -> bool) -> Result<CodeFrom, String> {
    match given {
        Given::Meta { meta } if meta.is_empty() => {
            Err(format!("{name}: meta names no field of the metadata"))
        }
        Given::Meta { meta } => Ok(CodeFrom::Meta(meta)),
        Given::Text(text) if is_good(&text) => Ok(CodeFrom::Fixed(text)),
        Given::Number(number) if is_good(&number.to_string()) => {
            Ok(CodeFrom::Fixed(number.to_string()))
        }
        Given::Text(_) | Given::Number(_) => Err(format!(
            "{name}: a code has 1 to 8 letters and digits, or it is {{ meta = \"FIELD\" }}"
        )),
    }
}

/// 1 to 8 letters and digits.
fn is_code(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_location(text: &str) -> bool {
    text.is_empty() || is_code(text)
}

fn is_quality(text: &str) -> bool {
    ["D", "R", "Q", "M"].contains(&text)
}

fn is_rate(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|rate| rate > 0.0 && rate.is_finite())
}

fn codes(table: Table) -> Result<Codes, String> {
    let needed = |name: &str, given: Option<Given>| {
        given.ok_or_else(|| format!("{name} is missing: a code, or {{ meta = \"FIELD\" }}"))
    };
    let fixed = |text: &str| Given::Text(text.to_owned());
    Ok(Codes {
        network: code("network", needed("network", table.network)?, is_code)?,
        station: code("station", needed("station", table.station)?, is_code)?,
        location: code("location", table.location.unwrap_or_else(|| fixed("")), is_location)?,
        channel: code("channel", needed("channel", table.channel)?, is_code)?,
        quality: code("quality", table.quality.unwrap_or_else(|| fixed("D")), is_quality)?,
        sample_rate: table
            .sample_rate
            .map(|rate| code("sample_rate", rate, is_rate))
            .transpose()?,
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
            (r#"{"network": "XX", "station": "A", "channel": "B", "quality": "X"}"#, "quality"),
            (
                r#"{"network": "XX", "station": "A", "channel": "B", "sample_rate": 0}"#,
                "sample_rate",
            ),
            (r#"{"network": "XX", "station": "A", "channel": "B", "colour": 1}"#, "colour"),
        ] {
            assert!(read(text).expect_err(text).contains(name), "{text}");
        }
    }
}
