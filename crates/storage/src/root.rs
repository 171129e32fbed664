//! A root that is there, opened once and compared with itself later.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use focus_core::exclude::Exclude;
use focus_core::mount::Mount;
use focus_core::one_root::{FolderId, SeenRoot};
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::mounts::{self, Mounts};
use crate::problem::RootProblem;
use crate::{beneath, marker};

/// A root that was there when it was opened.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    /// The id in its marker; empty for a folder that has none.
    id: String,
    device: u64,
    inode: u64,
    folder: OwnedFd,
    ignores_case: bool,
    exclude: Exclude,
    /// The path without symbolic links.
    resolved: PathBuf,
    mounts: Mounts,
}

/// Whether a folder is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderThere {
    /// It is.
    Yes,
    /// It is not, and may come.
    No,
    /// Something else is in its place.
    Never,
}

impl Root {
    /// Opens a root and reads its marker.
    ///
    /// # Errors
    /// The root is not there, or has no marker that can be read.
    pub fn open(path: &Path) -> Result<Root, RootProblem> {
        Root::open_as(path, marker::read(path)?)
    }

    /// Opens a folder that has no marker. Its id is empty.
    ///
    /// # Errors
    /// The folder is not there, or has a marker by now.
    pub fn open_unmarked(path: &Path) -> Result<Root, RootProblem> {
        match marker::read(path) {
            Err(RootProblem::NoMarker { .. }) => Root::open_as(path, String::new()),
            Err(problem) => Err(problem),
            Ok(id) => Err(RootProblem::Replaced {
                path: path.to_owned(),
                words: format!("it is marked as {id} by now"),
            }),
        }
    }

    fn open_as(path: &Path, id: String) -> Result<Root, RootProblem> {
        let unreadable = |words: String| RootProblem::Unreadable { path: path.to_owned(), words };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| unreadable(error.to_string()))?;
        let stat = rustix::fs::fstat(&folder).map_err(|error| unreadable(error.to_string()))?;
        let capitals = marker::MARKER.to_ascii_uppercase();
        let ignores_case = rustix::fs::statat(&folder, capitals, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        Ok(Root {
            path: path.to_owned(),
            id,
            device: stat.st_dev,
            inode: stat.st_ino,
            folder,
            ignores_case,
            exclude: Exclude::default(),
            resolved: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            mounts: Mounts::default(),
        })
    }

    /// The same root, in which what `exclude` hides is not there for anybody who looks into it.
    #[must_use]
    pub fn excluding(self, exclude: Exclude) -> Root {
        Root { exclude, ..self }
    }

    /// Its file system takes names in any case: the marker is found in capitals too.
    pub fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    /// What of the root is not there.
    pub fn exclude(&self) -> &Exclude {
        &self.exclude
    }

    /// The id in the root's marker.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Inode and ctime of the marker; none where it is not there. The ctime is in nanoseconds since 1970.
    pub fn marker_stat(&self) -> Option<(u64, i64)> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let stat = rustix::fs::statat(&self.folder, marker::MARKER, flags).ok()?;
        let nanoseconds = i64::try_from(stat.st_ctime_nsec).unwrap_or(0);
        Some((stat.st_ino, stat.st_ctime.saturating_mul(1_000_000_000).saturating_add(nanoseconds)))
    }

    /// The path by which the root was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root's folder, whatever path leads to it.
    pub fn folder_id(&self) -> FolderId {
        FolderId { device: self.device, inode: self.inode }
    }

    /// The mount that a folder of the root is on; none where the kernel does not tell.
    pub(crate) fn mount_of(&self, folder: &OwnedFd) -> Option<Arc<Mount>> {
        self.mounts.of(&self.folder, &self.resolved, folder)
    }

    /// Opens a folder of the root, following no symbolic link on the way.
    pub(crate) fn open_folder(&self, folder: &[u8]) -> Result<OwnedFd, rustix::io::Errno> {
        beneath::open(&self.folder, folder)
    }

    /// Whether a folder is there, reached without a link. Nothing outside the root is looked at.
    pub fn look_for_folder(&self, folder: &[u8]) -> FolderThere {
        use rustix::io::Errno;
        match self.open_folder(folder) {
            // One that cannot be read is for a scan to tell of.
            Ok(_) | Err(Errno::ACCESS) => FolderThere::Yes,
            // Another thing is in its place, or it leads out of the root.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG) => {
                FolderThere::Never
            }
            Err(_) => FolderThere::No,
        }
    }

    /// The problem that nothing in the root can be looked at now, because file handles or memory
    /// are missing.
    pub(crate) fn exhausted(&self, error: rustix::io::Errno) -> RootProblem {
        RootProblem::Unreadable {
            path: self.path.clone(),
            words: format!(
                "it cannot be looked at now: {error}. Raise the limit of open files (ulimit -n, LimitNOFILE), or see what uses them up; it goes on by itself"
            ),
        }
    }

    pub(crate) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Checks that the path still leads to the same folder on the same device, with the same
    /// marker.
    ///
    /// # Errors
    /// The path leads elsewhere, or nowhere.
    pub fn still_there(&self) -> Result<(), RootProblem> {
        let id = match marker::read(&self.path) {
            Err(RootProblem::NoMarker { .. }) if self.id.is_empty() => String::new(),
            read => read?,
        };
        let meta = fs::metadata(&self.path).map_err(|error| RootProblem::Unreadable {
            path: self.path.clone(),
            words: error.to_string(),
        })?;
        let words = if id != self.id {
            "its marker is that of another root"
        } else if meta.dev() != self.device || meta.ino() != self.inode {
            "it is another folder, or on another device"
        } else {
            return Ok(());
        };
        Err(RootProblem::Replaced { path: self.path.clone(), words: words.to_owned() })
    }
}

/// What a look at the path of a root shows, its marker and its folder. It blocks for as long as storage
/// does.
pub fn seen(path: &Path) -> SeenRoot {
    let meta = fs::metadata(path).ok().filter(fs::Metadata::is_dir);
    let resolved = fs::canonicalize(path).ok();
    SeenRoot {
        path: path.display().to_string(),
        folder: meta.map(|meta| FolderId { device: meta.dev(), inode: meta.ino() }),
        territories: resolved.as_deref().map(mounts::territories).unwrap_or_default(),
        resolved,
        marker: marker::read(path).ok(),
    }
}
