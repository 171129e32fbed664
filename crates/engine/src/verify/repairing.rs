//! Repairs: the reconciler mends what was found.

use std::time::Duration;

use focus_common::clock;
use focus_core::reconcile::Phase;
use focus_core::verify::{Drift, Repairs};
use focus_crash::{Point, Step, here};
use tokio::time::{Instant, sleep};

use crate::verify::result::VerifyError;
use crate::verify::verified_root::{LOOK, VerifiedRoot};

/// Repairs that make no progress for so long are given up; the next reading tells what is left.
const STALLED_LIMIT: Duration = Duration::from_secs(30);

impl VerifiedRoot<'_> {
    /// Has the reconciler mend what was found, and waits for it.
    ///
    /// # Errors
    /// Another server has the lease, or the catalog takes no writes.
    pub(super) async fn repair(&self, drift: &Drift) -> Result<(), VerifyError> {
        self.wait_for_right_to_write().await?;
        let repairs = Repairs::of(drift.findings());
        let index = &self.engine.index;
        index.found(repairs.rows, clock::wall_ms()).await?;
        here(Point::At(Step::RepairStored));
        index.add_missing(self.id, repairs.missing, clock::wall_ms()).await?;
        here(Point::At(Step::RepairAdded));
        self.served.wake.notify_one();
        self.wait_until_written().await
    }

    /// Waits until nothing is pending, or nothing has moved for long.
    async fn wait_until_written(&self) -> Result<(), VerifyError> {
        let reader = &self.engine.reader;
        let (mut least_pending, mut progress_at) = (u64::MAX, Instant::now());
        loop {
            let pending = reader.root_totals(self.id)?.pending;
            let deciding = reader.has_vanish_candidates(self.id)?;
            if pending == 0 && !deciding {
                return Ok(());
            }
            if pending < least_pending {
                (least_pending, progress_at) = (pending, Instant::now());
            } else if progress_at.elapsed() > STALLED_LIMIT {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until this server may write: only the holder of the lease repairs. A lease that another
    /// server had may lapse meanwhile.
    async fn wait_for_right_to_write(&self) -> Result<(), VerifyError> {
        let patience = Duration::from_millis(self.engine.settings.lease_ms + 3_000);
        let until = Instant::now() + patience;
        loop {
            match self.engine.phase_of(&self.place.id) {
                Some(Phase::InStep | Phase::Recovering) => return Ok(()),
                Some(Phase::Standby) if Instant::now() >= until => {
                    return Err(VerifyError::Refused(format!(
                        "another server has the lease of {}, and repairs are its to make: run `focus verify --repair` there",
                        self.place.path
                    )));
                }
                _ if Instant::now() >= until => {
                    return Err(VerifyError::could_not_tell(
                        "the catalog takes no writes from this server: see `focus status`",
                    ));
                }
                _ => sleep(LOOK).await,
            }
        }
    }
}
