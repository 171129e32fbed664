//! Findings, and what they are about.

use crate::compare::Row;
use crate::document::Stored;
use crate::entry::EntryId;

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// On storage, and not in the catalog.
    Dark,
    /// In the catalog, and not on storage.
    Missing,
    /// In both, with other values.
    Mismatch,
    /// Several documents with one uuid.
    Duplicate,
    /// On storage, and cannot be catalogued.
    Unrecognised,
    /// On storage, and still changing.
    Unsettled,
}

impl FindingKind {
    /// All kinds, in the order of reports.
    pub const ALL: [FindingKind; 6] = [
        FindingKind::Dark,
        FindingKind::Missing,
        FindingKind::Mismatch,
        FindingKind::Duplicate,
        FindingKind::Unrecognised,
        FindingKind::Unsettled,
    ];

    /// The spelling in reports, which is an interface.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Dark => "dark",
            FindingKind::Missing => "missing",
            FindingKind::Mismatch => "mismatch",
            FindingKind::Duplicate => "duplicate",
            FindingKind::Unrecognised => "unrecognised",
            FindingKind::Unsettled => "unsettled",
        }
    }

    /// Whether the catalog is not true to storage. The other kinds are states of storage alone.
    pub fn is_drift(self) -> bool {
        !matches!(self, FindingKind::Unrecognised | FindingKind::Unsettled)
    }
}

/// One field in which a document differs from its recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDifference {
    /// The field's name in the document.
    pub name: &'static str,
    /// The value on storage.
    pub storage: String,
    /// The value in the catalog.
    pub catalog: String,
}

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What kind of difference it is.
    pub kind: FindingKind,
    /// The uuid of the recording or document.
    pub uuid: String,
    /// The path on storage; where storage has none, the path in the document.
    pub path: String,
    /// The fields that differ; empty unless the kind is a mismatch.
    pub fields: Vec<FieldDifference>,
    /// Entry and generation in the index; none where the index has no entry.
    pub row: Option<(EntryId, i64)>,
    /// The document of a missing recording that the index has no row for.
    pub document: Option<Box<Stored>>,
}

/// A recording of the index, as verification needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexedRecording {
    /// The recording and what the index knows of its document.
    pub row: Row,
    /// The recording is pending and its files changed after the cutoff: a difference is no drift yet.
    pub young: bool,
}

impl Finding {
    /// The identity of a finding between readings: a finding that two readings share has the same key.
    pub fn key(&self) -> (FindingKind, &str) {
        (self.kind, &self.uuid)
    }

    /// Whether the finding rests on the index alone: the document's files must be proved not to be
    /// there before the finding is told.
    pub fn wants_proof_of_absence(&self) -> bool {
        self.kind == FindingKind::Missing && self.row.is_none()
    }
}
