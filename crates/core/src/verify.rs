//! Verification: what storage has and what the catalog has, compared and named.
//!
//! Both sides come ordered by uuid, a window at a time. Nothing is decided about repairs here.

use crate::compare::Row;
use crate::document::Stored;
use crate::recording::Recording;

/// What kind of difference a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
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

impl Kind {
    /// All kinds, in the order of reports.
    pub const ALL: [Kind; 6] = [
        Kind::Dark,
        Kind::Missing,
        Kind::Mismatch,
        Kind::Duplicate,
        Kind::Unrecognised,
        Kind::Unsettled,
    ];

    /// The fixed spelling.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Dark => "dark",
            Kind::Missing => "missing",
            Kind::Mismatch => "mismatch",
            Kind::Duplicate => "duplicate",
            Kind::Unrecognised => "unrecognised",
            Kind::Unsettled => "unsettled",
        }
    }

    /// The catalog is not true to storage; the others are states of storage alone.
    pub fn is_drift(self) -> bool {
        !matches!(self, Kind::Unrecognised | Kind::Unsettled)
    }
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the document.
    pub name: &'static str,
    /// As storage has it.
    pub storage: String,
    /// As the catalog has it.
    pub catalog: String,
}

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Its kind.
    pub kind: Kind,
    /// The uuid.
    pub uuid: String,
    /// The path on storage, else that in the catalog.
    pub path: String,
    /// What differs, where it is a mismatch.
    pub fields: Vec<Field>,
    /// Row and generation in the index, where it has one.
    pub row: Option<(i64, i64)>,
    /// The document, where the index has no row for it.
    pub document: Option<Box<Stored>>,
}

/// A recording of the index, as verification needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexedRecording {
    /// The row.
    pub row: Row,
    /// It is to be written, and its files changed after the cutoff: too young to be called drift.
    pub young: bool,
}

/// Compares one window: all rows and all documents of a range of uuids, both ordered.
pub fn compare(rows: &[IndexedRecording], documents: &[Stored]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut documents = documents.chunk_by(|a, b| a.uuid == b.uuid).peekable();
    for known in rows {
        let uuid = known.row.recording.uuid.as_str();
        while let Some(same) = documents.next_if(|same| same[0].uuid.as_str() < uuid) {
            without_row(same, &mut findings);
        }
        match documents.next_if(|same| same[0].uuid == uuid) {
            Some(same) => {
                duplicates(same, &mut findings);
                findings.extend(judge(known, &same[0]));
            }
            None if known.young || known.row.vanished || known.row.marked => {}
            None => findings.push(of_row(Kind::Dark, &known.row)),
        }
    }
    for same in documents {
        without_row(same, &mut findings);
    }
    findings
}

fn without_row(same: &[Stored], findings: &mut Vec<Finding>) {
    duplicates(same, findings);
    let Some(live) = same.iter().find(|stored| !stored.deleted || stored.is_drilled()) else {
        return;
    };
    findings.push(Finding {
        kind: Kind::Missing,
        uuid: live.uuid.clone(),
        path: live.path.clone().unwrap_or_default(),
        fields: Vec::new(),
        row: None,
        document: Some(Box::new(live.clone())),
    });
}

fn duplicates(same: &[Stored], findings: &mut Vec<Finding>) {
    for stored in same.iter().skip(1) {
        findings.push(Finding {
            kind: Kind::Duplicate,
            uuid: stored.uuid.clone(),
            path: stored.path.clone().unwrap_or_default(),
            fields: Vec::new(),
            row: None,
            document: None,
        });
    }
}

fn of_row(kind: Kind, row: &Row) -> Finding {
    Finding {
        kind,
        uuid: row.recording.uuid.clone(),
        path: row.recording.path.clone(),
        fields: Vec::new(),
        row: Some((row.id, row.generation)),
        document: None,
    }
}

fn judge(known: &IndexedRecording, stored: &Stored) -> Option<Finding> {
    let row = &known.row;
    if row.vanished {
        return (!stored.deleted).then(|| of_row(Kind::Missing, row));
    }
    if known.young || row.marked && stored.deleted {
        return None;
    }
    let fields = differences(&row.recording, stored);
    (!fields.is_empty()).then(|| Finding { fields, ..of_row(Kind::Mismatch, row) })
}

