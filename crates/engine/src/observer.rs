//! The observer of a root: it looks at places, has the core judge them, and stores what they are.

use std::collections::HashSet;
use std::time::Duration;

use focus_common::clock;
use focus_core::look::{Look, SeenAs};
use focus_core::recording::Place;
use focus_core::settle::{Closed, Conclusion, Rules, Sight, judge};
use focus_index::{IndexError, Observation, Observed};
use focus_storage::RootProblem;
use focus_storage::look::look_all;

use crate::hints::outcomes;
use crate::inbox::PlacesToLookAt;
use crate::present_root::PresentRoot;

/// Places looked at and stored in one transaction at most. More would keep the index's writer from the reconciler for
/// long; fewer write the pages that they share once more for each transaction.
const BATCH_MAX: usize = 2_048;

/// Bytes of sidecars that are understood and not yet stored at most: what a sidecar says takes many
/// times its size in memory.
const UNDERSTOOD_BYTES_MAX: usize = 4 << 20;

/// The observer never sleeps longer than this, so that its thread sees soon that the root went.
const PATIENCE_MS: u64 = 500;

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObserveError {
    /// The root went: absence of anything in it means nothing.
    #[error(transparent)]
    Root(#[from] RootProblem),
    /// The index could not be read or written. What was taken from the inbox is put back.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// The observer of one root while it is there.
pub(crate) struct Observer<'a> {
    present: PresentRoot<'a>,
}

impl<'a> Observer<'a> {
    /// An observer that took nothing yet.
    pub(crate) fn new(present: PresentRoot<'a>) -> Observer<'a> {
        Observer { present }
    }

    /// Takes what waits, or what is due, and stores what it is. True: something is news to the
    /// reconciler.
    ///
    /// # Errors
    /// The root went, or the index failed; what was taken is put back into the inbox.
    pub(crate) fn round(&self) -> Result<bool, ObserveError> {
        let inbox = self.present.inbox();
        let due_ms = self.present.index.reader().next_due(self.present.id)?;
        let wait_ms = due_ms.map_or(PATIENCE_MS, |due| due.saturating_sub(clock::boot_ms()));
        let patience = Duration::from_millis(wait_ms.min(PATIENCE_MS));
        let mut taken = inbox.take(BATCH_MAX, patience);
        let stored = self
            .add_due(&mut taken, due_ms)
            .and_then(|()| Ok(outcomes::folders(self.present, &taken.folders)?))
            .and_then(|()| self.store(&taken));
        match stored {
            Ok(news) => {
                inbox.scan_finds_stored(taken.from_scans);
                Ok(news)
            }
            Err(error) => {
                inbox.put_back(taken);
                Err(error)
            }
        }
    }

    /// Adds the places whose time has come, as far as the batch has room.
    fn add_due(&self, taken: &mut PlacesToLookAt, due_ms: Option<u64>) -> Result<(), ObserveError> {
        let room = BATCH_MAX.saturating_sub(taken.places.len());
        if room > 0 && due_ms.is_some_and(|due| due <= clock::boot_ms()) {
            let due = self.present.index.reader().due(self.present.id, clock::boot_ms(), room)?;
            let known: HashSet<Place> =
                taken.places.iter().map(|(place, _)| place.clone()).collect();
            let due = due.into_iter().filter(|place| !known.contains(place));
            taken.places.extend(due.map(|place| (place, Closed::default())));
        }
        Ok(())
    }

    fn store(&self, taken: &PlacesToLookAt) -> Result<bool, ObserveError> {
        if taken.places.is_empty() {
            return Ok(false);
        }
        let PresentRoot { id, index, .. } = self.present;
        let places: Vec<Place> = taken.places.iter().map(|(place, _)| place.clone()).collect();
        let sights = index.reader().sights(id, &places)?;
        let mut news = false;
        let mut done = 0;
        // Once, unless the sidecars are very large.
        while done < taken.places.len() {
            let observations = self.observe(&taken.places[done..], &sights[done..])?;
            let doubted = folders_in_doubt(&sights[done..], &observations);
            let outcomes = outcomes::of_looks(self.present, &sights[done..], &observations);
            done += observations.len();
            let observed = index.observe_blocking(id, observations, clock::wall_ms());
            // Not before: a scan that still compares with what the index had would take the doubt back.
            doubted.iter().for_each(|folder| self.present.folders.doubt(folder));
            let observed = observed?;
            self.present.served.observed.send_modify(|count| *count += 1);
            self.present.inbox().looked(outcomes);
            let Observed { changed, returned, reported, contested } = observed;
            for place in contested {
                // The holder of a uuid that another claims: it may be gone, and the recording moved.
                self.present.inbox().hint(place, Closed::default());
            }
            news |= changed > 0 || returned > 0 || reported > 0;
        }
        Ok(news)
    }

    /// Looks at places, in order, until enough is understood to be stored: at one place at least.
    fn observe(
        &self,
        places: &[(Place, Closed)],
        sights: &[Sight],
    ) -> Result<Vec<Observation>, ObserveError> {
        // What its writer closed, or moved into place, is always read.
        let requests: Vec<(Place, Option<SeenAs>)> = places
            .iter()
            .zip(sights)
            .map(|((place, closed), sight)| {
                (place.clone(), sight.known_sidecar().filter(|_| !closed.sidecar))
            })
            .collect();
        let looks = self.look_all(&requests)?;
        let mut understood_bytes = 0;
        let mut observations = Vec::with_capacity(places.len());
        for (((place, closed), sight), look) in places.iter().zip(sights).zip(looks) {
            if understood_bytes > UNDERSTOOD_BYTES_MAX {
                break;
            }
            let (observation, bytes) = self.judged(place, *closed, sight, &look)?;
            understood_bytes += bytes;
            observations.push(observation);
        }
        Ok(observations)
    }

    fn look_all(&self, requests: &[(Place, Option<SeenAs>)]) -> Result<Vec<Look>, RootProblem> {
        let (began_ms, began_wall_ns) = (Some(clock::boot_ms()), Some(clock::steady_wall_ns()));
        let looks = look_all(self.present.root, self.present.pair, requests)?;
        Ok(looks.into_iter().map(|look| Look { began_ms, began_wall_ns, ..look }).collect())
    }

    /// What the core concludes from one look, and how many bytes of sidecar that took.
    fn judged(
        &self,
        place: &Place,
        closed: Closed,
        sight: &Sight,
        look: &Look,
    ) -> Result<(Observation, usize), ObserveError> {
        let rules = Rules {
            root: self.present.root.id(),
            form: self.present.pair.form(),
            settle_ms: self.present.settings.settle_ms,
        };
        let now_ms = clock::boot_ms();
        let mut bytes = sidecar_bytes(look);
        let mut judgement = judge(place, sight, look, closed, rules, now_ms);
        let unread = look.sidecar.as_ref().is_some_and(|sidecar| sidecar.bytes.is_none());
        if unread && judgement.conclusion == Conclusion::Unsettled {
            // The data changed under a sidecar that was not read again, or many were large: read it now.
            let again = self.look_all(&[(place.clone(), None)])?;
            if let Some(look) = again.first() {
                bytes += sidecar_bytes(look);
                judgement = judge(place, sight, look, closed, rules, now_ms);
            }
        }
        let observation = Observation {
            place: place.clone(),
            conclusion: judgement.conclusion,
            sight: judgement.sight,
            due_ms: judgement.due_ms,
            mount: look.mount.clone(),
        };
        Ok((observation, bytes))
    }
}

/// Folders of which the index is going to have another file, or one less, while they may themselves be as they were:
/// something else was mounted there.
fn folders_in_doubt(sights: &[Sight], observations: &[Observation]) -> HashSet<Vec<u8>> {
    let names = |sight: &Sight| (sight.data.is_some(), sight.sidecar.is_some());
    let both = sights.iter().zip(observations);
    let changed = both.filter(|(before, now)| names(before) != names(&now.sight));
    changed.map(|(_, now)| now.place.folder.clone()).collect()
}

fn sidecar_bytes(look: &Look) -> usize {
    let sidecar = look.sidecar.as_ref().and_then(|sidecar| sidecar.bytes.as_ref());
    sidecar.map_or(0, Vec::len)
}
