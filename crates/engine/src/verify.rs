//! Verification: storage, index and catalog compared three ways, without stopping anybody.
//!
//! The catalog is read by uuid, storage is scanned, the catalog is read again; only what both
//! readings found, and what is found once more when looked at by itself, is told.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use focus_catalog::{Reach, RootPlace, Stored};
use focus_core::compare::{Compared as Repair, Page};
use focus_core::reconcile::Phase;
use focus_core::recording::Place;
use focus_core::verify::{Finding, IndexedRecording, Kind, compare};
use focus_crash::{Point, Step, here};
use focus_index::{IndexError, Reader, RootId};
use focus_storage::absence::{Proof, prove};
use focus_storage::{Pair, Root};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::Engine;
use super::inbox::ScanAsked;
use super::root::ServedRoot;
use focus_common::clock;
use focus_common::status::{RootState, VerificationStage, Verifying};

/// The last verification, in the state folder.
const FILE: &str = "verification.json";

/// Documents and rows compared at once.
const PAGE: usize = 1_000;

/// Findings looked at again at once: their documents may be of any size.
const LOOKED_AT: usize = 64;

/// Findings kept at most; more are counted.
const KEPT_MAX: usize = 10_000;

/// Files younger than this, and still to be written, are no drift.
const YOUNG_MS: i64 = 5_000;

/// The database is waited for so long.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// Repairs that make no progress for so long are given up.
const REPAIR_LIMIT: Duration = Duration::from_secs(30);

/// What a verification came to. Field names are an interface.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verification {
    /// When it began, RFC 3339.
    pub began_at: String,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Nothing of the catalog differs from storage.
    pub in_order: bool,
    /// Recordings compared.
    pub compared: u64,
    /// How many findings of each kind.
    pub counts: BTreeMap<String, u64>,
    /// Documents of others beside ours; none: they could not be counted.
    pub foreign: Option<u64>,
    /// How many differences were mended.
    pub repaired: u64,
    /// The findings, at most 10,000.
    pub findings: Vec<Found>,
    /// There are more than these.
    pub truncated: bool,
}

/// One finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// `dark`, `missing`, `mismatch`, `duplicate`, `unrecognised`, `unsettled`.
    pub kind: String,
    /// The uuid; none where it is not known.
    pub uuid: Option<String>,
    /// The root's id.
    pub root: String,
    /// Path of the data file, relative to the root; without extension where there is no recording.
    pub path: String,
    /// What differs: field, storage, catalog.
    pub fields: Vec<FoundField>,
    /// What is wrong and what to do, where there is something to say.
    pub reason: Option<String>,
}

/// One field that differs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundField {
    /// Its name in the document.
    pub field: String,
    /// As storage has it.
    pub storage: String,
    /// As the catalog has it.
    pub catalog: String,
}

/// Why a verification has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// A root or the catalog is not there, or went meanwhile.
    #[error("{0}")]
    CouldNotTell(String),
    /// Another server may repair, not this one.
    #[error("{0}")]
    Refused(String),
}

/// The last verification of an earlier run; none where there is none that can be read.
pub(super) fn load(state_dir: &Path) -> Option<Verification> {
    serde_json::from_slice(&std::fs::read(state_dir.join(FILE)).ok()?).ok()
}

fn could_not(words: impl ToString) -> VerifyError {
    VerifyError::CouldNotTell(words.to_string())
}

/// One root, as it is verified.
struct Subject<'a> {
    engine: &'a Engine,
    side: &'a ServedRoot,
    id: RootId,
    place: RootPlace,
}

/// The drift of one root.
#[derive(Default)]
struct Drift {
    findings: Vec<Finding>,
    counted: BTreeMap<Kind, u64>,
    compared: u64,
}

impl Drift {
    fn add(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            *self.counted.entry(finding.kind).or_default() += 1;
            if self.findings.len() < KEPT_MAX {
                self.findings.push(finding);
            }
        }
    }

    fn total(&self) -> u64 {
        self.counted.values().sum()
    }

    fn is_whole(&self) -> bool {
        self.total() == self.findings.len() as u64
    }
}

