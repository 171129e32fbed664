//! What the engine says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use focus_catalog::{Backend, Reach, RootPlace};
use focus_core::answer::Class;
use focus_core::lease::LastHolder;
use focus_core::reconcile::Phase;
use focus_index::{IndexError, Reader};

use super::engine::Engine;
use super::indexing::indexed_key;
use super::lease::{LeaseKeeper, told_of_copy};
use super::served_root::ServedRoot;
use super::text_indexing::text_index;
use super::view::ReconcilerView;
use focus_common::clock;
use focus_common::status::{
    AnswerSource, CatalogKind, CatalogState, Comparison, Fill, IndexState, RemovedRoot, RootLease,
    RootState, RootStatus, Status,
};

/// What the catalog has and is not here for so long is told by a standby.
const NOT_HERE_MS: i64 = 10 * 60_000;

/// Completeness, as every answer carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Start of the last finished look at all roots, milliseconds since 1970.
    pub complete_through_ms: Option<i64>,
    /// Not yet acknowledged by the catalog.
    pub pending: u64,
}

/// What one pass (`focus scan`) came to.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct PassReport {
    /// Which catalog it is.
    pub catalog: CatalogKind,
    /// The catalog was reached and took us.
    pub catalog_reached: bool,
    /// Why not, and what to do.
    pub catalog_reason: Option<String>,
    /// Recognised recordings.
    pub recordings: u64,
    /// Still not in the catalog.
    pub pending: u64,
    /// Still changing.
    pub unsettled: u64,
    /// Unrecognised, by state.
    pub unrecognised: BTreeMap<String, u64>,
    /// Files gone, and not marked as deleted.
    pub vanished: u64,
    /// Those of them that are held until they are approved.
    pub held: u64,
    /// Marked as deleted.
    pub deleted: u64,
    /// Roots that are not there, each with its reason.
    pub problems: Vec<String>,
}

impl ServedRoot {
    /// Finished scans since the start.
    pub(super) fn scans(&self) -> u64 {
        self.scans.load(Ordering::Relaxed)
    }

    /// Its lease, once the root is known.
    pub(super) fn lease(&self) -> Option<Arc<LeaseKeeper>> {
        self.lease.lock().clone()
    }

    /// Who held its lease last, as far as this server knows.
    pub(super) fn last_holder(&self) -> LastHolder {
        self.lease().map_or(LastHolder::Me, |lease| lease.last_holder())
    }

    /// Its state, with the reason.
    pub(super) fn presence(&self) -> (RootState, Option<String>) {
        let status = self.status.lock();
        (status.state, status.reason.clone())
    }

    /// What the status says of it.
    pub(super) fn root_status(&self) -> RootStatus {
        let mut status = self.status.lock().clone();
        if let Some(lease) = self.lease() {
            let (state, holder, grant, lost) = lease.view();
            status.lease = state.into();
            status.lease_holder = holder;
            status.lease_token = grant.map(|grant| grant.token);
            status.lease_lost = lost;
            let copy_of = lease.copy_of().filter(|_| status.state == RootState::Present);
            if let Some((of, id)) = copy_of.zip(status.id.clone()) {
                status.state = RootState::DuplicateMarker;
                let place = RootPlace { id, path: status.path.clone() };
                status.reason = Some(told_of_copy(&place, &of));
            }
        }
        status
    }

    /// Whether it is the root with this marker; where none is given, it is.
    pub(super) fn is_chosen(&self, only: Option<&str>) -> bool {
        let memory = self.memory.borrow();
        only.is_none_or(|only| memory.as_ref().is_some_and(|(marker, _)| marker == only))
    }

    /// The root is there, or not yet known not to be.
    pub(super) fn is_present(&self) -> bool {
        let status = self.status.lock();
        matches!(status.state, RootState::Present | RootState::Unknown)
    }
}

impl Engine {
    /// Completeness of answers given now.
    pub fn completeness(&self) -> Completeness {
        let mut through = Some(i64::MAX);
        for root in &self.roots {
            let at = *root.complete_through_ms.lock();
            through = through.zip(at).map(|(all, one)| all.min(one));
        }
        let pending = self.reader.totals().map_or(0, |totals| totals.pending);
        Completeness { complete_through_ms: through.filter(|ms| *ms != i64::MAX), pending }
    }

