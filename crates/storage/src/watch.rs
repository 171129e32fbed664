//! The watch of a root, by inotify. It gives hints: a hint says where to look, never what is there.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use focus_core::exclude::Exclude;
use focus_core::ingest;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::Root;

/// How long the thread waits for events at most before it checks whether it has to end.
const POLL_MS: i64 = 250;

/// Room for events in one read.
const BUFFER_BYTES: usize = 64 * 1024;

/// A hint of the watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A file appeared, changed or went.
    File {
        /// The folder of the file, relative to the root.
        folder: Vec<u8>,
        /// The name of the file.
        name: Vec<u8>,
        /// Its writer closed it, or it was moved into place.
        closed: bool,
    },
    /// A folder appeared or went, so everything below it has to be looked at. The watch covers it
    /// already.
    Folder {
        /// Relative to the root.
        folder: Vec<u8>,
    },
    /// Events were lost, so everything has to be looked at.
    Rescan,
    /// The root's own folder went.
    RootGone,
}

/// Why a root cannot be watched. The scan then runs alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchProblem {
    /// The system's limit.
    #[error(
        "the system's limit of watches is reached: raise fs.inotify.max_user_watches (or max_user_instances, or the limit of open files); until then only the scan sees new recordings"
    )]
    Limit,
    /// The file system does not report changes by other machines.
    #[error("{0} does not tell what other machines change: only the scan sees new recordings")]
    Unsupported(String),
    /// The settings turn it off.
    #[error("the setting `watch` turns it off: hints and scans find new recordings")]
    Off,
    /// Anything else.
    #[error("no watch: {0}; only the scan sees new recordings")]
    Failed(String),
}

/// A watch on a root, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Takes hints, on the watch's own thread. It must not block that thread for long.
pub type Sink = Box<dyn Fn(Hint) + Send>;

impl Watch {
    /// Watches all folders of a root. From its return on, every change gives a hint.
    ///
    /// # Errors
    /// Watching cannot work here, or not for all folders.
    pub fn start(root: &Root, sink: Sink) -> Result<Watch, WatchProblem> {
        if let Some(name) = network_file_system(root) {
            return Err(WatchProblem::Unsupported(name.to_owned()));
        }
        let inotify = Inotify::init().map_err(|error| problem(&error))?;
        let mut watcher = Watcher {
            root: root.path().to_owned(),
            exclude: root.exclude().clone(),
            inotify,
            folders: HashMap::new(),
            sink,
        };
        watcher.add(Vec::new())?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || watcher.run(&stopped))
            .map_err(|error| WatchProblem::Failed(error.to_string()))?;
        Ok(Watch { stop, thread: Some(thread) })
    }

    /// The watch has ended by itself, because the root went or the system's limit was reached.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within the poll's time; a panic there has been told.
            let _ = thread.join();
        }
    }
}

struct Watcher {
    root: PathBuf,
    exclude: Exclude,
    inotify: Inotify,
    folders: HashMap<WatchDescriptor, Vec<u8>>,
    sink: Sink,
}

