//! How a lane is drawn: how high each window stands, and which windows that follow one another are drawn as one.

use std::ops::Range;

/// The height of a window that is wholly covered.
pub const FULL: u8 = 8;

/// What is drawn of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Some of it is covered: from 1 to [`FULL`], which stands only where all of it is.
    Covered(u8),
    /// Recordings are there, and they last no time at all.
    Moments,
    /// Nothing is there.
    Gap,
    /// The index does not know yet.
    Unknown,
}

impl Shown {
    /// A window from one time up to another, of which so much is covered by so many recordings. Of what comes after
    /// `through_ms` nothing is known.
    ///
    /// However long the window: a gap in it takes something from its height, and something that is covered gives it one.
    pub fn of(
        (begins_ms, ends_ms): (i64, i64),
        covered_ms: i64,
        recordings: u64,
        through_ms: Option<i64>,
    ) -> Shown {
        let known_ms = through_ms.map_or(0, |through_ms| ends_ms.min(through_ms) - begins_ms);
        if known_ms <= 0 {
            return Shown::Unknown;
        }
        match (covered_ms, recordings) {
            (1.., _) => Shown::Covered(height(covered_ms, known_ms)),
            (_, 1..) => Shown::Moments,
            (_, 0) => Shown::Gap,
        }
    }

    /// The height of what is covered; 0 where nothing is.
    pub fn height(self) -> u8 {
        match self {
            Shown::Covered(height) => height,
            Shown::Moments | Shown::Gap | Shown::Unknown => 0,
        }
    }
}

/// How high so much of a length stands: from 1 to [`FULL`], which is for all of it alone.
fn height(covered_ms: i64, length_ms: i64) -> u8 {
    if covered_ms >= length_ms {
        return FULL;
    }
    let eighths = i128::from(covered_ms) * i128::from(FULL) / i128::from(length_ms.max(1));
    u8::try_from(eighths).unwrap_or(FULL).clamp(1, FULL - 1)
}

/// Values that follow one another and are equal, as one: the value, and which ones they are.
pub fn runs<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<(T, Range<usize>)> {
    let mut runs: Vec<(T, Range<usize>)> = Vec::new();
    for (at, value) in values.into_iter().enumerate() {
        match runs.last_mut() {
            Some((last, range)) if *last == value => range.end = at + 1,
            _ => runs.push((value, at..at + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_least_gap_is_seen_and_the_least_recording_too() {
        let year = (0, 31_536_000_000);
        let shown = |covered_ms| Shown::of(year, covered_ms, 1, Some(i64::MAX));
        assert_eq!(shown(year.1), Shown::Covered(FULL));
        assert_eq!(shown(year.1 - 1), Shown::Covered(FULL - 1));
        assert_eq!(shown(1), Shown::Covered(1));
        assert_eq!(shown(0), Shown::Moments);
        assert_eq!(Shown::of(year, 0, 0, Some(i64::MAX)), Shown::Gap);
    }

    #[test]
    fn what_is_not_known_is_no_gap_and_takes_nothing_from_what_is_covered() {
        assert_eq!(Shown::of((10, 20), 0, 0, Some(10)), Shown::Unknown);
        assert_eq!(Shown::of((10, 20), 0, 0, None), Shown::Unknown);
        assert_eq!(Shown::of((10, 20), 5, 1, Some(15)), Shown::Covered(FULL));
        assert_eq!(Shown::of((10, 20), 0, 0, Some(11)), Shown::Gap);
    }

    proptest! {
        #[test]
        fn runs_are_the_values_and_no_two_that_follow_are_equal(values in proptest::collection::vec(0u8..3, 0..60)) {
            let runs = runs(values.iter().copied());
            let flat: Vec<u8> =
                runs.iter().flat_map(|(value, range)| std::iter::repeat_n(*value, range.len())).collect();
            prop_assert_eq!(flat, values);
            prop_assert!(runs.windows(2).all(|two| two[0].0 != two[1].0 && two[0].1.end == two[1].1.start));
        }
    }
}
