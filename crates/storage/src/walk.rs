//! Scans: they read every folder of a root to its end, folders side by side, a chunk at a time. What the
//! root's exclude hides is not there.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use focus_core::folder::FolderStamp;
use focus_core::ingest;
use focus_core::look::{FileIdentity, FileStat};
use focus_core::mount::Mount;
use focus_core::recording::show_bytes;
use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, RawDir, Stat};
use rustix::io::Errno;

use crate::folders::{FolderMemory, FolderRead};
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
    /// Read to its end; where the times of its file system can be trusted, what can be remembered of it.
    Complete(Option<FolderRead>),
    /// It is as it was remembered, and was not read.
    Unchanged,
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
    /// Names of parts of recordings that are, or were, being handed over. Nothing hides them.
    pub parts: Vec<Vec<u8>>,
    /// The mount that the folder is on, with its last chunk alone; none where that is not known.
    pub mount: Option<Arc<Mount>>,
    /// How the folder ended; with its last chunk alone.
    pub end: Option<FolderEnd>,
}

/// What a scan knows beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// What is remembered of folders; one that is as it was is not read. None: all are read.
    pub known: Option<&'a FolderMemory>,
    /// The time, nanoseconds since 1970, by a clock that is not ahead of the file system's.
    pub now_ns: fn() -> i64,
}

impl Before<'_> {
    /// Nothing: all folders are read, and none is remembered.
    pub const NOTHING: Before<'static> = Before { known: None, now_ns: || i64::MIN };
}

/// The result of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkReport {
    /// Folders that were read, or are as they were remembered.
    pub folders: u64,
    /// Files seen.
    pub files: u64,
    /// Folders that could not be read to their end.
    pub failed: u64,
    /// The first of these, with the reason.
    pub failed_named: Vec<String>,
    /// The processor time of all its threads, with that of the sink, milliseconds.
    pub cpu_ms: u64,
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
    before: Before<'_>,
    stop: &AtomicBool,
    sink: &(dyn Fn(Chunk) + Sync),
) -> Result<WalkReport, RootProblem> {
    root.still_there()?;
    let walk = Walk {
        root,
        detail,
        before,
        stop,
        sink,
        folders: AtomicU64::new(0),
        files: AtomicU64::new(0),
        cpu_ns: AtomicU64::new(0),
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
    if let Some(error) = *walk.exhausted.lock() {
        return Err(root.exhausted(error));
    }
    root.still_there()?;
    let (failed, failed_named) = std::mem::take(&mut *walk.failed.lock());
    Ok(WalkReport {
        folders: walk.folders.into_inner(),
        files: walk.files.into_inner(),
        cpu_ms: walk.cpu_ns.into_inner() / 1_000_000,
        failed,
        failed_named,
        stopped: stop.load(Ordering::Relaxed),
    })
}

/// Files of a folder that have been read, and not been handed on.
#[derive(Default)]
struct Files {
    entries: Vec<Entry>,
    parts: Vec<Vec<u8>>,
}

struct Walk<'a> {
    root: &'a Root,
    detail: Detail,
    before: Before<'a>,
    stop: &'a AtomicBool,
    sink: &'a (dyn Fn(Chunk) + Sync),
    folders: AtomicU64,
    files: AtomicU64,
    cpu_ns: AtomicU64,
    failed: Mutex<(u64, Vec<String>)>,
    /// The error, if it says that the machine has run out of something.
    exhausted: Mutex<Option<Errno>>,
}

