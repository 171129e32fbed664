//! The address of a page: what it asks for, as chips and links write it. A form without a script sends also the
//! fields that are empty, and times without a zone; such an address leads on to the tidy one.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::parts;
use crate::api::{AppState, Problem, decoded, read_query};

/// What stands for itself in a query.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':').remove(b'/');

/// A text as the name or the value of a parameter.
pub(super) fn in_query(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ENCODED)
}

/// A text as one segment of a path, or an address as the value of a parameter.
pub(super) fn as_segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

/// What begins the name of a filter on metadata.
const META: &str = "meta.";

/// Names that are no filters: where a page begins, and how long it is.
const OF_PAGES: [&str; 3] = ["cursor", "limit", "count"];

/// What a page was asked for, and its address.
#[derive(Debug)]
pub(super) struct Asked<T> {
    /// The query, read as the API reads it.
    pub(super) query: T,
    /// The same as pairs.
    pub(super) address: Address,
}

/// The path and the pairs of the query of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    path: String,
    pairs: Vec<(String, String)>,
}

impl<T: DeserializeOwned> FromRequestParts<AppState> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Asked<T>, Response> {
        let text = parts.uri.query().unwrap_or_default();
        let address = Address::read(parts.uri.path(), text).map_err(IntoResponse::into_response)?;
        let tidy = address.tidy();
        if tidy != address {
            return Err(Redirect::to(&tidy.text()).into_response());
        }
        let query = read_query(text).map_err(IntoResponse::into_response)?;
        Ok(Asked { query, address })
    }
}

impl Address {
    fn read(path: &str, text: &str) -> Result<Address, Problem> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let both = decoded(name).zip(decoded(value));
            pairs.push(both.ok_or_else(|| {
                Problem::bad_request(
                    "a parameter is not percent-encoded UTF-8: encode each byte as %XX",
                )
            })?);
        }
        Ok(Address { path: path.to_owned(), pairs })
    }

    /// Without a query.
    pub(super) fn of(path: &str) -> Address {
        Address { path: path.to_owned(), pairs: Vec::new() }
    }

    /// Without the empty fields of a form, with UTC as the zone of a time that has none, and with the filter that
    /// two fields of a form name together.
    fn tidy(&self) -> Address {
        let mut pairs = Vec::new();
        let field = |wanted: &str| {
            self.pairs
                .iter()
                .find(|(name, _)| name == wanted)
                .map_or("", |(_, value)| value.as_str())
        };
        for (name, value) in &self.pairs {
            match name.as_str() {
                "meta_key" if value.is_empty() && field("meta_value").is_empty() => {}
                "meta_key" => {
                    pairs.push((format!("{META}{value}"), field("meta_value").to_owned()));
                }
                "meta_value" => {}
                "from" | "to" if has_no_zone(value) => {
                    pairs.push((name.clone(), format!("{value}Z")));
                }
                other if value.is_empty() && !other.starts_with(META) => {}
                _ => pairs.push((name.clone(), value.clone())),
            }
        }
        Address { path: self.path.clone(), pairs }
    }

    /// As a link has it.
    pub(super) fn text(&self) -> String {
        let pairs: Vec<String> = self
            .pairs
            .iter()
            .map(|(name, value)| format!("{}={}", in_query(name), in_query(value)))
            .collect();
        match pairs.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, pairs.join("&")),
        }
    }

    /// The value of a parameter.
    pub(super) fn value(&self, wanted: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter has this value, once at least.
    pub(super) fn has(&self, wanted: (&str, &str)) -> bool {
        self.pairs.iter().any(|(name, value)| (name.as_str(), value.as_str()) == wanted)
    }

    /// The filters on metadata: whole name and value.
    pub(super) fn of_metadata(&self) -> impl Iterator<Item = &(String, String)> {
        self.pairs.iter().filter(|(name, _)| name.starts_with(META))
    }

    /// The address with this value in place of any other of the parameter, from the first page on.
    pub(super) fn with(&self, wanted: &str, value: &str) -> Address {
        let kept = |name: &str| name != wanted && !matches!(name, "cursor" | "count");
        let mut pairs: Vec<_> = self.pairs.iter().filter(|(name, _)| kept(name)).cloned().collect();
        pairs.push((wanted.to_owned(), value.to_owned()));
        Address { path: self.path.clone(), pairs }
    }

    /// This page again, with how many come after it.
    pub(super) fn with_count(&self) -> Address {
        let mut counted = self.clone();
        counted.pairs.retain(|(name, _)| name != "count");
        counted.pairs.push(("count".to_owned(), "true".to_owned()));
        counted
    }

    /// The same filters from the first page on.
    pub(super) fn first(&self) -> Address {
        let pairs = self.pairs.iter().filter(|(name, _)| name != "cursor").cloned().collect();
        Address { path: self.path.clone(), pairs }
    }

    /// Everything, without a filter.
    pub(super) fn bare(&self) -> Address {
        Address::of(&self.path)
    }

    /// Where the filters stand among the pairs.
    fn filters(&self) -> impl Iterator<Item = usize> {
        self.pairs.iter().enumerate().filter_map(|(at, (name, _))| {
            (!OF_PAGES.contains(&name.as_str()) && name != "order").then_some(at)
        })
    }

    /// Whether nothing is filtered.
    pub(super) fn is_unfiltered(&self) -> bool {
        self.filters().next().is_none()
    }

    /// The filters, each a link to the same without it.
    pub(super) fn chips(&self) -> Markup {
        let without = |at: usize| {
            let mut rest = self.clone();
            rest.pairs.remove(at);
            rest.first().text()
        };
        html! {
            @if !self.is_unfiltered() {
                ul.chips aria-label="Filters" {
                    @for at in self.filters() {
                        @let (name, value) = &self.pairs[at];
                        li {
                            a href=(without(at)) {
                                span.unseen { "Remove the filter " }
                                (parts::foreign(name)) " " strong { (parts::foreign(value)) }
                                " " span aria-hidden="true" { "×" }
                            }
                        }
                    }
                    @if self.filters().nth(1).is_some() {
                        li { a href=(self.bare().text()) { "Remove all" } }
                    }
                }
            }
        }
    }

    /// Links to the first page and to the next one. The browser's history leads back.
    pub(super) fn pager(&self, next: Option<&str>) -> Markup {
        let is_first = self.value("cursor").is_none();
        html! {
            @if next.is_some() || !is_first {
                nav.pager aria-label="Pages of the list" {
                    @if !is_first { a.button.quiet href=(self.first().text()) { "First page" } }
                    @if let Some(cursor) = next {
                        a.button.quiet rel="next" href=(self.with("cursor", cursor).text()) { "Next page" }
                    }
                }
            }
        }
    }
}

