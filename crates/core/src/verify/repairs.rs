//! What the reconciler has to do about findings.

use super::finding::{Finding, FindingKind};
use crate::compare::{Compared, ComparedEntry};
use crate::document::Stored;

/// The repairs of some findings. The reconciler carries them out as it does the results of a
/// comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repairs {
    /// The difference of each recording that is to be written.
    pub rows: Vec<ComparedEntry>,
    /// Documents whose recording the index does not know: each is looked for on storage, and is
    /// handled as a recording whose files are gone where storage does not have it.
    pub missing: Vec<Stored>,
}

impl Repairs {
    /// The repairs of these findings. Duplicates, and what storage itself is unclear about, have none.
    pub fn of(findings: &[Finding]) -> Repairs {
        let mut repairs = Repairs::default();
        for finding in findings {
            match (finding.kind, finding.row, &finding.document) {
                (FindingKind::Dark, Some((id, generation)), _) => {
                    repairs.rows.push(ComparedEntry { id, generation, found: Compared::NotThere });
                }
                (FindingKind::Mismatch, Some((id, generation)), _) => {
                    repairs.rows.push(ComparedEntry { id, generation, found: Compared::Differs });
                }
                (FindingKind::Missing, None, Some(stored)) => {
                    repairs.missing.push((**stored).clone());
                }
                _ => {}
            }
        }
        repairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryId;

    fn finding(kind: FindingKind, row: Option<(i64, i64)>, document: Option<Stored>) -> Finding {
        let document = document.map(Box::new);
        let (uuid, path) = (String::new(), String::new());
        let row = row.map(|(id, generation)| (EntryId(id), generation));
        Finding { kind, uuid, path, fields: Vec::new(), row, document }
    }

    #[test]
    fn each_kind_of_drift_has_its_repair() {
        let document = Stored {
            uuid: "a".to_owned(),
            root: None,
            version: None,
            deleted: false,
            path: None,
            recording: None,
        };
        let repairs = Repairs::of(&[
            finding(FindingKind::Dark, Some((1, 2)), None),
            finding(FindingKind::Mismatch, Some((3, 4)), None),
            finding(FindingKind::Missing, None, Some(document.clone())),
            // The deletion of a recording that the index knows is on its way by itself.
            finding(FindingKind::Missing, Some((5, 6)), None),
            finding(FindingKind::Duplicate, None, None),
        ]);
        let row = |id, generation, found| ComparedEntry { id: EntryId(id), generation, found };
        assert_eq!(repairs.rows, [row(1, 2, Compared::NotThere), row(3, 4, Compared::Differs)]);
        assert_eq!(repairs.missing, [document]);
    }
}
