//! The files of a drill in its state folder. Each is replaced whole and synced, so that a reader after a crash
//! finds either the old content or the new.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;

/// The plan of the drill that is under way, or that died.
pub(crate) const PLAN: &str = "plan.json";

/// How far that drill has come.
pub(crate) const PROGRESS: &str = "progress.json";

/// What its guard says of itself.
pub(crate) const GUARD: &str = "guard.json";

/// What the catalog held before the drill.
pub(crate) const BASELINE: &str = "baseline";

/// Says that a way up that must not be repeated has ended, and that it ended well.
pub(crate) const UP_DONE: &str = "up.done";

/// Bytes of a plan or of a progress at most.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Tells the file of one drill's plan from that of the next. A plan is never changed; its inode alone would not
/// do, because a file system may give the inode of a removed file to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanFile {
    inode: u64,
    /// Seconds since 1970, and nanoseconds.
    written_at: (i64, i64),
}

/// The drill's part of a state folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The drill's part of this state folder. Nothing is created.
    pub fn of(state_dir: &Path) -> Folder {
        Folder { path: state_dir.join("drill") }
    }

    /// Creates the folder where it is missing, readable by its user alone, and syncs its entry.
    ///
    /// # Errors
    /// The folder cannot be created or synced.
    pub fn make(&self) -> anyhow::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(self.reports()).with_context(|| {
            format!("{} cannot be made: give another folder with --state-dir", self.path.display())
        })?;
        // A plan is worth nothing where a power loss takes its folder.
        for made in [self.path.parent(), Some(self.path.as_path())].into_iter().flatten() {
            sync(made)?;
        }
        Ok(())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the reports, one `ID.json` each.
    pub fn reports(&self) -> PathBuf {
        self.path.join("reports")
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Which file the plan is.
    ///
    /// # Errors
    /// There is no plan.
    pub fn plan_file(&self) -> std::io::Result<PlanFile> {
        let meta = std::fs::symlink_metadata(self.file(PLAN))?;
        Ok(PlanFile { inode: meta.ino(), written_at: (meta.mtime(), meta.mtime_nsec()) })
    }

    /// Whether this plan is still there. A plan that cannot be looked at counts as there.
    pub fn has_plan(&self, plan: PlanFile) -> bool {
        match self.plan_file() {
            Ok(now) => now == plan,
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Reads a file as JSON; none where there is no such file.
    ///
    /// # Errors
    /// The file cannot be read, is larger than 256 MiB, or is not what is expected.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let path = self.file(name);
        let told = || format!("{} cannot be read", path.display());
        let bytes = match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(told),
            Ok(meta) if meta.len() > BYTES_MAX => anyhow::bail!("{}: too large", told()),
            Ok(_) => std::fs::read(&path).with_context(told)?,
        };
        serde_json::from_slice(&bytes).map(Some).with_context(told)
    }

    /// Replaces a file, whole or not at all. Its content and its name are on disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written.
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
        sync(&self.path)
    }

    /// Removes a file that may be gone already, and syncs the folder.
    ///
    /// # Errors
    /// The file is there and cannot be removed.
    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.file(name);
        match std::fs::remove_file(&path) {
            Ok(()) => sync(&self.path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                Err(error).with_context(|| format!("{} cannot be removed", path.display()))
            }
        }
    }

    /// Removes everything that says that a drill is under way; the reports stay. The plan goes first: without
    /// it, the other files mean nothing.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn forget(&self) -> anyhow::Result<()> {
        for name in [PLAN, PROGRESS, GUARD, BASELINE, UP_DONE] {
            self.remove(name)?;
        }
        Ok(())
    }
}

fn sync(folder: &Path) -> anyhow::Result<()> {
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("{} cannot be synced", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_plan_of_the_next_drill_is_another_one_also_where_it_has_the_same_inode() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::of(dir.path());
        folder.make().expect("made");
        folder.replace(PLAN, b"{}").expect("written");
        let first = folder.plan_file().expect("a plan");
        assert!(folder.has_plan(first));
        // The same file, as another drill would have written it later.
        let file = std::fs::File::options().write(true).open(folder.file(PLAN)).expect("opened");
        file.set_modified(SystemTime::now() + Duration::from_secs(9)).expect("set");
        assert_eq!(folder.plan_file().expect("a plan").inode, first.inode);
        assert!(!folder.has_plan(first));
        folder.forget().expect("removed");
        assert!(!folder.has_plan(first) && folder.plan_file().is_err());
    }
}
