//! `focus drill recover`: brings the database back after a drill that died, and removes what the drill planted.
//! It may itself be killed, and run again.

use std::path::Path;

use anyhow::Context;

use crate::cleanup;
use crate::database::client::Database;
use crate::database::probe::Probe;
use crate::plan::Plan;
use crate::restore::Restoration;
use crate::server::Server;
use crate::state::folder::Folder;
use crate::state::journal::Journal;
use crate::state::lock;
use crate::state::progress::{Progress, Stage};

/// The outcome of a recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// No drill had left anything.
    Nothing,
    /// A drill had died, and nothing of it is left.
    Drill {
        /// Its id.
        id: String,
        /// Documents that the server had left, and that were removed.
        removed: u64,
        /// Documents of planted recordings that stay, because they do not name the drill.
        left: u64,
    },
}

/// Ends what a drill left in this state folder. `say` tells people what happens.
///
/// # Errors
/// A drill is under way here, the database does not come back, or something cannot be removed. It may be run
/// again.
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
    under_lock(&folder, say).await
}

/// As [`recover`], for who holds the folder's lock.
///
/// # Errors
/// The database does not come back, or something cannot be removed. It may be run again.
pub async fn under_lock(folder: &Folder, say: &(dyn Fn(&str) + Sync)) -> anyhow::Result<Recovered> {
    let Some(plan) = Plan::read(folder)? else {
        folder.forget()?;
        return Ok(Recovered::Nothing);
    };
    let progress = Progress::read(folder)?;
    say(&format!("drill {} did not end: what it left is put right", plan.id));
    for group in [&progress.way_down, &progress.planter].into_iter().flatten() {
        group.end();
    }
    let probe = Probe::new(&plan.database).await?;
    Restoration::under_lock(folder, &probe, &plan).after_crash(&progress).await?;
    let broken = progress.stage > Stage::Planned && progress.stage < Stage::Up;
    let journal = Journal::new(folder.clone(), &plan.id, progress);
    if broken {
        journal.stage(Stage::Up)?;
        say("the database takes writes");
    }
    let database = Database::open(&plan.database).await?;
    journal.stage(Stage::Cleaning)?;
    let server = Server::at(&plan.server);
    let cleaned = cleanup::remove_everything(&plan, &database, &server);
    let cleaned = cleaned.await.context("cleaning up")?;
    folder.forget()?;
    Ok(Recovered::Drill { id: plan.id, removed: cleaned.removed, left: cleaned.left })
}
