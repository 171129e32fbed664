//! What a verification came to, as `focus verify` and the API tell it.

use std::collections::BTreeMap;

use focus_core::answer::Failure;
use focus_core::verify::{FINDINGS_MAX, Finding, FindingKind};
use focus_index::IndexError;
use focus_storage::RootProblem;
use serde::{Deserialize, Serialize};

/// The result of a verification. Field names are an interface.
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
    /// The same of each root, by its id.
    #[serde(default)]
    pub roots: BTreeMap<String, BTreeMap<String, u64>>,
    /// Documents of others beside ours; none where they could not be counted.
    pub foreign: Option<u64>,
    /// How many differences were mended.
    pub repaired: u64,
    /// The findings, at most 10,000.
    pub findings: Vec<ReportedFinding>,
    /// There are more findings than these.
    pub truncated: bool,
}

/// One finding. Field names are an interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportedFinding {
    /// `dark`, `missing`, `mismatch`, `duplicate`, `unrecognised`, `unsettled`.
    pub kind: String,
    /// The uuid; none where it is not known.
    pub uuid: Option<String>,
    /// The root's id.
    pub root: String,
    /// Path of the data file, relative to the root; without extension where there is no recording.
    pub path: String,
    /// The fields that differ.
    pub fields: Vec<Difference>,
    /// What is wrong and what to do, where there is something to say.
    pub reason: Option<String>,
}

/// One field that differs. Field names are an interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// The field's name in the document.
    pub field: String,
    /// The value on storage.
    pub storage: String,
    /// The value in the catalog.
    pub catalog: String,
}

/// Why a verification has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// A root, the index or the catalog is not there, or went meanwhile. The words say which, and what
    /// to do.
    #[error("{0}")]
    CouldNotTell(String),
    /// Another server has the lease, and repairs are its to make. The words say where.
    #[error("{0}")]
    Refused(String),
}

impl VerifyError {
    /// No result, for this reason.
    pub(super) fn could_not_tell(words: impl Into<String>) -> VerifyError {
        VerifyError::CouldNotTell(words.into())
    }
}

impl From<IndexError> for VerifyError {
    fn from(error: IndexError) -> VerifyError {
        VerifyError::CouldNotTell(error.to_string())
    }
}

impl From<Failure> for VerifyError {
    fn from(failure: Failure) -> VerifyError {
        VerifyError::CouldNotTell(failure.to_string())
    }
}

impl From<RootProblem> for VerifyError {
    fn from(problem: RootProblem) -> VerifyError {
        VerifyError::CouldNotTell(problem.to_string())
    }
}

impl From<tokio::task::JoinError> for VerifyError {
    fn from(error: tokio::task::JoinError) -> VerifyError {
        VerifyError::CouldNotTell(error.to_string())
    }
}

impl Verification {
    /// A verification that begins now, with nothing found.
    pub(super) fn begun(began_at: String) -> Verification {
        let counts = FindingKind::ALL.map(|kind| (kind.name().to_owned(), 0));
        Verification {
            began_at,
            counts: counts.into(),
            foreign: Some(0),
            ..Verification::default()
        }
    }

    /// Counts findings of one kind.
    pub(super) fn count(&mut self, root: &str, kind: FindingKind, count: u64) {
        *self.counts.entry(kind.name().to_owned()).or_default() += count;
        let of_root = self.roots.entry(root.to_owned()).or_default();
        *of_root.entry(kind.name().to_owned()).or_default() += count;
    }

