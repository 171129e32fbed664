//! A recording whose files are in place: it is waited for until the index has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_core::recording::Place;
use focus_crash::{Point, Step, here};
use focus_index::{Reader, Whole};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::claims::Claim;
use super::error::IngestError;
use crate::served_root::ServedRoot;

/// How long the index is waited for. It looks at once; a scan or a backlog may keep it for a while.
const PATIENCE: Duration = Duration::from_secs(20);

/// The index is asked at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A recording whose files are in place.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(super) served: Arc<ServedRoot>,
    pub(super) reader: Reader,
    pub(super) uuid: String,
    /// The id of its root.
    pub(super) root: String,
    pub(super) place: Place,
    pub(super) fingerprint: String,
    pub(super) is_new: bool,
    /// Changes with everything that the observer stores.
    pub(super) observed: watch::Receiver<u64>,
    /// Nobody else may take its path or its uuid meanwhile.
    pub(super) claim: Claim,
}

impl Landed {
    /// Waits until the index has the recording. Returns it, and whether a file was put in place for it. It blocks, outside
    /// of the runtime's own threads.
    ///
    /// # Errors
    /// The index does not have it in time, or the server begins anew.
    pub(super) fn indexed(mut self, runtime: &Handle) -> Result<(Whole, bool), IngestError> {
        let deadline = Instant::now() + PATIENCE;
        // What was put in place just now cannot be there before the observer has stored something.
        let mut waits = self.is_new;
        loop {
            if waits {
                // Whether it changed or the time is over: the index is asked again.
                let changed = async { timeout(LOOK_EVERY, self.observed.changed()).await.is_ok() };
                runtime.block_on(changed);
            }
            waits = true;
            if let Some(found) = self.reader.recording(&self.uuid)?.filter(|found| self.is(found)) {
                here(Point::At(Step::IngestIndexed));
                drop(self.claim);
                return Ok((found, self.is_new));
            }
            if self.served.inbox.is_closed() {
                return Err(IngestError::Ended);
            }
            if Instant::now() > deadline {
                return Err(IngestError::NotYet);
            }
        }
    }

    fn is(&self, found: &Whole) -> bool {
        is_at(found, &self.root, &self.place)
            && found.fingerprint == self.fingerprint
            && !found.listed.vanished
    }
}

/// The index has this recording at this place of this root.
pub(super) fn is_at(found: &Whole, root: &str, place: &Place) -> bool {
    let path = found.listed.path.rsplit_once('.').map_or("", |(path, _)| path);
    found.listed.root == root && path == place.display()
}
