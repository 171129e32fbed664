//! What a request asks: parameters of a query string, or a body of parameters and selections.

use crate::coverage::Spans;
use crate::iso8601;

use super::channels::Code;

/// Selections of one request at most.
const SELECTIONS_MAX: usize = 1_000;

/// Which of the two methods is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The spans of time.
    Query,
    /// The first and the last time.
    Extent,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Columns.
    #[default]
    Text,
    /// GeoCSV 2.0.
    GeoCsv,
    /// JSON.
    Json,
    /// Lines that a request for data takes.
    Request,
}

/// The order of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By code, then by time.
    #[default]
    Codes,
    /// By the number of spans.
    SpanCount,
    /// The same, the most first.
    SpanCountDescending,
    /// By the time of the last update.
    Updated,
    /// The same, the newest first.
    UpdatedDescending,
}

/// What is not told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// Qualities.
    pub quality: bool,
    /// Sample rates.
    pub sample_rate: bool,
    /// Spans that overlap.
    pub overlap: bool,
}

/// Which channels are asked for, and of which time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    network: Vec<String>,
    station: Vec<String>,
    location: Vec<String>,
    channel: Vec<String>,
    /// From this time on, milliseconds since 1970; none: from the first.
    pub from_ms: Option<i64>,
    /// Up to this time; none: to the last.
    pub to_ms: Option<i64>,
}

impl Selection {
    /// Whether it asks for a channel.
    pub fn takes(&self, code: &Code) -> bool {
        let takes = |patterns: &[String], value: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| is_like(pattern, value))
        };
        takes(&self.network, &code.network)
            && takes(&self.station, &code.station)
            && takes(&self.location, &code.location)
            && takes(&self.channel, &code.channel)
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// By which method.
    pub kind: Kind,
    /// Channels and times; one at least.
    pub selections: Vec<Selection>,
    /// Of these qualities alone; empty: of all.
    pub quality: Vec<String>,
    /// What is not told apart.
    pub merge: Merge,
    /// Gaps that are no longer than this are none, milliseconds.
    pub merge_gaps_ms: i64,
    /// The order.
    pub order: Order,
    /// Rows at most.
    pub limit: Option<usize>,
    /// The form of the answer.
    pub format: Format,
    /// Nothing found is 404, and not 204.
    pub nothing_is_404: bool,
    /// The time of the last update is shown, in the method `query` too.
    pub shows_updated: bool,
}

/// Why a request cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn refused<T>(words: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(words.into()))
}

/// The parameters as they are given, before they are put together.
#[derive(Default)]
struct Given {
    network: Vec<String>,
    station: Vec<String>,
    location: Vec<String>,
    channel: Vec<String>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    seen: Vec<&'static str>,
}

impl Request {
    /// Whether it asks for a recording of this channel and time, milliseconds since 1970.
    pub fn takes(&self, code: &Code, (start_ms, end_ms): (i64, i64)) -> bool {
        let is_of = |quality: &[String]| quality.is_empty() || quality.contains(&code.quality);
        let meets = |one: &Selection| {
            one.to_ms.is_none_or(|to_ms| start_ms < to_ms)
                && one.from_ms.is_none_or(|from_ms| end_ms > from_ms)
        };
        is_of(&self.quality) && self.selections.iter().any(|one| meets(one) && one.takes(code))
    }

    /// The times that it asks for, apart from one another and in ascending order.
    pub fn windows(&self) -> Vec<(i64, i64)> {
        let windows = self.selections.iter();
        let windows =
            windows.map(|one| (one.from_ms.unwrap_or(i64::MIN), one.to_ms.unwrap_or(i64::MAX)));
        Spans::of(windows.collect::<Vec<_>>()).iter().collect()
    }

    /// Reads the parameters of a query string, which are decoded.
    ///
    /// # Errors
    /// A parameter is unknown, given twice, or has a value that it cannot have.
    pub fn of_pairs(kind: Kind, pairs: &[(String, String)]) -> Result<Request, Refused> {
        let mut request = Request::empty(kind);
        let mut given = Given::default();
        for (name, value) in pairs {
            request.take(name, value, &mut given)?;
        }
        request.selections.push(Selection {
            network: given.network,
            station: given.station,
            location: given.location,
            channel: given.channel,
            from_ms: given.from_ms,
            to_ms: given.to_ms,
        });
        request.checked()
    }

