//! The history of outages: which one goes on, which one is being caught up with, and what is kept of those that
//! are over. [`Curve`] is how the backlog of one went down.

use std::collections::VecDeque;

/// Outages that are kept at most; the newest.
pub const OUTAGES_MAX: usize = 1_024;

/// Points of a curve at most.
pub const POINTS_MAX: usize = 500;

/// Least time between two points of a new curve, milliseconds.
const EVERY_MS: u64 = 50;

/// An outage of the catalog's database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutageRecord {
    /// Counts the outages of a state folder, from 1.
    pub id: u64,
    /// When it began, milliseconds since 1970.
    pub began_ms: i64,
    /// When it ended, milliseconds since 1970; none while it goes on.
    pub ended_ms: Option<i64>,
    /// How long it lasted, milliseconds; 0 while it goes on.
    pub outage_ms: u64,
    /// Time from the database's last good answer until the outage was noticed; none where there was no answer
    /// since the start of the server.
    pub detected_after_ms: Option<u64>,
    /// What happened, as last known.
    pub reason: String,
    /// Recordings that were known before it; `u64::MAX` where that is not known.
    pub known_before: u64,
    /// Recordings that landed during it, 0 where that is not known; 0 while it goes on.
    pub landed: u64,
    /// Recordings that were pending when it ended; 0 while it goes on.
    pub pending: u64,
    /// Time from its end until nothing was pending, milliseconds; none before, and where another outage came
    /// first.
    pub converge_ms: Option<u64>,
}

/// The beginning of an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// As in [`OutageRecord`].
    pub detected_after_ms: Option<u64>,
    /// As in [`OutageRecord`].
    pub reason: String,
    /// As in [`OutageRecord`].
    pub known_before: u64,
}

/// The end of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// How long it lasted, milliseconds.
    pub outage_ms: u64,
    /// Recordings that are known now.
    pub known: u64,
    /// Recordings that are pending now.
    pub pending: u64,
}

/// The outages that are known, in their order. At most the last one goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    records: VecDeque<OutageRecord>,
}

impl History {
    /// With what was kept, in any order. An outage that another one followed has ended by then, whatever was
    /// kept of it. What is beyond the bound is left out.
    pub fn of(mut kept: Vec<OutageRecord>) -> History {
        kept.sort_by_key(|record| record.id);
        kept.dedup_by_key(|record| record.id);
        let later: Vec<i64> = kept.iter().skip(1).map(|record| record.began_ms).collect();
        for (record, next_ms) in kept.iter_mut().zip(later) {
            if record.ended_ms.is_none() {
                record.ended_ms = Some(next_ms.max(record.began_ms));
                let lasted = next_ms.saturating_sub(record.began_ms);
                record.outage_ms = u64::try_from(lasted).unwrap_or(0);
            }
        }
        let beyond = kept.len().saturating_sub(OUTAGES_MAX);
        History { records: kept.into_iter().skip(beyond).collect() }
    }

    /// How many outages there were, with the one that goes on.
    pub fn count(&self) -> u64 {
        self.records.back().map_or(0, |record| record.id)
    }

