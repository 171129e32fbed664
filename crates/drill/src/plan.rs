//! The restore plan: written and synced before anything is broken, so that whoever comes after a
//! crash knows what to bring back and what to remove.
//!
//! Two files: `plan.json` says what will be done and is not changed any more; `progress.json` is small
//! and is replaced at each stage.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::group::Group;
use super::outage::Restore;

/// The version of both files.
const FORMAT: u32 = 1;

/// Says that a way up that may not be repeated has run to its end, and that the end was good.
pub const UP_DONE: &str = "up.done";

/// A plan holds at most so many bytes.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is going to be done, and how it is undone.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the file.
    pub format: u32,
    /// The drill's id.
    pub id: String,
    /// RFC 3339, for people.
    pub started_at: String,
    /// The root's folder, absolute.
    pub root: PathBuf,
    /// The root's id, from its marker.
    pub root_id: String,
    /// The server, `host:port`.
    pub server: String,
    /// Where the database is.
    pub database: Address,
    /// How the outage is ended.
    pub restore: Restore,
    /// The guard ends the outage this long after it was armed, whatever the drill does.
    pub deadline_ms: u64,
    /// The folder below the root into which is planted; the drill makes it, and removes it.
    pub folder: String,
    /// Everything that will be planted.
    pub planted: Vec<PlannedRecording>,
}

impl Plan {
    /// The version that this product writes.
    pub const FORMAT: u32 = FORMAT;
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection string may hold a password.
        f.debug_struct("Plan")
            .field("id", &self.id)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Where the database is. The connection string may hold a password: recovery has to log in to remove
/// what a dead server left, so it is kept, in a file that its user alone can read.
#[derive(Clone, Serialize, Deserialize)]
pub struct Address {
    /// The MongoDB connection string.
    pub uri: String,
    /// The database.
    pub name: String,
    /// The collection that holds the root's recordings.
    pub collection: String,
    /// Silence of the database for about twice as long counts as unreachable, milliseconds.
    pub probe_timeout_ms: u64,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A recording that will be planted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRecording {
    /// Stem of its files.
    pub recording_id: String,
    /// Its uuid.
    pub uuid: String,
    /// Path of the data file below the root.
    pub path: String,
    /// Path of the sidecar below the root.
    pub sidecar: String,
    /// Milliseconds since 1970.
    pub start_ms: i64,
    /// Milliseconds since 1970.
    pub end_ms: i64,
}

/// How far a drill has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The plan is on disk; nothing is broken.
    Planned,
    /// The way down was begun: whether it has taken effect is not known.
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

/// How far a drill has come, and what only became known on the way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// How far.
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

/// The drill's part of a state folder.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The part of this state folder; it is not made.
    pub fn of(state_dir: &Path) -> Folder {
        Folder { dir: state_dir.join("drill") }
    }

    /// The plan's file. A plan is never changed, so another file is another drill's.
    ///
    /// # Errors
    /// There is none.
    pub fn plan_file(&self) -> std::io::Result<u64> {
        std::fs::symlink_metadata(self.file("plan.json")).map(|meta| meta.ino())
    }