impl<'a> Walk<'a> {
    /// Reads a folder, if it is not as it was remembered; `is_forced`: even then.
    fn folder<'s>(&'s self, scope: &rayon::Scope<'s>, folder: Vec<u8>, is_forced: bool) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        self.folders.fetch_add(1, Ordering::Relaxed);
        let began_ns = thread_cpu_ns();
        let mut files = Files::default();
        let mut mount = None;
        let came_to = self.root.open_folder(&folder).and_then(|fd| {
            let now_ns = (self.before.now_ns)();
            mount = self.root.mount_of(&fd);
            let stamp = stamp_of(&rustix::fs::fstat(&fd)?);
            let known =
                self.before.known.filter(|_| !is_forced).and_then(|known| known.get(&folder));
            if let Some(known) = known.filter(|known| known.is_settled && known.stamp == stamp)
                && Some(&known.mount) == mount.as_ref()
            {
                known.names().for_each(|name| self.enter(scope, &folder, name, false));
                return Ok(FolderEnd::Unchanged);
            }
            // What lies below another folder may be another folder, too, whatever it looks like.
            let is_new = known.is_none_or(|known| !known.stamp.is_same_folder(&stamp));
            let below = self.read(scope, &fd, (&folder, is_new), &mut files)?;
            let is_settled = stamp.is_lasting(now_ns);
            let local = mount.clone().filter(|mount| mount.has_our_clock());
            let read = local.map(|mount| FolderRead { stamp, is_settled, mount, below });
            Ok(FolderEnd::Complete(read))
        });
        let end = came_to.unwrap_or_else(|error| self.failed(&folder, error));
        let Files { entries, parts } = files;
        (self.sink)(Chunk { folder, entries, parts, mount, end: Some(end) });
        self.cpu_ns.fetch_add(thread_cpu_ns().saturating_sub(began_ns), Ordering::Relaxed);
    }

    /// Notes that a folder could not be read to its end.
    fn failed(&self, folder: &[u8], error: Errno) -> FolderEnd {
        if is_exhaustion(error) {
            *self.exhausted.lock() = Some(error);
        }
        let words = format!("{}: {error}", show_bytes(folder));
        let mut failed = self.failed.lock();
        failed.0 += 1;
        if failed.1.len() < FAILED_NAMED_MAX {
            failed.1.push(words.clone());
        }
        FolderEnd::Failed(words)
    }

    /// Goes on with a folder in this one.
    fn enter<'s>(&'s self, scope: &rayon::Scope<'s>, folder: &[u8], name: &[u8], is_forced: bool) {
        let below = if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() };
        scope.spawn(move |scope| self.folder(scope, below, is_forced));
    }

    /// Reads a folder's names, and goes on with each folder in it; returns their names.
    fn read<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        fd: &OwnedFd,
        (folder, is_new): (&[u8], bool),
        files: &mut Files,
    ) -> Result<Vec<u8>, Errno> {
        let mut folders = Vec::new();
        let mut buffer = [MaybeUninit::<u8>::uninit(); 32 * 1024];
        let mut dir = RawDir::new(fd, &mut buffer);
        while let Some(entry) = dir.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut kind = entry.file_type();
            if ingest::is_part(name) && kind != FileType::Directory {
                // More of them are told by a later scan.
                if files.parts.len() < CHUNK_MAX {
                    files.parts.push(name.to_vec());
                }
                continue;
            }
            if self.root.exclude().hides_name(folder, name) {
                continue;
            }
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
                    folders.extend_from_slice(name);
                    folders.push(b'/');
                    self.enter(scope, folder, name, is_new);
                }
                FileType::RegularFile | FileType::Symlink => {
                    self.files.fetch_add(1, Ordering::Relaxed);
                    files.entries.push(Entry { name: name.to_vec(), stat, identity });
                    if files.entries.len() >= CHUNK_MAX {
                        let Files { entries, parts } = std::mem::take(files);
                        let folder = folder.to_vec();
                        (self.sink)(Chunk { folder, entries, parts, mount: None, end: None });
                    }
                }
                _ => {}
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Errno::INTR);
            }
        }
        Ok(folders)
    }
}

/// The processor time of this thread so far.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let ns = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
    u64::try_from(ns).unwrap_or(0)
}

fn stamp_of(stat: &Stat) -> FolderStamp {
    FolderStamp {
        device: stat.st_dev,
        inode: stat.st_ino,
        mtime_ns: stat_of(stat).mtime_ns,
        ctime_ns: identity_of(stat).ctime_ns,
    }
}
