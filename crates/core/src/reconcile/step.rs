//! Where a reconciler stands between two jobs.

use std::collections::BTreeSet;

use super::protocol::{Bounds, Job};
use crate::batch::{Batch, ItemOutcome, Pick};
use crate::compare::{Claims, ComparedEntry};
use crate::document::Stored;
use crate::entry::EntryId;

/// What the reconciler does at this moment.
///
/// Each step names the result that it waits for, and what a failure does. Two things hold for all
/// of them. Where the *index* cannot do its part, nothing was stored: the step is given up, a
/// comparison under way begins again, and the reconciler chooses anew after a wait
/// ([`Step::Waiting`]). A result of another kind than the one waited for is a fault of the
/// program: the reconciler stops ([`super::Violation`]).
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Waits for nothing. The next call of `next_action` chooses the most urgent job.
    Rest,
    /// Waits for [`super::Event::Timer`] after a failure. A new or lost connection ends the wait
    /// early.
    Waiting {
        /// The ceiling of the wait.
        within_ms: u64,
    },
    /// Waits for `Opened`: the database makes what is missing, and shows who it is.
    ///
    /// A failure is followed by a wait and another try. A database that refuses us is unknown from
    /// then on, also where it was known before. An answer of an earlier connection is not believed.
    Opening {
        /// The connection on which it was asked.
        epoch: u64,
    },
    /// Waits for `Stored`: that a comparison is owed, before anything is written.
    Owing {
        /// Who the database is.
        identity: String,
        /// Owed because this token was taken from another server's hands; none: for other reasons.
        token: Option<i64>,
    },
    /// Waits for `Stored`: the batch in doubt was complete, because the database shows its watermark.
    Recalling {
        /// As the database shows it.
        watermark: String,
    },
    /// Waits for `Picked`: pending recordings of the index.
    Picking {
        /// How many at most.
        limit: usize,
        /// Only entries below this one.
        before: Option<EntryId>,
    },
    /// Waits for `Noted`: the watermark and the rows of the batch are in the index before anything
    /// of them is in the catalog.
    Noting(Box<Batch>),
    /// Waits for `Replied`, once for each call of the batch.
    ///
    /// Meanwhile the index does its part for the batch before and for the next one
    /// ([`super::beside`]). A failure of one call is first the batch's ([`Batch::failed`]). One that is
    /// not the batch's gives the batch up: all of it stays pending and is in doubt, the next batch is
    /// smaller, and after a batch of a single recording the next one begins below that recording.
    Calling {
        /// What is under way.
        batch: Box<Batch>,
        /// Noted, and not yet in the catalog.
        watermark: String,
    },
    /// Waits for `Marked`: the watermark is in the catalog, after the whole batch. It is written once
    /// the index has stored the outcomes of the batch before, and noted this watermark with them.
    ///
    /// After a failure the batch stays pending and is in doubt: it is picked again.
    Marking {
        /// Every recording of it has its outcome.
        batch: Box<Batch>,
        /// Noted.
        watermark: String,
    },
    /// Waits for `Stored`: outcomes and watermark, in one transaction. Where the index fails, the
    /// batch stays pending: it is picked again and found to be there. Where the next batch is ready,
    /// this is done beside the documents of that one.
    Acknowledging {
        /// In the catalog.
        watermark: String,
        /// Handed over with the job, and empty afterwards.
        outcomes: Vec<ItemOutcome>,
        /// A token above ours was met in a document.
        token_met: Option<i64>,
        /// At least one recording is not as it was before the batch.
        moved: bool,
    },
    /// Waits for `Stored`: the token of the lease that was granted, before anything is written
    /// under it.
    StoringToken(i64),
    /// Waits for `Stored`: the lease knows that a document has this token, not below ours.
    TellingLease(i64),
    /// Waits for `Reported`: a part of the unrecognised collection is in step.
    ///
    /// After a failure the same part is tried again.
    Reporting,
    /// Waits for `Window`: documents of the comparison. After a failure it is read again, unless the
    /// connection is another one by then.
    ReadingWindow {
        /// Bytewise after this uuid.
        after: Option<String>,
    },
    /// Waits for `Rows`: the recordings of the index that belong to the window.
    ReadingRows {
        /// Bytewise after this uuid.
        after: Option<String>,
        /// Up to this one.
        through: Option<String>,
    },
    /// Waits for `Found`: what the comparison says of these recordings is stored.
    StoringCompared(Findings),
    /// Waits for `SpotChecked`: documents that others are said to have changed, and what the index has
    /// of them.
    ///
    /// After a failure the whole content has to be compared; a standby looks up from the beginning what is
    /// pending. An answer of an earlier connection is not believed: the same documents are read again.
    SpotChecking {
        /// The documents.
        uuids: BTreeSet<String>,
        /// The connection on which they are read.
        epoch: u64,
        /// By a standby, which writes nothing.
        followed: bool,
    },
    /// Waits for `Picked`: what is pending with a standby, to be looked up.
    Following {
        /// How many at most.
        limit: usize,
        /// Only entries below this one.
        before: Option<EntryId>,
        /// The connection on which they are to be read.
        epoch: u64,
    },
    /// Waits for `Uuids`: what is held with a standby, to be looked up.
    ReadingHeld {
        /// How many at most.
        limit: usize,
        /// The connection on which they are to be read.
        epoch: u64,
    },
    /// Waits for `Stored`: uuids that the catalog has of other recordings than the index.
    StoringClaims(Claims),
    /// Waits for `Found`: what the spot check says is stored. Where the index fails, or has dropped
    /// recordings meanwhile, the whole content has to be compared.
    StoringSpotCheck(Findings, Option<Claims>),
    /// Waits for `Swept`: a part of the unrecognised collection was looked through.
    ///
    /// After a failure the same part is looked through again. A connection lost meanwhile has ended
    /// the sweep, and the comparison it belongs to.
    Sweeping {
        /// Bytewise after this place.
        after: Option<String>,
    },
    /// Waits for `Noted`: the watermark that is to end the comparison.
    FinishNoting,
    /// Waits for `Marked`: the watermark that ends the comparison is in the catalog.
    ///
    /// After a failure the comparison has still to be finished: it goes on with its sweep.
    FinishMarking {
        /// Noted.
        watermark: String,
    },
    /// Waits for `Stored`: the comparison is owed no more, and the watermark is remembered.
    Finishing {
        /// Who the database is.
        identity: String,
        /// In the catalog.
        watermark: String,
        /// The comparison could not use everything that it found.
        again: bool,
    },
    /// Waits for `Stored`: the reconciler has stopped itself, and its next life owes a comparison.
    ///
    /// Whatever else comes back, it is tried again after a wait, without end.
    Stopping {
        /// Who the database is.
        identity: String,
    },
}

