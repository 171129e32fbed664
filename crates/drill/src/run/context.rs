//! What the ten steps share: the deployment, the plan, the watcher, and how a step is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::breakpoint::{self, Breakpoint};
use crate::database::heartbeat_lock::HeartbeatLock;
use crate::early_end::EarlyEnd;
use crate::plan::Plan;
use crate::preflight::Deployment;
use crate::report::{Report, Step, StepReport};
use crate::state::folder::Folder;
use crate::state::journal::Journal;
use crate::state::progress::Progress;
use crate::watcher::Watcher;

/// Tells people what happens, a line at a time.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// What a step that came out as it has to leaves behind.
#[derive(Debug)]
pub(super) struct Seen<T> {
    /// What later steps need.
    pub(super) value: T,
    /// What was seen, in words.
    pub(super) detail: String,
}

impl<T> Seen<T> {
    pub(super) fn new(value: T, detail: impl Into<String>) -> Seen<T> {
        Seen { value, detail: detail.into() }
    }
}

/// How a step came out.
pub(super) type StepResult<T> = Result<Seen<T>, EarlyEnd>;

/// A drill under way.
pub(super) struct Drill<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) folder: &'a Folder,
    pub(super) lock: &'a HeartbeatLock,
    pub(super) plan: &'a Plan,
    pub(super) watcher: Arc<Watcher>,
    pub(super) journal: Journal,
    /// When each recording landed, by its uuid. Milliseconds since the drill began.
    pub(super) landings: Mutex<HashMap<String, u64>>,
    say: Say<'a>,
}

impl<'a> Drill<'a> {
    /// A drill of which nothing is broken yet; the watcher begins to look.
    pub(super) fn new(
        deployment: &'a Deployment,
        folder: &'a Folder,
        lock: &'a HeartbeatLock,
        plan: &'a Plan,
        say: Say<'a>,
    ) -> Drill<'a> {
        let (probe, server) = (deployment.probe.clone(), deployment.server.clone());
        Drill {
            deployment,
            folder,
            lock,
            plan,
            watcher: Arc::new(Watcher::start(probe, server, plan.window_ms())),
            journal: Journal::new(folder.clone(), &plan.id, Progress::default()),
            landings: Mutex::default(),
            say,
        }
    }

    /// Tells a step and notes it in the report.
    ///
    /// # Errors
    /// The step's own.
    pub(super) fn note<T>(
        &self,
        report: &mut Report,
        step: Step,
        began: Instant,
        ended: StepResult<T>,
    ) -> Result<T, EarlyEnd> {
        let (ok, detail) = match &ended {
            Ok(seen) => (true, seen.detail.clone()),
            Err(end) => (false, end.words.clone()),
        };
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let at_s = seconds(self.watcher.elapsed_ms());
        let mark = if ok { "" } else { "NOT OK: " };
        (self.say)(&format!(
            "{:>2}  {:<13} {at_s:>6} s  {mark}{detail}",
            step.number(),
            step.name()
        ));
        report.steps.push(StepReport { name: step, ok, elapsed_ms, detail });
        ended.map(|seen| seen.value)
    }

    /// Stops here where a test wants it.
    pub(super) async fn reach(&self, place: Breakpoint) {
        breakpoint::reach(place, self.folder).await;
    }
}

/// Milliseconds as seconds with one decimal: `3.2`.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}
