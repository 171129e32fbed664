//! The state of verifications: one at a time, how far it has come, and what the last one came to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use focus_common::status::{VerificationStage, Verifying};
use focus_crash::{Point, Step, here};
use parking_lot::{Mutex, MutexGuard};

use crate::verify::result::Verification;

/// The file of the last verification in the state folder.
const FILE: &str = "verification.json";

/// The verifications of an engine.
#[derive(Debug)]
pub(crate) struct Verifications {
    file: PathBuf,
    /// Held while one goes on: two would only slow one another.
    one_at_a_time: tokio::sync::Mutex<()>,
    progress: Mutex<Option<Verifying>>,
    last: Mutex<Option<Verification>>,
}

/// A verification that goes on. Dropping it ends its progress, however the verification ended.
pub(super) struct Running<'a> {
    verifications: &'a Verifications,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.verifications.progress() = None;
    }
}

impl Verifications {
    /// With the last verification of an earlier run, where its file can be read.
    pub(crate) fn of(state_dir: &Path) -> Verifications {
        let file = state_dir.join(FILE);
        let last = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Verifications {
            file,
            one_at_a_time: tokio::sync::Mutex::default(),
            progress: Mutex::default(),
            last: Mutex::new(last),
        }
    }

    /// Waits for the turn of one more verification.
    pub(super) async fn begin(&self) -> Running<'_> {
        Running { _turn: self.one_at_a_time.lock().await, verifications: self }
    }

    /// Tells how far the verification has come: `compared` of `of` recordings.
    pub(super) fn tell(&self, stage: VerificationStage, compared: u64, of: u64) {
        *self.progress() = Some(Verifying { stage, compared, of });
    }

    /// How far the verification that goes on has come; none where none goes on.
    pub(super) fn running(&self) -> Option<Verifying> {
        self.progress().clone()
    }

    /// The last verification, of this run or an earlier one.
    pub(super) fn last(&self) -> Option<Verification> {
        self.last.lock().clone()
    }

    /// How many differences between storage and catalog the last verification left.
    pub(crate) fn drift(&self) -> Option<u64> {
        self.last.lock().as_ref().map(Verification::drift)
    }

    /// The same of each root, by its id.
    pub(crate) fn drift_of_roots(&self) -> BTreeMap<String, u64> {
        self.last.lock().as_ref().map(Verification::drift_of_roots).unwrap_or_default()
    }

    /// Keeps a result, here and in the state folder.
    pub(super) fn keep(&self, result: &Verification) {
        let part = self.file.with_extension("part");
        let stored = serde_json::to_vec(result)
            .map_err(std::io::Error::from)
            .and_then(|bytes| focus_common::state_dir::write_private(&part, &bytes))
            .inspect(|()| here(Point::At(Step::VerificationPart)))
            .and_then(|()| std::fs::rename(&part, &self.file));
        if let Err(error) = stored {
            tracing::warn!("{} cannot be written: {error}", self.file.display());
        }
        *self.last.lock() = Some(result.clone());
    }

    fn progress(&self) -> MutexGuard<'_, Option<Verifying>> {
        self.progress.lock()
    }
}
