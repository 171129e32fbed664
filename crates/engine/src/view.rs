//! What the status shows of a reconciler.

use focus_core::answer::Failure;
use focus_core::reconcile::{Phase, Reconciler, Violation};

/// A reconciler, as it was when its driver looked last.
#[derive(Clone, Debug)]
pub(crate) struct ReconcilerView {
    pub(crate) phase: Phase,
    pub(crate) failure: Option<Failure>,
    /// Why the reconciler has stopped itself, and what to do.
    pub(crate) stopped: Option<String>,
    /// Which database the catalog is, once it was met.
    pub(crate) identity: Option<String>,
    /// Recordings acknowledged since the start.
    pub(crate) acknowledged: u64,
    /// How many recordings the comparison under way has compared.
    pub(crate) comparing: Option<u64>,
    /// A comparison is owed.
    pub(crate) owed: bool,
    /// What the last finished comparison found in the catalog and not in the index.
    pub(crate) missing: Option<u64>,
    /// The number of the last comparison asked for that has finished.
    pub(crate) compared_for: u64,
}

impl Default for ReconcilerView {
    fn default() -> ReconcilerView {
        ReconcilerView {
            phase: Phase::Unknown,
            failure: None,
            stopped: None,
            identity: None,
            acknowledged: 0,
            comparing: None,
            owed: false,
            missing: None,
            compared_for: 0,
        }
    }
}

impl ReconcilerView {
    /// The reconciler of the root at this path.
    pub(crate) fn of(core: &Reconciler, path: &str) -> ReconcilerView {
        ReconcilerView {
            phase: core.phase(),
            failure: core.failure().cloned(),
            stopped: core.violation().map(|violation| stopped(path, violation)),
            identity: core.identity().map(str::to_owned),
            acknowledged: core.acknowledged(),
            comparing: core.comparing(),
            owed: core.owed(),
            missing: core.missing(),
            compared_for: 0,
        }
    }

    /// What stands in the way of writing, and what to do.
    pub(crate) fn reason(&self) -> Option<String> {
        self.stopped.clone().or_else(|| self.failure.as_ref().map(ToString::to_string))
    }
}

fn stopped(path: &str, violation: &Violation) -> String {
    format!(
        "{path}: nothing more is written to the catalog, because this server was about to break a rule of its own ({violation}). Nothing is lost. Restart the server: it then compares everything with storage. Please report this, with the server's log"
    )
}
