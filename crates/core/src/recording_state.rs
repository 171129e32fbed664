//! The state of a recording: exactly one, told from what the index knows of it.

use std::fmt;

/// How a recording stands. The first one that is true of it is its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordingState {
    /// It is deleted: its sidecar says so, or its files are gone for good.
    Deleted,
    /// Its files are gone, and its deletion waits for approval.
    Held,
    /// Its files are gone.
    Vanished,
    /// The catalog refused it.
    Refused,
    /// The catalog does not have it yet.
    Pending,
    /// It has no end yet.
    Live,
    /// The catalog has it.
    Catalogued,
}

/// What the state of a recording is told from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Deleted.
    pub is_deleted: bool,
    /// Held.
    pub is_held: bool,
    /// Its files are gone.
    pub has_vanished: bool,
    /// Refused by the catalog.
    pub is_refused: bool,
    /// Not acknowledged by the catalog.
    pub is_pending: bool,
    /// Without an end.
    pub is_live: bool,
}

impl RecordingState {
    /// Every state, the first that is true first.
    pub const ALL: [RecordingState; 7] = [
        RecordingState::Deleted,
        RecordingState::Held,
        RecordingState::Vanished,
        RecordingState::Refused,
        RecordingState::Pending,
        RecordingState::Live,
        RecordingState::Catalogued,
    ];

    /// The fixed spelling.
    pub fn name(self) -> &'static str {
        match self {
            RecordingState::Deleted => "deleted",
            RecordingState::Held => "held",
            RecordingState::Vanished => "vanished",
            RecordingState::Refused => "refused",
            RecordingState::Pending => "pending",
            RecordingState::Live => "live",
            RecordingState::Catalogued => "catalogued",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<RecordingState> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state of a recording that stands so.
    pub fn of(standing: Standing) -> RecordingState {
        let true_of = [
            (standing.is_deleted, RecordingState::Deleted),
            (standing.is_held, RecordingState::Held),
            (standing.has_vanished, RecordingState::Vanished),
            (standing.is_refused, RecordingState::Refused),
            (standing.is_pending, RecordingState::Pending),
            (standing.is_live, RecordingState::Live),
        ];
        let first = true_of.into_iter().find(|(is_true, _)| *is_true);
        first.map_or(RecordingState::Catalogued, |(_, state)| state)
    }
}

impl fmt::Display for RecordingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateSet(u8);

impl StateSet {
    /// Every state.
    pub const ALL: StateSet = StateSet(0x7f);

    /// Every state but `deleted`: what a question is about that names none.
    pub const LEFT: StateSet = StateSet(0x7e);

    /// Whether it has this one.
    pub fn has(self, state: RecordingState) -> bool {
        self.0 & bit(state) != 0
    }

    /// Whether it has all but `deleted`, and maybe that too: no row has to be looked at for it.
    pub fn is_all_that_are_left(self) -> bool {
        self.0 | bit(RecordingState::Deleted) == StateSet::ALL.0
    }
}

impl Default for StateSet {
    fn default() -> StateSet {
        StateSet::ALL
    }
}

impl FromIterator<RecordingState> for StateSet {
    fn from_iter<T: IntoIterator<Item = RecordingState>>(states: T) -> StateSet {
        StateSet(states.into_iter().fold(0, |set, state| set | bit(state)))
    }
}

fn bit(state: RecordingState) -> u8 {
    1 << (state as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_the_first_state_that_is_true_of_it() {
        let all = Standing {
            is_deleted: true,
            is_held: true,
            has_vanished: true,
            is_refused: true,
            is_pending: true,
            is_live: true,
        };
        let mut standing = all;
        for (n, state) in RecordingState::ALL.into_iter().enumerate() {
            assert_eq!(RecordingState::of(standing), state);
            match n {
                0 => standing.is_deleted = false,
                1 => standing.is_held = false,
                2 => standing.has_vanished = false,
                3 => standing.is_refused = false,
                4 => standing.is_pending = false,
                _ => standing.is_live = false,
            }
            assert_eq!(RecordingState::from_name(state.name()), Some(state));
        }
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set: StateSet = [RecordingState::Held, RecordingState::Live].into_iter().collect();
        for state in RecordingState::ALL {
            let wanted = matches!(state, RecordingState::Held | RecordingState::Live);
            assert_eq!(set.has(state), wanted, "{state}");
            assert!(StateSet::ALL.has(state));
            assert_eq!(StateSet::LEFT.has(state), state != RecordingState::Deleted);
        }
        assert!(StateSet::LEFT.is_all_that_are_left() && !set.is_all_that_are_left());
    }
}
