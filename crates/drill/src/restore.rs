//! Bringing the database back: one way for the drill, its guard, and whoever recovers after them.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, sleep};

use super::database::Probe;
use super::outage::{Restore, Surroundings};
use super::plan::{Folder, Progress, Stage, UP_DONE};

/// The way up is tried for so long.
const UP_FOR: Duration = Duration::from_secs(60);

/// The database is waited for so long after its way up.
pub const BACK_WITHIN: Duration = Duration::from_secs(120);

/// Another's way up is waited for so long; after that it may be the database itself that holds the
/// lock, stopped in its tracks.
const LOCK_FOR: Duration = Duration::from_secs(20);

/// Where the way down had begun and its effect is not on record, it is looked for so long.
const LOOK_FOR: Duration = Duration::from_secs(10);

/// Where the way up has ended well, the database is waited for so long before it is taken again.
const STARTING_FOR: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(100);

/// What brings the database back, and how it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Back<'a> {
    /// The drill's folder.
    pub folder: &'a Folder,
    /// The drill's own view.
    pub probe: &'a Probe,
    /// The way up.
    pub restore: &'a Restore,
    /// The plan's file, for whoever does not hold the folder's lock: where it is there no more, somebody
    /// else has brought the database back, and another drill may have taken it away.
    pub plan_file: Option<u64>,
}

impl Back<'_> {
    /// Takes the way up. One that may not be repeated is taken under a lock, and only while the database
    /// is away.
    ///
    /// # Errors
    /// It could not be taken within a minute.
    pub async fn take(&self) -> anyhow::Result<()> {
        let way_up = self.restore.way_up();
        let began = Instant::now();
        let mut pause = Duration::from_millis(100);
        loop {
            if !self.stands() {
                return Ok(());
            }
            let ended = if way_up.repeatable() {
                way_up.up(&self.surroundings(None)).await
            } else {
                self.under_lock().await
            };
            match ended {
                Ok(()) => return Ok(()),
                Err(_) if self.is_undone().await => return Ok(()),
                Err(error) if began.elapsed() >= UP_FOR => {
                    return Err(error).with_context(|| {
                        format!("the database was not brought back by {}", way_up.describe())
                    });
                }
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// The database answers, and its target says that nothing of the outage is left: whatever failed, it
    /// is over.
    async fn is_undone(&self) -> bool {
        let nothing_left = async {
            let left = self.restore.way_up().left_behind().await;
            left.is_ok_and(|left| left.is_empty())
        };
        self.probe.takes_writes().await && nothing_left.await
    }

    /// The drill is still to be put right.
    fn stands(&self) -> bool {
        self.plan_file.is_none_or(|file| self.folder.has_plan_file(file))
    }

    fn surroundings<'a>(&'a self, lock: Option<&'a File>) -> Surroundings<'a> {
        Surroundings { folder: self.folder, probe: self.probe, lock }
    }

    async fn under_lock(&self) -> anyhow::Result<()> {
        let path = self.folder.file("up.lock");
        let lock = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        let began = Instant::now();
        loop {
            if self.probe.takes_writes().await {
                return Ok(());
            }
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                break;
            }
            if began.elapsed() >= LOCK_FOR {
                break;
            }
            sleep(LOOK).await;
        }
        // Whoever held the lock may have brought it back.
        if self.probe.takes_writes().await {
            return Ok(());
        }
        // Taken by another, or by us before: the database is on its way. It is not started twice.
        if self.folder.file(UP_DONE).exists() {
            if self.is_back(STARTING_FOR).await {
                return Ok(());
            }
            self.folder.remove(UP_DONE)?;
        }
        if !self.stands() {
            return Ok(());
        }
        self.restore.way_up().up(&self.surroundings(Some(&lock))).await
    }

    /// Waits until the database takes writes; false where it does not within the bound.
    pub async fn is_back(&self, within: Duration) -> bool {
        self.seen(within, true).await
    }

    /// Looks until the database is, or is not, there, twice in a row.
    async fn seen(&self, within: Duration, there: bool) -> bool {
        let began = Instant::now();
        let mut in_a_row = 0;
        loop {
            in_a_row = if self.probe.takes_writes().await == there { in_a_row + 1 } else { 0 };
            if in_a_row >= if there { 1 } else { 2 } {
                return true;
            }
            if began.elapsed() >= within {
                return false;
            }
            sleep(LOOK).await;
        }
    }

    /// Makes sure that the database is there after a drill that ended without having seen to it.
    ///
    /// # Errors
    /// It is not back within the bounds.
    pub async fn ensure(&self, progress: &Progress) -> anyhow::Result<()> {
        match progress.stage {
            // Nothing was broken, or the drill has seen it come back.
            Stage::Planned | Stage::Up | Stage::Cleaning => {}
            Stage::DownBegun => {
                // Its effect may show only now; and a way up that was taken before it would be lost.
                if self.restore.way_up().repeatable() {
                    self.take().await?;
                }
                if self.seen(LOOK_FOR, false).await {
                    self.take().await?;
                }
            }
            Stage::Down | Stage::UpBegun => self.take().await?,
        }
        anyhow::ensure!(
            self.is_back(BACK_WITHIN).await,
            "the database does not take writes {} s after its way up ({})",
            BACK_WITHIN.as_secs(),
            self.restore.way_up().describe()
        );
        Ok(())
    }
}
