//! Comparing the recordings and the documents of one window.

use super::finding::{FieldDifference, Finding, FindingKind, IndexedRecording};
use crate::compare::Row;
use crate::document::Stored;
use crate::recording::Recording;

/// Names the differences in one window: all rows and all documents of a range of uuids, both ordered
/// by uuid.
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
            None => findings.push(of_row(FindingKind::Dark, &known.row)),
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
        kind: FindingKind::Missing,
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
            kind: FindingKind::Duplicate,
            uuid: stored.uuid.clone(),
            path: stored.path.clone().unwrap_or_default(),
            fields: Vec::new(),
            row: None,
            document: None,
        });
    }
}

fn of_row(kind: FindingKind, row: &Row) -> Finding {
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
        return (!stored.deleted).then(|| of_row(FindingKind::Missing, row));
    }
    if known.young || row.marked && stored.deleted {
        return None;
    }
    let fields = differences(&row.recording, stored);
    (!fields.is_empty()).then(|| Finding { fields, ..of_row(FindingKind::Mismatch, row) })
}

/// The fields in which a document differs from the recording on storage.
pub fn differences(recording: &Recording, stored: &Stored) -> Vec<FieldDifference> {
    let Some(found) = &stored.recording else {
        return vec![FieldDifference {
            name: "document",
            storage: "all fields, each of its type".to_owned(),
            catalog: "a field is missing, or of another type".to_owned(),
        }];
    };
    if found == recording {
        return Vec::new();
    }
    let time = |ms: Option<i64>| ms.map_or_else(|| "null".to_owned(), |ms| ms.to_string());
    let mut fields = Vec::new();
    let mut field = |name, storage: String, catalog: String| {
        if storage != catalog {
            fields.push(FieldDifference { name, storage, catalog });
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
    use crate::entry::EntryId;
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
            id: EntryId(1),
            generation: 1,
            known: true,
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
            version: Some(crate::document::version(1, 1)),
            deleted: false,
            path: Some(recording.path.clone()),
            recording: Some(recording),
        }
    }

    fn told(rows: &[IndexedRecording], documents: &[Stored]) -> Vec<(FindingKind, String)> {
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
            (FindingKind::Missing, "a"),
            (FindingKind::Dark, "c"),
            (FindingKind::Duplicate, "d"),
            (FindingKind::Mismatch, "d"),
            (FindingKind::Missing, "f"),
            (FindingKind::Missing, "g"),
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
