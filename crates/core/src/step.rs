//! What a reconciler is told and what it asks for: the words between it and its driver.

use crate::answer::Failure;
use crate::batch::{Call, Item, Outcome, Reply};
use crate::compare::{Compared, Page, Row};
use crate::document::{OpenedCatalog, Stored};
use crate::lease::Grant;

/// The bounds that the reconciler works in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Recordings in the first batch after a return; doubled while batches are full and succeed.
    pub batch_first: usize,
    /// Recordings in a batch at most.
    pub batch_max: usize,
    /// Bytes in a batch at most, before the database's own overhead.
    pub batch_bytes_max: usize,
    /// Documents and rows in one step of a comparison.
    pub page: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { batch_first: 1_000, batch_max: 4_000, batch_bytes_max: 4 << 20, page: 1_000 }
    }
}

/// What the index remembers of the catalog, per root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogMemory {
    /// Which database this was.
    pub identity: Option<String>,
    /// The watermark whose write it acknowledged last.
    pub remembered: Option<String>,
    /// The watermark of a batch that was sent, and whose fate is not known.
    pub noted: Option<String>,
    /// The whole content has to be compared.
    pub owed: bool,
    /// The lease's token that was stored last.
    pub token: i64,
}

/// The catalog's life, as `focus status` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing has been tried yet.
    Unknown,
    /// The database answers, and is asked who it is. A failure leads to a later try.
    Connecting,
    /// It is back, and what was pending then is being written.
    Recovering,
    /// Everything pending at its return is acknowledged; what lands is written as it lands.
    InStep,
    /// Another server has the lease of this root: nothing is written.
    Standby,
    /// It cannot be reached, takes no writes, or refuses us.
    Down,
}

impl Phase {
    /// The fixed spelling.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Unknown => "unknown",
            Phase::Connecting => "connecting",
            Phase::Recovering => "recovering",
            Phase::InStep => "in_step",
            Phase::Standby => "standby",
            Phase::Down => "down",
        }
    }
}

/// Something to be done, one at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Make what is missing in the catalog and ask who it is: [`Done::Opened`].
    Open,
    /// Store in the index that a comparison with this database is owed: [`Done::Stored`].
    Owe {
        /// Who it is.
        identity: String,
    },
    /// Pending recordings of the index, newest first: [`Done::Picked`].
    Pick {
        /// At most so many.
        limit: usize,
        /// At most so many bytes, but always one recording.
        bytes_max: usize,
        /// Only rows below this one.
        before: Option<i64>,
    },
    /// Draw a fresh watermark and store it in the index as noted: [`Done::Noted`].
    Note {
        /// The rows that are about to be sent: these may be in the catalog from now on, acknowledged
        /// or not.
        rows: Vec<i64>,
    },
    /// A call for the batch, on the catalog or the index: [`Done::Replied`].
    Call(Call),
    /// Write this watermark to the catalog: [`Done::Marked`].
    Mark {
        /// The noted one.
        watermark: String,
    },
    /// Store these outcomes, and the watermark as remembered, in one transaction: [`Done::Stored`].
    Acknowledge {
        /// Remembered from now on, where a batch ends; none where nothing was sent.
        watermark: Option<String>,
        /// Row, generation, outcome.
        outcomes: Vec<(i64, i64, Outcome)>,
    },
    /// Store the lease's token: [`Done::Stored`].
    Token(i64),
    /// Tell the lease that a document has this token, not below ours: [`Done::Stored`].
    Met(i64),
    /// Bring a part of the unrecognised collection in step: [`Done::Reported`].
    Report,
    /// A page of our documents, by uuid: [`Done::Page`].
    Page {
        /// Bytewise after this uuid.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Recordings of the index, by uuid: [`Done::Rows`].
    Rows {
        /// Bytewise after this uuid.
        after: Option<String>,
        /// Up to this one.
        through: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Store what a comparison found: [`Done::Stored`].
    Found {
        /// Row, generation and finding.
        findings: Vec<(i64, i64, Compared)>,
        /// Documents of our root whose recording the index does not know.
        missing: Vec<Stored>,
    },
    /// Remove from the unrecognised collection what is not unrecognised any more: [`Done::Swept`].
    Sweep {
        /// Bytewise after this place.
        after: Option<String>,
    },
    /// The comparison is finished: owed no more, this watermark remembered: [`Done::Stored`].
    Finish {
        /// Who the database is.
        identity: String,
        /// Written after the comparison.
        watermark: String,
    },
}

/// The result of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// To `Open`.
    Opened(Result<OpenedCatalog, Failure>),
    /// To `Pick`.
    Picked(Vec<Item>),
    /// To `Note`.
    Noted {
        /// The watermark drawn.
        watermark: String,
        /// Those of the rows that are not pending any more: they are not sent.
        gone: Vec<i64>,
    },
    /// To `Call`.
    Replied(Result<Reply, Failure>),
    /// To `Mark`.
    Marked(Result<(), Failure>),
    /// To `Report`: how many places were brought in step.
    Reported(Result<u64, Failure>),
    /// To `Page`.
    Page(Result<Page<Stored>, Failure>),
    /// To `Rows`.
    Rows(Page<Row>),
    /// To `Sweep`: the last place looked at, or none at the end.
    Swept(Result<Option<String>, Failure>),
    /// The index has stored it.
    Stored,
    /// The index could not do it: disk full, damaged. Nothing was stored.
    IndexFailed(String),
}

/// What the lease allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Not known yet, or lapsed: nothing is written.
    Unknown,
    /// Another server writes.
    Standby,
    /// We write.
    Granted(Grant),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The database takes writes; a higher epoch for every return.
    Up {
        /// Counts the returns.
        epoch: u64,
    },
    /// It does not.
    Down,
    /// What the lease allows from now on.
    Lease(Right),
    /// The index may have something pending or unreported.
    Wake,
    /// A comparison is due by its period, or asked for.
    CompareDue,
    /// The wait is over.
    Timer,
    /// The job is done.
    Done(Done),
}

/// What the shell is to do now.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Do this, then hand in [`Event::Done`].
    Run(Job),
    /// Wait for a random time of up to so long, then hand in [`Event::Timer`]; `Up` and `Down` end it early.
    Wait {
        /// The ceiling.
        within_ms: u64,
    },
    /// Wait for an event.
    Idle,
}
