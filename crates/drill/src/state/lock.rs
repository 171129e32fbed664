//! The lock `drill.lock`: one drill at a time per state folder. The kernel releases it with its process, so a
//! lock that is held also shows that the drill is alive.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, sleep};

use super::folder::Folder;
use focus_common::state_dir::lock_file;

/// The guard takes the lock for a moment now and then: that must not look like another drill.
const PATIENCE: Duration = Duration::from_secs(2);

fn open(folder: &Folder) -> anyhow::Result<File> {
    Ok(lock_file(&folder.file("drill.lock"))?)
}

/// Takes the lock; none where another drill on this folder holds it for 2 s.
///
/// # Errors
/// The file cannot be opened.
pub async fn take(folder: &Folder) -> anyhow::Result<Option<File>> {
    let file = open(folder)?;
    let began = Instant::now();
    loop {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(Some(file));
        }
        if began.elapsed() >= PATIENCE {
            return Ok(None);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Whether nobody holds the lock: the drill of this folder has ended, or died.
pub fn is_free(folder: &Folder) -> bool {
    // A lock that cannot be looked at counts as held: the deadline is there for that.
    open(folder).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_ok())
}
