//! Covered time: unions of spans, by the hour.
//!
//! Recordings may overlap, so their lengths do not add up. Of every hour the union of what covers it is kept as
//! [`Spans`]; sums of hours are exact, because hours do not overlap.

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Disjoint spans in ascending order, each from its start up to, and without, its end. Two that touch are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// The union of spans in any order. What ends where it starts covers nothing.
    pub fn of(spans: impl IntoIterator<Item = (i64, i64)>) -> Spans {
        let mut sorted: Vec<(i64, i64)> =
            spans.into_iter().filter(|(start, end)| start < end).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(sorted.len());
        for (start, end) in sorted {
            match merged.last_mut() {
                Some((_, last)) if start <= *last => *last = (*last).max(end),
                _ => merged.push((start, end)),
            }
        }
        Spans(merged)
    }

    /// These and more.
    pub fn with(self, more: impl IntoIterator<Item = (i64, i64)>) -> Spans {
        Spans::of(self.0.into_iter().chain(more))
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much they cover, milliseconds.
    pub fn covered_ms(&self) -> i64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0.iter().copied()
    }

    /// What of them lies in a window.
    pub fn within(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, i64)> + '_ {
        let first = self.0.partition_point(|(_, end)| *end <= from);
        let rest = self.0[first..].iter().take_while(move |(start, _)| *start < to);
        rest.map(move |(start, end)| ((*start).max(from), (*end).min(to)))
    }

    /// What of a window they leave uncovered.
    pub fn gaps(&self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut gaps = Vec::new();
        let mut at = from;
        for (start, end) in self.within(from, to) {
            if at < start {
                gaps.push((at, start));
            }
            at = end;
        }
        if at < to {
            gaps.push((at, to));
        }
        gaps
    }
}

/// The pieces of a span by the hour: each hour since 1970, with what of it is covered.
pub fn by_hour(start_ms: i64, end_ms: i64) -> impl Iterator<Item = (i64, (i64, i64))> {
    let hours = start_ms.div_euclid(HOUR_MS)..=(end_ms - 1).max(start_ms).div_euclid(HOUR_MS);
    hours.map(move |hour| {
        let begins = hour * HOUR_MS;
        (hour, (start_ms.max(begins), end_ms.min(begins + HOUR_MS)))
    })
}

/// Windows of equal length that follow one another: the last ends with the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    from_ms: i64,
    to_ms: i64,
    count: usize,
}

impl Buckets {
    /// `count` windows over `from_ms..to_ms`; none where that is empty.
    pub fn over(from_ms: i64, to_ms: i64, count: usize) -> Buckets {
        let count = if from_ms < to_ms { count } else { 0 };
        Buckets { from_ms, to_ms, count }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.count
    }

    /// There is none.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// When a bucket begins; that of `len()` is the end of the last. Milliseconds since 1970, rounded down.
    pub fn begins_ms(self, at: usize) -> i64 {
        let all = i128::from(self.to_ms) - i128::from(self.from_ms);
        let part = all * at as i128 / self.count.max(1) as i128;
        self.from_ms + i64::try_from(part).unwrap_or(0)
    }

    /// The bucket with this time; none before the first and after the last.
    pub fn at(self, time_ms: i64) -> Option<usize> {
        if self.is_empty() || time_ms < self.from_ms || time_ms >= self.to_ms {
            return None;
        }
        let all = i128::from(self.to_ms) - i128::from(self.from_ms);
        let guess = i128::from(time_ms - self.from_ms) * self.count as i128 / all;
        let mut at = usize::try_from(guess).unwrap_or(0).min(self.count - 1);
        // Beginnings are rounded down, so the guess may be one too low.
        while at + 1 < self.count && self.begins_ms(at + 1) <= time_ms {
            at += 1;
        }
        Some(at)
    }

    /// The buckets with a part of `start_ms..end_ms`, each with that part.
    pub fn parts(self, start_ms: i64, end_ms: i64) -> impl Iterator<Item = (usize, (i64, i64))> {
        let start_ms = start_ms.max(self.from_ms);
        let end_ms = end_ms.min(self.to_ms);
        let first = if start_ms < end_ms { self.at(start_ms) } else { None };
        let all = first.map_or(0..0, |first| first..self.count);
        all.take_while(move |at| self.begins_ms(*at) < end_ms)
            .map(move |at| {
                (at, (self.begins_ms(at).max(start_ms), self.begins_ms(at + 1).min(end_ms)))
            })
            // Where there are more buckets than milliseconds, some are empty.
            .filter(|(_, (start, end))| start < end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_union_counts_what_overlaps_once() {
        let spans = Spans::of([(5, 9), (0, 3), (2, 4), (9, 9), (8, 12)]);
        assert_eq!(spans.iter().collect::<Vec<_>>(), [(0, 4), (5, 12)]);
        assert_eq!(spans.covered_ms(), 11);
        assert_eq!(spans.gaps(-2, 20), [(-2, 0), (4, 5), (12, 20)]);
        assert_eq!(spans.within(3, 6).collect::<Vec<_>>(), [(3, 4), (5, 6)]);
        assert_eq!(Spans::default().gaps(1, 2), [(1, 2)]);
    }

    #[test]
    fn a_span_is_split_where_hours_begin() {
        let pieces: Vec<_> = by_hour(HOUR_MS - 5, 2 * HOUR_MS + 7).collect();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[0], (0, (HOUR_MS - 5, HOUR_MS)));
        assert_eq!(pieces[2], (2, (2 * HOUR_MS, 2 * HOUR_MS + 7)));
        assert_eq!(by_hour(HOUR_MS, 2 * HOUR_MS).count(), 1, "an end is not covered");
        assert_eq!(
            by_hour(7, 7).collect::<Vec<_>>(),
            [(0, (7, 7))],
            "it is in an hour all the same"
        );
    }

    proptest! {
        #[test]
        fn buckets_share_out_every_millisecond_once(
            from in -50i64..50, length in 0i64..200, count in 1usize..60, start in -80i64..300, span in 0i64..200,
        ) {
            let buckets = Buckets::over(from, from + length, count);
            let shared: i64 = buckets.parts(start, start + span).map(|(_, (a, b))| b - a).sum();
            let inside = ((start + span).min(from + length) - start.max(from)).max(0);
            prop_assert_eq!(shared, inside);
            for time in start..start + span {
                let plain = (0..buckets.len())
                    .rfind(|at| buckets.begins_ms(*at) <= time && time < buckets.begins_ms(at + 1));
                prop_assert_eq!(buckets.at(time), plain);
            }
        }
    }
}
