//! The observer of a root: it looks at places, has the core judge them, and stores what they are.

use std::time::Duration;

use focus_core::look::FileStat;
use focus_core::recording::Place;
use focus_core::settle::{Closed, Conclusion, Rules, Sight, judge};
use focus_core::time::TimeUnit;
use focus_index::{Index, IndexError, Observation, RootId};
use focus_storage::look::look_all;
use focus_storage::{Pair, Root, RootProblem};

use super::clock;
use super::inbox::{Inbox, Taken};

/// Places looked at and stored in one transaction.
const BATCH: usize = 512;

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
        let observations = self.observe(&taken.places, &sights)?;
        let observed = self
            .index
            .observe_blocking(self.id, observations, clock::wall_ms())
            .map_err(ObserveError::Index)?;
        for place in observed.contested {
            // The holder of a uuid that another claims: it may be gone, and the recording moved.
            self.inbox.hint(place, Closed::default());
        }
        Ok(observed.changed > 0 || observed.reported > 0)
    }

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
        let mut observations = Vec::with_capacity(places.len());
        for (((place, closed), sight), look) in places.iter().zip(sights).zip(looks) {
            let now_ms = clock::boot_ms();
            let mut judgement = judge(place, sight, &look, *closed, rules, now_ms);
            let unread = look.sidecar.as_ref().is_some_and(|sidecar| sidecar.bytes.is_none());
            if unread && judgement.conclusion == Conclusion::Unsettled {
                // The data changed under a sidecar that was not read again: read it now.
                let again = look_all(self.root, self.pair, &[(place.clone(), None)])
                    .map_err(ObserveError::Root)?;
                if let Some(look) = again.first() {
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
