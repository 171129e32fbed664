//! Channels with their spans of time: merged, cut to what was asked, and ordered.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use crate::coverage::Spans;

use super::request::{Kind, Order, Request};

/// Samples in a second.
#[derive(Clone, Copy, Debug)]
pub struct SampleRate(pub f64);

impl PartialEq for SampleRate {
    fn eq(&self, other: &SampleRate) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SampleRate {}

impl PartialOrd for SampleRate {
    fn partial_cmp(&self, other: &SampleRate) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SampleRate {
    fn cmp(&self, other: &SampleRate) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The codes of a channel, with its quality and sample rate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code {
    /// The network.
    pub network: String,
    /// The station.
    pub station: String,
    /// The location; may be empty.
    pub location: String,
    /// The channel.
    pub channel: String,
    /// The quality: `D`, `R`, `Q` or `M`.
    pub quality: String,
    /// Samples in a second; none where that is not told.
    pub sample_rate: Option<SampleRate>,
}

impl Code {
    /// The codes alone.
    fn names(&self) -> (&str, &str, &str, &str) {
        (&self.network, &self.station, &self.location, &self.channel)
    }
}

/// What was found of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The recordings, in any order, milliseconds since 1970.
    pub spans: Vec<(i64, i64)>,
    /// When the last of them was seen first, milliseconds since 1970.
    pub updated_ms: i64,
}

/// A channel of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its codes.
    pub code: Code,
    /// Its spans, in ascending order of their start.
    pub spans: Vec<(i64, i64)>,
    /// When the last recording of them was seen first.
    pub updated_ms: i64,
}

impl Channel {
    /// The first and the last time of it.
    pub fn extent(&self) -> Option<(i64, i64)> {
        let first = self.spans.first()?.0;
        Some((first, self.spans.iter().map(|span| span.1).max()?))
    }
}

/// An answer: its channels, and its rows in their order, each of a channel by its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ordered {
    /// Every channel that has a row, in the order of the first of these.
    pub channels: Vec<Channel>,
    /// Spans of the method `query`, and of `extent` the first and the last time.
    pub rows: Vec<(usize, (i64, i64))>,
}

/// Merges what was found as the request wants it: by what it tells apart, cut to the times of the selections, and gaps
/// that are short enough closed.
pub fn merged(request: &Request, found: BTreeMap<Code, Found>) -> Vec<Channel> {
    let mut by_code: BTreeMap<Code, Found> = BTreeMap::new();
    for (mut code, found) in found {
        // A time that two selections ask for is told once.
        let mut asked = Vec::new();
        for selection in request.selections.iter().filter(|selection| selection.takes(&code)) {
            asked
                .push((selection.from_ms.unwrap_or(i64::MIN), selection.to_ms.unwrap_or(i64::MAX)));
        }
        let mut spans = Vec::new();
        for (from_ms, to_ms) in Spans::of(asked).iter() {
            let cut = found.spans.iter().map(|(a, b)| ((*a).max(from_ms), (*b).min(to_ms)));
            spans.extend(cut.filter(|(a, b)| a < b));
        }
        if spans.is_empty() {
            continue;
        }
        if request.merge.quality {
            code.quality = "*".to_owned();
        }
        if request.merge.sample_rate {
            code.sample_rate = None;
        }
        let known = by_code.entry(code).or_default();
        known.spans.append(&mut spans);
        known.updated_ms = known.updated_ms.max(found.updated_ms);
    }
    let channels = by_code.into_iter().map(|(code, found)| Channel {
        code,
        spans: joined(found.spans, request.merge.overlap, request.merge_gaps_ms),
        updated_ms: found.updated_ms,
    });
    channels.collect()
}

/// Makes one of spans that touch, or have a gap of at most `gap_ms` between them; and of those that overlap, where
/// `overlap` says so. In ascending order.
pub fn joined(mut spans: Vec<(i64, i64)>, overlap: bool, gap_ms: i64) -> Vec<(i64, i64)> {
    if overlap {
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for (start, end) in Spans::of(spans).iter() {
            match joined.last_mut() {
                Some((_, last)) if start.saturating_sub(*last) <= gap_ms => *last = end,
                _ => joined.push((start, end)),
            }
        }
        return joined;
    }
    spans.sort_unstable();
    spans.dedup();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    // Which of them end when.
    let mut ends: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (start, end) in spans {
        // No later span begins before this one.
        ends = ends.split_off(&start.saturating_sub(gap_ms));
        let before = ends.range(..=start).next_back().map(|(at, _)| *at);
        let at = match before.and_then(|at| ends.get_mut(&at)?.pop()) {
            Some(at) => at,
            None => {
                joined.push((start, end));
                joined.len() - 1
            }
        };
        if let Some(at) = before
            && ends.get(&at).is_some_and(Vec::is_empty)
        {
            ends.remove(&at);
        }
        joined[at].1 = end;
        ends.entry(end).or_default().push(at);
    }
    joined
}

