//! What has to be true of every job and every result, checked in every build.
//!
//! A rule that is broken is a fault of this program, and no state of the world. The reconciler then
//! writes nothing more until the process is restarted, and has it stored that everything is to be
//! compared.

use std::collections::HashSet;
use std::fmt;

use super::changes::NAMED_MAX;
use super::protocol::{Bounds, Job};
use crate::batch::Item;
use crate::entry::EntryId;

/// A rule that the reconciler and its driver keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// The catalog is written only while the lease is ours, under the token that is stored.
    NoWriteWithoutLease,
    /// The catalog is written only after the database has shown who it is.
    NoWriteToAnUnknownDatabase,
    /// No batch, page or set of documents is larger than its bound.
    QueuesBounded,
    /// A watermark is stored in the index as noted before it is written to the catalog.
    WatermarkNotedFirst,
    /// Two batches of which neither is acknowledged have no recording in common.
    BatchesShareNothing,
    /// A result is of the kind that the step waits for.
    ResultFitsStep,
}

impl Invariant {
    /// The fixed spelling.
    pub fn name(self) -> &'static str {
        match self {
            Invariant::NoWriteWithoutLease => "no_write_without_lease",
            Invariant::NoWriteToAnUnknownDatabase => "no_write_to_an_unknown_database",
            Invariant::QueuesBounded => "queues_bounded",
            Invariant::WatermarkNotedFirst => "watermark_noted_first",
            Invariant::BatchesShareNothing => "batches_share_nothing",
            Invariant::ResultFitsStep => "result_fits_step",
        }
    }
}

/// A rule that was about to be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: Invariant,
    /// What happened, in words for whoever mends the program.
    pub words: String,
}

impl Violation {
    pub(super) fn new(invariant: Invariant, words: impl Into<String>) -> Violation {
        Violation { invariant, words: words.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.words)
    }
}

impl std::error::Error for Violation {}

/// What a job is checked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobFacts<'a> {
    /// The database has shown who it is.
    pub(super) is_known: bool,
    /// The lease is ours under the token that is stored, and the database is known.
    pub(super) may_write: bool,
    /// The watermark that is noted in the index.
    pub(super) noted: Option<&'a str>,
    pub(super) bounds: Bounds,
}

/// Checks a job before it is handed out.
pub(super) fn check_job(job: &Job, facts: JobFacts<'_>) -> Result<(), Violation> {
    let name = job.name();
    if job.writes_catalog() && !facts.is_known {
        return Err(Violation::new(
            Invariant::NoWriteToAnUnknownDatabase,
            format!("{name} was due before the database had shown who it is"),
        ));
    }
    if job.writes_catalog() && !facts.may_write {
        return Err(Violation::new(
            Invariant::NoWriteWithoutLease,
            format!("{name} was due while the lease was not ours, or had lapsed"),
        ));
    }
    match job {
        Job::Mark { watermark } if facts.noted != Some(watermark) => Err(Violation::new(
            Invariant::WatermarkNotedFirst,
            format!("{watermark} was to be written, and {:?} is noted", facts.noted),
        )),
        Job::Pick(pick) => check_count("a batch", pick.limit, facts.bounds.batch_max),
        Job::Window { limit, .. } | Job::Rows { limit, .. } | Job::Held { limit } => {
            check_count("a page", *limit, facts.bounds.page)
        }
        Job::SpotCheck { uuids } => check_count("a spot check", uuids.len(), NAMED_MAX),
        _ => Ok(()),
    }
}

/// Checks that no recording that was picked is in the batch that is being written.
pub(super) fn check_apart(picked: &[Item], written: &[EntryId]) -> Result<(), Violation> {
    let written: HashSet<EntryId> = written.iter().copied().collect();
    match picked.iter().find(|item| written.contains(&item.id)) {
        None => Ok(()),
        Some(item) => Err(Violation::new(
            Invariant::BatchesShareNothing,
            format!("entry {} was picked while it was being written", item.id.0),
        )),
    }
}

/// Checks that there are no more than there may be.
pub(super) fn check_count(what: &str, count: usize, max: usize) -> Result<(), Violation> {
    if count <= max {
        return Ok(());
    }
    Err(Violation::new(Invariant::QueuesBounded, format!("{what} of {count}, of {max} allowed")))
}
