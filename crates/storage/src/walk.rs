//! Scans: they read every folder of a root to its end, folders side by side, a chunk at a time. What the
//! root's exclude hides is not there.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use focus_core::folder::FolderSeen;
use focus_core::look::{FileIdentity, FileStat};
use focus_core::mount::Mount;
use focus_core::recording::show_bytes;
use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, RawDir};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

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
    Complete {
        /// The names of the folders in it, where something remembers them.
        below: Vec<Vec<u8>>,
    },
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

/// What earlier walks of a root have found its folders as.
pub trait Remembered: Sync {
    /// The folders in this one, if it need not be read. `is_new`: a folder that it is in is new, or another than before.
    fn skip(&self, folder: &[u8], now: &FolderSeen, is_new: bool) -> Option<Vec<Vec<u8>>>;

    /// A folder is going to be read. True: so is everything in it.
    fn read(&self, folder: &[u8], now: FolderSeen, is_new: bool) -> bool;
}

/// The result of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkReport {
    /// Folders met, whether they were read or skipped.
    pub folders: u64,
    /// Folders that were not read, because they are as an earlier scan read them.
    pub skipped: u64,
    /// Files seen.
    pub files: u64,
    /// Folders that could not be read to their end.
    pub failed: u64,
    /// The first of these, with the reason.
    pub failed_named: Vec<String>,
    /// The scan was stopped before its end.
    pub stopped: bool,
    /// Processor time of its threads.
    pub cpu: Duration,
}

/// Reads all of a root, from `folder` down. `sink` is called from several threads. Of names alone, folders are skipped
/// that are as they are `remembered`.
///
/// # Errors
/// The root was not there before or after, or the machine had no file handle or memory left. No
/// file that the scan missed counts as absent then.
pub fn walk(
    root: &Root,
    folder: &[u8],
    detail: Detail,
    remembered: Option<&dyn Remembered>,
    stop: &AtomicBool,
    sink: &(dyn Fn(Chunk) + Sync),
) -> Result<WalkReport, RootProblem> {
    root.still_there()?;
    let walk = Walk {
        root,
        detail,
        remembered,
        stop,
        sink,
        folders: AtomicU64::new(0),
        skipped: AtomicU64::new(0),
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
    pool.scope(|scope| walk.folder(scope, folder.to_vec(), false));
    let cpu = pool.broadcast(|_| cpu_of_thread()).into_iter().sum();
    if let Some(error) = *walk.exhausted.lock() {
        return Err(root.exhausted(error));
    }
    root.still_there()?;
    let (failed, failed_named) = std::mem::take(&mut *walk.failed.lock());
    Ok(WalkReport {
        folders: walk.folders.into_inner(),
        skipped: walk.skipped.into_inner(),
        files: walk.files.into_inner(),
        failed,
        failed_named,
        stopped: stop.load(Ordering::Relaxed),
        cpu,
    })
}

/// Processor time that this thread has taken so far.
pub fn cpu_of_thread() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

struct Walk<'a> {
    root: &'a Root,
    detail: Detail,
    remembered: Option<&'a dyn Remembered>,
    stop: &'a AtomicBool,
    sink: &'a (dyn Fn(Chunk) + Sync),
    folders: AtomicU64,
    skipped: AtomicU64,
    files: AtomicU64,
    failed: Mutex<(u64, Vec<String>)>,
    /// The error, if it says that the machine has run out of something.
    exhausted: Mutex<Option<Errno>>,
}

impl<'a> Walk<'a> {
    /// Reads a folder, or skips it. `is_new`: a folder that it is in is new, or another than before.
    fn folder<'s>(&'s self, scope: &rayon::Scope<'s>, folder: Vec<u8>, is_new: bool) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        self.folders.fetch_add(1, Ordering::Relaxed);
        let Some(folder) = self.unless_skipped(scope, folder, is_new) else { return };
        let mut reading = Reading { is_new: true, entries: Vec::new(), below: Vec::new() };
        let mut mount = None;
        let read = self.root.open_folder(&folder).and_then(|fd| {
            mount = self.root.mount_of(&fd);
            if let Some(remembered) = self.remembered
                && let Some(now) = self.root.seen_as(&fd)
            {
                reading.is_new = remembered.read(&folder, now, is_new);
            }
            self.read(scope, &fd, &folder, &mut reading)
        });
        let end = match read {
            Ok(()) => FolderEnd::Complete { below: reading.below },
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
        (self.sink)(Chunk { folder, entries: reading.entries, mount, end: Some(end) });
    }

    /// Goes on below a folder that is skipped; the folder, where it is not.
    fn unless_skipped<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        folder: Vec<u8>,
        is_new: bool,
    ) -> Option<Vec<u8>> {
        let Some(remembered) = self.remembered.filter(|_| self.detail == Detail::Names) else {
            return Some(folder);
        };
        let Some(now) = self.root.seen_at(&folder) else { return Some(folder) };
        let Some(names) = remembered.skip(&folder, &now, is_new) else { return Some(folder) };
        self.skipped.fetch_add(1, Ordering::Relaxed);
        for name in names {
            let below = below(&folder, &name);
            scope.spawn(move |scope| self.folder(scope, below, false));
        }
        None
    }

    fn read<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        fd: &OwnedFd,
        folder: &[u8],
        reading: &mut Reading,
    ) -> Result<(), Errno> {
        let is_new = reading.is_new;
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
                    let below = below(folder, name);
                    scope.spawn(move |scope| self.folder(scope, below, is_new));
                    if self.remembered.is_some() {
                        reading.below.push(name.to_vec());
                    }
                }
                FileType::RegularFile | FileType::Symlink => {
                    self.files.fetch_add(1, Ordering::Relaxed);
                    let entries = &mut reading.entries;
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

/// A folder that is being read.
struct Reading {
    /// Everything in it is read.
    is_new: bool,
    /// Files that were not handed on yet.
    entries: Vec<Entry>,
    /// The names of the folders in it, where something remembers them.
    below: Vec<Vec<u8>>,
}

/// The path of a folder in another one.
fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}
