//! Conditions: from what is seen now and then to what is raised, with patience for what flaps.

/// An alert that is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Since when its condition has been true, milliseconds since 1970.
    pub since_ms: i64,
}

/// The condition of one alert. Times are of the boot-time clock, so that a clock that is set raises nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    began: Option<Began>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Began {
    /// When it was first seen to be true.
    at_ms: u64,
    /// The same on the wall clock.
    wall_ms: i64,
    /// When it was last seen to be true.
    last_ms: u64,
    raised: bool,
}

impl Condition {
    /// One that was raised before this process started, and stands until something is seen.
    pub fn resumed(raised: Raised, now_ms: u64) -> Condition {
        Condition {
            began: Some(Began {
                at_ms: now_ms,
                wall_ms: raised.since_ms,
                last_ms: now_ms,
                raised: true,
            }),
        }
    }

    /// Takes an observation. The time until it is raised runs on while the condition flaps; it begins anew only
    /// after it was quiet for `clear_after_ms`.
    pub fn observe(
        &mut self,
        is_true: bool,
        (now_ms, wall_ms): (u64, i64),
        after_ms: u64,
        clear_after_ms: u64,
    ) {
        let quiet = |began: &Began| now_ms.saturating_sub(began.last_ms) >= clear_after_ms;
        if !is_true {
            self.began = self.began.filter(|began| !quiet(began));
            return;
        }
        let began = self.began.get_or_insert(Began {
            at_ms: now_ms,
            wall_ms,
            last_ms: now_ms,
            raised: false,
        });
        began.last_ms = now_ms;
        began.raised |= now_ms.saturating_sub(began.at_ms) >= after_ms;
    }

    /// How long it was true or flapping until it was last seen to be true, milliseconds; 0 where it never was.
    pub fn lasted_ms(&self) -> u64 {
        self.began.map_or(0, |began| began.last_ms.saturating_sub(began.at_ms))
    }

    /// As a server saw it that looks `slack_ms` earlier: there the alert may be raised.
    pub fn raised_elsewhere(&self, after_ms: u64, slack_ms: u64) -> Option<Raised> {
        let near_ms = after_ms - slack_ms.min(after_ms / 2);
        let began = self.began.filter(|began| began.raised || self.lasted_ms() >= near_ms)?;
        Some(Raised { since_ms: began.wall_ms })
    }

    /// When it will have been true for `after_ms`, on the boot-time clock; none where it is not true.
    pub fn due_ms(&self, after_ms: u64) -> Option<u64> {
        self.began.map(|began| began.at_ms.saturating_add(after_ms))
    }

    /// The alert, while it is raised.
    pub fn raised(&self) -> Option<Raised> {
        let began = self.began.filter(|began| began.raised)?;
        Some(Raised { since_ms: began.wall_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observations at these seconds; whether it is raised after each.
    fn raised(observed: &[(u64, bool)]) -> Vec<bool> {
        let mut condition = Condition::default();
        let see = |(at_s, is_true): &(u64, bool)| {
            let now = (at_s * 1_000, i64::try_from(at_s * 1_000).expect("small"));
            condition.observe(*is_true, now, 30_000, 60_000);
            condition.raised().is_some()
        };
        observed.iter().map(see).collect()
    }

    #[test]
    fn it_is_raised_after_its_time_and_over_after_as_much_quiet() {
        let seen = [(0, true), (29, true), (30, true), (31, false), (89, false), (90, false)];
        assert_eq!(raised(&seen), [false, false, true, true, true, false]);
    }

    #[test]
    fn what_flaps_is_one_alert_from_its_first_sight() {
        let mut flapping: Vec<(u64, bool)> = (0..120).map(|at| (at * 5, at % 2 == 0)).collect();
        let told = raised(&flapping);
        assert_eq!(told.iter().position(|raised| *raised), Some(6), "after 30 s");
        assert!(told[6..].iter().all(|raised| *raised));
        flapping.push((700, false));
        assert!(!raised(&flapping)[120]);
    }

    #[test]
    fn a_short_quiet_begins_no_new_time_and_a_long_one_does() {
        assert_eq!(raised(&[(0, true), (20, false), (40, true)]), [false, false, true]);
        assert_eq!(raised(&[(0, true), (70, false), (71, true)]), [false, false, false]);
    }

    #[test]
    fn what_was_raised_before_a_restart_stands_with_its_time() {
        let mut condition = Condition::resumed(Raised { since_ms: 5 }, 1_000);
        assert_eq!(condition.raised(), Some(Raised { since_ms: 5 }));
        condition.observe(true, (2_000, 9), 30_000, 60_000);
        assert_eq!(condition.raised(), Some(Raised { since_ms: 5 }));
        condition.observe(false, (62_000, 9), 30_000, 60_000);
        assert_eq!(condition.raised(), None);
    }
}
