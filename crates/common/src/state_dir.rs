//! The state folder: locked while a server runs, and holding its address and token.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use focus_crash::{Point, Step, here};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

const LOCK: &str = "focus.lock";
const SERVER: &str = "server.json";
const IDENTITY: &str = "identity";

/// The small files of the state folder hold at most so many bytes.
const SMALL_MAX: u64 = 65_536;

/// How a running server is reached.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ServerFile {
    /// `host:port`.
    pub address: String,
    /// What changing calls have to show.
    pub token: String,
    /// Its process.
    pub pid: u32,
}

/// The state folder, held by this process alone.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// Makes the state folder where it is missing, and locks it.
///
/// # Errors
/// It cannot be made, or another process holds it.
pub fn lock(dir: &Path) -> anyhow::Result<StateLock> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| {
        format!("the state folder {} cannot be made: give another with --state-dir", dir.display())
    })?;
    if fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0) {
        tracing::warn!(
            "anybody may write into the state folder {}: take that right away with `chmod o-w`, unless nobody else can reach it",
            dir.display()
        );
    }
    let file = lock_file(&dir.join(LOCK))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        anyhow::bail!(
            "the state folder {} is in use by another focus process: stop that one, or give another --state-dir",
            dir.display()
        );
    }
    Ok(StateLock { _file: file })
}

/// A file that is there to be locked, made where it is missing.
///
/// # Errors
/// It cannot be made or written.
pub fn lock_file(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| {
            format!(
                "{} cannot be written: mend its permissions, or give another folder with --state-dir",
                path.display()
            )
        })
}

/// The name under which this state folder holds leases, made on first use. It is apart from the
/// index, so that a rebuilt index resumes its leases at once.
///
/// # Errors
/// It can be neither read nor written.
pub fn identity(dir: &Path) -> anyhow::Result<String> {
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
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| {
                format!(
                    "{} cannot be read: mend its permissions, or move it away, and it is made anew",
                    path.display()
                )
            });
        }
    }
    let fresh = uuid::Uuid::new_v4().to_string();
    let part = dir.join("identity.part");
    let written = write_private(&part, fresh.as_bytes())
        .inspect(|()| here(Point::At(Step::IdentityPart)))
        .and_then(|()| fs::rename(&part, &path));
    written.with_context(|| {
        format!("{} cannot be written: make room or mend its permissions", path.display())
    })?;
    Ok(fresh)
}

/// The running server on this state folder, if there is one.
///
/// # Errors
/// There is one, or something else that holds the folder, and its address cannot be read.
pub fn running(dir: &Path) -> anyhow::Result<Option<ServerFile>> {
    let Ok(file) = File::open(dir.join(LOCK)) else { return Ok(None) };
    // A lock that can be had is nobody's: the file is left over from a server that was killed.
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return Ok(None);
    }
    let path = dir.join(SERVER);
    let read =
        || -> anyhow::Result<ServerFile> { Ok(serde_json::from_slice(&read_small(&path)?)?) };
    match read() {
        Ok(server) => Ok(Some(server)),
        // It is starting or stopping, or a command of no server works on the folder.
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) =>
        {
            Ok(None)
        }
        Err(_) => anyhow::bail!(
            "a focus process runs on the state folder {}, and {}, which tells how to reach it, cannot be read: that server writes it anew within seconds, so try again; a folder in its place has to be moved away",
            dir.display(),
            path.display()
        ),
    }
}

/// A file that is small, whatever was put in its place.
fn read_small(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SMALL_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells commands how to reach this server; readable by its user alone.
///
/// # Errors
/// The file cannot be written.
pub fn publish(dir: &Path, server: &ServerFile) -> anyhow::Result<()> {
    let part = dir.join("server.json.part");
    write_private(&part, &serde_json::to_vec(server)?)?;
    here(Point::At(Step::ServerPart));
    let path = dir.join(SERVER);
    fs::rename(&part, &path)
        .with_context(|| format!("{} cannot be written: move away what is there", path.display()))
}

/// What commands read there is what this server has told.
pub fn is_published(dir: &Path, server: &ServerFile) -> bool {
    let read = read_small(&dir.join(SERVER)).ok();
    read.and_then(|bytes| serde_json::from_slice::<ServerFile>(&bytes).ok()).as_ref()
        == Some(server)
}

/// Writes and syncs a file that its user alone can read. It is a new one, whatever was there: a link,
/// or what a server left that was killed here.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The server ends.
pub fn withdraw(dir: &Path) {
    // A file that stays is known by the lock to be left over.
    let _ = fs::remove_file(dir.join(SERVER));
}
