//! A server that does not recover, for drills that must fail.
//!
//! With the hidden setting [`VARIABLE`] a server never writes what was pending when its database came
//! back: a drill against it has to find out. The setting is in every build, so that what is drilled
//! is what is shipped.

use async_trait::async_trait;
use focus_catalog::Reach;
use focus_core::batch::{Pick, Picked};
use focus_index::{EntryId, IndexError};
use tokio::sync::watch;

use super::pending::PendingSource;

/// The environment variable that switches recovery off.
const VARIABLE: &str = "FOCUS_UNSAFE_NO_RECOVERY";

/// Its one value that does so.
const VALUE: &str = "yes-lose-recordings";

/// These pending recordings; without those that an outage left, where recovery is switched off.
pub(crate) fn unless_switched_off(
    pending: Box<dyn PendingSource>,
    reach: watch::Receiver<Reach>,
) -> Box<dyn PendingSource> {
    if std::env::var(VARIABLE).unwrap_or_default() != VALUE {
        return pending;
    }
    tracing::error!(
        "{VARIABLE} is set: what lands while the database is away is NEVER catalogued. This is for drills that must fail; unset it everywhere else"
    );
    Box::new(NoRecovery::new(pending, reach))
}

/// Leaves out what was pending when the database came back.
struct NoRecovery {
    pending: Box<dyn PendingSource>,
    reach: watch::Receiver<Reach>,
    /// The connection that was there at the last pick.
    epoch: Option<u64>,
    /// The database has come back, and nothing was picked since.
    returned: bool,
    /// Rows up to this one are not written any more.
    through: EntryId,
}

impl NoRecovery {
    fn new(pending: Box<dyn PendingSource>, reach: watch::Receiver<Reach>) -> NoRecovery {
        NoRecovery { pending, reach, epoch: None, returned: false, through: EntryId(i64::MIN) }
    }

    fn follow_reach(&mut self) {
        if let Reach::Up { epoch } = *self.reach.borrow_and_update() {
            let before = self.epoch.replace(epoch);
            self.returned |= before.is_some_and(|before| before != epoch);
        }
    }
}

#[async_trait]
impl PendingSource for NoRecovery {
    async fn pick(&mut self, pick: Pick) -> Result<Picked, IndexError> {
        self.follow_reach();
        let mut picked = self.pending.pick(pick).await?;
        if std::mem::take(&mut self.returned) {
            // Newest first.
            self.through = picked.items.first().map_or(self.through, |newest| newest.id);
        }
        picked.items.retain(|item| item.id > self.through);
        Ok(picked)
    }
}
