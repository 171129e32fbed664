//! `focus drill recover`: what a drill that died has left is put right. It may itself be killed, and run
//! again.

use std::path::Path;

use anyhow::Context;

use super::clean::{self, Cleaned};
use super::database::{Database, Probe};
use super::lock;
use super::plan::{Folder, Journal, Plan, Stage};
use super::restore::Back;
use super::server::Server;

/// What a recovery came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// No drill had left anything.
    Nothing,
    /// The drill of this id was put right.
    Drill {
        /// Its id.
        id: String,
        /// Documents that its server had left, and that were removed.
        removed: u64,
        /// Documents of planted recordings that do not name the drill: they are not the drill's to remove.
        left: u64,
    },
}

/// Puts right what is left in this state folder.
///
/// # Errors
/// A drill is under way here, or something could not be done; it may be run again.
pub async fn recover(state_dir: &Path, say: &(dyn Fn(&str) + Sync)) -> anyhow::Result<Recovered> {
    let folder = Folder::of(state_dir);
    if !folder.path().is_dir() {
        return Ok(Recovered::Nothing);
    }
    let lock = lock::take(&folder).await?;
    anyhow::ensure!(
        lock.is_some(),
        "a drill is under way on the state folder {}: stop it, and it puts things right itself",
        state_dir.display()
    );
    locked(&folder, say).await
}

/// As `recover`, where the folder's lock is held already.
///
/// # Errors
/// Something could not be done; it may be run again.
pub async fn locked(folder: &Folder, say: &(dyn Fn(&str) + Sync)) -> anyhow::Result<Recovered> {
    let Some(plan) = folder.plan()? else {
        folder.forget()?;
        return Ok(Recovered::Nothing);
    };
    let progress = folder.progress()?;
    say(&format!("drill {} did not end: what it left is put right", plan.id));
    for group in [&progress.way_down, &progress.planter].into_iter().flatten() {
        group.end();
    }
    let probe = Probe::new(&plan.database).await?;
    let journal = Journal::new(folder.clone(), progress.clone());
    let back = Back { folder, probe: &probe, restore: &plan.restore, plan_file: None };
    back.ensure(&progress).await?;
    if progress.stage > Stage::Planned && progress.stage < Stage::Up {
        journal.stage(Stage::Up)?;
        say("the database takes writes");
    }
    let cleaned = put_right(&plan, &journal).await?;
    folder.forget()?;
    Ok(Recovered::Drill { id: plan.id, removed: cleaned.removed, left: cleaned.left })
}

async fn put_right(plan: &Plan, journal: &Journal) -> anyhow::Result<Cleaned> {
    let database = Database::open(&plan.database).await?;
    let server = Server::at(&plan.server);
    journal.stage(Stage::Cleaning)?;
    clean::up(plan, &database, &server).await.context("cleaning up")
}
