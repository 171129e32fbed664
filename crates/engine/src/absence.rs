//! From "its files are not there" to a deletion. Absence is proved twice, and a recording that has moved
//! is waited for, before anything is marked or held.

use std::time::{Duration, Instant};

use focus_catalog::RootPlace;
use focus_common::clock;
use focus_core::entry::mounted::{Own, is_elsewhere};
use focus_core::mount::Mount;
use focus_core::settle::Closed;
use focus_core::vanish::{MaxVanished, SECOND_LOOK_MS};
use focus_index::{Candidate, EntryId, ProvedTwice};
use focus_storage::absence::{Found, Proof, prove};

use crate::inbox::Barrier;
use crate::observer::ObserveError;
use crate::present_root::PresentRoot;

/// Candidates read from the index at once, so that their names take little memory.
const PAGE: usize = 4_096;

/// Recordings concluded on at once: more are left to the next round, so that one transaction does not
/// hold the index for long.
const READY_MAX: usize = 65_536;

/// Time between two rounds while something is on its way.
const SOON: Duration = Duration::from_millis(250);

/// Time between two rounds while nothing is on its way.
const LATER: Duration = Duration::from_secs(1);

/// Time between two rounds where nothing could be proved.
const SLOWLY: Duration = Duration::from_secs(5);

/// The deletions of one root while it is there.
pub(crate) struct Absence<'a> {
    present: PresentRoot<'a>,
    place: RootPlace,
    max: MaxVanished,
    /// When the next round is due.
    next: Instant,
    /// Rows proved twice. They are concluded on once everything that came in before the barrier has been
    /// read.
    ready: Option<(Vec<ProvedTwice>, Barrier)>,
}

/// What the proofs for some candidates came to.
#[derive(Default)]
struct Proofs {
    /// Rows proved for the first time.
    first: Vec<EntryId>,
    /// Rows proved for the second time.
    second: Vec<ProvedTwice>,
    /// Rows whose files are there again, or whose folder cannot be read.
    doubted: Vec<EntryId>,
    /// The time of one candidate at least had come.
    any_due: bool,
}

