//! A copy of the embedded catalog, made while a server writes to it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::RenameFlags;

/// Pages that are copied under one lock. The server waits for it, and takes a longer wait for an outage.
const STEP_PAGES: i32 = 256;

/// Time between two steps, for the server's writes.
const PAUSE: Duration = Duration::from_millis(2);

/// Steps without getting the lock, at most: about a minute.
const BUSY_MAX: u32 = 600;

/// Time until the lock is asked for again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Documents in it.
    pub recordings: u64,
    /// Its size.
    pub bytes: u64,
}

/// Why no copy was made. Nothing is left where it was to be.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The catalog's file cannot be read.
    #[error("the embedded catalog {} cannot be read: {cause}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system says.
        cause: String,
    },
    /// Something is there already.
    #[error("{} is there already: give another file, or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The copy cannot be written.
    #[error("{} cannot be written: {cause}. Make room, or give another file", path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system says.
        cause: String,
    },
}

/// Copies the catalog `from` into a new file `to`, as it is at one moment. The copy is checked, synced and
/// only its user can read it. Under constant writes the copying begins anew a few times, and is then done
/// under one lock, which the server takes for a short outage.
///
/// # Errors
/// There is no copy.
pub fn copy(from: &Path, to: &Path) -> Result<Copied, BackupError> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists { path: to.to_owned() });
    }
    let part = part_of(to);
    let copied = copy_to(from, &part, to);
    // Gone already where the copy was made.
    let _ = fs::remove_file(&part);
    copied
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    to.with_file_name(name)
}

fn copy_to(from: &Path, part: &Path, to: &Path) -> Result<Copied, BackupError> {
    let target = |cause: String| BackupError::Target { path: to.to_owned(), cause };
    let source = open(from)?;
    let _ = fs::remove_file(part);
    let private = OpenOptions::new().create_new(true).write(true).mode(0o600).open(part);
    private.map_err(|error| target(error.to_string()))?;
    let mut copy = Connection::open(part).map_err(|error| target(error.to_string()))?;
    all_pages(&source, &mut copy).map_err(|error| target(error.to_string()))?;
    let recordings = checked(&copy).map_err(target)?;
    copy.close().map_err(|(_, error)| target(error.to_string()))?;
    put(part, to).map(|bytes| Copied { recordings, bytes }).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists { path: to.to_owned() },
        _ => target(error.to_string()),
    })
}

fn open(from: &Path) -> Result<Connection, BackupError> {
    let unreadable = |cause: String| BackupError::Source { path: from.to_owned(), cause };
    if let Err(error) = fs::metadata(from) {
        return Err(unreadable(error.to_string()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags);
    let source = source.map_err(|error| unreadable(error.to_string()))?;
    let asked = source.query_row("SELECT count(*) FROM recordings LIMIT 1", [], |_| Ok(()));
    asked.map_err(|error| unreadable(error.to_string()))?;
    Ok(source)
}

/// Copies every page, a few under each lock. Another process that writes in between makes SQLite begin anew.
fn all_pages(source: &Connection, copy: &mut Connection) -> rusqlite::Result<()> {
    let backup = Backup::new(source, copy)?;
    let (mut steps, mut busy) = (0_u64, 0);
    loop {
        let pages = u64::try_from(backup.progress().pagecount).unwrap_or(0);
        // So many steps copy it four times over: it has begun anew too often.
        let all_at_once = steps > 16 + 4 * pages / STEP_PAGES.unsigned_abs() as u64;
        let step = if all_at_once { -1 } else { STEP_PAGES };
        match backup.step(step)? {
            StepResult::Done => return Ok(()),
            StepResult::More => pause(PAUSE),
            _ if busy < BUSY_MAX => {
                busy += 1;
                pause(BUSY_PAUSE);
            }
            _ => {
                let locked = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(locked, None));
            }
        }
        steps += 1;
    }
}

/// Leaves the lock to the server for a while.
#[expect(
    clippy::disallowed_methods,
    reason = "the lock of another process has no level to wait for"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The number of documents in a copy that is whole.
fn checked(copy: &Connection) -> Result<u64, String> {
    let verdict: String = copy
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    if verdict != "ok" {
        return Err(format!("the copy is not whole: {verdict}"));
    }
    let count: i64 = copy
        .query_row("SELECT count(*) FROM recordings", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Puts the copy in its place, where nothing is; its size.
fn put(part: &Path, to: &Path) -> std::io::Result<u64> {
    let file = File::open(part)?;
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    let here = rustix::fs::CWD;
    match rustix::fs::renameat_with(here, part, here, to, RenameFlags::NOREPLACE) {
        // A file system without this kind of renaming: a link replaces nothing either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::hard_link(part, to)?,
        renamed => renamed?,
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(bytes)
}
