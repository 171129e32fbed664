//! The state folder: locked while a server runs, and holding its address and token.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use focus_crash::{Point, Step, here};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

const LOCK: &str = "focus.lock";
const SERVER: &str = "server.json";
const IDENTITY: &str = "identity";

/// How a running server is reached.
#[derive(Clone, Serialize, Deserialize)]
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
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| {
            format!(
                "{} cannot be written: mend its permissions, or give another folder with --state-dir",
                path.display()
            )
        })?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        anyhow::bail!(
            "the state folder {} is in use by another focus process: stop that one, or give another --state-dir",
            dir.display()
        );
    }
    Ok(StateLock { _file: file })
}

/// The name under which this state folder holds leases, made on first use. It is apart from the
/// index, so that a rebuilt index resumes its leases at once.
///
/// # Errors
/// It can be neither read nor written.
pub fn identity(dir: &Path) -> anyhow::Result<String> {
    let path = dir.join(IDENTITY);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() && text.len() <= 256 => {
            return Ok(text.trim().to_owned());
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
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
pub fn running(dir: &Path) -> Option<ServerFile> {
    let file = File::open(dir.join(LOCK)).ok()?;
    // A lock that can be had is nobody's: the file is left over from a server that was killed.
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    serde_json::from_slice(&fs::read(dir.join(SERVER)).ok()?).ok()
}

/// Tells commands how to reach this server; readable by its user alone.
///
/// # Errors
/// The file cannot be written.
pub fn publish(dir: &Path, server: &ServerFile) -> anyhow::Result<()> {
    let part = dir.join("server.json.part");
    write_private(&part, &serde_json::to_vec(server)?)?;
    here(Point::At(Step::ServerPart));
    fs::rename(&part, dir.join(SERVER))?;
    Ok(())
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