    /// Reads the body of a POST: lines `name=value`, then lines `NET STA LOC CHA START END`.
    ///
    /// # Errors
    /// As [`Request::of_pairs`], and where a line is neither, or there is no selection.
    pub fn of_body(kind: Kind, body: &str) -> Result<Request, Refused> {
        let mut request = Request::empty(kind);
        let mut given = Given::default();
        for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some((name, value)) = line.split_once('=') {
                if !request.selections.is_empty() {
                    return refused(format!("{name}: parameters stand before the selections"));
                }
                if ["network", "net", "station", "sta", "location", "loc", "channel", "cha"]
                    .contains(&name.trim())
                    || name.trim().starts_with("start")
                    || name.trim().starts_with("end")
                {
                    return refused(format!(
                        "{name}: selections are lines of a POST, not parameters"
                    ));
                }
                request.take(name.trim(), value.trim(), &mut given)?;
                continue;
            }
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [network, station, location, channel, start, end] = fields[..] else {
                return refused(format!(
                    "{line:?}: a selection is a line `NET STA LOC CHA START END`"
                ));
            };
            if request.selections.len() >= SELECTIONS_MAX {
                return refused(format!("there are more than {SELECTIONS_MAX} selections"));
            }
            request.selections.push(Selection {
                network: codes("network", network)?,
                station: codes("station", station)?,
                location: codes("location", location)?,
                channel: codes("channel", channel)?,
                from_ms: time("start", start)?,
                to_ms: time("end", end)?,
            });
        }
        if request.selections.is_empty() {
            return refused("the body has no selection: a line `NET STA LOC CHA START END`");
        }
        request.checked()
    }

    fn empty(kind: Kind) -> Request {
        Request {
            kind,
            selections: Vec::new(),
            quality: Vec::new(),
            merge: Merge::default(),
            merge_gaps_ms: 0,
            order: Order::default(),
            limit: None,
            format: Format::default(),
            nothing_is_404: false,
            shows_updated: false,
        }
    }

    fn take(&mut self, name: &str, value: &str, given: &mut Given) -> Result<(), Refused> {
        let Some(known) = canonical(name) else {
            return refused(format!("{name}: there is no such parameter"));
        };
        if given.seen.contains(&known) {
            return refused(format!("{name}: it is given twice"));
        }
        given.seen.push(known);
        match known {
            "network" => given.network = codes(known, value)?,
            "station" => given.station = codes(known, value)?,
            "location" => given.location = codes(known, value)?,
            "channel" => given.channel = codes(known, value)?,
            "starttime" => given.from_ms = time(name, value)?,
            "endtime" => given.to_ms = time(name, value)?,
            "quality" => self.quality = qualities(value)?,
            "merge" => self.merge = merge(value)?,
            "mergegaps" => {
                if self.kind == Kind::Extent {
                    return refused("mergegaps: the method extent does not take it");
                }
                self.merge_gaps_ms = gaps(value)?;
            }
            "orderby" => self.order = order(value)?,
            "limit" => match value.parse() {
                Ok(limit) if limit > 0 => self.limit = Some(limit),
                _ => return refused(format!("limit: {value:?} is no whole number above 0")),
            },
            // Nothing here is restricted.
            "includerestricted" if !matches!(value.to_lowercase().as_str(), "true" | "false") => {
                return refused("includerestricted: true or false");
            }
            "format" => {
                self.format = match value.to_lowercase().as_str() {
                    "text" => Format::Text,
                    "geocsv" => Format::GeoCsv,
                    "json" => Format::Json,
                    "request" => Format::Request,
                    _ => {
                        return refused(format!(
                            "format: {value:?}: text, geocsv, json or request"
                        ));
                    }
                }
            }
            "nodata" => {
                self.nothing_is_404 = match value {
                    "204" => false,
                    "404" => true,
                    _ => return refused("nodata: 204 or 404"),
                }
            }
            "show" => match value.to_lowercase().as_str() {
                "latestupdate" => self.shows_updated = true,
                _ => return refused("show: latestupdate"),
            },
            _ => {}
        }
        Ok(())
    }

    fn checked(self) -> Result<Request, Refused> {
        for selection in &self.selections {
            if let (Some(from_ms), Some(to_ms)) = (selection.from_ms, selection.to_ms)
                && from_ms >= to_ms
            {
                return refused("endtime: it has to be after starttime");
            }
        }
        Ok(self)
    }
}

