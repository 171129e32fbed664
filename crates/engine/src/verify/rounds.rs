//! The order of things for one root: readings, repairs, and what is told in the end.

use std::sync::atomic::{AtomicBool, Ordering};

use focus_common::status::VerificationStage;
use focus_core::verify::{Drift, FINDINGS_MAX, FindingKind};

use crate::verify::result::{ReportedFinding, Verification, VerifyError};
use crate::verify::sidecars::Sidecars;
use crate::verify::verified_root::VerifiedRoot;

/// Rounds of repair at most. A round may uncover more than was kept of the one before.
const REPAIR_ROUNDS_MAX: usize = 5;

impl VerifiedRoot<'_> {
    /// Verifies the root, with `repair` mends it, and adds what it came to.
    pub(super) async fn verify(
        &self,
        repair: bool,
        sidecars: Sidecars,
        out: &mut Verification,
    ) -> Result<(), VerifyError> {
        let mut drift = self.drift(sidecars).await?;
        let before = drift.total();
        if repair && before > 0 {
            for _ in 0..REPAIR_ROUNDS_MAX {
                let left = drift.total();
                self.tell(VerificationStage::Repair, drift.compared);
                self.repair(&drift).await?;
                drift = self.drift(sidecars).await?;
                if drift.total() == 0 || drift.total() >= left {
                    break;
                }
            }
            out.repaired += before.saturating_sub(drift.total());
        }
        self.report(drift, out).await
    }

    /// What differs: found by two readings with a scan of storage between them, and once more when
    /// each finding is looked at by itself.
    async fn drift(&self, sidecars: Sidecars) -> Result<Drift, VerifyError> {
        if self.served.scans() == 0 {
            self.wait_for_scan_after(0).await?;
        }
        let catalog = &self.engine.catalog;
        let before = catalog.identify(&self.place).await?;
        let first = self.read(VerificationStage::Catalog).await?;
        self.tell(VerificationStage::Storage, 0);
        self.scan_storage().await?;
        // The sidecars are read beside the catalog: the one waits for the disk, the other for the database.
        let is_alone = AtomicBool::new(false);
        let again = async {
            let second = self.read(VerificationStage::CatalogAgain).await;
            is_alone.store(true, Ordering::Relaxed);
            second
        };
        let (mut second, of_sidecars) =
            tokio::try_join!(again, self.read_sidecars(sidecars, &is_alone))?;
        if second.total() > 0 {
            self.tell(VerificationStage::Findings, second.compared);
            let counts_follow = first.is_whole() || second.is_whole();
            let suspects = second.take_met_before(&first);
            second.confirm(self.confirmed(suspects).await?, counts_follow);
        }
        second.merge(of_sidecars);
        if catalog.identify(&self.place).await? != before {
            return Err(VerifyError::could_not_tell(
                "the catalog's database was replaced during the verification. Run it again",
            ));
        }
        self.check_present()?;
        Ok(second)
    }

    /// Adds the drift, and what storage itself is unclear about, to the result.
    async fn report(&self, drift: Drift, out: &mut Verification) -> Result<(), VerifyError> {
        out.compared += drift.compared;
        out.truncated |= !drift.is_whole();
        for (kind, count) in drift.counts() {
            out.count(&self.place.id, *kind, *count);
        }
        for finding in drift.into_findings() {
            out.push(ReportedFinding::of(&self.place.id, finding));
        }
        let places = self.read_index(|reader, id| {
            let unrecognised = reader.unrecognised(&[], None, None, FINDINGS_MAX)?;
            Ok((unrecognised, reader.unsettled(id, FINDINGS_MAX)?))
        });
        let (unrecognised, unsettled) = places.await?;
        out.truncated |= unrecognised.len() == FINDINGS_MAX || unsettled.len() == FINDINGS_MAX;
        for row in unrecognised.into_iter().filter(|row| row.root == self.place.id) {
            let kind = FindingKind::Unrecognised;
            out.count(&self.place.id, kind, 1);
            let reason = Some(format!("{}: {}", row.state, row.reason));
            out.push(ReportedFinding::of_place(kind, &row.root, row.path, reason));
        }
        for place in unsettled {
            let kind = FindingKind::Unsettled;
            out.count(&self.place.id, kind, 1);
            out.push(ReportedFinding::of_place(kind, &self.place.id, place.display(), None));
        }
        Ok(())
    }
}
