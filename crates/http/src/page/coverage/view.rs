//! What is looked at: everything that stands in the address of the page, spelled as the API spells it.

use focus_common::clock;
use focus_core::range::{self, Range, Unit};
use serde::Deserialize;

use super::found::Found;
use crate::api::{self, Moment, Problem};
use crate::page::address::in_query;

/// Windows of all lanes together at most: their picture takes a megabyte or two, and their file some.
const WINDOWS_MAX: usize = 200_000;

/// Gaps of a page of the list.
pub(super) const GAPS: usize = 50;

/// In which order gaps are listed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum GapOrder {
    /// By lane, and in it by time, as the API lists them.
    #[default]
    Lane,
    /// The longest first.
    Longest,
}

/// A unit of the calendar, as a query spells it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnitName {
    Hour,
    #[default]
    Day,
    Month,
    Year,
}

impl From<UnitName> for Unit {
    fn from(name: UnitName) -> Unit {
        match name {
            UnitName::Hour => Unit::Hour,
            UnitName::Day => Unit::Day,
            UnitName::Month => Unit::Month,
            UnitName::Year => Unit::Year,
        }
    }
}

/// The query of the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewQuery {
    from: Option<Moment>,
    to: Option<Moment>,
    by: Option<String>,
    lane: Option<String>,
    buckets: Option<usize>,
    limit: Option<usize>,
    longer_than_ms: Option<u64>,
    #[serde(default)]
    order: GapOrder,
    cursor: Option<String>,
    year: Option<i16>,
    /// A day to go to, and how much around it.
    at: Option<String>,
    #[serde(default)]
    show: UnitName,
}

/// What a query asks for.
pub(super) enum Asked {
    /// To see this.
    View(View),
    /// To be led to this.
    Elsewhere(View),
}

/// What is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) by: Option<String>,
    pub(super) lane: Option<String>,
    pub(super) buckets: Option<usize>,
    pub(super) limit: Option<usize>,
    pub(super) longer_than_ms: Option<u64>,
    pub(super) order: GapOrder,
    pub(super) cursor: Option<String>,
    /// The year of the calendar, where it is not that of the range.
    pub(super) year: Option<i16>,
}

/// The questions to the index that a view makes.
pub(super) struct Ready {
    pub(super) coverage: api::AskedCoverage,
    pub(super) gaps: api::ReadyGaps,
}

impl ViewQuery {
    /// What is asked for.
    ///
    /// # Errors
    /// A value cannot be taken.
    pub(super) fn asked(self) -> Result<Asked, Problem> {
        api::ordered(self.from, self.to)?;
        let view = View {
            from: self.from.map(|at| at.0),
            to: self.to.map(|at| at.0),
            // A form sends a field that is left empty.
            by: self.by.filter(|by| !by.is_empty() && by != "root"),
            lane: self.lane.filter(|lane| !lane.is_empty()),
            buckets: self.buckets,
            limit: self.limit,
            longer_than_ms: self.longer_than_ms,
            order: self.order,
            cursor: self.cursor,
            year: self.year,
        };
        if view.year.is_some_and(|year| range::of_year(year).is_none()) {
            return Err(Problem::bad_value("year", "year: it has to be from 1970 to 2200"));
        }
        if view.order == GapOrder::Longest && view.cursor.is_some() {
            return Err(Problem::bad_value(
                "cursor",
                "cursor: the longest gaps are one page: leave it out",
            ));
        }
        let Some(at) = self.at else { return Ok(Asked::View(view)) };
        let at_ms =
            range::day_of(&at).map_err(|fault| Problem::bad_value("at", format!("at: {fault}")))?;
        Ok(Asked::Elsewhere(view.over(Range::of(self.show.into(), at_ms))))
    }
}

impl View {
    /// What the lanes are, as the API spells it.
    pub(super) fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// The questions to the index.
    ///
    /// # Errors
    /// A value is out of range, or the cursor is of another query.
    pub(super) fn ready(&self) -> Result<Ready, Problem> {
        let limit = api::page_limit(self.limit)?;
        let count = api::buckets(self.buckets)?;
        if limit * count > WINDOWS_MAX {
            let words = format!(
                "buckets: {limit} lanes of {count} windows are more than {WINDOWS_MAX}: ask for fewer of either"
            );
            return Err(Problem::bad_value("buckets", words));
        }
        let coverage = api::AskedCoverage {
            from: self.from,
            to: self.to,
            by: api::lanes_by(self.by())?,
            lane: self.lane.clone(),
            count,
            limit,
        };
        Ok(Ready { coverage, gaps: self.asked_gaps(GAPS)?.ready()? })
    }

