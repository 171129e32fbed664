//! From "its files are not there" to a deletion: absence is proved twice, and what has moved is waited
//! for, before anything is marked or held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use focus_catalog::{Catalog, RootPlace};
use focus_core::settle::Closed;
use focus_core::vanish::{MaxVanished, SECOND_LOOK_MS};
use focus_index::{Candidate, Index, IndexError, RootId};
use focus_storage::absence::{Proof, prove};
use focus_storage::{Pair, Root};

use super::inbox::{Barrier, Inbox};
use super::observer::ObserveError;
use focus_common::clock;

/// Candidates asked from the index at once.
const PAGE: usize = 4_096;

/// Recordings concluded on at once.
const READY_MAX: usize = 65_536;

/// Between two rounds: while something is on its way, and while nothing is.
const SOON: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(1);

/// Between two rounds where nothing could be proved.
const SLOWLY: Duration = Duration::from_secs(5);

/// The deletions of one root, while it is there.
pub(crate) struct Absence<'a> {
    pub(crate) root: &'a Root,
    pub(crate) id: RootId,
    pub(crate) place: RootPlace,
    pub(crate) index: &'a Index,
    pub(crate) pair: &'a Pair,
    pub(crate) inbox: &'a Inbox,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) max: MaxVanished,
    next: Instant,
    /// Proved twice; concluded on once everything of before the barrier has been read.
    ready: Option<(Vec<(i64, bool)>, Barrier)>,
}

/// What looking for some candidates came to.
#[derive(Default)]
struct Looked {
    first: Vec<i64>,
    second: Vec<(i64, bool)>,
    doubted: Vec<i64>,
    asked: bool,
}

impl<'a> Absence<'a> {
    /// Nothing proved yet.
    pub(crate) fn new(
        root: &'a Root,
        (id, place): (RootId, RootPlace),
        (index, pair, inbox): (&'a Index, &'a Pair, &'a Inbox),
        catalog: Arc<dyn Catalog>,
        max: MaxVanished,
    ) -> Absence<'a> {
        let next = Instant::now();
        Absence { root, id, place, index, pair, inbox, catalog, max, next, ready: None }
    }

    /// What was on its way is looked for anew: a look at something else has failed meanwhile.
    pub(crate) fn start_over(&mut self) {
        self.ready = None;
    }

    /// Does what is due. True: something is news to the reconciler.
    pub(crate) fn round(&mut self) -> Result<bool, ObserveError> {
        if let Some((_, barrier)) = &mut self.ready {
            if !self.inbox.is_past(barrier) {
                return Ok(false);
            }
            return self.conclude();
        }
        if Instant::now() < self.next {
            return Ok(false);
        }
        self.next = Instant::now() + LATER;
        if self.index.reader().has_vanish_candidates(self.id).map_err(ObserveError::Index)? {
            self.look()?;
        }
        Ok(false)
    }

    fn look(&mut self) -> Result<(), ObserveError> {
        let (mut after, mut second, mut moves) = (0, Vec::new(), false);
        loop {
            let reader = self.index.reader();
            let page =
                reader.vanish_candidates(self.id, after, PAGE).map_err(ObserveError::Index)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let looked = self.look_for(page)?;
            moves |= looked.asked && looked.first.len() + looked.second.len() > 0;
            let now_ms = clock::boot_ms();
            self.store(|index| index.vanish_proved_blocking(looked.first, now_ms))?;
            self.store(|index| index.vanish_doubted_blocking(looked.doubted))?;
            second.extend(looked.second);
            if second.len() >= READY_MAX {
                break;
            }
        }
        self.next = Instant::now() + if moves { SOON } else { SLOWLY };
        if !second.is_empty() {
            self.ready = Some((second, self.inbox.barrier()));
        } else if !moves {
            // Waiting for the second look, or for a folder that can be read.
            self.next = Instant::now() + LATER;
        }
        Ok(())
    }

    fn store<T>(
        &self,
        write: impl FnOnce(&Index) -> Result<T, IndexError>,
    ) -> Result<T, ObserveError> {
        write(self.index).map_err(ObserveError::Index)
    }

    /// Looks for those whose time has come, a folder at a time.
    fn look_for(&self, mut page: Vec<Candidate>) -> Result<Looked, ObserveError> {
        let now_ms = clock::boot_ms();
        page.retain(|one| one.proof_ms.is_none_or(|proof| now_ms >= proof + SECOND_LOOK_MS));
        page.sort_by(|a, b| a.place.folder.cmp(&b.place.folder));
        let mut looked = Looked::default();
        for group in page.chunk_by(|a, b| a.place.folder == b.place.folder) {
            looked.asked = true;
            let stems: Vec<&[u8]> = group.iter().map(|one| one.place.stem.as_slice()).collect();
            let proof = prove(self.root, self.pair, &group[0].place.folder, &stems)
                .map_err(ObserveError::Root)?;
            match proof {
                Proof::Unproved { words } => {
                    tracing::debug!("not proved to be gone: {words}");
                    looked.doubted.extend(group.iter().map(|one| one.id));
                }
                Proof::Read { device, there } => {
                    for (one, there) in group.iter().zip(there) {
                        self.sort(&mut looked, one, device, there);
                    }
                }
            }
        }
        Ok(looked)
    }

    fn sort(&self, looked: &mut Looked, one: &Candidate, device: u64, there: bool) {
        if there && !one.replaced {
            looked.doubted.push(one.id);
            self.inbox.hint(one.place.clone(), Closed::default());
        } else if one.proof_ms.is_none() {
            looked.first.push(one.id);
        } else {
            if there {
                // Another recording's, as far as is known: looked at once more before it is concluded.
                self.inbox.hint(one.place.clone(), Closed::default());
            }
            let elsewhere = one.device.is_some_and(|seen_on| seen_on != device);
            looked.second.push((one.id, elsewhere));
        }
    }

    fn conclude(&mut self) -> Result<bool, ObserveError> {
        // Not known before the catalog has been met: nothing is marked until then.
        let Some(archive) = self.catalog.is_archive(&self.place) else { return Ok(false) };
        let Some((ready, _)) = self.ready.take() else { return Ok(false) };
        self.next = Instant::now() + SOON;
        let (id, max, now_ms) = (self.id, self.max, clock::wall_ms());
        let concluded =
            self.store(|index| index.vanish_conclude_blocking(id, ready, max, archive, now_ms))?;
        if concluded.held > 0 {
            tracing::warn!(
                held = concluded.held,
                "{}: deletions are held: {} more recordings are gone from storage, and nothing is marked. Bring them back, or let them through with `focus approve --root {}`",
                self.place.path,
                concluded.held,
                self.place.path,
            );
        }
        if concluded.marked > 0 {
            tracing::info!(
                marked = concluded.marked,
                "{}: {} recordings are gone from storage, and marked as deleted",
                self.place.path,
                concluded.marked,
            );
        }
        if concluded.leaving > 0 {
            tracing::info!(
                leaving = concluded.leaving,
                "{}: {} recordings of drills are gone from storage, and are removed from the catalog",
                self.place.path,
                concluded.leaving,
            );
        }
        Ok(concluded.marked + concluded.leaving > 0)
    }
}
