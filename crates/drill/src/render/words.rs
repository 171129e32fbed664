//! Values of a report in words, the same in every rendering.

use crate::report::{Fate, LostReason, RecordingVerdict, Report};

/// Why a recording is not in the catalog as it should be, in words; empty where it is.
pub(super) fn why(one: &RecordingVerdict) -> String {
    let reason = one.reason.map(LostReason::name);
    let parts: Vec<&str> = reason.into_iter().chain(one.detail.as_deref()).collect();
    parts.join(": ")
}

/// At most `most` recordings, those that are not as they should be first, and how many are left out.
pub(super) fn worst_first(report: &Report, most: usize) -> (Vec<&RecordingVerdict>, usize) {
    let is_good = |one: &&RecordingVerdict| one.fate == Fate::Catalogued;
    let bad = report.recordings.iter().filter(|one| !is_good(one));
    let good = report.recordings.iter().filter(is_good);
    let shown: Vec<_> = bad.chain(good).take(most).collect();
    let left = report.recordings.len() - shown.len();
    (shown, left)
}

/// A length of time for people: `340 ms`, `3.2 s`, `4 min 05 s`.
pub(super) fn time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// The same where it may not be known.
pub(super) fn maybe_time(ms: Option<u64>) -> String {
    ms.map_or_else(|| "not known".to_owned(), time)
}

/// Microseconds in milliseconds with one decimal: `4.3`.
pub(super) fn ms_of_us(us: u64) -> String {
    format!("{}.{}", us / 1_000, us % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn what_is_not_as_it_should_be_comes_first_and_the_rest_is_counted() {
        let report = sample();
        let (shown, left) = worst_first(&report, 3);
        let ids: Vec<_> = shown.iter().map(|one| one.recording_id.as_str()).collect();
        assert_eq!((ids, left), (vec!["drill-1", "drill-3", "drill-0"], 1));
    }

    #[test]
    fn times_are_told_as_people_do() {
        assert_eq!(time(340), "340 ms");
        assert_eq!(time(3_249), "3.2 s");
        assert_eq!(time(245_000), "4 min 05 s");
    }
}