    /// The state of everything, from memory and the index. Blocks for as long as a read takes.
    pub fn status(&self) -> Status {
        let read = self.reader.totals();
        let totals = read.as_ref().cloned().unwrap_or_default();
        let (state, reason) = self.catalog_state();
        let acknowledged = self.views().map(|view| view.acknowledged).sum();
        let (index_state, index_reason) = match (self.index_fault.get(), read) {
            (Some((state, reason)), _) => (state, Some(reason)),
            (None, Err(error)) => (IndexState::Failed, Some(error.to_string())),
            (None, Ok(_)) => match &self.rebuilt {
                Some(reason) => (IndexState::Rebuilt, Some(reason.clone())),
                None => (IndexState::Ok, None),
            },
        };
        let compared: Vec<u64> = self.views().filter_map(|view| view.comparing).collect();
        let lag_ms =
            totals.pending_since_ms.map_or(0, |since| clock::wall_ms().saturating_sub(since));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: self.catalog_kind(),
            catalog_address: self.catalog.address(),
            catalog_hosts: self.catalog.hosts(),
            catalog_state: state.into(),
            catalog_reason: reason,
            catalog_refuses: self.catalog_refuses(),
            catalog_remarks: self.catalog.remarks(),
            source: AnswerSource::Index,
            recordings: totals.recordings,
            pending: totals.pending,
            lag_ms: u64::try_from(lag_ms).unwrap_or(0),
            unsettled: totals.unsettled,
            vanished: totals.vanished,
            held: totals.held,
            deleted: totals.marked,
            missing: self.views().map(|view| view.missing).reduce(|a, b| Some(a? + b?)).flatten(),
            drift: self.verifications.drift(),
            // The server that tells of them adds them.
            alerts: None,
            hints: Vec::new(),
            unrecognised: totals.unrecognised.iter().map(|(_, count)| count).sum(),
            unrecognised_by_state: totals.unrecognised.into_iter().collect(),
            complete_through: self.completeness().complete_through_ms.map(clock::rfc3339),
            outage: self.outages.now(totals.pending),
            last_outage: self.outages.last(),
            recovery: self.outages.recovery(totals.pending, acknowledged),
            fill: self.fill_progress(totals.pending + totals.unsettled, acknowledged),
            comparison: (!compared.is_empty())
                .then(|| Comparison { compared: compared.iter().sum(), of: totals.recordings }),
            verification: self.verifying(),
            index_state,
            index_reason,
            roots: self.roots.iter().map(|root| self.root_status(root)).collect(),
            removed_roots: removed_roots(&self.reader).unwrap_or_default(),
            indexed_metadata: self.indexed_keys.lock().iter().cloned().map(indexed_key).collect(),
            text_index: text_index(*self.text_indexed.lock()),
        }
    }

    fn root_status(&self, root: &ServedRoot) -> RootStatus {
        let mut status = root.root_status();
        let stands_by = status.lease == RootLease::Standby && status.state == RootState::Present;
        if stands_by && status.reason.is_none() {
            status.reason = self.not_here(root, &status);
        }
        status
    }

    /// A holder on a clone of the volume, marker and all, catalogues what is not here. It is told once that is
    /// so for longer than storage takes to show a recording to every machine.
    fn not_here(&self, root: &ServedRoot, status: &RootStatus) -> Option<String> {
        let id = root.memory.borrow().as_ref()?.1.id;
        let before_ms = clock::wall_ms().saturating_sub(NOT_HERE_MS);
        let (count, first) = self.reader.never_here(id, before_ms).ok()??;
        let holder = status.lease_holder.as_deref().unwrap_or("another server");
        Some(format!(
            "{count} recordings that the catalog has under this root were never here, for over 10 minutes, the first {first:?}: {holder} may serve another folder with the same marker, such as a clone of the volume. This server stands by. If both are to stay, make this one a root of its own with `focus init --root {} --new`, and restart",
            status.path
        ))
    }

    fn fill_progress(&self, waiting: u64, acknowledged: u64) -> Option<Fill> {
        let is_counted = self.roots.iter().all(|root| root.scans() > 0 || !root.is_present());
        let fill = self.fill.progress(waiting, acknowledged, is_counted);
        // Without a catalog there is no rate; the outage is told instead.
        fill.filter(|_| matches!(*self.catalog.reach().borrow(), Reach::Up { .. }))
    }

    /// `only`: the marker of the only root that it is about.
    pub(super) fn pass_report(&self, catalog_reached: bool, only: Option<&str>) -> PassReport {
        let mut status = self.status();
        if let Some(marker) = only {
            status.roots.retain(|root| root.id.as_deref() == Some(marker));
            let root = self.reader.root_with_marker(marker).ok().flatten();
            let counts = root.and_then(|(id, _)| self.reader.root_counts(id).ok());
            if let Some(counts) = counts {
                let totals = counts.totals;
                status.recordings = totals.recordings;
                status.pending = totals.pending;
                status.unsettled = totals.unsettled;
                status.vanished = totals.vanished;
                status.held = totals.held;
                status.deleted = totals.marked;
                status.unrecognised_by_state =
                    counts.unrecognised.into_iter().filter(|(_, count)| *count > 0).collect();
            }
        }
        PassReport {
            catalog: status.catalog,
            catalog_reached,
            catalog_reason: status.catalog_reason.filter(|_| !catalog_reached).or_else(|| {
                (status.catalog_state == CatalogState::Standby).then(|| {
                    "another server has the lease of a root, and writes to the catalog".to_owned()
                })
            }),
            recordings: status.recordings,
            pending: status.pending,
            unsettled: status.unsettled,
            unrecognised: status.unrecognised_by_state,
            vanished: status.vanished,
            held: status.held,
            deleted: status.deleted,
            problems: status
                .roots
                .into_iter()
                .filter(|root| root.state != RootState::Present)
                .map(|root| {
                    root.reason.unwrap_or_else(|| format!("the root {}: {}", root.path, root.state))
                })
                .collect(),
        }
    }

    /// Which catalog this server writes to.
    pub fn catalog_kind(&self) -> CatalogKind {
        match self.catalog.kind() {
            Backend::Memory => CatalogKind::Memory,
            Backend::Embedded => CatalogKind::Embedded,
            Backend::Mongodb => CatalogKind::Mongodb,
        }
    }

    /// Where the catalog is, without credentials.
    pub fn catalog_address(&self) -> String {
        self.catalog.address()
    }

    /// The state that the catalog is in.
    pub(super) fn state_of_catalog(&self) -> CatalogState {
        self.catalog_state().0.into()
    }

    /// The worst phase of all roots, with its reason.
    fn catalog_state(&self) -> (Phase, Option<String>) {
        // A root that is another one's copy is not catalogued, and the other one's state is not its.
        let never_served = |root: &ServedRoot| {
            root.memory.borrow().is_none() && root.presence().0 == RootState::DuplicateMarker
        };
        let views: Vec<ReconcilerView> = self
            .roots
            .iter()
            .zip(self.views())
            .filter_map(|(root, view)| (!never_served(root)).then_some(view))
            .collect();
        catalog_state(&self.catalog.reach().borrow(), &views, self.lease_trouble())
    }

    /// The catalog is there and refuses this server: the database, or a call on it.
    fn catalog_refuses(&self) -> bool {
        let refuses = |view: ReconcilerView| {
            view.failure.is_some_and(|failure| failure.class == Class::RefusedClient)
        };
        match &*self.catalog.reach().borrow() {
            Reach::Down { refused, .. } => *refused,
            Reach::Up { .. } | Reach::Connecting => self.views().any(refuses),
        }
    }

    /// Why the lease of a root cannot be had or kept, though the catalog is there.
    pub(super) fn lease_trouble(&self) -> Option<String> {
        self.roots.iter().find_map(|root| root.lease()?.trouble())
    }

    /// The phase of the root with this id.
    pub(super) fn phase_of(&self, marker: &str) -> Option<Phase> {
        let at = self.roots.iter().position(|side| {
            side.memory.borrow().as_ref().is_some_and(|(known, _)| known == marker)
        })?;
        self.views().nth(at).map(|view| view.phase)
    }

    pub(super) fn views(&self) -> impl Iterator<Item = ReconcilerView> + '_ {
        self.views.iter().map(|view| view.lock().clone())
    }
}