/// What a comparison says of recordings and documents. Handed over with the job, and empty
/// afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// Of each recording that something follows for.
    pub(super) findings: Vec<ComparedEntry>,
    /// Documents whose recording the index does not know.
    pub(super) missing: Vec<Stored>,
}

impl Findings {
    /// There is nothing to be stored.
    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.missing.is_empty()
    }
}

impl Step {
    /// It goes on only while the catalog may be written.
    pub(super) fn needs_right(&self) -> bool {
        matches!(self, Step::Calling { .. } | Step::Marking { .. } | Step::FinishMarking { .. })
    }

    /// The job that it asks for; none where it waits for no result.
    pub(super) fn job(&mut self, bounds: Bounds) -> Option<Job> {
        Some(match self {
            Step::Rest | Step::Waiting { .. } => return None,
            Step::Opening { .. } => Job::Open,
            Step::Owing { identity, .. } | Step::Stopping { identity } => {
                Job::Owe { identity: identity.clone() }
            }
            Step::Recalling { watermark } => {
                let watermark = watermark.clone();
                Job::Acknowledge { watermark, outcomes: Vec::new(), next: None }
            }
            Step::Picking { limit, before } | Step::Following { limit, before, .. } => {
                Job::Pick(Pick {
                    limit: *limit,
                    bytes_max: bounds.batch_bytes_max,
                    before: *before,
                    but: Vec::new(),
                })
            }
            Step::Noting(batch) => Job::Note { ids: batch.ids(), ahead: false },
            Step::FinishNoting => Job::Note { ids: Vec::new(), ahead: false },
            Step::Calling { batch, .. } => Job::Call(batch.next_call()?),
            Step::Marking { watermark, .. } | Step::FinishMarking { watermark } => {
                Job::Mark { watermark: watermark.clone() }
            }
            Step::Acknowledging { watermark, outcomes, .. } => Job::Acknowledge {
                watermark: watermark.clone(),
                outcomes: std::mem::take(outcomes),
                next: None,
            },
            Step::StoringToken(token) => Job::Token(*token),
            Step::TellingLease(token) => Job::Met(*token),
            Step::Reporting => Job::Report,
            Step::ReadingWindow { after } => {
                Job::Window { after: after.clone(), limit: bounds.page }
            }
            Step::ReadingRows { after, through } => {
                Job::Rows { after: after.clone(), through: through.clone(), limit: bounds.page }
            }
            Step::StoringCompared(found) | Step::StoringSpotCheck(found, _) => {
                let Findings { findings, missing } = std::mem::take(found);
                Job::Found { findings, missing }
            }
            Step::SpotChecking { uuids, .. } => Job::SpotCheck { uuids: uuids.clone() },
            Step::ReadingHeld { limit, .. } => Job::Held { limit: *limit },
            Step::StoringClaims(claims) => Job::Claims(std::mem::take(claims)),
            Step::Sweeping { after } => Job::Sweep { after: after.clone() },
            Step::Finishing { identity, watermark, again } => Job::Finish {
                identity: identity.clone(),
                watermark: watermark.clone(),
                again: *again,
            },
        })
    }

    /// Its name, for people who read of it in a log or a status.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Step::Rest => "rest",
            Step::Waiting { .. } => "waiting",
            Step::Opening { .. } => "opening",
            Step::Owing { .. } => "owing",
            Step::Recalling { .. } => "recalling",
            Step::Picking { .. } => "picking",
            Step::Noting(_) => "noting",
            Step::Calling { .. } => "calling",
            Step::Marking { .. } => "marking",
            Step::Acknowledging { .. } => "acknowledging",
            Step::StoringToken(_) => "storing the token",
            Step::TellingLease(_) => "telling the lease",
            Step::Reporting => "reporting",
            Step::ReadingWindow { .. } => "reading a window",
            Step::ReadingRows { .. } => "reading rows",
            Step::StoringCompared(_) => "storing what was compared",
            Step::SpotChecking { .. } => "spot checking",
            Step::StoringSpotCheck(..) => "storing a spot check",
            Step::Following { .. } => "following",
            Step::ReadingHeld { .. } => "reading what is held",
            Step::StoringClaims(_) => "storing claims",
            Step::Sweeping { .. } => "sweeping",
            Step::FinishNoting => "noting the end of a comparison",
            Step::FinishMarking { .. } => "marking the end of a comparison",
            Step::Finishing { .. } => "finishing a comparison",
            Step::Stopping { .. } => "stopping",
        }
    }
}
