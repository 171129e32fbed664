//! `focus drill run`: the locks, the checks, the plan, and then the ten steps.

mod announcement;
mod context;
mod interrupt;
mod sequence;
mod steps;

use std::fs::File;

use focus_common::clock;
use focus_common::config::Settings;

use self::context::Drill;
pub use self::context::Say;
use self::interrupt::Interrupt;
use crate::database::heartbeat_lock::{self, HeartbeatLock};
use crate::early_end::EarlyEnd;
use crate::plan::Plan;
use crate::preflight::{self, Deployment};
use crate::report::{FORMAT, Report};
use crate::scenario::flags::Flags;
use crate::state::folder::Folder;
use crate::state::lock;
use crate::state::progress::{Progress, Stage};
use crate::{planting, recover};

/// The outcome of a run.
#[derive(Debug)]
pub enum Outcome {
    /// `--dry-run`: nothing was done. The report tells what would be taken away.
    DryRun(Box<Report>),
    /// The drill's report.
    Report(Box<Report>),
}

/// Whether the steps were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    /// All of them.
    ThroughAllSteps,
    /// None: a dry run ends before them.
    Dry,
}

/// Runs a drill to its end. Whatever happens is in the report.
pub async fn run(settings: &Settings, flags: &Flags, say: Say<'_>) -> Outcome {
    let mut report = Report {
        format: FORMAT,
        id: id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: clock::rfc3339(clock::wall_ms()),
        ..Report::default()
    };
    let ended = drill(settings, flags, say, &mut report).await;
    report.ended_at = clock::rfc3339(clock::wall_ms());
    match ended {
        Ok(Went::Dry) => return Outcome::DryRun(Box::new(report)),
        Ok(Went::ThroughAllSteps) => {}
        Err(end) => {
            report.verdict = end.verdict;
            report.reason = Some(end.words);
        }
    }
    Outcome::Report(Box::new(report))
}

/// An id that sorts by time and that no other drill has.
fn id() -> String {
    let digits: String =
        clock::rfc3339(clock::wall_ms()).chars().filter(char::is_ascii_digit).take(14).collect();
    let random = uuid::Uuid::new_v4().simple().to_string();
    let (day, time) = digits.split_at(digits.len().min(8));
    format!("{day}-{time}-{}", &random[..6])
}

/// Takes the folder's lock, puts an earlier drill right, checks everything, and goes on to the steps.
async fn drill(
    settings: &Settings,
    flags: &Flags,
    say: Say<'_>,
    report: &mut Report,
) -> Result<Went, EarlyEnd> {
    let options = preflight::options(settings, flags)?;
    let folder = Folder::of(&settings.state_dir);
    // A dry run leaves no trace: it makes no folder either.
    let _lock = match options.dry_run {
        true => None,
        false => Some(locked(settings, &folder, say).await?),
    };
    let deployment = preflight::look(settings, flags, options, report).await?;
    announcement::announce(&deployment, report, say);
    preflight::allowed(&deployment).await?;
    if deployment.options.dry_run {
        return Ok(Went::Dry);
    }
    let plan = plan(&deployment, report)?;
    with_plan(&deployment, &folder, &plan, report, say).await?;
    Ok(Went::ThroughAllSteps)
}

/// Takes the folder's lock, and puts an earlier drill right.
async fn locked(settings: &Settings, folder: &Folder, say: Say<'_>) -> Result<File, EarlyEnd> {
    folder.make()?;
    let Some(lock) = lock::take(folder).await? else {
        return Err(EarlyEnd::refused(format!(
            "another drill is under way on the state folder {}",
            settings.state_dir.display()
        )));
    };
    recover::under_lock(folder, say).await.map_err(|error| {
        EarlyEnd::inconclusive(format!("an earlier drill could not be put right: {error:#}"))
    })?;
    Ok(lock)
}

/// Everything that will be done, and how it is undone.
fn plan(deployment: &Deployment, report: &Report) -> Result<Plan, EarlyEnd> {
    let Deployment { options, form, root_id, .. } = deployment;
    let planted_as = planting::Form { form, root_id, by_command: options.plant.is_some() };
    let planted = planting::plan(&report.id, options.count, &planted_as, clock::wall_ms());
    let (folder, planted) = planted.map_err(EarlyEnd::refused)?;
    Ok(Plan {
        format: Plan::FORMAT,
        id: report.id.clone(),
        started_at: report.started_at.clone(),
        root: deployment.root.clone(),
        root_id: deployment.root_id.clone(),
        server: deployment.server.address().to_owned(),
        database: deployment.address.clone(),
        restore: deployment.prepared.way_up.clone(),
        deadline_ms: options.deadline_ms(),
        folder,
        planted,
    })
}

/// Writes the plan, takes the lock on the database, and goes through the steps.
async fn with_plan(
    deployment: &Deployment,
    folder: &Folder,
    plan: &Plan,
    report: &mut Report,
    say: Say<'_>,
) -> Result<(), EarlyEnd> {
    // Before the lock on the database: a recovery finds here whose lock it is.
    plan.write(folder)?;
    let taken = HeartbeatLock::take(&deployment.database, &plan.id, say).await;
    let lock = match taken.map_err(EarlyEnd::from).and_then(|taken| taken.map_err(another)) {
        Ok(lock) => lock,
        Err(end) => {
            folder.forget()?;
            return Err(end);
        }
    };
    let ended = steps(deployment, folder, &lock, plan, report, say).await;
    let nothing_broken =
        Progress::read(folder).is_ok_and(|progress| progress.stage == Stage::Planned);
    // The plan goes last: while the lock may be there, so is the plan, and a recovery removes both.
    if nothing_broken && heartbeat_lock::release(&deployment.database, &plan.id).await.is_ok() {
        folder.forget()?;
    }
    ended
}

/// Goes through the steps; what the watcher saw is in the report, however they end.
async fn steps(
    deployment: &Deployment,
    folder: &Folder,
    lock: &HeartbeatLock,
    plan: &Plan,
    report: &mut Report,
    say: Say<'_>,
) -> Result<(), EarlyEnd> {
    let mut interrupt = Interrupt::listen()?;
    let drill = Drill::new(deployment, folder, lock, plan, say);
    let ended = sequence::all_steps(&drill, report, &mut interrupt).await;
    report.timeline = drill.watcher.timeline();
    report.queries = drill.watcher.queries();
    ended
}

fn another(drill: String) -> EarlyEnd {
    EarlyEnd::refused(format!(
        "another drill is under way on this database: {drill}. Wait for its end; if it died, run `focus drill recover` on its state folder"
    ))
}