/// The roots that this reader's answers leave out.
///
/// # Errors
/// The index cannot be read.
pub fn removed_roots(reader: &Reader) -> Result<Vec<RemovedRoot>, IndexError> {
    let roots = reader.indexed_roots()?.into_iter().filter(|root| !root.is_configured);
    Ok(roots.map(|root| RemovedRoot::of(root.path, root.marker, root.recordings)).collect())
}

/// The worst phase of all roots, with its reason. Without a root it is the database's own.
fn catalog_state(
    reach: &Reach,
    views: &[ReconcilerView],
    lease_trouble: Option<String>,
) -> (Phase, Option<String>) {
    let stopped = views.iter().find_map(|view| view.stopped.clone());
    if let Reach::Down { why, .. } = reach {
        let why = stopped.map_or_else(|| why.clone(), |words| format!("{why}. {words}"));
        return (Phase::Down, Some(why));
    }
    if stopped.is_some() {
        return (Phase::Down, stopped);
    }
    let mut worst = (Phase::InStep, None);
    for view in views {
        if rank(view.phase) >= rank(worst.0) {
            worst = (view.phase, view.reason().or(worst.1));
        }
    }
    match lease_trouble {
        // In step for as long as nothing lands: it could not be written. Without a lease no call of
        // the driver's fails any more, and the one that failed last says less.
        Some(words) if rank(worst.0) <= rank(Phase::Recovering) => (Phase::Recovering, Some(words)),
        Some(words) => (worst.0, worst.1.or(Some(words))),
        None => worst,
    }
}

/// How bad a phase is.
fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::InStep => 0,
        Phase::Standby => 1,
        Phase::Recovering => 2,
        Phase::Unknown => 3,
        Phase::Connecting => 4,
        Phase::Down => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_has_stopped_itself_is_told_whatever_the_others_and_the_database_are() {
        let stopped =
            ReconcilerView { stopped: Some("stopped".to_owned()), ..ReconcilerView::default() };
        let failing = ReconcilerView {
            phase: Phase::Down,
            failure: Some(focus_core::answer::Failure::transient("lost")),
            ..ReconcilerView::default()
        };
        let views = [stopped, failing];
        let (phase, reason) = catalog_state(&Reach::Up { epoch: 1 }, &views, None);
        assert_eq!((phase, reason.as_deref()), (Phase::Down, Some("stopped")));
        let lost = Reach::Down { why: "no primary".to_owned(), refused: false };
        let (phase, reason) = catalog_state(&lost, &views, Some("no lease".to_owned()));
        assert_eq!((phase, reason.as_deref()), (Phase::Down, Some("no primary. stopped")));
    }
}