/// The fields in which a document is not as storage has it.
pub fn differences(recording: &Recording, stored: &Stored) -> Vec<Field> {
    let Some(found) = &stored.recording else {
        return vec![Field {
            name: "document",
            storage: "all fields, each of its type".to_owned(),
            catalog: "a field is missing, or of another type".to_owned(),
        }];
    };
    let time = |ms: Option<i64>| ms.map_or_else(|| "null".to_owned(), |ms| ms.to_string());
    let mut fields = Vec::new();
    let mut field = |name, storage: String, catalog: String| {
        if storage != catalog {
            fields.push(Field { name, storage, catalog });
        }
    };
    field("start_time", time(Some(recording.start_ms)), time(Some(found.start_ms)));
    field("end_time", time(recording.end_ms), time(found.end_ms));
    field("deleted", recording.deleted.to_string(), found.deleted.to_string());
    field("deleted_at", time(recording.deleted_at_ms), time(found.deleted_at_ms));
    field("recording_id", recording.recording_id.clone(), found.recording_id.clone());
    field("root", recording.root.clone(), found.root.clone());
    field("path", recording.path.clone(), found.path.clone());
    field("size", recording.size.to_string(), found.size.to_string());
    field("fingerprint", recording.fingerprint.clone(), found.fingerprint.clone());
    field("metadata", recording.metadata.to_text(), found.metadata.to_text());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Value;

    fn recording(uuid: &str, size: i64) -> Recording {
        Recording {
            uuid: uuid.to_owned(),
            start_ms: 1,
            end_ms: Some(2),
            deleted: false,
            deleted_at_ms: None,
            recording_id: uuid.to_owned(),
            root: "r".to_owned(),
            path: format!("{uuid}.dat"),
            size,
            fingerprint: String::new(),
            metadata: Value::Object(Vec::new()),
        }
    }

    fn known(uuid: &str, size: i64) -> IndexedRecording {
        let row = Row {
            id: 1,
            generation: 1,
            acknowledged: true,
            vanished: false,
            marked: false,
            changed: false,
            recording: recording(uuid, size),
        };
        IndexedRecording { row, young: false }
    }

    fn stored(uuid: &str, size: i64) -> Stored {
        let recording = recording(uuid, size);
        Stored {
            uuid: uuid.to_owned(),
            root: Some("r".to_owned()),
            version: Some(1),
            deleted: false,
            path: Some(recording.path.clone()),
            recording: Some(recording),
        }
    }

    fn told(rows: &[IndexedRecording], documents: &[Stored]) -> Vec<(Kind, String)> {
        compare(rows, documents).into_iter().map(|finding| (finding.kind, finding.uuid)).collect()
    }

    #[test]
    fn each_kind_of_drift_is_told_and_what_agrees_is_not() {
        let mut gone = known("f", 1);
        gone.row.vanished = true;
        let rows = [known("b", 1), known("c", 1), known("d", 1), gone];
        let documents = [
            stored("a", 1),
            stored("b", 1),
            stored("d", 2),
            stored("d", 2),
            stored("f", 1),
            stored("g", 1),
        ];
        let wanted = [
            (Kind::Missing, "a"),
            (Kind::Dark, "c"),
            (Kind::Duplicate, "d"),
            (Kind::Mismatch, "d"),
            (Kind::Missing, "f"),
            (Kind::Missing, "g"),
        ]
        .map(|(kind, uuid)| (kind, uuid.to_owned()));
        assert_eq!(told(&rows, &documents), wanted);
    }

    #[test]
    fn a_mismatch_names_its_fields() {
        let mut other = stored("a", 2);
        if let Some(recording) = &mut other.recording {
            recording.end_ms = None;
        }
        let findings = compare(&[known("a", 1)], &[other]);
        let names: Vec<_> = findings[0].fields.iter().map(|field| field.name).collect();
        assert_eq!(names, ["end_time", "size"]);
        let mut broken = stored("a", 1);
        broken.recording = None;
        assert_eq!(compare(&[known("a", 1)], &[broken])[0].fields[0].name, "document");
    }

    #[test]
    fn what_is_too_young_or_deleted_on_both_sides_is_no_drift() {
        let mut young = known("a", 1);
        young.young = true;
        assert_eq!(told(&[young.clone()], &[]), []);
        assert_eq!(told(&[young], &[stored("a", 2)]), []);
        let mut marked = known("a", 1);
        marked.row.marked = true;
        let mut deleted = stored("a", 1);
        deleted.deleted = true;
        assert_eq!(told(&[marked.clone()], &[deleted.clone()]), []);
        assert_eq!(told(&[marked], &[]), []);
        assert_eq!(told(&[], &[deleted]), []);
    }
}