    /// The plan is still there, and still the same drill's. Where that cannot be told, it counts as there.
    pub fn has_plan_file(&self, file: u64) -> bool {
        match self.plan_file() {
            Ok(now) => now == file,
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Makes it where it is missing, for its user alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self) -> anyhow::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(self.reports()).with_context(|| {
            format!("{} cannot be made: give another folder with --state-dir", self.dir.display())
        })?;
        // A plan is worth nothing where a power loss takes its folder.
        for made in [self.dir.parent(), Some(self.dir.as_path())].into_iter().flatten() {
            sync(made)?;
        }
        Ok(())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Where the reports are kept, `ID.json` each.
    pub fn reports(&self) -> PathBuf {
        self.dir.join("reports")
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The plan of a drill that has not ended, if there is one.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn plan(&self) -> anyhow::Result<Option<Plan>> {
        let path = self.file("plan.json");
        let Some(plan) = self.read::<Plan>(&path)? else { return Ok(None) };
        anyhow::ensure!(
            plan.format == FORMAT,
            "{} was written by another version of focus: recover with that one",
            path.display()
        );
        Ok(Some(plan))
    }

    /// How far it has come.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn progress(&self) -> anyhow::Result<Progress> {
        Ok(self.read(&self.file("progress.json"))?.unwrap_or_default())
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> anyhow::Result<Option<T>> {
        let told = || format!("{} cannot be read", path.display());
        let bytes = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(told),
            Ok(meta) if meta.len() > BYTES_MAX => anyhow::bail!("{}: too large", told()),
            Ok(_) => std::fs::read(path).with_context(told)?,
        };
        serde_json::from_slice(&bytes).map(Some).with_context(told)
    }

    /// Writes the plan: it is on disk when this returns.
    ///
    /// # Errors
    /// It cannot be written; then nothing may be broken.
    pub fn write_plan(&self, plan: &Plan) -> anyhow::Result<()> {
        // A progress left over from another drill would be taken for this one's.
        self.remove("progress.json")?;
        self.remove(UP_DONE)?;
        self.replace("plan.json", &serde_json::to_vec_pretty(plan)?)
    }

    /// Writes how far the drill has come: it is on disk when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_progress(&self, progress: &Progress) -> anyhow::Result<()> {
        self.replace("progress.json", &serde_json::to_vec(progress)?)
    }

    /// The drill has ended, and nothing of it is left. The plan goes first: without it, the rest means
    /// nothing.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(&self) -> anyhow::Result<()> {
        for name in ["plan.json", "progress.json", "guard.json", "baseline", UP_DONE] {
            self.remove(name)?;
        }
        Ok(())
    }

    /// Removes a file that may be gone already, and syncs the folder.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.file(name);
        match std::fs::remove_file(&path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                Err(error).with_context(|| format!("{} cannot be removed", path.display()))
            }
        }
    }

    /// Replaces a file by these bytes, whole or not at all: synced, and its name too.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.file(name);
        let part = self.file(&format!("{name}.{}.part", std::process::id()));
        let write = || -> std::io::Result<()> {
            // Left over from a process of the same id that was killed here.
            let _ = std::fs::remove_file(&part);
            let mut file =
                std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, &path)
        };
        write().with_context(|| {
            format!("{} cannot be written: make room or mend its permissions", path.display())
        })?;
        self.sync()
    }

    fn sync(&self) -> anyhow::Result<()> {
        sync(&self.dir)
    }
}

fn sync(dir: &Path) -> anyhow::Result<()> {
    std::fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .with_context(|| format!("{} cannot be synced", dir.display()))
}

/// Where the way down notes what it does before it does it.
#[derive(Debug)]
pub struct Journal {
    folder: Folder,
    progress: std::sync::Mutex<Progress>,
}

impl Journal {
    /// A journal in this folder, that goes on from here.
    pub fn new(folder: Folder, progress: Progress) -> Journal {
        Journal { folder, progress: std::sync::Mutex::new(progress) }
    }

    /// The folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A stage has begun.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn stage(&self, stage: Stage) -> anyhow::Result<()> {
        self.note(|progress| progress.stage = stage)
    }

    /// The process group in which the way down will run.
    ///
    /// # Errors
    /// It cannot be written: then the way down must not run.
    pub fn way_down(&self, group: Group) -> anyhow::Result<()> {
        self.note(|progress| progress.way_down = Some(group))
    }

    /// The process group in which the next recording is planted.
    ///
    /// # Errors
    /// It cannot be written: then nothing may be planted.
    pub fn planter(&self, group: Group) -> anyhow::Result<()> {
        self.note(|progress| progress.planter = Some(group))
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) -> anyhow::Result<()> {
        let mut progress = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut progress);
        self.folder.write_progress(&progress)
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
