//! How far a drill has come: a small file that is replaced at each stage, beside the plan that never changes.

use serde::{Deserialize, Serialize};

use super::folder::{Folder, PROGRESS};
use crate::process::group::Group;

/// How far a drill has come. The order of the variants is the order in which a drill goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The plan is on disk; nothing is broken.
    Planned,
    /// The way down was begun. Whether it took effect is not known.
    DownBegun,
    /// The database was seen to be away.
    Down,
    /// The way up was begun.
    UpBegun,
    /// The database was seen to be back.
    Up,
    /// What was planted is being removed.
    Cleaning,
}

/// How far a drill has come, and the process groups that became known on the way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// How far the drill has come.
    pub stage: Stage,
    /// The process group of the way down, noted before it runs.
    pub way_down: Option<Group>,
    /// The process group of the command that plants now, noted before it runs.
    pub planter: Option<Group>,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress { stage: Stage::Planned, way_down: None, planter: None }
    }
}

impl Progress {
    /// Reads the progress; `Planned` where none was written.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn read(folder: &Folder) -> anyhow::Result<Progress> {
        Ok(folder.read(PROGRESS)?.unwrap_or_default())
    }

    /// Writes the progress: it is on disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Folder) -> anyhow::Result<()> {
        folder.replace(PROGRESS, &serde_json::to_vec(self)?)
    }
}
