//! The state folder. A server locks it while it runs, and leaves its address and token in it for commands.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use focus_crash::{Point, Step, here};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

const LOCK: &str = "focus.lock";
const SERVER: &str = "server.json";
const IDENTITY: &str = "identity";

/// The small files of the state folder hold at most so many bytes.
const SMALL_MAX: u64 = 65_536;

/// Why the state folder cannot be used. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// The folder cannot be made.
    #[error("the state folder {} cannot be made: give another with --state-dir", dir.display())]
    NotMade {
        /// The state folder.
        dir: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Another process holds the folder.
    #[error("the state folder {} is in use by another focus process: stop that one, or give another --state-dir", dir.display())]
    InUse {
        /// The state folder.
        dir: PathBuf,
    },
    /// The file system of the folder gives no lock.
    #[error("the state folder {} cannot be locked: give one on a file system with locks, such as a local disk, with --state-dir", dir.display())]
    NoLock {
        /// The state folder.
        dir: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// A lock file cannot be made or written.
    #[error("{} cannot be written: mend its permissions, or give another folder with --state-dir", path.display())]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The file that holds the folder's identity cannot be read.
    #[error("{} cannot be read: mend its permissions, or move it away, and it is made anew", path.display())]
    IdentityUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The file that holds the folder's identity cannot be written.
    #[error("{} cannot be written: make room or mend its permissions", path.display())]
    IdentityUnwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// A process holds the folder, and the file that tells how to reach it cannot be read.
    #[error("a focus process runs on the state folder {}, and {}, which tells how to reach it, cannot be read: that server writes it anew within seconds, so try again; a folder in its place has to be moved away", dir.display(), path.display())]
    ServerUnreadable {
        /// The state folder.
        dir: PathBuf,
        /// The file.
        path: PathBuf,
    },
    /// The file that tells commands how to reach the server cannot be written.
    #[error("{} cannot be written: move away what is there, make room, or mend its permissions", path.display())]
    ServerUnwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

/// How a running server is reached.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ServerFile {
    /// `host:port`.
    pub address: String,
    /// The token that calls which change something have to carry.
    pub token: String,
    /// The id of its process.
    pub pid: u32,
}

/// The state folder, held by this process alone until this is dropped.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// Makes the state folder where it is missing, and locks it.
///
/// # Errors
/// The folder or its lock file cannot be made, or another process holds the lock.
pub fn lock(dir: &Path) -> Result<StateLock, StateDirError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|cause| StateDirError::NotMade { dir: dir.to_owned(), cause })?;
    if fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0) {
        tracing::warn!(
            "anybody may write into the state folder {}: take that right away with `chmod o-w`, unless nobody else can reach it",
            dir.display()
        );
    }
    let file = lock_file(&dir.join(LOCK))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(StateLock { _file: file }),
        Err(Errno::WOULDBLOCK) => Err(StateDirError::InUse { dir: dir.to_owned() }),
        Err(cause) => Err(StateDirError::NoLock { dir: dir.to_owned(), cause: cause.into() }),
    }
}

/// Opens a file for locking, and makes it where it is missing.
///
/// # Errors
/// The file cannot be made or written.
pub fn lock_file(path: &Path) -> Result<File, StateDirError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| StateDirError::LockFile { path: path.to_owned(), cause })
}

/// The name under which this state folder holds leases, made on first use. Its file is apart from the
/// index, so that a rebuilt index resumes its leases at once.
///
/// # Errors
/// The file with the name cannot be read, or a new one cannot be written.
pub fn identity(dir: &Path) -> Result<String, StateDirError> {
    let path = dir.join(IDENTITY);
    match read_small(&path) {
        Ok(bytes) => {
            let text = str::from_utf8(&bytes).unwrap_or_default().trim();
            if uuid::Uuid::try_parse(text).is_ok() {
                return Ok(text.to_owned());
            }
            // A new name: leases held under the old one are taken over once they have lapsed.
            tracing::warn!("{} is damaged, and made anew", path.display());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(StateDirError::IdentityUnreadable { path, cause }),
    }
    let fresh = uuid::Uuid::new_v4().to_string();
    let part = dir.join("identity.part");
    write_private(&part, fresh.as_bytes())
        .inspect(|()| here(Point::At(Step::IdentityPart)))
        .and_then(|()| fs::rename(&part, &path))
        .map_err(|cause| StateDirError::IdentityUnwritable { path, cause })?;
    Ok(fresh)
}

/// The running server on this state folder, if there is one.
///
/// # Errors
/// A process holds the folder, and its address cannot be read.
pub fn running(dir: &Path) -> Result<Option<ServerFile>, StateDirError> {
    let Ok(file) = File::open(dir.join(LOCK)) else { return Ok(None) };
    // A lock that can be had is nobody's: the file is left over from a server that was killed. Where the
    // file system has no locks, no server runs either.
    if flock(&file, FlockOperation::NonBlockingLockShared) != Err(Errno::WOULDBLOCK) {
        return Ok(None);
    }
    let path = dir.join(SERVER);
    let server = match read_small(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        // It is starting or stopping, or a command that is no server works on the folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) => None,
    };
    match server {
        Some(server) => Ok(Some(server)),
        None => Err(StateDirError::ServerUnreadable { dir: dir.to_owned(), path }),
    }
}

/// The beginning of a file that is meant to be small, whatever was put in its place.
fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SMALL_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells commands how to reach this server. Only the user whom the server runs as can read it.
///
/// # Errors
/// The file cannot be written.
pub fn publish(dir: &Path, server: &ServerFile) -> Result<(), StateDirError> {
    let path = dir.join(SERVER);
    let part = dir.join("server.json.part");
    serde_json::to_vec(server)
        .map_err(io::Error::from)
        .and_then(|bytes| write_private(&part, &bytes))
        .inspect(|()| here(Point::At(Step::ServerPart)))
        .and_then(|()| fs::rename(&part, &path))
        .map_err(|cause| StateDirError::ServerUnwritable { path, cause })
}

/// Whether commands find this server: the file is there, and is as [`publish`] wrote it.
pub fn is_published(dir: &Path, server: &ServerFile) -> bool {
    let read = read_small(&dir.join(SERVER)).ok();
    read.and_then(|bytes| serde_json::from_slice::<ServerFile>(&bytes).ok()).as_ref()
        == Some(server)
}

/// Writes and syncs a file that only the owner can read. The file is a new one, whatever was there
/// before: a link, or what a killed server left.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Takes back what [`publish`] told: the server ends.
pub fn withdraw(dir: &Path) {
    // Where the file stays, the free lock tells that nobody is behind it.
    let _ = fs::remove_file(dir.join(SERVER));
}