/// The full name of a parameter; none of an unknown one.
fn canonical(name: &str) -> Option<&'static str> {
    Some(match name {
        "network" | "net" => "network",
        "station" | "sta" => "station",
        "location" | "loc" => "location",
        "channel" | "cha" => "channel",
        "starttime" | "start" => "starttime",
        "endtime" | "end" => "endtime",
        "quality" => "quality",
        "merge" => "merge",
        "mergegaps" => "mergegaps",
        "orderby" => "orderby",
        "limit" => "limit",
        "includerestricted" => "includerestricted",
        "format" => "format",
        "nodata" => "nodata",
        "show" => "show",
        _ => return None,
    })
}

/// A list of codes with `?` and `*`; empty where all are meant. `--` is the empty location.
fn codes(name: &str, value: &str) -> Result<Vec<String>, Refused> {
    let mut codes = Vec::new();
    for code in value.split(',').map(str::trim) {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '?' | '*' | '-' | '_');
        if code.len() > 16 || !code.chars().all(good) {
            return refused(format!("{name}: {code:?} is no code: letters, digits, ? and *"));
        }
        match code {
            "*" => return Ok(Vec::new()),
            "--" if name == "location" => codes.push(String::new()),
            "" if name == "location" => codes.push(String::new()),
            "" => return refused(format!("{name}: a code is missing")),
            code => codes.push(code.to_ascii_uppercase()),
        }
    }
    Ok(codes)
}

fn qualities(value: &str) -> Result<Vec<String>, Refused> {
    let mut qualities = Vec::new();
    for quality in value.split(',').map(|quality| quality.trim().to_ascii_uppercase()) {
        match quality.as_str() {
            "*" | "B" => return Ok(Vec::new()),
            "D" | "R" | "Q" | "M" => qualities.push(quality),
            _ => return refused(format!("quality: {quality:?}: D, R, Q, M or *")),
        }
    }
    Ok(qualities)
}

fn merge(value: &str) -> Result<Merge, Refused> {
    let mut merge = Merge::default();
    for what in value.split(',').map(|what| what.trim().to_lowercase()) {
        match what.as_str() {
            "quality" => merge.quality = true,
            "samplerate" => merge.sample_rate = true,
            "overlap" => merge.overlap = true,
            _ => return refused(format!("merge: {what:?}: quality, samplerate or overlap")),
        }
    }
    Ok(merge)
}

fn order(value: &str) -> Result<Order, Refused> {
    Ok(match value.to_lowercase().as_str() {
        "nslc_time_quality_samplerate" => Order::Codes,
        "timespancount" => Order::SpanCount,
        "timespancount_desc" => Order::SpanCountDescending,
        "latestupdate" => Order::Updated,
        "latestupdate_desc" => Order::UpdatedDescending,
        _ => {
            return refused(
                "orderby: nslc_time_quality_samplerate, timespancount, timespancount_desc, latestupdate or latestupdate_desc",
            );
        }
    })
}

/// Seconds, with a fraction, as milliseconds.
fn gaps(value: &str) -> Result<i64, Refused> {
    match value.parse::<f64>() {
        Ok(seconds) if (0.0..=1e12).contains(&seconds) => {
            #[expect(clippy::cast_possible_truncation, reason = "it is at most 1e15")]
            let ms = (seconds * 1_000.0).round() as i64;
            Ok(ms)
        }
        _ => refused(format!("mergegaps: {value:?} is no number of seconds")),
    }
}

/// A date, or a date and time, of UTC; none: without an end (`*` in a selection).
fn time(name: &str, value: &str) -> Result<Option<i64>, Refused> {
    if value == "*" {
        return Ok(None);
    }
    let text = if value.len() == 10 {
        format!("{value}T00:00:00Z")
    } else if value.ends_with('Z') || value.get(10..).is_some_and(|rest| rest.contains('+')) {
        value.to_owned()
    } else {
        format!("{value}Z")
    };
    iso8601::from_text(&text, None).map(Some).map_err(|why| {
        Refused(format!("{name}: {value:?} {why}: give YYYY-MM-DDTHH:MM:SS, in UTC"))
    })
}