impl<'a> Absence<'a> {
    /// With nothing proved yet.
    pub(crate) fn new(present: PresentRoot<'a>) -> Absence<'a> {
        let place = RootPlace { id: present.root.id().to_owned(), path: present.served.path() };
        let max = MaxVanished {
            percent: present.settings.max_vanished_percent,
            at_least: present.settings.max_vanished_at_least,
        };
        Absence { present, place, max, next: Instant::now(), ready: None }
    }

    /// Forgets what is ready, so that it is proved anew: an observation has failed meanwhile.
    pub(crate) fn start_over(&mut self) {
        self.ready = None;
    }

    /// Does what is due. True: something is news to the reconciler.
    ///
    /// # Errors
    /// The root went, or the index failed.
    pub(crate) fn round(&mut self) -> Result<bool, ObserveError> {
        if let Some((_, barrier)) = &mut self.ready {
            if !self.present.inbox().is_past(barrier) {
                return Ok(false);
            }
            return self.conclude();
        }
        if Instant::now() < self.next {
            return Ok(false);
        }
        self.next = Instant::now() + LATER;
        if self.present.index.reader().has_vanish_candidates(self.present.id)? {
            self.prove_all()?;
        }
        Ok(false)
    }

    /// Proves the absence of all candidates whose time has come, a page at a time.
    fn prove_all(&mut self) -> Result<(), ObserveError> {
        let PresentRoot { index, id, .. } = self.present;
        let (mut after, mut second, mut any_proved) = (None, Vec::new(), false);
        loop {
            let page = index.reader().vanish_candidates(id, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            let proofs = self.prove_page(page)?;
            any_proved |= proofs.any_due && proofs.first.len() + proofs.second.len() > 0;
            index.vanish_proved_blocking(proofs.first, clock::boot_ms())?;
            index.vanish_doubted_blocking(proofs.doubted)?;
            second.extend(proofs.second);
            if second.len() >= READY_MAX {
                break;
            }
        }
        self.next = Instant::now() + if any_proved { SOON } else { SLOWLY };
        if !second.is_empty() {
            self.ready = Some((second, self.present.inbox().barrier()));
        } else if !any_proved {
            // Waiting for the second look, or for a folder that can be read.
            self.next = Instant::now() + LATER;
        }
        Ok(())
    }

    /// Proves the absence of those whose time has come, a folder at a time.
    fn prove_page(&self, mut page: Vec<Candidate>) -> Result<Proofs, ObserveError> {
        let now_ms = clock::boot_ms();
        page.retain(|one| one.proof_ms.is_none_or(|proof| now_ms >= proof + SECOND_LOOK_MS));
        page.sort_by(|a, b| a.place.folder.cmp(&b.place.folder));
        let mut proofs = Proofs::default();
        for group in page.chunk_by(|a, b| a.place.folder == b.place.folder) {
            proofs.any_due = true;
            let stems: Vec<&[u8]> = group.iter().map(|one| one.place.stem.as_slice()).collect();
            let folder = &group[0].place.folder;
            match prove(self.present.root, self.present.pair, folder, &stems)? {
                Proof::Unproved { words } => {
                    tracing::debug!("not proved to be gone: {words}");
                    proofs.doubted.extend(group.iter().map(|one| one.id));
                }
                Proof::Read { mount, found } => {
                    for (one, found) in group.iter().zip(found) {
                        self.sort(&mut proofs, one, mount.as_deref(), found);
                    }
                }
                Proof::Hidden => {
                    for one in group {
                        self.sort(&mut proofs, one, None, Found::Hidden);
                    }
                }
            }
        }
        Ok(proofs)
    }

    /// Sorts a candidate whose folder was read, or is hidden: its files are there or not.
    fn sort(&self, proofs: &mut Proofs, one: &Candidate, mount: Option<&Mount>, found: Found) {
        let there = found == Found::File;
        if there && !one.replaced {
            proofs.doubted.push(one.id);
            self.present.inbox().hint(one.place.clone(), Closed::default());
        } else if one.proof_ms.is_none() {
            proofs.first.push(one.id);
        } else {
            if there {
                // Another recording's, as far as is known: looked at once more before it is concluded.
                self.present.inbox().hint(one.place.clone(), Closed::default());
            }
            let own = Own { seen: one.mount.as_ref(), last: one.last.as_ref() };
            let elsewhere = is_elsewhere(own, None, mount);
            let hidden = found == Found::Hidden;
            proofs.second.push(ProvedTwice { id: one.id, elsewhere, hidden });
        }
    }

    /// Has the core conclude on what is ready: marked as deleted, held, or removed.
    fn conclude(&mut self) -> Result<bool, ObserveError> {
        // Not known before the catalog has been met: nothing is marked until then.
        let Some(archive) = self.present.served.catalog.is_archive(&self.place) else {
            return Ok(false);
        };
        let Some((ready, _)) = self.ready.take() else { return Ok(false) };
        self.next = Instant::now() + SOON;
        let PresentRoot { index, id, .. } = self.present;
        let concluded =
            index.vanish_conclude_blocking(id, ready, self.max, archive, clock::wall_ms())?;
        let path = &self.place.path;
        if concluded.held > 0 {
            tracing::warn!(
                held = concluded.held,
                "{path}: deletions are held: {} more recordings are gone from storage, and nothing is marked. Bring them back, or approve the deletions with `focus approve --root {path}`",
                concluded.held,
            );
        }
        if concluded.marked > 0 {
            tracing::info!(
                marked = concluded.marked,
                "{path}: {} recordings are gone from storage, and marked as deleted",
                concluded.marked,
            );
        }
        if concluded.leaving > 0 {
            tracing::info!(
                leaving = concluded.leaving,
                "{path}: {} recordings of drills are gone from storage, and are removed from the catalog",
                concluded.leaving,
            );
        }
        Ok(concluded.marked + concluded.leaving > 0)
    }
}
