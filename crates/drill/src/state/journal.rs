//! The journal of a drill: it notes each thing before it is done, so that a recovery knows of it.

use parking_lot::Mutex;

use super::folder::Folder;
use super::progress::{Progress, Stage};
use crate::process::group::Group;

/// Notes how far a drill has come, and which process groups it starts.
#[derive(Debug)]
pub struct Journal {
    folder: Folder,
    drill: String,
    progress: Mutex<Progress>,
}

impl Journal {
    /// The journal of the drill with this id, in this folder. It goes on from `progress`.
    pub fn new(folder: Folder, drill: &str, progress: Progress) -> Journal {
        Journal { folder, drill: drill.to_owned(), progress: Mutex::new(progress) }
    }

    /// The drill's folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The drill's id.
    pub fn drill(&self) -> &str {
        &self.drill
    }

    /// How far the drill has come.
    pub fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// Notes that a stage has begun.
    ///
    /// # Errors
    /// The progress cannot be written.
    pub fn stage(&self, stage: Stage) -> anyhow::Result<()> {
        self.note(|progress| progress.stage = stage)
    }

    /// Notes the process group in which the way down will run.
    ///
    /// # Errors
    /// The progress cannot be written: the way down must not run.
    pub fn way_down(&self, group: Group) -> anyhow::Result<()> {
        self.note(|progress| progress.way_down = Some(group))
    }

    /// Notes the process group in which the next recording is planted.
    ///
    /// # Errors
    /// The progress cannot be written: nothing may be planted.
    pub fn planter(&self, group: Group) -> anyhow::Result<()> {
        self.note(|progress| progress.planter = Some(group))
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) -> anyhow::Result<()> {
        let mut progress = self.progress.lock();
        change(&mut progress);
        progress.write(&self.folder)
    }
}
