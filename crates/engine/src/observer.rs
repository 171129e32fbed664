//! The observer of a root: it looks at places, has the core judge them, and stores what they are.

use std::time::Duration;

use focus_core::look::{FileStat, Look};
use focus_core::recording::Place;
use focus_core::settle::{Closed, Conclusion, Rules, Sight, judge};
use focus_core::time::TimeUnit;
use focus_index::{Index, IndexError, Observation, RootId};
use focus_storage::look::look_all;
use focus_storage::{Pair, Root, RootProblem};

use super::inbox::{Inbox, Taken};
use focus_common::clock;

/// Places looked at and stored in one transaction.
const BATCH: usize = 512;

/// Bytes of sidecars that are understood and not yet stored at most: what they say takes many times
/// that in memory.
const UNDERSTOOD_MAX: usize = 4 << 20;

/// The observer never sleeps longer than this: then it looks whether the root is still there.
const PATIENCE_MS: u64 = 500;

/// Why a round came to nothing.
#[derive(Debug)]
pub(crate) enum ObserveError {
    /// The root went; absence of anything in it means nothing.
    Root(RootProblem),
    /// The index could not be read or written; what was taken is put back.
    Index(IndexError),
}

/// What one observer needs.
pub(crate) struct Observer<'a> {
    pub(crate) root: &'a Root,
    pub(crate) id: RootId,
    pub(crate) index: &'a Index,
    pub(crate) pair: &'a Pair,
    pub(crate) inbox: &'a Inbox,
    pub(crate) settle_ms: u64,
    pub(crate) time_unit: Option<TimeUnit>,
}

impl Observer<'_> {
    /// Takes what waits, or what is due, and stores what it is. True: something is news to the
    /// reconciler.
    pub(crate) fn round(&self) -> Result<bool, ObserveError> {
        let reader = self.index.reader();
        let due_ms = reader.next_due(self.id).map_err(ObserveError::Index)?;
        let wait_ms = due_ms.map_or(PATIENCE_MS, |due| due.saturating_sub(clock::boot_ms()));
        let patience = Duration::from_millis(wait_ms.min(PATIENCE_MS));
        let mut taken = self.inbox.take(BATCH, patience);
        if taken.places.len() < BATCH && due_ms.is_some_and(|due| due <= clock::boot_ms()) {
            let room = BATCH - taken.places.len();
            match reader.due(self.id, clock::boot_ms(), room) {
                Ok(due) => {
                    taken.places.extend(due.into_iter().map(|place| (place, Closed::default())))
                }
                Err(error) => {
                    self.inbox.put_back(taken);
                    return Err(ObserveError::Index(error));
                }
            }
        }
        if taken.places.is_empty() {
            return Ok(false);
        }
        match self.store(&taken) {
            Ok(news) => {
                self.inbox.looked_at(taken.found);
                Ok(news)
            }
            Err(error) => {
                self.inbox.put_back(taken);
                Err(error)
            }
        }
    }

    fn store(&self, taken: &Taken) -> Result<bool, ObserveError> {
        let places: Vec<Place> = taken.places.iter().map(|(place, _)| place.clone()).collect();
        let reader = self.index.reader();
        let sights = reader.sights(self.id, &places).map_err(ObserveError::Index)?;
        let mut news = false;
        let mut done = 0;
        // Once, unless the sidecars are very large.
        while done < taken.places.len() {
            let observations = self.observe(&taken.places[done..], &sights[done..])?;
            done += observations.len();
            let observed = self
                .index
                .observe_blocking(self.id, observations, clock::wall_ms())
                .map_err(ObserveError::Index)?;
            for place in observed.contested {
                // The holder of a uuid that another claims: it may be gone, and the recording moved.
                self.inbox.hint(place, Closed::default());
            }
            news |= observed.changed > 0 || observed.reported > 0;
        }
        Ok(news)
    }

    /// Looks at places, in order, until enough is understood to be stored: one at least.
    fn observe(
        &self,
        places: &[(Place, Closed)],
        sights: &[Sight],
    ) -> Result<Vec<Observation>, ObserveError> {
        let known = |sight: &Sight| {
            let stat: Option<FileStat> = sight.sidecar.map(|file| file.stat);
            stat.filter(|_| sight.settled)
        };
        let requests: Vec<(Place, Option<FileStat>)> = places
            .iter()
            .zip(sights)
            .map(|((place, _), sight)| (place.clone(), known(sight)))
            .collect();
        let looks = look_all(self.root, self.pair, &requests).map_err(ObserveError::Root)?;
        let rules =
            Rules { root: self.root.id(), time_unit: self.time_unit, settle_ms: self.settle_ms };
        let bytes = |look: &Look| {
            let sidecar = look.sidecar.as_ref().and_then(|sidecar| sidecar.bytes.as_ref());
            sidecar.map_or(0, Vec::len)
        };
        let mut understood = 0;
        let mut observations = Vec::with_capacity(places.len());
        for (((place, closed), sight), look) in places.iter().zip(sights).zip(looks) {
            if understood > UNDERSTOOD_MAX {
                break;
            }
            understood += bytes(&look);
            let now_ms = clock::boot_ms();
            let mut judgement = judge(place, sight, &look, *closed, rules, now_ms);
            let unread = look.sidecar.as_ref().is_some_and(|sidecar| sidecar.bytes.is_none());
            if unread && judgement.conclusion == Conclusion::Unsettled {
                // The data changed under a sidecar that was not read again: read it now.
                let again = look_all(self.root, self.pair, &[(place.clone(), None)])
                    .map_err(ObserveError::Root)?;
                if let Some(look) = again.first() {
                    understood += bytes(look);
                    judgement = judge(place, sight, look, *closed, rules, now_ms);
                }
            }
            observations.push(Observation {
                place: place.clone(),
                conclusion: judgement.conclusion,
                sight: judgement.sight,
                due_ms: judgement.due_ms,
                device: look.device,
            });
        }
        Ok(observations)
    }
}
