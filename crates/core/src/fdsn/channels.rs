//! Channels with their spans of time: merged, cut to what was asked, and ordered.

use std::collections::BTreeMap;

use crate::coverage::Spans;

use super::request::{Kind, Order, Request};

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
    /// Samples in a second, as text; none where that is not told.
    pub sample_rate: Option<String>,
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
    /// Its spans, in ascending order.
    pub spans: Vec<(i64, i64)>,
    /// When the last recording of them was seen first.
    pub updated_ms: i64,
}

/// Merges what was found as the request wants it: by what it tells apart, cut to the times of the selections, and gaps
/// that are short enough closed.
pub fn merged(request: &Request, found: BTreeMap<Code, Found>) -> Vec<Channel> {
    let mut by_code: BTreeMap<Code, Found> = BTreeMap::new();
    for (mut code, found) in found {
        let is_asked = request.quality.is_empty() || request.quality.contains(&code.quality);
        if !is_asked {
            continue;
        }
        let mut spans = Vec::new();
        for selection in request.selections.iter().filter(|selection| selection.takes(&code)) {
            let from_ms = selection.from_ms.unwrap_or(i64::MIN);
            let to_ms = selection.to_ms.unwrap_or(i64::MAX);
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
        spans: joined(&Spans::of(found.spans), request.merge_gaps_ms),
        updated_ms: found.updated_ms,
    });
    channels.collect()
}

fn joined(spans: &Spans, gap_ms: i64) -> Vec<(i64, i64)> {
    let mut joined: Vec<(i64, i64)> = Vec::with_capacity(spans.len());
    for (start, end) in spans.iter() {
        match joined.last_mut() {
            Some((_, last)) if start - *last <= gap_ms => *last = end,
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// Puts channels into the order of the request, and leaves out what is beyond its limit: rows are spans of the method
/// `query`, and channels of `extent`.
pub fn ordered(request: &Request, mut channels: Vec<Channel>) -> Vec<Channel> {
    match request.order {
        Order::Codes => {}
        Order::SpanCount => channels.sort_by_key(|channel| channel.spans.len()),
        Order::SpanCountDescending => {
            channels.sort_by_key(|channel| std::cmp::Reverse(channel.spans.len()));
        }
        Order::Updated => channels.sort_by_key(|channel| channel.updated_ms),
        Order::UpdatedDescending => {
            channels.sort_by_key(|channel| std::cmp::Reverse(channel.updated_ms));
        }
    }
    let Some(limit) = request.limit else { return channels };
    if request.kind == Kind::Extent {
        channels.truncate(limit);
        return channels;
    }
    let mut left = limit;
    for channel in &mut channels {
        channel.spans.truncate(left);
        left -= channel.spans.len();
    }
    channels.retain(|channel| !channel.spans.is_empty());
    channels
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
            (code("BHZ", "D"), found(&[(10, 20), (20, 30), (45, 50), (60, 70)], 5)),
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
        assert_eq!(channels[0].spans, [(10, 40), (45, 50), (60, 70)]);
        assert_eq!((channels.len(), channels[0].updated_ms), (2, 7));
        assert_eq!(merged(&request(&[("quality", "Q")]), found()).len(), 1);
        assert_eq!(merged(&request(&[("cha", "L*")]), found())[0].code.channel, "LHZ");
    }

    #[test]
    fn the_order_and_the_limit_are_the_requests() {
        let of = |pairs: &[(&str, &str)]| {
            let request = request(pairs);
            let channels = ordered(&request, merged(&request, found()));
            let names = channels.iter().map(|one| (one.code.channel.clone(), one.spans.len()));
            names.collect::<Vec<_>>()
        };
        let pair = |name: &str, count| (name.to_owned(), count);
        assert_eq!(of(&[("orderby", "latestupdate_desc")])[2], pair("BHZ", 3));
        assert_eq!(of(&[("orderby", "timespancount_desc")])[0], pair("BHZ", 3));
        assert_eq!(of(&[("limit", "4")]), [pair("BHZ", 3), pair("BHZ", 1)]);
        assert_eq!(of(&[("limit", "2")]), [pair("BHZ", 2)]);
    }
}