impl Engine {
    /// Verifies all roots, and with `repair` mends what can be mended.
    ///
    /// # Errors
    /// A root or the catalog is not there; or a repair is another server's to make.
    pub async fn verify(&self, repair: bool) -> Result<Verification, VerifyError> {
        // One at a time: they would only slow one another.
        let _one = self.verifying.lock().await;
        let _ends = Progress(self);
        let (began, began_ms) = (Instant::now(), clock::wall_ms());
        let mut out = Verification {
            began_at: clock::rfc3339(began_ms),
            foreign: Some(0),
            ..Verification::default()
        };
        for kind in Kind::ALL {
            out.counts.insert(kind.name().to_owned(), 0);
        }
        self.check_index().await?;
        for side in &self.roots {
            let subject = self.subject(side).await?;
            subject.verify(repair, &mut out).await?;
        }
        let drift = |kind: &Kind| kind.is_drift() && out.counts[kind.name()] > 0;
        out.in_order = !Kind::ALL.iter().any(drift);
        out.elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if !out.in_order {
            tracing::warn!(
                "the catalog is not true to storage: {:?}. `focus verify --repair` mends what can be mended",
                out.counts
            );
        }
        self.keep(&out);
        Ok(out)
    }

    /// An index that contradicts itself is damaged, and would compare wrongly.
    async fn check_index(&self) -> Result<(), VerifyError> {
        let reader = self.reader.clone();
        let check = move || reader.check().and_then(|()| reader.broken_invariants());
        let checked = tokio::task::spawn_blocking(check).await;
        let error = match checked.map_err(could_not)? {
            Ok(broken) if broken.is_empty() => return Ok(()),
            Ok(broken) => IndexError::Damaged {
                path: self.index.path().display().to_string(),
                words: format!("it contradicts itself ({})", broken.join("; ")),
            },
            Err(error) => error,
        };
        self.index_fault.tell(&error);
        Err(could_not(format!("{error}. It is made anew from storage: run the verification again")))
    }

    /// The last verification, of this run or an earlier one.
    pub fn last_verification(&self) -> Option<Verification> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the verification that goes on has come.
    pub fn verifying(&self) -> Option<Verifying> {
        self.verify_progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, found: &Verification) {
        let path = self.settings.state_dir.join(FILE);
        let part = path.with_extension("part");
        let stored = serde_json::to_vec(found)
            .map_err(std::io::Error::from)
            .and_then(|bytes| focus_common::state_dir::write_private(&part, &bytes))
            .inspect(|()| here(Point::At(Step::VerificationPart)))
            .and_then(|()| std::fs::rename(&part, &path));
        if let Err(error) = stored {
            tracing::warn!("{} cannot be written: {error}", path.display());
        }
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
    }

    async fn subject<'a>(&'a self, side: &'a ServedRoot) -> Result<Subject<'a>, VerifyError> {
        let until = Instant::now() + REACH_LIMIT;
        let mut reach = self.catalog.reach();
        let up = reach.wait_for(|reach| !matches!(reach, Reach::Connecting));
        let reached = tokio::time::timeout(REACH_LIMIT, up).await;
        match reached.ok().and_then(Result::ok).map(|reach| reach.clone()) {
            Some(Reach::Up { .. }) => {}
            Some(Reach::Down { why, .. }) => {
                return Err(could_not(format!("the catalog cannot be reached: {why}")));
            }
            _ => return Err(could_not("the catalog did not answer in time")),
        }
        loop {
            let (state, reason) = side.presence();
            let known = side.memory.borrow().clone();
            match (state, known) {
                (RootState::Present, Some((marker, memory))) => {
                    let place = RootPlace { id: marker, path: side.path() };
                    return Ok(Subject { engine: self, side, id: memory.id, place });
                }
                (RootState::Present | RootState::Unknown, _) if Instant::now() < until => {
                    sleep(Duration::from_millis(20)).await;
                }
                _ => {
                    let words = reason.unwrap_or_else(|| "it has not been opened yet".to_owned());
                    return Err(could_not(words));
                }
            }
        }
    }
}

