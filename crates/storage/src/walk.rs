//! Scans: they read every folder of a root to its end, folders side by side, a chunk at a time. What the
//! root's exclude hides is not there.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use focus_core::look::{FileIdentity, FileStat};
use focus_core::mount::Mount;
use focus_core::recording::show_bytes;
use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, RawDir};
use rustix::io::Errno;

use crate::look::{identity_of, is_exhaustion, stat_of};
use crate::{Root, RootProblem};

/// Files in one chunk at most.
pub const CHUNK_MAX: usize = 4_096;

/// Folders read side by side.
const WALKERS: usize = 4;

/// Failed folders that are named in the report; more are only counted.
const FAILED_NAMED_MAX: usize = 20;

/// What a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Names alone. This is four times as fast.
    Names,
    /// Size and time of every file too.
    Stat,
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Vec<u8>,
    /// Its size and time, if they were asked for and the file is still there.
    pub stat: Option<FileStat>,
    /// Which file it is, likewise.
    pub identity: Option<FileIdentity>,
}

/// How the reading of a folder ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderEnd {
    /// Read to its end.
    Complete,
    /// Not read to its end. A file that was not seen may be there.
    Failed(String),
}

/// Some files of one folder. Chunks of a folder come in order, from one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The folder, relative to the root; empty for the root itself.
    pub folder: Vec<u8>,
    /// At most [`CHUNK_MAX`] files and symbolic links.
    pub entries: Vec<Entry>,
    /// The mount that the folder is on, with its last chunk alone; none where that is not known.
    pub mount: Option<Arc<Mount>>,
    /// How the folder ended; with its last chunk alone.
    pub end: Option<FolderEnd>,
}

/// The result of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkReport {
    /// Folders read.
    pub folders: u64,
    /// Files seen.
    pub files: u64,
    /// Folders that could not be read to their end.
    pub failed: u64,
    /// The first of these, with the reason.
    pub failed_named: Vec<String>,
    /// The scan was stopped before its end.
    pub stopped: bool,
}

/// Reads all of a root, from `folder` down. `sink` is called from several threads.
///
/// # Errors
/// The root was not there before or after, or the machine had no file handle or memory left. No
/// file that the scan missed counts as absent then.
pub fn walk(
    root: &Root,
    folder: &[u8],
    detail: Detail,
    stop: &AtomicBool,
    sink: &(dyn Fn(Chunk) + Sync),
) -> Result<WalkReport, RootProblem> {
    root.still_there()?;
    let walk = Walk {
        root,
        detail,
        stop,
        sink,
        folders: AtomicU64::new(0),
        files: AtomicU64::new(0),
        failed: Mutex::new((0, Vec::new())),
        exhausted: Mutex::new(None),
    };
    // A pool of its own: a sink may wait until what it was given is looked at, and looks need
    // theirs.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(WALKERS)
        .thread_name(|_| "walk".to_owned())
        .build()
        .map_err(|error| RootProblem::Unreadable {
            path: root.path().to_owned(),
            words: format!("no threads to walk it: {error}"),
        })?;
    pool.scope(|scope| walk.folder(scope, folder.to_vec()));
    if let Some(error) = *walk.exhausted.lock() {
        return Err(root.exhausted(error));
    }
    root.still_there()?;
    let (failed, failed_named) = std::mem::take(&mut *walk.failed.lock());
    Ok(WalkReport {
        folders: walk.folders.into_inner(),
        files: walk.files.into_inner(),
        failed,
        failed_named,
        stopped: stop.load(Ordering::Relaxed),
    })
}

struct Walk<'a> {
    root: &'a Root,
    detail: Detail,
    stop: &'a AtomicBool,
    sink: &'a (dyn Fn(Chunk) + Sync),
    folders: AtomicU64,
    files: AtomicU64,
    failed: Mutex<(u64, Vec<String>)>,
    /// The error, if it says that the machine has run out of something.
    exhausted: Mutex<Option<Errno>>,
}

impl<'a> Walk<'a> {
    fn folder<'s>(&'s self, scope: &rayon::Scope<'s>, folder: Vec<u8>) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        self.folders.fetch_add(1, Ordering::Relaxed);
        let mut entries = Vec::new();
        let mut mount = None;
        let read = self.root.open_folder(&folder).and_then(|fd| {
            mount = self.root.mount_of(&fd);
            self.read(scope, &fd, &folder, &mut entries)
        });
        let end = match read {
            Ok(()) => FolderEnd::Complete,
            Err(error) => {
                if is_exhaustion(error) {
                    *self.exhausted.lock() = Some(error);
                }
                let words = format!("{}: {error}", show_bytes(&folder));
                let mut failed = self.failed.lock();
                failed.0 += 1;
                if failed.1.len() < FAILED_NAMED_MAX {
                    failed.1.push(words.clone());
                }
                FolderEnd::Failed(words)
            }
        };
        (self.sink)(Chunk { folder, entries, mount, end: Some(end) });
    }

    fn read<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        fd: &OwnedFd,
        folder: &[u8],
        entries: &mut Vec<Entry>,
    ) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 32 * 1024];
        let mut dir = RawDir::new(fd, &mut buffer);
        while let Some(entry) = dir.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." || self.root.exclude().hides_name(folder, name) {
                continue;
            }
            let mut kind = entry.file_type();
            let (mut stat, mut identity) = (None, None);
            if kind == FileType::Unknown
                || (self.detail == Detail::Stat && kind == FileType::RegularFile)
            {
                match rustix::fs::statat(fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(found) => {
                        kind = FileType::from_raw_mode(found.st_mode);
                        if kind == FileType::RegularFile {
                            stat = Some(stat_of(&found));
                            identity = Some(identity_of(&found));
                        }
                    }
                    // Gone between the name and the look at it.
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(error),
                }
            }
            match kind {
                FileType::Directory => {
                    let below = if folder.is_empty() {
                        name.to_vec()
                    } else {
                        [folder, b"/", name].concat()
                    };
                    scope.spawn(move |scope| self.folder(scope, below));
                }
                FileType::RegularFile | FileType::Symlink => {
                    self.files.fetch_add(1, Ordering::Relaxed);
                    entries.push(Entry { name: name.to_vec(), stat, identity });
                    if entries.len() >= CHUNK_MAX {
                        let entries = std::mem::take(entries);
                        let folder = folder.to_vec();
                        (self.sink)(Chunk { folder, entries, mount: None, end: None });
                    }
                }
                _ => {}
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Errno::INTR);
            }
        }
        Ok(())
    }
}