/// Puts the rows into the order of the request, and leaves out what is beyond its limit.
pub fn ordered(request: &Request, mut channels: Vec<Channel>) -> Ordered {
    match request.order {
        Order::Codes => {}
        Order::SpanCount => channels.sort_by_key(|channel| channel.spans.len()),
        Order::SpanCountDescending => channels.sort_by_key(|channel| Reverse(channel.spans.len())),
        Order::Updated => channels.sort_by_key(|channel| channel.updated_ms),
        Order::UpdatedDescending => channels.sort_by_key(|channel| Reverse(channel.updated_ms)),
    }
    let mut rows: Vec<(usize, (i64, i64))> = Vec::new();
    for (at, channel) in channels.iter().enumerate() {
        match request.kind {
            Kind::Query => rows.extend(channel.spans.iter().map(|span| (at, *span))),
            Kind::Extent => rows.extend(channel.extent().map(|span| (at, span))),
        }
    }
    if request.order == Order::Codes {
        // By codes, then by time, and only then by quality and rate, in whose order the channels are.
        rows.sort_by(|(a, of_a), (b, of_b)| {
            let names = channels[*a].code.names().cmp(&channels[*b].code.names());
            names.then(of_a.0.cmp(&of_b.0)).then(a.cmp(b)).then(of_a.1.cmp(&of_b.1))
        });
    }
    rows.truncate(request.limit.unwrap_or(usize::MAX));
    let mut answer = Ordered::default();
    let mut number = vec![None; channels.len()];
    for (at, span) in rows {
        let at = *number[at].get_or_insert_with(|| {
            let spans =
                if request.kind == Kind::Query { Vec::new() } else { channels[at].spans.clone() };
            let Channel { code, updated_ms, .. } = &channels[at];
            answer.channels.push(Channel { code: code.clone(), spans, updated_ms: *updated_ms });
            answer.channels.len() - 1
        });
        if request.kind == Kind::Query {
            answer.channels[at].spans.push(span);
        }
        answer.rows.push((at, span));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(channel: &str, quality: &str) -> Code {
        Code {
            network: "XX".to_owned(),
            station: "A".to_owned(),
            location: String::new(),
            channel: channel.to_owned(),
            quality: quality.to_owned(),
            sample_rate: None,
        }
    }

    fn request(pairs: &[(&str, &str)]) -> Request {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Request::of_pairs(Kind::Query, &pairs).expect("good")
    }

    fn found() -> BTreeMap<Code, Found> {
        let found = |spans: &[(i64, i64)], updated_ms| Found { spans: spans.to_vec(), updated_ms };
        BTreeMap::from([
            (code("BHZ", "D"), found(&[(10, 20), (45, 50), (60, 70), (20, 30)], 5)),
            (code("BHZ", "Q"), found(&[(25, 40)], 7)),
            (code("LHZ", "D"), found(&[(0, 100)], 6)),
        ])
    }

    #[test]
    fn spans_that_touch_are_one_and_gaps_are_closed_as_asked() {
        let channels = merged(&request(&[]), found());
        assert_eq!(channels[0].spans, [(10, 30), (45, 50), (60, 70)]);
        assert_eq!(channels.len(), 3);
        let channels = merged(&request(&[("mergegaps", "0.01")]), found());
        assert_eq!(channels[0].spans, [(10, 30), (45, 70)]);
        let channels = merged(&request(&[("merge", "quality")]), found());
        assert_eq!(channels[0].spans, [(10, 30), (25, 40), (45, 50), (60, 70)], "they overlap");
        let channels = merged(&request(&[("merge", "quality,overlap")]), found());
        assert_eq!(channels[0].spans, [(10, 40), (45, 50), (60, 70)]);
        assert_eq!((channels.len(), channels[0].updated_ms), (2, 7));
        assert_eq!(merged(&request(&[("cha", "L*")]), found())[0].code.channel, "LHZ");
    }

    #[test]
    fn spans_that_overlap_are_joined_only_where_that_is_asked_for() {
        let spans = vec![(0, 10), (5, 20), (10, 30), (20, 25), (40, 41), (0, 10)];
        assert_eq!(joined(spans.clone(), false, 0), [(0, 30), (5, 25), (40, 41)]);
        assert_eq!(joined(spans.clone(), false, 15), [(0, 41), (5, 25)], "the nearest before it");
        assert_eq!(joined(spans.clone(), true, 0), [(0, 30), (40, 41)]);
        assert_eq!(joined(spans, true, 10), [(0, 41)]);
    }

    #[test]
    fn the_order_and_the_limit_are_the_requests() {
        let of = |pairs: &[(&str, &str)]| {
            let request = request(pairs);
            let Ordered { channels, rows } = ordered(&request, merged(&request, found()));
            let told = rows.iter().map(|(at, span)| {
                let code = &channels[*at].code;
                (format!("{}{}", code.channel, code.quality), span.0)
            });
            told.collect::<Vec<_>>()
        };
        let row = |name: &str, start| (name.to_owned(), start);
        // By codes, then by time, and then by quality.
        let by_time =
            [row("BHZD", 10), row("BHZQ", 25), row("BHZD", 45), row("BHZD", 60), row("LHZD", 0)];
        assert_eq!(of(&[]), by_time);
        assert_eq!(of(&[("limit", "2")]), by_time[..2]);
        assert_eq!(of(&[("orderby", "latestupdate_desc")])[0], row("BHZQ", 25));
        assert_eq!(of(&[("orderby", "timespancount_desc")])[2], row("BHZD", 60));
        assert_eq!(of(&[("orderby", "timespancount"), ("limit", "1")]), [row("BHZQ", 25)]);
    }

    #[test]
    fn rates_are_in_the_order_of_numbers() {
        let mut rates = [SampleRate(200.0), SampleRate(40.0), SampleRate(0.5)];
        rates.sort();
        assert_eq!(rates.map(|rate| rate.0), [0.5, 40.0, 200.0]);
    }

    #[test]
    fn a_time_that_two_selections_ask_for_is_told_once() {
        let body = "XX A -- LHZ * 1970-01-01T00:00:00.050\nXX A -- L* 1970-01-01T00:00:00.020 *\n";
        let request = Request::of_body(Kind::Query, body).expect("good");
        let channels = merged(&request, found());
        assert_eq!((channels.len(), &channels[0].spans), (1, &vec![(0, 100)]));
    }
}
