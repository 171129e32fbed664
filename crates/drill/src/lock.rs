//! One drill at a time per state folder, and whether it is alive: a lock that goes with its process.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::plan::Folder;
use focus_common::state_dir::lock_file;

/// The guard looks at the lock for a moment now and then: that must not look like another drill.
const PATIENCE: Duration = Duration::from_secs(2);

fn open(folder: &Folder) -> anyhow::Result<File> {
    lock_file(&folder.file("drill.lock"))
}

/// Takes the lock; none where another drill on this folder holds it.
///
/// # Errors
/// The file cannot be opened.
pub async fn take(folder: &Folder) -> anyhow::Result<Option<File>> {
    let file = open(folder)?;
    let began = tokio::time::Instant::now();
    loop {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(Some(file));
        }
        if began.elapsed() >= PATIENCE {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Nobody holds the lock: the drill of this folder has ended, or died.
pub fn is_free(folder: &Folder) -> bool {
    // Where it cannot be told the drill counts as alive: the deadline is there for that.
    open(folder).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_ok())
}
