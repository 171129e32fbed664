//! Why, when and how far the whole content of the catalog is compared with the index.

use super::step::Findings;
use crate::compare::{ComparedPage, Comparison, Need, Page, Row};
use crate::lease::Grant;

/// The comparisons of one root.
#[derive(Clone, Debug)]
pub(super) struct Comparing {
    /// The one under way, until both sides are read to their end.
    comparison: Option<Comparison>,
    /// When it began, on the boot-time clock.
    began_ms: u64,
    /// How many recordings it has compared.
    compared: u64,
    /// After both sides: the unrecognised collection is looked through.
    sweep: Option<Sweep>,
    /// One is asked for. It begins by asking the database anew who it is.
    asked: bool,
    /// A standby's comparison is due.
    standby_due: bool,
    /// That a comparison is owed is stored for the sake of this token.
    owed_under: Option<i64>,
    /// Storage was scanned once since the start: the index knows what is there.
    scanned: bool,
    /// Before the first scan the catalog named recordings that the index did not know.
    again_after_scan: bool,
    /// Recordings were dropped from the index while they were compared.
    again_at_once: bool,
    /// Finished since the start.
    finished: u64,
    /// What the last finished one found in the catalog and not in the index.
    missing: Option<u64>,
}

/// How far the unrecognised collection was looked through.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    /// Up to this place; none at the beginning.
    pub(super) after: Option<String>,
}

/// What a comparison does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    /// Read documents or rows.
    Read(Need),
    /// Look through the unrecognised collection.
    Sweep {
        /// After this place.
        after: Option<String>,
    },
    /// Nothing: a standby's comparison, which only reads, is over.
    StandbyDone,
}

impl Comparing {
    /// None is under way; a standby's is due.
    pub(super) fn new() -> Comparing {
        Comparing {
            comparison: None,
            began_ms: 0,
            compared: 0,
            sweep: None,
            asked: false,
            standby_due: true,
            owed_under: None,
            scanned: false,
            again_after_scan: false,
            again_at_once: false,
            finished: 0,
            missing: None,
        }
    }

    /// One is due by its period, or asked for.
    pub(super) fn ask(&mut self) {
        self.asked = true;
        self.standby_due = true;
    }

    /// One is asked for, and has not begun.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// The database was asked who it is: what was asked for begins now, or was not asked for.
    pub(super) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }

    /// A standby's comparison is due.
    pub(super) fn is_standby_due(&self) -> bool {
        self.standby_due
    }

    /// That a comparison is owed for this token is stored.
    pub(super) fn is_owed_under(&self, token: i64) -> bool {
        self.owed_under == Some(token)
    }

    /// That a comparison is owed is stored. Where it is owed for a new token, what was compared under an
    /// earlier one does not count.
    pub(super) fn owed(&mut self, token: Option<i64>) {
        self.owed_under = token;
        if token.is_some() {
            self.abandon();
        }
    }

    /// A scan has finished: what the catalog names and the index does not know is missing.
    pub(super) fn scanned(&mut self) {
        self.scanned = true;
        if std::mem::take(&mut self.again_after_scan) {
            self.ask();
        }
    }

    /// Recordings that the catalog has were dropped from the index after they had been read: the next
    /// comparison finds their documents as missing ones.
    pub(super) fn dropped(&mut self) {
        self.again_at_once = true;
        self.ask();
    }

    /// What was read is void: it begins anew.
    pub(super) fn restart(&mut self) {
        self.comparison = None;
    }

    /// What was read is void, and so is the sweep.
    pub(super) fn abandon(&mut self) {
        self.comparison = None;
        self.sweep = None;
    }

    /// The one under way, while it reads.
    pub(super) fn under_way(&mut self) -> Option<&mut Comparison> {
        self.comparison.as_mut()
    }

    /// How many recordings the one under way has compared; none where none is under way.
    pub(super) fn progress(&self) -> Option<u64> {
        (self.comparison.is_some() || self.sweep.is_some()).then_some(self.compared)
    }

    /// Takes rows of the index, and gives what is to be stored; nothing where the comparison was given up
    /// meanwhile. `token` is the one that is stored.
    ///
    /// Documents whose recording the index does not know are missing only after a scan: before it the
    /// index may know little of storage, and they are compared once more.
    pub(super) fn rows(&mut self, rows: Page<Row>, token: i64) -> Findings {
        let Some(comparison) = &mut self.comparison else { return Findings::default() };
        let ComparedPage { findings, mut missing } = comparison.rows(rows, token);
        self.compared = comparison.compared();
        if !self.scanned && !missing.is_empty() {
            self.again_after_scan = true;
            missing.clear();
        }
        Findings { findings, missing }
    }

    /// Finished since the start.
    pub(super) fn finished(&self) -> u64 {
        self.finished
    }

    /// What the last finished one found in the catalog and not in the index.
    pub(super) fn missing(&self) -> Option<u64> {
        self.missing
    }

    /// The lease was taken back from somebody who may still write. What is compared meanwhile is put
    /// right at once, but a comparison is owed all the same: the present one goes to its last page, waits,
    /// and begins anew when the other's time is over. So the dispute costs no more than its own length.
    pub(super) fn awaits_end_of_dispute(&mut self, grant: Grant, now_ms: u64) -> bool {
        if now_ms < grant.disputed_until_ms {
            return self.comparison.as_ref().is_some_and(|one| one.need() == Need::Nothing);
        }
        if self.began_ms < grant.disputed_until_ms {
            self.abandon();
        }
        false
    }

    /// What comes next; only the reading part where nothing may be written.
    pub(super) fn next(&mut self, may_write: bool, now_ms: u64) -> Compare {
        if !may_write {
            self.sweep = None;
        }
        if let Some(sweep) = &self.sweep {
            return Compare::Sweep { after: sweep.after.clone() };
        }
        let comparison = self.comparison.get_or_insert_with(|| {
            self.began_ms = now_ms;
            Comparison::default()
        });
        self.compared = comparison.compared();
        let need = comparison.need();
        if need != Need::Nothing {
            return Compare::Read(need);
        }
        self.missing = Some(comparison.missing());
        self.comparison = None;
        if !may_write {
            self.standby_due = false;
            return Compare::StandbyDone;
        }
        self.sweep = Some(Sweep::default());
        Compare::Sweep { after: None }
    }

    /// The sweep, while one is under way.
    pub(super) fn sweep(&mut self) -> Option<&mut Sweep> {
        self.sweep.as_mut()
    }

    /// The one that ends now could not use everything that it found: another one is owed.
    pub(super) fn is_owed_again(&self) -> bool {
        self.again_after_scan || self.again_at_once
    }

    /// The end of the one under way is stored.
    pub(super) fn finish(&mut self) {
        self.again_at_once = false;
        self.finished += 1;
        self.sweep = None;
    }
}