/// Whether it is a time of day without a zone, as a browser's field for times sends it.
fn has_no_zone(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else { return false };
    let is_time =
        time.len() >= 5 && time.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.');
    is_time && date.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::read("/recordings", text).unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn the_fields_of_a_form_become_a_tidy_address() {
        let cases = [
            ("text=&root=&state=live", "/recordings?state=live"),
            ("from=2026-05-01T12:00&to=", "/recordings?from=2026-05-01T12:00Z"),
            ("from=2026-05-01T12:00:01.5&to=5", "/recordings?from=2026-05-01T12:00:01.5Z&to=5"),
            ("meta_key=a%2Fb&meta_value=c+d", "/recordings?meta.a/b=c%20d"),
            ("meta_key=&meta_value=", "/recordings"),
            ("meta.note=", "/recordings?meta.note="),
            // Left for the reader of queries to refuse.
            ("meta_key=&meta_value=x", "/recordings?meta.=x"),
        ];
        for (given, wanted) in cases {
            let tidy = address(given).tidy();
            assert_eq!(tidy.text(), wanted, "{given}");
            assert_eq!(tidy.tidy(), tidy, "{given}");
        }
        for kept in ["from=2026-05-01T12:00Z", "from=2026-05-01T12:00%2B02:00", "from=x&to=1"] {
            assert_eq!(address(kept).tidy(), address(kept), "{kept}");
        }
        assert!(Address::read("/", "a=%ff").is_err());
    }

    #[test]
    fn a_chip_takes_its_own_filter_away_and_goes_to_the_first_page() {
        let chips = address("state=live&state=held&text=%3Cb%3E&cursor=7&limit=5&order=start");
        let text = chips.chips().into_string();
        assert!(
            text.contains(
                "href=\"/recordings?state=held&amp;text=%3Cb%3E&amp;limit=5&amp;order=start\""
            ),
            "{text}"
        );
        assert!(text.contains("&lt;b&gt;") && !text.contains("<b>"), "{text}");
        assert_eq!(text.matches("<li>").count(), 4, "{text}");
        assert_eq!(address("cursor=7&limit=5").chips().into_string(), "");
        assert_eq!(chips.with("cursor", "8").text().matches("cursor=").count(), 1);
    }
}
