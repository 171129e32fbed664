//! What a channel was told, what it is owed, and when it is tried again.

use std::collections::BTreeSet;

use super::{Raised, Rule};

/// Tries again wait so long at first, and twice as long each time, milliseconds.
const RETRY_FIRST_MS: u64 = 1_000;

/// They never wait longer than this, milliseconds.
const RETRY_LAST_MS: u64 = 300_000;

/// A channel that refuses is tried again after so long, milliseconds.
const REFUSED_MS: u64 = 3_600_000;

/// What a channel hears, and how often it wants to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hearing {
    /// The rules of which it is told.
    pub rules: BTreeSet<Rule>,
    /// While an alert lasts, it is told again after so long, milliseconds; 0: never.
    pub repeat_ms: u64,
    /// That an alert is over is told again as often, for so long, milliseconds; 0: once.
    pub resolved_for_ms: u64,
}

/// What a channel believes of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believed {
    /// That it fires, since then.
    Firing(Raised),
    /// That it is over.
    Resolved {
        /// Since when it was raised.
        raised: Raised,
        /// When it ended, milliseconds since 1970.
        ended_ms: i64,
    },
}

/// What a channel was last told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it believes since then.
    pub believed: Believed,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// How often it was told that this fires.
    pub times: u32,
    /// The last of these may not have come: it is told again as the same message, and resolved in any case.
    pub in_doubt: bool,
}

/// What a channel is owed of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// That it fires: for the first time, or again.
    Firing {
        /// Since when.
        raised: Raised,
        /// How often it will have been told by that.
        times: u32,
    },
    /// That it is resolved.
    Resolved {
        /// Since when it was raised.
        raised: Raised,
        /// When it ended, milliseconds since 1970.
        ended_ms: i64,
    },
}

/// What is owed of something that happens once: that it fires, once.
pub fn owed_once(raised: Option<Raised>, told: Option<Told>, is_silenced: bool) -> Option<Owed> {
    let news = |raised: &Raised| {
        told.is_none_or(|told| told.in_doubt || told.believed != Believed::Firing(*raised))
    };
    let raised = raised.filter(|raised| !is_silenced && news(raised))?;
    Some(Owed::Firing { raised, times: 1 })
}

/// What is owed of an alert that is `raised` or not. Nothing where a silence keeps it from being told that it
/// fires; that it is resolved is always told.
pub fn owed(
    raised: Option<Raised>,
    told: Option<Told>,
    is_silenced: bool,
    hearing: &Hearing,
    now_ms: i64,
) -> Option<Owed> {
    let age_ms = |since_ms: i64| u64::try_from(now_ms.saturating_sub(since_ms)).unwrap_or(0);
    let is_again = |told: Told| hearing.repeat_ms > 0 && age_ms(told.at_ms) >= hearing.repeat_ms;
    let Some(raised) = raised else {
        let told = told?;
        return match told.believed {
            Believed::Firing(raised) => Some(Owed::Resolved { raised, ended_ms: now_ms }),
            Believed::Resolved { raised, ended_ms } => {
                let lasts = age_ms(ended_ms) < hearing.resolved_for_ms;
                let is_due = told.in_doubt || lasts && is_again(told);
                is_due.then_some(Owed::Resolved { raised, ended_ms })
            }
        };
    };
    if is_silenced {
        return None;
    }
    let firing = told.filter(|told| matches!(told.believed, Believed::Firing(_)));
    let times = match firing {
        None => 1,
        Some(told) if told.in_doubt => told.times,
        Some(told) if is_again(told) => told.times.saturating_add(1),
        Some(_) => return None,
    };
    Some(Owed::Firing { raised, times })
}

/// How a try to tell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Told.
    Delivered,
    /// It passes: no answer, 408, 425, 429 or 5xx. The channel may have said when to come again, milliseconds.
    Failed {
        /// From now on.
        after_ms: Option<u64>,
        /// The message may have come all the same.
        in_doubt: bool,
    },
    /// The channel refuses: another answer.
    Refused,
}

/// When a channel is tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    failed: u32,
    /// Not before, on the boot-time clock.
    next_ms: u64,
}

impl Retry {
    /// After a try that ended so. There is no last one.
    pub fn after(self, tried: Tried, now_ms: u64) -> Retry {
        match tried {
            Tried::Delivered => Retry::default(),
            Tried::Failed { after_ms, .. } => {
                let doubled = RETRY_FIRST_MS.saturating_mul(1 << self.failed.min(10));
                let wait_ms = after_ms.unwrap_or(0).min(REFUSED_MS).max(doubled.min(RETRY_LAST_MS));
                Retry {
                    failed: self.failed.saturating_add(1),
                    next_ms: now_ms.saturating_add(wait_ms),
                }
            }
            Tried::Refused => Retry { failed: 0, next_ms: now_ms.saturating_add(REFUSED_MS) },
        }
    }

