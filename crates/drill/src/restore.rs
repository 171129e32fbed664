//! How the database is brought back: by the drill itself, by its guard, and after a crash by
//! `focus drill recover`. All three do it here.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, sleep};

use crate::database::probe::Probe;
use crate::outage::contract::Surroundings;
use crate::outage::restore::Restore;
use crate::plan::Plan;
use crate::state::folder::{Folder, PlanFile, UP_DONE};
use crate::state::progress::{Progress, Stage};

/// The way up is tried for this long.
const UP_FOR: Duration = Duration::from_secs(60);

/// The database is waited for this long after its way up.
pub const BACK_WITHIN: Duration = Duration::from_secs(120);

/// Another's way up is waited for this long. After that it may be the database itself that holds the lock,
/// stopped in its tracks.
const LOCK_FOR: Duration = Duration::from_secs(20);

/// Where the way down had begun and its effect is not on record, the effect is looked for this long.
const EFFECT_FOR: Duration = Duration::from_secs(10);

/// Where the way up has ended well, the database is waited for this long before the way up is taken again.
const STARTING_FOR: Duration = Duration::from_secs(20);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The longest pause between two attempts at a way up; the first is [`LOOK_EVERY`].
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The database is away once this many looks in a row say so: one look may fail by chance.
const AWAY_LOOKS: u32 = 2;

/// Brings the database of one drill back.
#[derive(Clone, Copy, Debug)]
pub struct Restoration<'a> {
    folder: &'a Folder,
    probe: &'a Probe,
    drill: &'a str,
    restore: &'a Restore,
    /// The plan's file, for who does not hold the folder's lock.
    plan_file: Option<PlanFile>,
}

impl<'a> Restoration<'a> {
    /// For who holds the lock of the folder: nobody else can end the drill meanwhile.
    pub fn under_lock(folder: &'a Folder, probe: &'a Probe, plan: &'a Plan) -> Restoration<'a> {
        Restoration { folder, probe, drill: &plan.id, restore: &plan.restore, plan_file: None }
    }

    /// For who does not hold the lock. Once this plan is no longer there, somebody else has brought the database
    /// back, and another drill may have taken it away: then nothing is done.
    pub fn while_planned(
        folder: &'a Folder,
        probe: &'a Probe,
        plan: &'a Plan,
        plan_file: PlanFile,
    ) -> Restoration<'a> {
        let plan_file = Some(plan_file);
        Restoration { folder, probe, drill: &plan.id, restore: &plan.restore, plan_file }
    }

    /// Takes the way up. One that must not be repeated is taken under a lock, and only while the database is
    /// away.
    ///
    /// # Errors
    /// The way up fails for 60 s.
    pub async fn bring_up(&self) -> anyhow::Result<()> {
        let way_up = self.restore.way_up();
        let began = Instant::now();
        let mut pause = LOOK_EVERY;
        loop {
            if !self.is_planned() {
                return Ok(());
            }
            let ended = if way_up.repeatable() {
                way_up.up(&self.surroundings(None)).await
            } else {
                self.bring_up_once().await
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
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Sees to it that the database is there after a drill that ended, or died, without having seen to it.
    ///
    /// # Errors
    /// The way up fails, or the database does not take writes within 120 s after it.
    pub async fn after_crash(&self, progress: &Progress) -> anyhow::Result<()> {
        match progress.stage {
            // Nothing was broken, or the drill has seen the database come back.
            Stage::Planned | Stage::Up | Stage::Cleaning => {}
            Stage::DownBegun => {
                // Its effect may show only now; a way up that was taken before it would be lost.
                if self.restore.way_up().repeatable() {
                    self.bring_up().await?;
                }
                if self.goes_away(EFFECT_FOR).await {
                    self.bring_up().await?;
                }
            }
            Stage::Down | Stage::UpBegun => self.bring_up().await?,
        }
        anyhow::ensure!(
            self.comes_back(BACK_WITHIN).await,
            "the database does not take writes {} s after its way up ({})",
            BACK_WITHIN.as_secs(),
            self.restore.way_up().describe()
        );
        Ok(())
    }

    /// Whether the outage is over, whatever failed: the database answers, and its target says that nothing of
    /// the outage is left.
    async fn is_undone(&self) -> bool {
        let nothing_left = async {
            let left = self.restore.way_up().left_behind().await;
            left.is_ok_and(|left| left.is_empty())
        };
        self.probe.takes_writes().await && nothing_left.await
    }

    /// Whether the drill is still there to be ended.
    fn is_planned(&self) -> bool {
        self.plan_file.is_none_or(|file| self.folder.has_plan(file))
    }

    fn surroundings<'b>(&'b self, lock: Option<&'b File>) -> Surroundings<'b> {
        Surroundings { folder: self.folder, drill: self.drill, probe: self.probe, lock }
    }

    /// Takes a way up that must not be taken twice.
    async fn bring_up_once(&self) -> anyhow::Result<()> {
        let lock = self.open_lock()?;
        if self.back_before_lock(&lock).await {
            return Ok(());
        }
        // Taken by another, or by this process before: the database is starting. It is not started twice.
        if self.folder.file(UP_DONE).exists() {
            if self.comes_back(STARTING_FOR).await {
                return Ok(());
            }
            self.folder.remove(UP_DONE)?;
        }
        if !self.is_planned() {
            return Ok(());
        }
        self.restore.way_up().up(&self.surroundings(Some(&lock))).await
    }

    fn open_lock(&self) -> anyhow::Result<File> {
        let path = self.folder.file("up.lock");
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))
    }

    /// Waits for the lock, or until another's way up has brought the database back; whether it has.
    async fn back_before_lock(&self, lock: &File) -> bool {
        let began = Instant::now();
        loop {
            if self.probe.takes_writes().await {
                return true;
            }
            let taken = flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            if taken || began.elapsed() >= LOCK_FOR {
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        // Who held the lock may have brought it back.
        self.probe.takes_writes().await
    }

    /// Waits until the database takes writes; false where it does not within the bound.
    async fn comes_back(&self, within: Duration) -> bool {
        self.looks_in_a_row(within, true, 1).await
    }

    /// Waits until the database is away; false where it is not within the bound.
    async fn goes_away(&self, within: Duration) -> bool {
        self.looks_in_a_row(within, false, AWAY_LOOKS).await
    }

    async fn looks_in_a_row(&self, within: Duration, takes_writes: bool, wanted: u32) -> bool {
        let began = Instant::now();
        let mut in_a_row = 0;
        loop {
            let same = self.probe.takes_writes().await == takes_writes;
            in_a_row = if same { in_a_row + 1 } else { 0 };
            if in_a_row >= wanted {
                return true;
            }
            if began.elapsed() >= within {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
