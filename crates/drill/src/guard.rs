//! The guard: a process of its own that brings the database back when the drill has died, or when the
//! deadline has passed whatever the drill does. It lives in a session of its own, so that neither a
//! signal to the drill nor a closed terminal reaches it, and counts in boot time, so that a machine's
//! sleep counts too.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::database::Probe;
use super::lock;
use super::plan::{Folder, Stage};
use super::restore::Back;
use focus_common::clock;

const LOOK: Duration = Duration::from_millis(100);

/// After the deadline the database is looked at so often, for as long as the drill lives: one that was
/// stopped may wake up and go on breaking.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// The guard is armed within this, or nothing is broken.
const ARMED_WITHIN: Duration = Duration::from_secs(10);

/// What the guard says of itself, in `guard.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The drill that it guards.
    pub drill: String,
    /// It has brought the database back, or tried to.
    pub restored: bool,
    /// Why it did.
    pub reason: Option<String>,
    /// Why it could not.
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
    /// It does not: then nothing may be broken.
    pub async fn arm(
        folder: &Folder,
        state_dir: &std::path::Path,
        drill: &str,
    ) -> anyhow::Result<Guard> {
        folder.remove("guard.json")?;
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

    /// It still stands.
    pub fn stands(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, for a moment: it ends by itself when the plan is gone.
    pub async fn dismiss(mut self) {
        let began = Instant::now();
        while self.stands() && began.elapsed() < Duration::from_secs(3) {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What the guard of this folder says of itself.
pub fn state(folder: &Folder) -> Option<State> {
    serde_json::from_slice(&std::fs::read(folder.file("guard.json")).ok()?).ok()
}

/// The guard's whole life.
///
/// # Errors
/// There is no plan to guard, or it cannot say that it is armed.
pub async fn run(folder: &Folder) -> anyhow::Result<()> {
    // One that leads a group already has been started by hand, and stays where it is.
    let _ = rustix::process::setsid();
    let file = folder.plan_file().context("there is no plan to guard")?;
    let plan = folder.plan()?.context("there is no plan to guard")?;
    let probe = Probe::new(&plan.database).await?;
    let until_ms = clock::boot_ms().saturating_add(plan.deadline_ms);
    let mut state = State { drill: plan.id.clone(), ..State::default() };
    say(folder, &state)?;
    let back = Back { folder, probe: &probe, restore: &plan.restore, plan_file: Some(file) };
    loop {
        if !folder.has_plan_file(file) {
            return Ok(());
        }
        if lock::is_free(folder) {
            return died(folder, file, &back, state).await;
        }
        if clock::boot_ms() < until_ms {
            sleep(LOOK).await;
            continue;
        }
        let broken = folder.progress().is_ok_and(|progress| {
            matches!(progress.stage, Stage::DownBegun | Stage::Down | Stage::UpBegun)
        });
        if broken && (!state.restored || !probe.takes_writes().await) {
            state.restored = true;
            state.reason = Some("the deadline has passed".to_owned());
            // On record before it is done, so that a drill that wakes up knows.
            say(folder, &state)?;
            state.error = back.take().await.err().map(|error| format!("{error:#}"));
            say(folder, &state)?;
        }
        sleep(LOOK_AFTER).await;
    }
}

/// The drill has died: the database is brought back, and the rest left to `focus drill recover`.
async fn died(folder: &Folder, file: u64, back: &Back<'_>, mut state: State) -> anyhow::Result<()> {
    let progress = folder.progress()?;
    if let Some(group) = &progress.way_down {
        group.end();
    }
    state.restored = true;
    state.reason = Some("the drill has died".to_owned());
    say(folder, &state)?;
    state.error = back.ensure(&progress).await.err().map(|error| format!("{error:#}"));
    // A recovery that has ended meanwhile has removed the plan: then nothing may be left of us either.
    if folder.has_plan_file(file) { say(folder, &state) } else { folder.remove("guard.json") }
}

fn say(folder: &Folder, state: &State) -> anyhow::Result<()> {
    folder.replace("guard.json", &serde_json::to_vec(state)?)
}