    /// The channel may be tried now.
    pub fn is_due(self, now_ms: u64) -> bool {
        now_ms >= self.next_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAISED: Raised = Raised { since_ms: 5 };

    const RESOLVED: Believed = Believed::Resolved { raised: RAISED, ended_ms: 90 };

    fn told(believed: Believed, at_ms: i64, times: u32, in_doubt: bool) -> Option<Told> {
        Some(Told { believed, at_ms, times, in_doubt })
    }

    fn firing(at_ms: i64) -> Option<Told> {
        told(Believed::Firing(RAISED), at_ms, 1, false)
    }

    fn hearing(repeat_ms: u64, resolved_for_ms: u64) -> Hearing {
        Hearing { repeat_ms, resolved_for_ms, ..Hearing::default() }
    }

    fn resolved(ended_ms: i64) -> Option<Owed> {
        Some(Owed::Resolved { raised: RAISED, ended_ms })
    }

    #[test]
    fn the_difference_between_what_is_true_and_what_was_told_is_owed() {
        let of = |raised, told| owed(raised, told, false, &hearing(0, 0), 100);
        let over = told(RESOLVED, 10, 0, false);
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, over), None);
        for told in [None, over] {
            assert_eq!(of(Some(RAISED), told), Some(Owed::Firing { raised: RAISED, times: 1 }));
        }
        assert_eq!(of(Some(RAISED), firing(10)), None);
        assert_eq!(of(None, firing(10)), resolved(100));
        // A silence keeps back that it fires, and never that it is over.
        assert_eq!(owed(Some(RAISED), None, true, &hearing(0, 0), 100), None);
        assert_eq!(owed(None, firing(10), true, &hearing(0, 0), 100), resolved(100));
    }

    #[test]
    fn what_may_not_have_come_is_told_again_as_the_same_and_resolved_in_any_case() {
        let of = |raised, told| owed(raised, told, false, &hearing(0, 0), 100);
        let doubted = told(Believed::Firing(RAISED), 10, 3, true);
        let again = Some(Owed::Firing { raised: RAISED, times: 3 });
        assert_eq!(of(Some(RAISED), doubted), again);
        assert_eq!(of(None, doubted), resolved(100));
        // The end is the same in every message about it.
        let doubted = told(RESOLVED, 10, 3, true);
        assert_eq!(of(None, doubted), resolved(90));
        assert_eq!(of(Some(RAISED), doubted), Some(Owed::Firing { raised: RAISED, times: 1 }));
    }

    #[test]
    fn what_happens_once_is_told_once_and_never_resolved() {
        assert_eq!(owed_once(Some(RAISED), None, true), None);
        let firing_now = Some(Owed::Firing { raised: RAISED, times: 1 });
        assert_eq!(owed_once(Some(RAISED), None, false), firing_now);
        assert_eq!(owed_once(Some(RAISED), firing(10), false), None);
        assert_eq!(owed_once(None, firing(10), false), None);
        let again = Raised { since_ms: 9 };
        let told = owed_once(Some(again), firing(10), false);
        assert_eq!(told, Some(Owed::Firing { raised: again, times: 1 }));
    }

    #[test]
    fn while_it_lasts_it_is_told_again_as_often_as_is_set() {
        let at = |now_ms| owed(Some(RAISED), firing(1_000), false, &hearing(500, 0), now_ms);
        assert_eq!(at(1_499), None);
        assert_eq!(at(1_500), Some(Owed::Firing { raised: RAISED, times: 2 }));
        // A clock that was set back repeats nothing.
        assert_eq!(at(0), None);
        assert_eq!(owed(Some(RAISED), firing(0), false, &hearing(0, 0), i64::MAX), None);
    }

    #[test]
    fn its_end_is_told_again_for_as_long_as_the_channel_wants_it() {
        let over = told(RESOLVED, 100, 0, false);
        let at = |now_ms| owed(None, over, false, &hearing(50, 200), now_ms);
        assert_eq!([at(149), at(150), at(289), at(290)], [None, resolved(90), resolved(90), None]);
    }

    #[test]
    fn a_channel_is_tried_again_ever_later_and_without_end() {
        let mut retry = Retry::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            retry = retry.after(Tried::Failed { after_ms: None, in_doubt: false }, 0);
            waits.push(retry.next_ms);
        }
        assert_eq!(waits[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(waits[8..], [256_000, 300_000, 300_000, 300_000]);
        let told =
            Retry::default().after(Tried::Failed { after_ms: Some(40_000), in_doubt: true }, 5);
        assert!(!told.is_due(40_004) && told.is_due(40_005));
        let refused = retry.after(Tried::Refused, 0);
        assert!(!refused.is_due(3_599_999) && refused.is_due(3_600_000));
        assert!(refused.after(Tried::Delivered, 0).is_due(0));
    }
}