    /// All that are kept, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &OutageRecord> {
        self.records.iter().rev()
    }

    /// The one with this id.
    pub fn get(&self, id: u64) -> Option<&OutageRecord> {
        self.records.iter().find(|record| record.id == id)
    }

    /// The one that goes on.
    pub fn current(&self) -> Option<&OutageRecord> {
        self.records.back().filter(|record| record.ended_ms.is_none())
    }

    /// The last one that ended.
    pub fn last_ended(&self) -> Option<&OutageRecord> {
        self.newest_first().find(|record| record.ended_ms.is_some())
    }

    /// The one that is over and not caught up with.
    pub fn catching_up(&self) -> Option<&OutageRecord> {
        let last = self.records.back()?;
        (last.ended_ms.is_some() && last.converge_ms.is_none()).then_some(last)
    }

    /// An outage has begun, or another reason is known of the one that goes on. Returns whether it has begun,
    /// and the id of one that is to be forgotten for it.
    pub fn begin(&mut self, beginning: Beginning) -> (bool, Option<u64>) {
        if let Some(last) = self.records.back_mut().filter(|last| last.ended_ms.is_none()) {
            last.reason = beginning.reason;
            return (false, None);
        }
        self.records.push_back(OutageRecord {
            id: self.count().saturating_add(1),
            began_ms: beginning.at_ms,
            detected_after_ms: beginning.detected_after_ms,
            reason: beginning.reason,
            known_before: beginning.known_before,
            ..OutageRecord::default()
        });
        let beyond = self.records.len() > OUTAGES_MAX;
        (true, if beyond { self.records.pop_front().map(|record| record.id) } else { None })
    }

    /// The outage that goes on has ended. Returns it; none where none goes on.
    pub fn end(&mut self, end: End) -> Option<&OutageRecord> {
        let last = self.records.back_mut().filter(|last| last.ended_ms.is_none())?;
        // A clock that was set back must not end it before it began.
        last.ended_ms = Some(end.at_ms.max(last.began_ms));
        last.outage_ms = end.outage_ms;
        last.landed = end.known.saturating_sub(last.known_before);
        last.pending = end.pending;
        Some(last)
    }

    /// What the last outage left is caught up with, after so many milliseconds. Returns that outage; none where
    /// none was being caught up with.
    pub fn converge(&mut self, converge_ms: u64) -> Option<&OutageRecord> {
        self.catching_up()?;
        let last = self.records.back_mut()?;
        last.converge_ms = Some(converge_ms);
        Some(last)
    }
}

/// How a backlog went down: pairs of milliseconds since the database's return, and pending recordings. When it
/// is full, every other point goes, and points come half as often: the shape stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    points: Vec<(u64, u64)>,
    every_ms: u64,
}

impl Default for Curve {
    fn default() -> Curve {
        Curve { points: Vec::new(), every_ms: EVERY_MS }
    }
}

impl Curve {
    /// With the points that were kept. Those that are not in the order of time are left out.
    pub fn of(kept: &[(u64, u64)]) -> Curve {
        let mut curve = Curve::default();
        for &(at_ms, pending) in kept {
            curve.last(at_ms, pending);
        }
        if let [.., (before, _), (last, _)] = curve.points[..] {
            curve.every_ms = curve.every_ms.max((last - before).min(1 << 32));
        }
        curve
    }

    /// The points, in the order of time.
    pub fn points(&self) -> &[(u64, u64)] {
        &self.points
    }

    /// When the next point is due, milliseconds since the return.
    pub fn due_ms(&self) -> u64 {
        self.points.last().map_or(0, |(at_ms, _)| at_ms.saturating_add(self.every_ms))
    }

    /// Adds a point, if one is due.
    pub fn add(&mut self, at_ms: u64, pending: u64) {
        if at_ms >= self.due_ms() {
            self.last(at_ms, pending);
        }
    }

