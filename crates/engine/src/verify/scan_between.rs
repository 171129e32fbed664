//! The scan of storage between two readings.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::inbox::ScanAsked;
use crate::verify::result::VerifyError;
use crate::verify::verified_root::{LOOK, VerifiedRoot};

impl VerifiedRoot<'_> {
    /// Scans storage, and waits for what the scan finds.
    pub(super) async fn scan_storage(&self) -> Result<(), VerifyError> {
        let scans = self.served.scans();
        self.served.inbox.ask_scan(ScanAsked::Stat);
        self.wait_for_scan_after(scans).await
    }

    /// Waits until a scan later than the first `scans` is finished and what it found has settled.
    pub(super) async fn wait_for_scan_after(&self, scans: u64) -> Result<(), VerifyError> {
        // A live recording's file may grow for ever: what is unsettled is waited for within a bound.
        let settle = Duration::from_millis(self.engine.settings.settle_ms * 3 + 2_000);
        let mut settled_by = None;
        loop {
            self.check_present()?;
            if self.served.scans() > scans {
                let by = *settled_by.get_or_insert_with(|| Instant::now() + settle);
                let totals = self.engine.reader.root_totals(self.id)?;
                if totals.unsettled == 0 || Instant::now() >= by {
                    return Ok(());
                }
            }
            sleep(LOOK).await;
        }
    }
}