    /// Adds a finding, as long as there is room.
    pub(super) fn push(&mut self, finding: ReportedFinding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.truncated = true;
        }
    }

    /// This result of some roots, and what an earlier one says of the others that are `configured`, by their ids.
    pub(super) fn with_others(
        &self,
        earlier: Option<Verification>,
        configured: &[String],
    ) -> Verification {
        let mut all = self.clone();
        let Some(earlier) = earlier else { return all };
        let is_other = |root: &String| configured.contains(root) && !self.roots.contains_key(root);
        for (root, counts) in earlier.roots.into_iter().filter(|(root, _)| is_other(root)) {
            for (kind, count) in &counts {
                *all.counts.entry(kind.clone()).or_default() += count;
            }
            all.roots.insert(root, counts);
        }
        for finding in earlier.findings.into_iter().filter(|finding| is_other(&finding.root)) {
            all.push(finding);
        }
        all.truncated |= earlier.truncated;
        all.finish(self.elapsed_ms);
        all
    }

    /// When it ended, milliseconds since 1970.
    pub(crate) fn ended_ms(&self) -> Option<i64> {
        let began = focus_core::iso8601::from_text(&self.began_at, None).ok()?;
        Some(began.saturating_add(i64::try_from(self.elapsed_ms).ok()?))
    }

    /// How many differences between storage and catalog it left.
    pub(super) fn drift(&self) -> u64 {
        drift(&self.counts)
    }

    /// The same of each root, by its id.
    pub(super) fn drift_of_roots(&self) -> BTreeMap<String, u64> {
        self.roots.iter().map(|(id, counts)| (id.clone(), drift(counts))).collect()
    }

    /// Completes it: whether anything of the catalog differs from storage.
    pub(super) fn finish(&mut self, elapsed_ms: u64) {
        let drift = |kind: &FindingKind| kind.is_drift() && self.counts[kind.name()] > 0;
        self.in_order = !FindingKind::ALL.iter().any(drift);
        self.elapsed_ms = elapsed_ms;
    }
}

impl ReportedFinding {
    /// A difference between storage and catalog.
    pub(super) fn of(root: &str, finding: Finding) -> ReportedFinding {
        let fields = finding.fields.into_iter().map(|field| Difference {
            field: field.name.to_owned(),
            storage: field.storage,
            catalog: field.catalog,
        });
        let reason = (finding.kind == FindingKind::Duplicate).then(|| {
            "several documents have this uuid: remove all but one, and a unique index is made by itself".to_owned()
        });
        ReportedFinding {
            kind: finding.kind.name().to_owned(),
            uuid: Some(finding.uuid),
            root: root.to_owned(),
            path: finding.path,
            fields: fields.collect(),
            reason,
        }
    }

    /// A place on storage that is no recording of the catalog's, or not yet.
    pub(super) fn of_place(
        kind: FindingKind,
        root: &str,
        path: String,
        reason: Option<String>,
    ) -> ReportedFinding {
        ReportedFinding {
            kind: kind.name().to_owned(),
            uuid: None,
            root: root.to_owned(),
            path,
            fields: Vec::new(),
            reason,
        }
    }
}

/// How many of these findings are differences between storage and catalog.
fn drift(counts: &BTreeMap<String, u64>) -> u64 {
    let drift = FindingKind::ALL.iter().filter(|kind| kind.is_drift());
    drift.filter_map(|kind| counts.get(kind.name())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_storage_alone_leave_the_catalog_in_order() {
        let mut out = Verification::begun(String::new());
        out.count("r", FindingKind::Unsettled, 1);
        out.count("r", FindingKind::Unrecognised, 1);
        out.finish(0);
        assert!(out.in_order);
        out.count("r", FindingKind::Duplicate, 1);
        out.finish(0);
        assert!(!out.in_order);
    }

    #[test]
    fn the_result_for_one_root_leaves_what_is_known_of_the_others() {
        let mut earlier = Verification::begun("then".to_owned());
        for root in ["a", "b", "gone"] {
            earlier.count(root, FindingKind::Missing, 2);
            let kind = FindingKind::Missing;
            earlier.push(ReportedFinding::of_place(kind, root, root.to_owned(), None));
        }
        let mut out = Verification::begun("now".to_owned());
        out.count("a", FindingKind::Missing, 0);
        out.finish(0);
        let all = out.with_others(Some(earlier), &["a".to_owned(), "b".to_owned()]);
        assert_eq!((all.drift(), all.in_order, all.began_at.as_str()), (2, false, "now"));
        assert_eq!(all.roots.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(all.findings.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(out.with_others(None, &[]).drift(), 0);
    }

    #[test]
    fn findings_beyond_the_bound_are_told_as_truncated() {
        let mut out = Verification::begun(String::new());
        for _ in 0..=FINDINGS_MAX {
            let (kind, path) = (FindingKind::Unsettled, String::new());
            out.push(ReportedFinding::of_place(kind, "root", path, None));
        }
        assert_eq!((out.findings.len(), out.truncated), (FINDINGS_MAX, true));
    }
}
