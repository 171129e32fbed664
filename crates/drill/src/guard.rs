//! The guard: a process that brings the database back when the drill has died, or when the deadline has passed
//! whatever the drill does. It has a session of its own, so that neither a signal to the drill nor a closed
//! terminal reaches it. It reads the boot-time clock, so that the sleep of a machine counts too.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::database::probe::Probe;
use crate::plan::Plan;
use crate::restore::Restoration;
use crate::state::folder::{Folder, GUARD, PlanFile};
use crate::state::lock;
use crate::state::progress::{Progress, Stage};
use focus_common::clock;

/// Time between two looks at the drill before the deadline.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Time between two looks at the database after the deadline, for as long as the drill lives: a drill that was
/// stopped may wake up and go on breaking.
const LOOK_EVERY_AFTER_DEADLINE: Duration = Duration::from_secs(1);

/// The guard is armed within this, or nothing is broken.
const ARMED_WITHIN: Duration = Duration::from_secs(10);

/// Why a guard brings the database back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The drill has died.
    DrillDied,
    /// The deadline has passed, whatever the drill does.
    DeadlinePassed,
}

/// What the guard says of itself, in `guard.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The id of the drill that it guards.
    pub drill: String,
    /// Why it has brought the database back, or tried to; none where it has not.
    pub restored: Option<Cause>,
    /// Why the database could not be brought back.
    pub error: Option<String>,
}

/// The drill's hold on its guard.
#[derive(Debug)]
pub struct Guard {
    child: Child,
}

impl Guard {
    /// Starts the guard and waits until it says that it is armed.
    ///
    /// # Errors
    /// It does not say so within 10 s: nothing may be broken.
    pub async fn arm(
        folder: &Folder,
        state_dir: &std::path::Path,
        drill: &str,
    ) -> anyhow::Result<Guard> {
        folder.remove(GUARD)?;
        let program = std::env::current_exe().context("the guard's program cannot be found")?;
        let child = Command::new(&program)
            .args(["drill", "guard", "--state-dir"])
            .arg(state_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("the guard {} cannot be run", program.display()))?;
        let mut guard = Guard { child };
        let began = Instant::now();
        while state(folder).is_none_or(|state| state.drill != drill) {
            let ended = guard.child.try_wait().ok().flatten();
            anyhow::ensure!(ended.is_none(), "the guard ended at once, with {ended:?}");
            anyhow::ensure!(
                began.elapsed() < ARMED_WITHIN,
                "the guard does not say that it is armed"
            );
            sleep(Duration::from_millis(10)).await;
        }
        Ok(guard)
    }

    /// Whether the guard still runs.
    pub fn stands(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits up to 3 s for its end: it ends by itself when the plan is gone.
    pub async fn dismiss(mut self) {
        let began = Instant::now();
        while self.stands() && began.elapsed() < Duration::from_secs(3) {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What the guard of this folder says of itself.
pub fn state(folder: &Folder) -> Option<State> {
    serde_json::from_slice(&std::fs::read(folder.file(GUARD)).ok()?).ok()
}

/// The guard's whole life. It ends when the plan is gone, or once it has brought a dead drill's database back.
///
/// # Errors
/// There is no plan to guard, or the guard cannot write its own file.
pub async fn run(folder: &Folder) -> anyhow::Result<()> {
    // A process that leads a group already was started by hand, and stays where it is.
    let _ = rustix::process::setsid();
    let plan_file = folder.plan_file().context("there is no plan to guard")?;
    let plan = Plan::read(folder)?.context("there is no plan to guard")?;
    let probe = Probe::new(&plan.database).await?;
    let until_ms = clock::boot_ms().saturating_add(plan.deadline_ms);
    let mut state = State { drill: plan.id.clone(), ..State::default() };
    write(folder, &state)?;
    let restoration = Restoration::while_planned(folder, &probe, &plan, plan_file);
    loop {
        if !folder.has_plan(plan_file) {
            return Ok(());
        }
        if lock::is_free(folder) {
            return drill_died(folder, plan_file, &restoration, state).await;
        }
        if clock::boot_ms() < until_ms {
            sleep(LOOK_EVERY).await;
            continue;
        }
        if is_broken(folder) && (state.restored.is_none() || !probe.takes_writes().await) {
            state.restored = Some(Cause::DeadlinePassed);
            // On record before it is done, so that a drill that wakes up knows.
            write(folder, &state)?;
            state.error = restoration.bring_up().await.err().map(|error| format!("{error:#}"));
            write(folder, &state)?;
        }
        sleep(LOOK_EVERY_AFTER_DEADLINE).await;
    }
}

/// Whether the database may be away by the drill's doing.
fn is_broken(folder: &Folder) -> bool {
    Progress::read(folder).is_ok_and(|progress| {
        matches!(progress.stage, Stage::DownBegun | Stage::Down | Stage::UpBegun)
    })
}

/// Brings the database back after the drill has died. The rest is left to `focus drill recover`.
async fn drill_died(
    folder: &Folder,
    plan_file: PlanFile,
    restoration: &Restoration<'_>,
    mut state: State,
) -> anyhow::Result<()> {
    let progress = Progress::read(folder)?;
    if let Some(group) = &progress.way_down {
        group.end();
    }
    state.restored = Some(Cause::DrillDied);
    write(folder, &state)?;
    state.error = restoration.after_crash(&progress).await.err().map(|error| format!("{error:#}"));
    // A recovery that has ended meanwhile has removed the plan: then the guard's file must go too.
    if folder.has_plan(plan_file) { write(folder, &state) } else { folder.remove(GUARD) }
}

fn write(folder: &Folder, state: &State) -> anyhow::Result<()> {
    folder.replace(GUARD, &serde_json::to_vec(state)?)
}