/// Whether a code is like a pattern, in which `?` is any character and `*` any number of them.
fn is_like(pattern: &str, value: &str) -> bool {
    let (pattern, value) = (pattern.as_bytes(), value.as_bytes());
    let (mut p, mut v) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while v < value.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, v));
                p += 1;
            }
            Some(one) if *one == b'?' || one.eq_ignore_ascii_case(&value[v]) => {
                p += 1;
                v += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    v = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|one| *one == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(given: &[(&str, &str)]) -> Result<Request, Refused> {
        let pairs: Vec<(String, String)> =
            given.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Request::of_pairs(Kind::Query, &pairs)
    }

    fn code(network: &str, location: &str, channel: &str) -> Code {
        Code {
            network: network.to_owned(),
            station: "ANMO".to_owned(),
            location: location.to_owned(),
            channel: channel.to_owned(),
            quality: "D".to_owned(),
            sample_rate: None,
        }
    }

    #[test]
    fn codes_have_wildcards_lists_and_an_empty_location() {
        for (pattern, value, wanted) in [
            ("BH?", "BHZ", true),
            ("B*Z", "BHZ", true),
            ("*", "", true),
            ("BH?", "BH", false),
            ("?*", "", false),
            ("b*", "BHZ", true),
            ("*H*Z*", "BHZ", true),
            ("A", "AB", false),
        ] {
            assert_eq!(is_like(pattern, value), wanted, "{pattern} {value}");
        }
        let asked = pairs(&[("net", "IU,X?"), ("loc", "--,10"), ("cha", "BH*")]).expect("good");
        let takes = |code: &Code| asked.selections[0].takes(code);
        assert!(takes(&code("IU", "", "BHZ")) && takes(&code("XX", "10", "BH1")));
        assert!(!takes(&code("GE", "", "BHZ")) && !takes(&code("IU", "00", "BHZ")));
    }

    #[test]
    fn parameters_and_selections_say_the_same() {
        let asked = pairs(&[
            ("network", "IU"),
            ("station", "ANMO"),
            ("location", "--"),
            ("channel", "BHZ"),
            ("start", "2024-05-01"),
            ("end", "2024-05-02T12:00:00.5"),
            ("format", "json"),
            ("mergegaps", "1.5"),
            ("merge", "quality,overlap"),
            ("nodata", "404"),
        ]);
        let told = Request::of_body(
            Kind::Query,
            "format=json\nmergegaps=1.5\nmerge=quality,overlap\nnodata=404\n\nIU ANMO -- BHZ 2024-05-01 2024-05-02T12:00:00.5Z\n",
        );
        assert_eq!(asked, told);
        let asked = asked.expect("good");
        assert_eq!(asked.selections[0].from_ms, Some(1_714_521_600_000));
        assert_eq!(asked.selections[0].to_ms, Some(1_714_651_200_500));
        assert_eq!((asked.merge_gaps_ms, asked.nothing_is_404), (1_500, true));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (name, value) in [
            ("colour", "red"),
            ("start", "yesterday"),
            ("limit", "0"),
            ("limit", "x"),
            ("format", "xml"),
            ("nodata", "200"),
            ("merge", "all"),
            ("orderby", "size"),
            ("quality", "X"),
            ("net", "a b"),
            ("cha", ""),
            ("show", "all"),
            ("mergegaps", "-1"),
            ("mergegaps", "NaN"),
            ("includerestricted", "yes"),
        ] {
            let words = pairs(&[(name, value)]).expect_err(name).0;
            assert!(words.starts_with(name) || words.contains(name), "{name}={value}: {words}");
        }
        assert!(pairs(&[("net", "A"), ("network", "B")]).is_err());
        assert!(pairs(&[("start", "2024-05-02"), ("end", "2024-05-01")]).is_err());
        for body in [
            "",
            "format=json",
            "IU ANMO -- BHZ 2024-05-01",
            "net=IU\nIU A -- B * *",
            "IU A -- B * *\nformat=json",
        ] {
            assert!(Request::of_body(Kind::Query, body).is_err(), "{body:?}");
        }
        assert!(
            Request::of_pairs(Kind::Extent, &[("mergegaps".to_owned(), "1".to_owned())]).is_err()
        );
    }
}
