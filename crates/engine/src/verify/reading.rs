//! One reading of catalog and index, side by side.

use focus_common::clock;
use focus_common::status::VerificationStage;
use focus_core::verify::{Drift, Finding, compare};
use focus_core::window::Window;
use focus_index::{IndexError, Reader, RootId};

use crate::verify::result::VerifyError;
use crate::verify::verified_root::VerifiedRoot;
use crate::window;

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
    /// Reads both sides from the first uuid to the last, and names what differs. While a window is compared, the
    /// documents of the next one are read.
    pub(super) async fn read(&self, stage: VerificationStage) -> Result<Drift, VerifyError> {
        let cutoff_ms = young_after_ms();
        let mut drift = Drift::default();
        self.tell(stage, 0);
        let (mut after, mut window) = (None, self.window(None).await?);
        loop {
            self.tell(stage, drift.compared);
            let through = window.through.clone();
            let from = after;
            // The rows are read after their documents: a recording that changes meanwhile is the newer of them.
            let compared =
                self.read_index(move |reader, id| rows_of(reader, id, from, window, cutoff_ms));
            let (rows, found) = match &through {
                Some(through) => {
                    let (compared, next) =
                        tokio::try_join!(compared, self.window(Some(through.as_str())))?;
                    window = next;
                    compared
                }
                None => {
                    let (rows, found) = compared.await?;
                    drift.compared += rows;
                    drift.add(found);
                    return Ok(drift);
                }
            };
            drift.compared += rows;
            drift.add(found);
            after = through;
        }
    }

    async fn window(&self, after: Option<&str>) -> Result<Window, VerifyError> {
        let engine = self.engine;
        let root = (&self.place, &engine.reader, self.id);
        let read = window::read(&*engine.catalog, root, after, PAGE).await;
        Ok(read.inspect_err(|error| engine.index_fault.tell(error))??)
    }
}

/// Compares the rows of a window with its documents: how many rows, and what differs.
fn rows_of(
    reader: &Reader,
    id: RootId,
    mut after: Option<String>,
    mut window: Window,
    cutoff_ms: i64,
) -> Result<(u64, Vec<Finding>), IndexError> {
    let (mut count, mut found) = (0, Vec::new());
    loop {
        let through = window.through.as_deref();
        let rows = reader.verified(id, after.as_deref(), through, PAGE, cutoff_ms)?;
        count += rows.items.len() as u64;
        let last = rows.items.last().filter(|_| rows.more);
        match last.map(|last| last.row.recording.uuid.clone()) {
            Some(last) => {
                found.extend(compare(&rows.items, &window.take_through(&last)));
                after = Some(last);
            }
            None => {
                found.extend(compare(&rows.items, &window.documents));
                return Ok((count, found));
            }
        }
    }
}