/// The progress is of nothing any more when this goes, however the verification ended.
struct Progress<'a>(&'a Engine);

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        *self.0.verify_progress.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Subject<'_> {
    /// Tells how far it is.
    fn at(&self, stage: VerificationStage, compared: u64) {
        let of = self.engine.reader.root_totals(self.id).map_or(0, |totals| totals.recordings);
        *self.engine.verify_progress.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Verifying { stage, compared, of });
    }

    async fn verify(&self, repair: bool, out: &mut Verification) -> Result<(), VerifyError> {
        let mut drift = self.drift().await?;
        let before = drift.total();
        if repair && before > 0 {
            // A round may uncover more than was kept of the one before.
            for _ in 0..5 {
                let left = drift.total();
                self.at(VerificationStage::Repair, drift.compared);
                self.repair(&drift).await?;
                drift = self.drift().await?;
                if drift.total() == 0 || drift.total() >= left {
                    break;
                }
            }
            out.repaired += before.saturating_sub(drift.total());
        }
        self.tell(drift, out).await
    }

    /// What differs, found three times.
    async fn drift(&self) -> Result<Drift, VerifyError> {
        let catalog = &self.engine.catalog;
        if self.side.scans() == 0 {
            self.scanned(0).await?;
        }
        let before = catalog.identify(&self.place).await.map_err(could_not)?;
        let first = self.read(VerificationStage::Catalog).await?;
        self.at(VerificationStage::Storage, 0);
        let scans = self.side.scans();
        self.side.inbox.ask_scan(ScanAsked::Stat);
        self.scanned(scans).await?;
        let mut drift = self.read(VerificationStage::CatalogAgain).await?;
        if drift.total() > 0 {
            self.at(VerificationStage::Findings, drift.compared);
            if first.is_whole() {
                let met: HashSet<(Kind, &str)> =
                    first.findings.iter().map(|one| (one.kind, one.uuid.as_str())).collect();
                drift.findings.retain(|one| met.contains(&(one.kind, one.uuid.as_str())));
            }
            let whole = drift.is_whole() || first.is_whole();
            let kept = self.looked_at_again(std::mem::take(&mut drift.findings)).await?;
            if whole {
                drift.counted.clear();
                drift.add(kept);
            } else {
                drift.findings = kept;
            }
        }
        let after = catalog.identify(&self.place).await.map_err(could_not)?;
        if after != before {
            return Err(could_not(
                "the catalog's database was replaced during the verification. Run it again",
            ));
        }
        let (state, reason) = self.side.presence();
        if state != RootState::Present {
            return Err(could_not(reason.unwrap_or_else(|| state.to_string())));
        }
        Ok(drift)
    }

    /// Waits until a scan later than the first `scans` has finished, and what it found has settled.
    async fn scanned(&self, scans: u64) -> Result<(), VerifyError> {
        let settle = Duration::from_millis(self.engine.settings.settle_ms * 3 + 2_000);
        let mut over = None;
        loop {
            let (state, reason) = self.side.presence();
            if state != RootState::Present {
                return Err(could_not(reason.unwrap_or_else(|| state.to_string())));
            }
            if self.side.scans() > scans {
                let over = *over.get_or_insert_with(|| Instant::now() + settle);
                let totals = self.engine.reader.root_totals(self.id).map_err(could_not)?;
                if totals.unsettled == 0 || Instant::now() >= over {
                    return Ok(());
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// One reading of catalog and index, side by side.
    async fn read(&self, stage: VerificationStage) -> Result<Drift, VerifyError> {
        let cutoff_ms = clock::wall_ms() - YOUNG_MS;
        let (mut drift, mut after) = (Drift::default(), None::<String>);
        loop {
            self.at(stage, drift.compared);
            let documents = self
                .engine
                .catalog
                .page(&self.place, after.as_deref(), PAGE)
                .await
                .map_err(could_not)?;
            let rows = self.rows(after.clone(), cutoff_ms).await?;
            let (window, through) = window(documents, rows);
            drift.compared += window.1.len() as u64;
            drift.add(compare(&window.1, &window.0));
            match through {
                Some(through) => after = Some(through),
                None => return Ok(drift),
            }
        }
    }

    async fn rows(
        &self,
        after: Option<String>,
        cutoff_ms: i64,
    ) -> Result<Page<IndexedRecording>, VerifyError> {
        let (reader, id) = (self.engine.reader.clone(), self.id);
        let read = move || reader.verified(id, after.as_deref(), PAGE, cutoff_ms);
        let read = tokio::task::spawn_blocking(read).await.map_err(could_not)?;
        read.inspect_err(|error| self.engine.index_fault.tell(error)).map_err(could_not)
    }

    /// Findings that are still there when each is looked at by itself.
    async fn looked_at_again(&self, found: Vec<Finding>) -> Result<Vec<Finding>, VerifyError> {
        let mut kept = Vec::new();
        for chunk in found.chunks(LOOKED_AT) {
            let uuids: Vec<String> = chunk.iter().map(|one| one.uuid.clone()).collect();
            let read = self.engine.catalog.read(&self.place, &uuids).await.map_err(could_not)?;
            let mut again = Vec::new();
            let mut seen = HashSet::new();
            for finding in chunk.iter().filter(|one| seen.insert(one.uuid.as_str())) {
                let documents: Vec<Stored> = read
                    .iter()
                    .filter(|one| one.uuid == finding.uuid)
                    .filter(|one| one.root.as_ref() == Some(&self.place.id))
                    .cloned()
                    .collect();
                let (reader, id, uuid) =
                    (self.engine.reader.clone(), self.id, finding.uuid.clone());
                let cutoff_ms = clock::wall_ms() - YOUNG_MS;
                let known = move || reader.verified_one(id, &uuid, cutoff_ms);
                let known = tokio::task::spawn_blocking(known).await.map_err(could_not)?;
                let known: Vec<IndexedRecording> = known.map_err(could_not)?.into_iter().collect();
                again.extend(compare(&known, &documents));
            }
            again.retain(|one| {
                chunk.iter().any(|before| before.kind == one.kind && before.uuid == one.uuid)
            });
            kept.extend(self.proved(again).await?);
        }
        Ok(kept)
    }

    /// Of documents that the index does not know only those whose files are proved not to be there, or
    /// are another recording's.
    async fn proved(&self, found: Vec<Finding>) -> Result<Vec<Finding>, VerifyError> {
        if !found.iter().any(|one| one.kind == Kind::Missing && one.row.is_none()) {
            return Ok(found);
        }
        let path = self.side.settings.path.clone();
        let extensions = self.engine.settings.data_extensions.clone();
        let (reader, id) = (self.engine.reader.clone(), self.id);
        let work = move || {
            let root = Root::open(&path)?;
            let pair = Pair::new(extensions);
            let mut kept = Vec::new();
            for one in found {
                if one.kind == Kind::Missing && one.row.is_none() {
                    let (folder, name) = one.path.rsplit_once('/').unwrap_or(("", &one.path));
                    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
                    let proof = prove(&root, &pair, folder.as_bytes(), &[stem.as_bytes()])?;
                    let Proof::Read { there, .. } = proof else { continue };
                    let place = Place { folder: folder.into(), stem: stem.into() };
                    if there[0] && !is_anothers(&reader, id, place, &one.uuid) {
                        continue;
                    }
                }
                kept.push(one);
            }
            Ok::<_, focus_storage::RootProblem>(kept)
        };
        tokio::task::spawn_blocking(work).await.map_err(could_not)?.map_err(could_not)
    }

    /// Has the reconciler mend what was found, and waits for it.
    async fn repair(&self, drift: &Drift) -> Result<(), VerifyError> {
        self.may_repair().await?;
        let (mut rows, mut missing) = (Vec::new(), Vec::new());
        for finding in &drift.findings {
            match (finding.kind, finding.row, &finding.document) {
                (Kind::Dark, Some((id, generation)), _) => {
                    rows.push((id, generation, Repair::NotThere));
                }
                (Kind::Mismatch, Some((id, generation)), _) => {
                    rows.push((id, generation, Repair::Differs));
                }
                (Kind::Missing, None, Some(stored)) => missing.push((**stored).clone()),
                _ => {}
            }
        }
        let index = &self.engine.index;
        index.found(rows, clock::wall_ms()).await.map_err(could_not)?;
        here(Point::At(Step::RepairStored));
        index.add_missing(self.id, missing, clock::wall_ms()).await.map_err(could_not)?;
        here(Point::At(Step::RepairAdded));
        self.side.wake.notify_one();
        let mut last = (u64::MAX, Instant::now());
        loop {
            let reader = &self.engine.reader;
            let totals = reader.root_totals(self.id).map_err(could_not)?;
            let deciding = reader.has_vanish_candidates(self.id).map_err(could_not)?;
            if totals.pending == 0 && !deciding {
                return Ok(());
            }
            if totals.pending < last.0 {
                last = (totals.pending, Instant::now());
            } else if last.1.elapsed() > REPAIR_LIMIT {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Only the holder of the lease repairs.
    async fn may_repair(&self) -> Result<(), VerifyError> {
        let patience = Duration::from_millis(self.engine.settings.lease_ms + 3_000);
        let until = Instant::now() + patience;
        loop {
            let phase = self.engine.phase_of(&self.place.id);
            match phase {
                Some(Phase::InStep | Phase::Recovering) => return Ok(()),
                Some(Phase::Standby) if Instant::now() >= until => {
                    return Err(VerifyError::Refused(format!(
                        "another server has the lease of {}, and repairs are its to make: run `focus verify --repair` there",
                        self.place.path
                    )));
                }
                _ if Instant::now() >= until => {
                    return Err(could_not(
                        "the catalog takes no writes from this server: see `focus status`",
                    ));
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn tell(&self, drift: Drift, out: &mut Verification) -> Result<(), VerifyError> {
        out.compared += drift.compared;
        out.truncated |= !drift.is_whole();
        for (kind, count) in &drift.counted {
            *out.counts.entry(kind.name().to_owned()).or_default() += count;
        }
        for finding in drift.findings {
            self.push(out, found(&self.place.id, finding));
        }
        let (reader, id) = (self.engine.reader.clone(), self.id);
        let places = move || {
            let unrecognised = reader.unrecognised(None, None, KEPT_MAX)?;
            Ok::<_, focus_index::IndexError>((unrecognised, reader.unsettled(id, KEPT_MAX)?))
        };
        let places = tokio::task::spawn_blocking(places).await.map_err(could_not)?;
        let (unrecognised, unsettled) = places.map_err(could_not)?;
        let count = |out: &mut Verification, kind: Kind| {
            *out.counts.entry(kind.name().to_owned()).or_default() += 1;
        };
        for row in unrecognised.into_iter().filter(|row| row.root == self.place.id) {
            count(out, Kind::Unrecognised);
            let reason = Some(format!("{}: {}", row.state, row.reason));
            self.push(out, place(Kind::Unrecognised, &row.root, row.path, reason));
        }
        for one in unsettled {
            count(out, Kind::Unsettled);
            self.push(out, place(Kind::Unsettled, &self.place.id, one.display(), None));
        }
        let foreign = self.engine.catalog.foreign(&self.place).await;
        out.foreign = out.foreign.zip(foreign.ok()).map(|(sum, count)| sum + count);
        Ok(())
    }

    fn push(&self, out: &mut Verification, found: Found) {
        if out.findings.len() < KEPT_MAX {
            out.findings.push(found);
        } else {
            out.truncated = true;
        }
    }
}

/// What both sides have up to a common uuid, and that uuid; none where both are at their end.
fn window(
    documents: Page<Stored>,
    rows: Page<IndexedRecording>,
) -> ((Vec<Stored>, Vec<IndexedRecording>), Option<String>) {
    let (more_documents, more_rows) = (documents.more, rows.more);
    let (mut documents, mut rows) = (documents.items, rows.items);
    let mut through: Option<String> = None;
    if more_documents {
        // Several with the last uuid may go on behind the page: that one is for the next window.
        let last = documents.last().map(|stored| stored.uuid.clone());
        if documents.first().map(|stored| &stored.uuid) != last.as_ref() {
            documents.retain(|stored| Some(&stored.uuid) != last.as_ref());
        }
        through = documents.last().map(|stored| stored.uuid.clone());
    }
    if more_rows {
        let last = rows.last().map(|known| known.row.recording.uuid.clone());
        through = through.zip(last.clone()).map(|(a, b)| a.min(b)).or(last);
    }
    if let Some(through) = &through {
        documents.retain(|stored| stored.uuid <= *through);
        rows.retain(|known| known.row.recording.uuid <= *through);
    }
    ((documents, rows), through)
}

/// The files at this place are settled as a recording with another uuid.
fn is_anothers(reader: &Reader, id: RootId, place: Place, uuid: &str) -> bool {
    let sights = reader.sights(id, &[place]).unwrap_or_default();
    sights.iter().any(|sight| sight.settled && sight.uuid.as_deref().is_some_and(|own| own != uuid))
}

fn found(root: &str, finding: Finding) -> Found {
    let fields = finding.fields.into_iter().map(|field| FoundField {
        field: field.name.to_owned(),
        storage: field.storage,
        catalog: field.catalog,
    });
    let reason = (finding.kind == Kind::Duplicate).then(|| {
        "several documents have this uuid: remove all but one, and a unique index is made by itself".to_owned()
    });
    Found {
        kind: finding.kind.name().to_owned(),
        uuid: Some(finding.uuid),
        root: root.to_owned(),
        path: finding.path,
        fields: fields.collect(),
        reason,
    }
}

fn place(kind: Kind, root: &str, path: String, reason: Option<String>) -> Found {
    Found {
        kind: kind.name().to_owned(),
        uuid: None,
        root: root.to_owned(),
        path,
        fields: Vec::new(),
        reason,
    }
}
