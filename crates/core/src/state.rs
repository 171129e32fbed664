//! The named states of recordings that cannot be catalogued, each with a reason.

use std::fmt;

/// Why a recording is unrecognised. Spelled the same in code, CLI, API and catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// A data file whose sidecar is not there.
    DataWithoutSidecar,
    /// A sidecar whose data file is not there.
    SidecarWithoutData,
    /// The sidecar is not JSON that can be used; the reason has line and column.
    SidecarInvalid,
    /// Another recording has the same `uuid` and keeps it.
    DuplicateId,
    /// No start, a time outside 1970-2200, or an end before the start.
    TimeInvalid,
    /// A file could not be read.
    Unreadable,
    /// The name cannot be a recording id.
    NameInvalid,
    /// The catalog's database refused this document.
    CatalogRefused,
}

impl State {
    /// All states, in the order they are documented.
    pub const ALL: [State; 8] = [
        State::DataWithoutSidecar,
        State::SidecarWithoutData,
        State::SidecarInvalid,
        State::DuplicateId,
        State::TimeInvalid,
        State::Unreadable,
        State::NameInvalid,
        State::CatalogRefused,
    ];

    /// The fixed spelling.
    pub fn name(self) -> &'static str {
        match self {
            State::DataWithoutSidecar => "data_without_sidecar",
            State::SidecarWithoutData => "sidecar_without_data",
            State::SidecarInvalid => "sidecar_invalid",
            State::DuplicateId => "duplicate_id",
            State::TimeInvalid => "time_invalid",
            State::Unreadable => "unreadable",
            State::NameInvalid => "name_invalid",
            State::CatalogRefused => "catalog_refused",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<State> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A state with the sentence a person can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The named state.
    pub state: State,
    /// What is wrong, where (line, column, field), and what to do.
    pub reason: String,
}

impl Fault {
    /// A fault with its reason.
    pub fn new(state: State, reason: impl Into<String>) -> Fault {
        Fault { state, reason: reason.into() }
    }
}