    /// Adds the point at which it ends, which is later than all others.
    pub fn last(&mut self, at_ms: u64, pending: u64) {
        match self.points.last_mut() {
            Some((last_ms, _)) if *last_ms > at_ms => return,
            Some(last) if last.0 == at_ms => {
                last.1 = pending;
                return;
            }
            _ => {}
        }
        if self.points.len() >= POINTS_MAX {
            let mut at = 0;
            self.points.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.every_ms = self.every_ms.saturating_mul(2);
        }
        self.points.push((at_ms, pending));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn beginning(at_ms: i64) -> Beginning {
        Beginning {
            at_ms,
            detected_after_ms: Some(40),
            reason: format!("reason {at_ms}"),
            known_before: 10,
        }
    }

    fn end(at_ms: i64) -> End {
        End { at_ms, outage_ms: 7, known: 13, pending: 5 }
    }

    #[test]
    fn an_outage_begins_ends_and_is_caught_up_with() {
        let mut history = History::default();
        assert_eq!(history.end(end(1)), None);
        assert_eq!(history.begin(beginning(100)), (true, None));
        assert_eq!(history.begin(beginning(150)), (false, None));
        let current = history.current().expect("one goes on");
        assert_eq!((current.id, current.began_ms), (1, 100));
        assert_eq!(current.reason, "reason 150", "as last known");
        assert_eq!(history.catching_up(), None);
        assert_eq!(history.converge(1), None);
        let ended = history.end(end(200)).expect("it ended").clone();
        assert_eq!((ended.ended_ms, ended.landed, ended.pending), (Some(200), 3, 5));
        assert_eq!(history.current(), None);
        assert_eq!(history.catching_up(), Some(&ended));
        assert_eq!(history.converge(9).and_then(|record| record.converge_ms), Some(9));
        assert_eq!(history.catching_up(), None);
        assert_eq!(history.converge(10), None);
        assert_eq!(history.last_ended().and_then(|record| record.converge_ms), Some(9));
    }

    #[test]
    fn an_outage_that_another_one_followed_is_not_caught_up_with_any_more() {
        let mut history = History::default();
        history.begin(beginning(100));
        history.end(end(200));
        history.begin(beginning(300));
        assert_eq!(history.catching_up(), None);
        assert_eq!(history.converge(9), None);
        assert_eq!(history.last_ended().map(|record| record.id), Some(1));
        history.end(end(250));
        let ended = history.last_ended().expect("it ended");
        assert_eq!((ended.id, ended.ended_ms), (2, Some(300)), "never before it began");
    }

    #[test]
    fn the_newest_are_kept_and_their_ids_go_on() {
        let mut history = History::default();
        let mut forgotten = Vec::new();
        for n in 0..OUTAGES_MAX as i64 + 3 {
            forgotten.extend(history.begin(beginning(n * 10)).1);
            history.end(end(n * 10 + 5));
        }
        assert_eq!(forgotten, [1, 2, 3]);
        let kept: Vec<OutageRecord> = history.newest_first().cloned().collect();
        assert_eq!((kept.len(), kept[0].id), (OUTAGES_MAX, OUTAGES_MAX as u64 + 3));
        assert_eq!(History::of(kept), history);
        assert_eq!((history.get(3), history.get(4).map(|record| record.id)), (None, Some(4)));
    }

    #[test]
    fn of_what_was_kept_only_the_newest_outage_can_go_on() {
        let record = |id, began_ms, ended_ms| OutageRecord {
            id,
            began_ms,
            ended_ms,
            ..OutageRecord::default()
        };
        let kept = vec![record(3, 900, None), record(1, 100, None), record(2, 400, Some(500))];
        let history = History::of(kept);
        let ended: Vec<_> =
            history.newest_first().map(|record| (record.ended_ms, record.outage_ms)).collect();
        assert_eq!(ended, [(None, 0), (Some(500), 0), (Some(400), 300)]);
        assert_eq!(history.current().map(|record| record.id), Some(3));
        assert_eq!(history.count(), 3);
    }

    proptest! {
        #[test]
        fn a_curve_is_bounded_and_keeps_both_ends(steps in prop::collection::vec(1u64..400, 1..4_000)) {
            let mut curve = Curve::default();
            curve.add(0, 1_000_000);
            let mut at_ms = 0;
            for step in &steps {
                at_ms += step;
                curve.add(at_ms, 1_000_000 - at_ms / 10);
                prop_assert!(curve.points().len() <= POINTS_MAX);
            }
            curve.last(at_ms + 1, 0);
            let points = curve.points();
            prop_assert!(points.len() <= POINTS_MAX);
            prop_assert_eq!(points[0], (0, 1_000_000));
            prop_assert_eq!(points.last().copied(), Some((at_ms + 1, 0)));
            prop_assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
            // Its points are spread over all of its time.
            let widest = points.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or(0);
            prop_assert!(widest <= 800 + at_ms / 50, "{widest} of {at_ms}");
            let again = Curve::of(points);
            prop_assert_eq!(again.points(), points);
        }
    }
}