impl Watcher {
    fn run(mut self, stop: &AtomicBool) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while !stop.load(Ordering::Relaxed) {
            let timeout = Timespec { tv_sec: 0, tv_nsec: POLL_MS * 1_000_000 };
            let mut fds = [PollFd::new(&self.inotify, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => break,
            }
            // Owned, because handling an event adds and removes watches.
            let events: Vec<(WatchDescriptor, EventMask, Option<Vec<u8>>)> =
                match self.inotify.read_events(&mut buffer) {
                    Ok(events) => events
                        .map(|event| {
                            (event.wd, event.mask, event.name.map(|name| name.as_bytes().to_vec()))
                        })
                        .collect(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(_) => break,
                };
            for (descriptor, mask, name) in events {
                if !self.event(&descriptor, mask, name) {
                    return;
                }
            }
        }
    }

    /// Handles one event; false ends the watch.
    fn event(
        &mut self,
        descriptor: &WatchDescriptor,
        mask: EventMask,
        name: Option<Vec<u8>>,
    ) -> bool {
        if mask.contains(EventMask::Q_OVERFLOW) {
            (self.sink)(Hint::Rescan);
            return true;
        }
        if mask.contains(EventMask::IGNORED) {
            self.folders.remove(descriptor);
            return true;
        }
        let Some(folder) = self.folders.get(descriptor).cloned() else { return true };
        let Some(name) = name else {
            let gone = EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::UNMOUNT;
            if mask.intersects(gone) && folder.is_empty() {
                (self.sink)(Hint::RootGone);
                return false;
            }
            return true;
        };
        let is_file = !mask.contains(EventMask::ISDIR);
        if self.exclude.hides_name(&folder, &name) || is_file && ingest::is_part(&name) {
            return true;
        }
        if !mask.contains(EventMask::ISDIR) {
            let closed = mask.intersects(EventMask::CLOSE_WRITE | EventMask::MOVED_TO);
            (self.sink)(Hint::File { folder, name, closed });
            return true;
        }
        let below = join(&folder, &name);
        if mask.intersects(EventMask::MOVED_FROM | EventMask::DELETE) {
            self.forget(&below);
        }
        if mask.intersects(EventMask::CREATE | EventMask::MOVED_TO)
            && let Err(WatchProblem::Limit) = self.add(below.clone())
        {
            (self.sink)(Hint::Rescan);
            return false;
        }
        if !mask.contains(EventMask::ATTRIB) {
            (self.sink)(Hint::Folder { folder: below });
        }
        true
    }

    /// Watches a folder and everything below it. It watches a folder before it lists it, so it
    /// misses no change.
    fn add(&mut self, folder: Vec<u8>) -> Result<(), WatchProblem> {
        let mask = WatchMask::CLOSE_WRITE
            | WatchMask::MOVED_TO
            | WatchMask::MOVED_FROM
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::ATTRIB
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR
            | WatchMask::DONT_FOLLOW;
        let mut open = vec![folder];
        while let Some(folder) = open.pop() {
            let path = self.path(&folder);
            // The path of the root itself may be a symbolic link. Below it, no link is followed.
            let mask = if folder.is_empty() { mask - WatchMask::DONT_FOLLOW } else { mask };
            match self.inotify.watches().add(&path, mask) {
                Ok(descriptor) => self.folders.insert(descriptor, folder.clone()),
                Err(error) if is_limit(&error) => return Err(WatchProblem::Limit),
                // Gone again, or not to be read: the scan tells of it.
                Err(_) if !folder.is_empty() => continue,
                Err(error) => return Err(problem(&error)),
            };
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if is_limit(&error) => return Err(WatchProblem::Limit),
                Err(_) => continue,
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let hidden = self.exclude.hides_name(&folder, name.as_bytes());
                if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(join(&folder, name.as_bytes()));
                }
            }
        }
        Ok(())
    }

    /// Ends the watches of a folder that was moved away, and of all below it.
    fn forget(&mut self, folder: &[u8]) {
        let inside = |path: &[u8]| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        let gone: Vec<WatchDescriptor> = self
            .folders
            .iter()
            .filter(|(_, path)| inside(path))
            .map(|(descriptor, _)| descriptor.clone())
            .collect();
        for descriptor in gone {
            self.folders.remove(&descriptor);
            // A deleted folder's watch is gone already.
            let _ = self.inotify.watches().remove(descriptor);
        }
    }

    fn path(&self, folder: &[u8]) -> PathBuf {
        if folder.is_empty() {
            return self.root.clone();
        }
        self.root.join(Path::new(OsStr::from_bytes(folder)))
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// Of watches, of inotify instances, or of open files.
fn is_limit(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let limits = [Errno::NOSPC, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| limits.iter().any(|limit| limit.raw_os_error() == code))
}

fn problem(error: &std::io::Error) -> WatchProblem {
    if is_limit(error) { WatchProblem::Limit } else { WatchProblem::Failed(error.to_string()) }
}

/// The name of a file system that other machines change; from the magic numbers in linux/magic.h.
fn network_file_system(root: &Root) -> Option<&'static str> {
    let stat = rustix::fs::fstatfs(root.folder().as_fd()).ok()?;
    Some(match stat.f_type.cast_unsigned() & 0xFFFF_FFFF {
        0x6969 => "NFS",
        0x517B => "SMB",
        0xFF53_4D42 => "CIFS",
        0xFE53_4D42 => "SMB2",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9P",
        0x00C3_6400 => "Ceph",
        0x0BD0_0BD0 => "Lustre",
        _ => return None,
    })
}
