//! The findings of one reading of both sides, bounded in memory.

use std::collections::{BTreeMap, HashSet};

use super::finding::{Finding, FindingKind};

/// Findings that one reading keeps at most. Further findings are counted and not kept, so that a
/// catalog in which everything differs does not fill the memory.
pub const FINDINGS_MAX: usize = 10_000;

/// The drift of one root, as one reading of both sides found it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    findings: Vec<Finding>,
    counts: BTreeMap<FindingKind, u64>,
    /// Recordings that were compared.
    pub compared: u64,
}

impl Drift {
    /// Counts these findings, and keeps them while there is room.
    pub fn add(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            *self.counts.entry(finding.kind).or_default() += 1;
            if self.findings.len() < FINDINGS_MAX {
                self.findings.push(finding);
            }
        }
    }

    /// Adds what another look found beside this one. What both have found counts once.
    pub fn merge(&mut self, other: Drift) {
        let known: HashSet<_> = self.findings.iter().map(Finding::key).collect();
        let is_new: Vec<bool> =
            other.findings.iter().map(|one| !known.contains(&one.key())).collect();
        let mut counts = other.counts;
        for (finding, is_new) in other.findings.into_iter().zip(is_new) {
            if let Some(count) = counts.get_mut(&finding.kind) {
                *count -= 1;
            }
            if is_new {
                self.add(vec![finding]);
            }
        }
        // What the other look has not kept is counted alone.
        for (kind, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    /// How many findings were counted.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many findings of each kind were counted; kinds without one are left out.
    pub fn counts(&self) -> &BTreeMap<FindingKind, u64> {
        &self.counts
    }

    /// The findings that were kept.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings that were kept, by value.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Whether every finding that was counted was kept.
    pub fn is_whole(&self) -> bool {
        self.total() == self.findings.len() as u64
    }

    /// Takes the findings that an earlier reading had too: only these are worth a third look. An
    /// earlier reading that did not keep all of its findings rules out nothing.
    pub fn take_met_before(&mut self, earlier: &Drift) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.findings);
        if earlier.is_whole() {
            let met: HashSet<_> = earlier.findings.iter().map(Finding::key).collect();
            findings.retain(|finding| met.contains(&finding.key()));
        }
        findings
    }

    /// Replaces the findings by those that a third look confirmed. The counts follow where
    /// `counts_follow`: where some findings were never kept, the counts of the reading stay.
    pub fn confirm(&mut self, confirmed: Vec<Finding>, counts_follow: bool) {
        if counts_follow {
            self.counts.clear();
            self.findings.clear();
            self.add(confirmed);
        } else {
            self.findings = confirmed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryId;

    fn dark(uuid: usize) -> Finding {
        Finding {
            kind: FindingKind::Dark,
            uuid: uuid.to_string(),
            path: String::new(),
            fields: Vec::new(),
            row: Some((EntryId(1), 1)),
            document: None,
        }
    }

    fn drift(uuids: std::ops::Range<usize>) -> Drift {
        let mut drift = Drift::default();
        drift.add(uuids.map(dark).collect());
        drift
    }

    #[test]
    fn findings_beyond_the_bound_are_counted_and_not_kept() {
        let drift = drift(0..FINDINGS_MAX + 3);
        assert_eq!(drift.findings().len(), FINDINGS_MAX);
        assert_eq!(drift.total(), FINDINGS_MAX as u64 + 3);
        assert!(!drift.is_whole());
    }

    #[test]
    fn only_what_both_readings_found_is_looked_at_again() {
        let mut second = drift(2..6);
        let uuids: Vec<String> =
            second.take_met_before(&drift(0..4)).into_iter().map(|one| one.uuid).collect();
        assert_eq!(uuids, ["2", "3"]);
        second.confirm(vec![dark(3)], true);
        assert_eq!((second.total(), second.findings().len()), (1, 1));
    }

    #[test]
    fn what_two_looks_have_found_counts_once() {
        let mut drift_of_both = drift(0..3);
        drift_of_both.merge(drift(2..5));
        assert_eq!((drift_of_both.total(), drift_of_both.findings().len()), (5, 5));
        let mut cut = drift(0..1);
        cut.merge(drift(1..FINDINGS_MAX + 4));
        assert_eq!(cut.total(), FINDINGS_MAX as u64 + 4);
        assert!(!cut.is_whole());
    }

    #[test]
    fn an_earlier_reading_that_was_cut_rules_out_nothing() {
        let mut second = drift(FINDINGS_MAX + 5..FINDINGS_MAX + 7);
        let suspects = second.take_met_before(&drift(0..FINDINGS_MAX + 1));
        assert_eq!(suspects.len(), 2);
    }

    #[test]
    fn the_counts_of_a_cut_reading_stay() {
        let mut cut = drift(0..FINDINGS_MAX + 1);
        cut.confirm(vec![dark(1)], false);
        assert_eq!((cut.total(), cut.findings().len()), (FINDINGS_MAX as u64 + 1, 1));
    }
}
