//! One reading of catalog and index, side by side.

use focus_common::clock;
use focus_common::status::VerificationStage;
use focus_core::verify::{Drift, Window, compare};

use crate::verify::result::VerifyError;
use crate::verify::verified_root::VerifiedRoot;

/// Documents and rows read at once at most, so that neither side takes much memory.
const PAGE: usize = 1_000;

/// Files younger than this, and still to be written, are no drift, milliseconds: the reconciler is at
/// them.
const YOUNG_MS: i64 = 5_000;

/// The time before which files are no longer too young, milliseconds since 1970.
pub(super) fn young_after_ms() -> i64 {
    clock::wall_ms() - YOUNG_MS
}

impl VerifiedRoot<'_> {
    /// Reads both sides from the first uuid to the last, and names what differs.
    pub(super) async fn read(&self, stage: VerificationStage) -> Result<Drift, VerifyError> {
        let cutoff_ms = young_after_ms();
        let (mut drift, mut after) = (Drift::default(), None::<String>);
        loop {
            self.tell(stage, drift.compared);
            let documents = self.engine.catalog.page(&self.place, after.as_deref(), PAGE).await?;
            let from = after.clone();
            let rows = self.read_index(move |reader, id| {
                reader.verified(id, from.as_deref(), PAGE, cutoff_ms)
            });
            let window = Window::of(documents, rows.await?);
            drift.compared += window.rows.len() as u64;
            drift.add(compare(&window.rows, &window.documents));
            match window.through {
                Some(through) => after = Some(through),
                None => return Ok(drift),
            }
        }
    }
}
