//! One root under verification: it and the catalog are there, and stay there.

use std::time::Duration;

use focus_catalog::{Reach, RootPlace};
use focus_common::status::{RootState, VerificationStage};
use focus_index::{IndexError, Reader, RootId};
use tokio::time::{Instant, sleep, timeout};

use crate::engine::Engine;
use crate::lease::told_of_copy;
use crate::served_root::ServedRoot;
use crate::verify::result::VerifyError;

/// The catalog, and the opening of the root, are waited for so long.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// Time between two looks at what a verification waits for.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// A root that is verified.
pub(super) struct VerifiedRoot<'a> {
    pub(super) engine: &'a Engine,
    pub(super) served: &'a ServedRoot,
    /// The root's row in the index.
    pub(super) id: RootId,
    pub(super) place: RootPlace,
}

impl<'a> VerifiedRoot<'a> {
    /// Waits until the catalog and the root are there.
    ///
    /// # Errors
    /// One of them is not there, or not in time.
    pub(super) async fn reach(
        engine: &'a Engine,
        served: &'a ServedRoot,
    ) -> Result<VerifiedRoot<'a>, VerifyError> {
        let until = Instant::now() + REACH_LIMIT;
        reach_catalog(engine).await?;
        loop {
            let (state, reason) = served.presence();
            let known = served.memory.borrow().clone();
            match (state, known) {
                (RootState::Present, Some((marker, memory))) => {
                    let place = RootPlace { id: marker, path: served.path() };
                    is_no_copy(engine, served, &place).await?;
                    return Ok(VerifiedRoot { engine, served, id: memory.id, place });
                }
                (RootState::Present | RootState::Unknown, _) if Instant::now() < until => {
                    sleep(LOOK).await
                }
                _ => {
                    let words = reason.unwrap_or_else(|| "it has not been opened yet".to_owned());
                    return Err(VerifyError::CouldNotTell(words));
                }
            }
        }
    }

    /// Checks that the root is still there.
    ///
    /// # Errors
    /// It went: what is not on it means nothing.
    pub(super) fn check_present(&self) -> Result<(), VerifyError> {
        let (state, reason) = self.served.presence();
        if state == RootState::Present {
            return Ok(());
        }
        Err(VerifyError::CouldNotTell(reason.unwrap_or_else(|| state.to_string())))
    }

    /// Tells how far it is.
    pub(super) fn tell(&self, stage: VerificationStage, compared: u64) {
        let of = self.engine.reader.root_totals(self.id).map_or(0, |totals| totals.recordings);
        self.engine.verifications.tell(stage, compared, of);
    }

    /// Reads the index on a thread that may block.
    pub(super) async fn read_index<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader, RootId) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, VerifyError> {
        let (reader, id) = (self.engine.reader.clone(), self.id);
        let read = tokio::task::spawn_blocking(move || read(&reader, id)).await?;
        Ok(read.inspect_err(|error| self.engine.index_fault.tell(error))?)
    }
}

/// Checks that no other server has the lease of this root on another folder: what is here says nothing of
/// that one then.
async fn is_no_copy(
    engine: &Engine,
    served: &ServedRoot,
    place: &RootPlace,
) -> Result<(), VerifyError> {
    let lease = engine.catalog.lease(place).await.ok().flatten().filter(|lease| !lease.released);
    let ours = served.marker_place.lock().clone();
    match lease.as_ref().and_then(|lease| lease.other_folder(&engine.identity, ours.as_ref())) {
        Some(of) => Err(VerifyError::CouldNotTell(told_of_copy(place, of))),
        None => Ok(()),
    }
}

async fn reach_catalog(engine: &Engine) -> Result<(), VerifyError> {
    let mut reach = engine.catalog.reach();
    let known = reach.wait_for(|reach| !matches!(reach, Reach::Connecting));
    let known = timeout(REACH_LIMIT, known).await;
    match known.ok().and_then(Result::ok).map(|reach| reach.clone()) {
        Some(Reach::Up { .. }) => Ok(()),
        Some(Reach::Down { why, .. }) => {
            Err(VerifyError::could_not_tell(format!("the catalog cannot be reached: {why}")))
        }
        _ => Err(VerifyError::could_not_tell("the catalog did not answer in time")),
    }
}