    /// Which gaps are asked for, so many at once.
    ///
    /// # Errors
    /// A value is out of range.
    pub(super) fn asked_gaps(&self, limit: usize) -> Result<api::AskedGaps, Problem> {
        Ok(api::AskedGaps {
            from: self.from,
            to: self.to,
            by: self.by.clone(),
            lane: self.lane.clone(),
            longer_than_ms: api::longer_than_ms(self.longer_than_ms)?,
            cursor: self.cursor.clone(),
            limit,
        })
    }

    /// The same over another range.
    pub(super) fn over(&self, range: Range) -> View {
        View {
            from: Some(range.from_ms()),
            to: Some(range.to_ms()),
            cursor: None,
            year: None,
            ..self.clone()
        }
    }

    /// The same over the day of a moment.
    pub(super) fn last_day(&self, at_ms: i64) -> View {
        self.over(Range::of(Unit::Day, at_ms))
    }

    /// Its address.
    pub(super) fn address(&self) -> String {
        self.address_at("/coverage")
    }

    /// The address of a file with what is seen.
    pub(super) fn address_at(&self, path: &str) -> String {
        address(path, &self.pairs())
    }

    /// Name and value of everything that is set, as they stand in the address.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let year = self.year.map(|year| year.to_string());
        let order = (self.order == GapOrder::Longest).then(|| "longest".to_owned());
        let pairs = [
            ("from", self.from.map(time)),
            ("to", self.to.map(time)),
            ("by", self.by.clone()),
            ("lane", self.lane.clone()),
            ("buckets", self.buckets.map(|count| count.to_string())),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("longer_than_ms", self.longer_than_ms.map(|ms| ms.to_string())),
            ("order", order),
            ("cursor", self.cursor.clone()),
            ("year", year),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Where the API has the same lanes, over the range that is seen.
    pub(super) fn api_coverage(&self, found: &Found) -> String {
        let names = ["from", "to", "by", "lane", "buckets", "limit"];
        self.of_api("/api/v1/coverage", found, &names, &[])
    }

    /// Where the API has the same gaps, over the range that is seen.
    pub(super) fn api_gaps(&self, found: &Found) -> String {
        let names = ["from", "to", "by", "lane", "longer_than_ms"];
        self.of_api("/api/v1/gaps", found, &names, &[("limit", "1000".to_owned())])
    }

    fn of_api(
        &self,
        path: &str,
        found: &Found,
        names: &[&str],
        more: &[(&'static str, String)],
    ) -> String {
        let mut pairs = self.fixed(found).pairs();
        pairs.retain(|(name, _)| names.contains(name));
        pairs.extend_from_slice(more);
        address(path, &pairs)
    }

    /// The same with the bounds that it has at this moment: a file is of what was seen.
    pub(super) fn fixed(&self, found: &Found) -> View {
        match Range::new(found.read.window.0, found.read.window.1) {
            Some(range) => View { year: self.year, ..self.over(range) },
            None => View { cursor: None, ..self.clone() },
        }
    }
}

/// A path with a query.
pub(super) fn address(path: &str, pairs: &[(&'static str, String)]) -> String {
    let mut text = path.to_owned();
    for (n, (name, value)) in pairs.iter().enumerate() {
        text.push(if n == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.extend(in_query(value));
    }
    text
}

/// A time as addresses have it: without milliseconds where there are none.
pub(super) fn time(ms: i64) -> String {
    clock::rfc3339(ms).replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_what_is_set_and_breaks_on_no_name() {
        assert_eq!(View::default().address(), "/coverage");
        let view = View {
            from: Some(0),
            to: Some(1_500),
            by: Some("a&b".to_owned()),
            lane: Some("\"<é>+ #?".to_owned()),
            order: GapOrder::Longest,
            ..View::default()
        };
        assert_eq!(
            view.address(),
            "/coverage?from=1970-01-01T00:00:00Z&to=1970-01-01T00:00:01.500Z&by=a%26b\
             &lane=%22%3C%C3%A9%3E%2B%20%23%3F&order=longest"
        );
    }
}
