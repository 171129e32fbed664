//! The reading of sidecars: what they hold, against index and catalog.
//!
//! The index believes a sidecar for as long as it looks the same. A verification reads it all the same: a
//! file system may lose a change of a file's times, and a disk may lose a change of its content.

use std::sync::atomic::{AtomicBool, Ordering};

use focus_common::clock;
use focus_common::status::VerificationStage;
use focus_core::look::Look;
use focus_core::recording::Recording;
use focus_core::settle::{self, Closed, Conclusion, Held, Rules, Sight};
use focus_core::verify::{Drift, Finding, FindingKind, differences};
use focus_index::SettledPlace;
use focus_storage::look::{look, look_all};
use focus_storage::{Pair, Root, RootProblem};

use crate::verify::result::VerifyError;
use crate::verify::verified_root::VerifiedRoot;

/// Places whose sidecars are read at once.
const PAGE: usize = 512;

/// The periodic verification reads each sidecar once in so many days.
const PARTS: i64 = 30;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Which sidecars a verification reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecars {
    /// All of them.
    All,
    /// None: what the index knows counts.
    None,
    /// The part whose turn it is today.
    OfToday,
}

impl Sidecars {
    /// Whether a place is read, by its number.
    fn takes(self, number: usize, today: i64) -> bool {
        match self {
            Sidecars::All => true,
            Sidecars::None => false,
            Sidecars::OfToday => i64::try_from(number).unwrap_or(0) % PARTS == today % PARTS,
        }
    }
}

/// A sidecar that holds something else than the index has, although it looks the same.
struct Changed {
    place: SettledPlace,
    /// What it holds; none where that is no recording.
    recording: Option<Recording>,
}

impl VerifiedRoot<'_> {
    /// Reads sidecars, and names those whose documents say something else than they do. What the index has
    /// otherwise is read again by the observer. Tells how far it is once it is `alone`: beside a reading of the
    /// catalog, that one tells.
    ///
    /// # Errors
    /// Storage, index or catalog went meanwhile.
    pub(super) async fn read_sidecars(
        &self,
        sidecars: Sidecars,
        alone: &AtomicBool,
    ) -> Result<Drift, VerifyError> {
        let mut drift = Drift::default();
        if sidecars == Sidecars::None {
            return Ok(drift);
        }
        let today = clock::wall_ms() / DAY_MS;
        let (mut after, mut read) = (None, 0);
        loop {
            if alone.load(Ordering::Relaxed) {
                self.tell(VerificationStage::Sidecars, read);
            }
            let page = self.read_index(move |reader, id| reader.settled_places(id, after, PAGE));
            let page = page.await?;
            let Some(last) = page.last() else { return Ok(drift) };
            after = Some(last.id);
            let taken: Vec<SettledPlace> =
                page.into_iter().filter(|place| sidecars.takes(place.id.number(), today)).collect();
            read += taken.len() as u64;
            for changed in self.changed_among(taken).await? {
                let closed = Closed { sidecar: true, ..Closed::default() };
                self.served.inbox.hint(changed.place.place.clone(), closed);
                drift.add(self.against_the_catalog(changed).await?.into_iter().collect());
            }
        }
    }

    /// Reads the sidecars of these places, on a thread that may block.
    async fn changed_among(&self, places: Vec<SettledPlace>) -> Result<Vec<Changed>, VerifyError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let path = self.served.settings.path.clone();
        let pair = Pair::of(self.engine.settings.form_of(&self.served.settings));
        let exclude = self.engine.settings.exclude_of(&self.served.settings);
        let read = move || {
            let root = Root::open(&path)?.excluding(exclude);
            let rules = Rules { root: root.id(), form: pair.form(), settle_ms: 0 };
            let requests: Vec<_> = places.iter().map(|known| (known.place.clone(), None)).collect();
            let looks = look_all(&root, &pair, &requests)?;
            let mut changed = Vec::new();
            for (known, seen) in places.into_iter().zip(looks) {
                let seen = read_whole(&root, &pair, &known, seen)?;
                if settle::held(&known.sight, &seen) == Held::Something {
                    let recording = recording(&known, &seen, rules);
                    changed.push(Changed { place: known, recording });
                }
            }
            Ok::<_, RootProblem>(changed)
        };
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    /// The difference between a sidecar and its document, if there is one.
    async fn against_the_catalog(&self, changed: Changed) -> Result<Option<Finding>, VerifyError> {
        let Some(recording) = changed.recording else { return Ok(None) };
        let uuids = [recording.uuid.clone()];
        let documents = self.engine.catalog.read(&self.place, &uuids).await?;
        let own = documents.into_iter().find(|stored| stored.root.as_ref() == Some(&self.place.id));
        let (kind, fields) = match own {
            Some(stored) => (FindingKind::Mismatch, differences(&recording, &stored)),
            None => (FindingKind::Dark, Vec::new()),
        };
        if kind == FindingKind::Mismatch && fields.is_empty() {
            return Ok(None);
        }
        let Recording { uuid, path, .. } = recording;
        Ok(Some(Finding { kind, uuid, path, fields, row: None, document: None }))
    }
}

/// The look with its sidecar read: one of many large ones may be left out at first.
fn read_whole(
    root: &Root,
    pair: &Pair,
    known: &SettledPlace,
    seen: Look,
) -> Result<Look, RootProblem> {
    if seen.sidecar.as_ref().is_some_and(|sidecar| sidecar.bytes.is_none()) {
        return look(root, pair, &known.place, None);
    }
    Ok(seen)
}

/// What the files are, as they were just read.
fn recording(known: &SettledPlace, seen: &Look, rules: Rules<'_>) -> Option<Recording> {
    let closed = Closed { data: true, sidecar: true };
    let unknown = Sight::default();
    let judged = settle::judge(&known.place, &unknown, seen, closed, rules, clock::boot_ms());
    match judged.conclusion {
        Conclusion::Settled(recording) => Some(*recording),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_thirty_days_each_sidecar_has_its_turn_once() {
        for number in [1, 29, 30, 31, 1_000_003] {
            let turns = (20_000..20_030).filter(|day| Sidecars::OfToday.takes(number, *day));
            assert_eq!(turns.count(), 1, "{number}");
        }
        assert!(Sidecars::All.takes(7, 1) && !Sidecars::None.takes(7, 1));
    }
}
