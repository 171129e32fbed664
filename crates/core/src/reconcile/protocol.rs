//! The words between a reconciler and its driver: events and results in, jobs out.

use std::collections::BTreeSet;

use crate::answer::Failure;
use crate::batch::{Call, ItemOutcome, Pick, Picked, Reply};
use crate::compare::{Claims, ComparedEntry, Page, Row, SpotCheck};
use crate::document::{OpenedCatalog, Stored};
use crate::entry::EntryId;
use crate::lease::Grant;
use crate::window::Window;

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
    /// The watermark of the last batch or comparison whose end is stored.
    pub remembered: Option<String>,
    /// The watermark of a batch that may have been sent, and whose end is not stored.
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
    /// The database is back, and what was pending at its return is being written.
    Recovering,
    /// Everything pending at its return is acknowledged; what lands is written as it lands.
    InStep,
    /// Another server has the lease of this root: nothing is written.
    Standby,
    /// The database cannot be reached, takes no writes, or refuses us; or the reconciler has stopped
    /// itself ([`super::Reconciler::violation`]).
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

/// Something to be done, one at a time, and one of the index beside it.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Make what is missing in the catalog and ask who it is: [`Done::Opened`].
    Open,
    /// Store in the index that a comparison with this database is owed: [`Done::Stored`].
    Owe {
        /// Who it is.
        identity: String,
    },
    /// Read pending recordings of the index, newest first: [`Done::Picked`].
    Pick(Pick),
    /// Draw a fresh watermark and store it in the index as noted: [`Done::Noted`].
    Note {
        /// Those that are about to be sent: from now on they may be in the catalog, acknowledged or not.
        ids: Vec<EntryId>,
        /// Another batch is being written. Its watermark stays the noted one: this one takes its place
        /// with the acknowledgement of that batch.
        ahead: bool,
    },
    /// Carry out a call of the batch, on the catalog or the index: [`Done::Replied`].
    Call(Call),
    /// Write this watermark to the catalog: [`Done::Marked`].
    Mark {
        /// The noted one.
        watermark: String,
    },
    /// Store these outcomes, and the watermark as remembered, in one transaction: [`Done::Stored`].
    Acknowledge {
        /// Remembered from now on.
        watermark: String,
        /// Of each recording of the batch.
        outcomes: Vec<ItemOutcome>,
        /// The watermark of the next batch, which is being sent already: noted from now on.
        next: Option<String>,
    },
    /// Store the lease's token: [`Done::Stored`].
    Token(i64),
    /// Tell the lease that a document has this token, not below ours: [`Done::Stored`].
    Met(i64),
    /// Bring a part of the unrecognised collection in step: [`Done::Reported`].
    Report,
    /// Read a window of our documents, up to a uuid of the index: [`Done::Window`].
    Window {
        /// Bytewise after this uuid.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Read recordings of the index, by uuid: [`Done::Rows`].
    Rows {
        /// Bytewise after this uuid.
        after: Option<String>,
        /// Up to this one.
        through: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Read the documents with these uuids, of any root, and after them the recordings of the index
    /// with these uuids: [`Done::SpotChecked`].
    SpotCheck {
        /// At most [`super::NAMED_MAX`].
        uuids: BTreeSet<String>,
    },
    /// Store what a comparison found: [`Done::Found`].
    Found {
        /// Of each recording that something follows for.
        findings: Vec<ComparedEntry>,
        /// Documents of our root whose recording the index does not know, though storage has been
        /// scanned.
        missing: Vec<Stored>,
    },
    /// Read the uuids of held deletions from the index, in the order of holding: [`Done::Uuids`].
    Held {
        /// At most so many.
        limit: usize,
    },
    /// Store which uuids the catalog has of other recordings than the index, as a standby has read them:
    /// [`Done::Stored`].
    Claims(Claims),
    /// Remove from the unrecognised collection what is not unrecognised any more: [`Done::Swept`].
    Sweep {
        /// Bytewise after this place.
        after: Option<String>,
    },
    /// Store that the comparison is finished, and this watermark as remembered: [`Done::Stored`].
    Finish {
        /// Who the database is.
        identity: String,
        /// Written after the comparison.
        watermark: String,
        /// The comparison could not use everything that it found: the index keeps that one is owed.
        again: bool,
    },
}

impl Job {
    /// Its name, for people who read of it in a log or a status.
    pub fn name(&self) -> &'static str {
        match self {
            Job::Open => "open",
            Job::Owe { .. } => "owe",
            Job::Pick(_) => "pick",
            Job::Note { .. } => "note",
            Job::Call(call) => call.name(),
            Job::Mark { .. } => "mark",
            Job::Acknowledge { .. } => "acknowledge",
            Job::Token(_) => "token",
            Job::Met(_) => "met",
            Job::Report => "report",
            Job::Window { .. } => "window",
            Job::Rows { .. } => "rows",
            Job::SpotCheck { .. } => "spot check",
            Job::Found { .. } => "found",
            Job::Held { .. } => "held",
            Job::Claims(_) => "claims",
            Job::Sweep { .. } => "sweep",
            Job::Finish { .. } => "finish",
        }
    }

    /// It may change the documents, the watermark or the unrecognised collection of the catalog.
    pub fn writes_catalog(&self) -> bool {
        match self {
            Job::Call(call) => call.writes_catalog(),
            Job::Mark { .. } | Job::Report | Job::Sweep { .. } => true,
            Job::Open
            | Job::Owe { .. }
            | Job::Pick(_)
            | Job::Note { .. }
            | Job::Acknowledge { .. }
            | Job::Token(_)
            | Job::Met(_)
            | Job::Window { .. }
            | Job::Rows { .. }
            | Job::SpotCheck { .. }
            | Job::Found { .. }
            | Job::Held { .. }
            | Job::Claims(_)
            | Job::Finish { .. } => false,
        }
    }
}

/// The result of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// To `Open`.
    Opened(Result<OpenedCatalog, Failure>),
    /// To `Pick`.
    Picked(Picked),
    /// To `Note`.
    Noted {
        /// The watermark drawn.
        watermark: String,
        /// Those of them that are not pending any more: they are not sent.
        not_pending: Vec<EntryId>,
    },
    /// To `Call`.
    Replied(Result<Reply, Failure>),
    /// To `Mark`.
    Marked(Result<(), Failure>),
    /// To `Report`: how many places were brought in step.
    Reported(Result<u64, Failure>),
    /// To `Window`.
    Window(Result<Window, Failure>),
    /// To `Rows`.
    Rows(Page<Row>),
    /// To `Held`.
    Uuids(BTreeSet<String>),
    /// To `SpotCheck`.
    SpotChecked(Result<SpotCheck, Failure>),
    /// To `Found`.
    Found {
        /// So many of the recordings that the catalog has were dropped from the index after they had
        /// been read.
        dropped: u64,
    },
    /// To `Sweep`: the last place looked at, or none at the end.
    Swept(Result<Option<String>, Failure>),
    /// The index has stored it.
    Stored,
    /// The index could not do it: disk full, damaged. Nothing was stored.
    IndexFailed(String),
}

impl Done {
    /// Its name, for people who read of it in a log or a status.
    pub fn name(&self) -> &'static str {
        match self {
            Done::Opened(_) => "opened",
            Done::Picked(_) => "picked",
            Done::Noted { .. } => "noted",
            Done::Replied(_) => "replied",
            Done::Marked(_) => "marked",
            Done::Reported(_) => "reported",
            Done::Window(_) => "window",
            Done::Rows(_) => "rows",
            Done::Uuids(_) => "uuids",
            Done::SpotChecked(_) => "spot checked",
            Done::Found { .. } => "found",
            Done::Swept(_) => "swept",
            Done::Stored => "stored",
            Done::IndexFailed(_) => "index failed",
        }
    }
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
    /// The database takes no writes.
    Down,
    /// What the lease allows from now on.
    Lease(Right),
    /// The index may have something pending or unreported.
    Wake,
    /// A scan of the whole root has finished, and the index knows everything that it met.
    Scanned,
    /// A comparison is due by its period, or asked for.
    CompareDue,
    /// Others have changed documents, as the database tells. This may be late, doubled or wrong.
    ChangedByOthers {
        /// The documents that are known to be changed.
        uuids: BTreeSet<String>,
        /// Something else was changed, and which documents is not known.
        everything: bool,
    },
    /// The wait is over. Without a wait it means nothing.
    Timer,
    /// The job is done.
    Done(Done),
    /// The job beside it is done ([`super::Reconciler::next_beside`]).
    DoneBeside(Done),
}

/// What the driver is to do now.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Do this, then hand in [`Event::Done`].
    Run(Job),
    /// Wait for a random time of up to so long, then hand in [`Event::Timer`]; `Up` and `Down` end it early.
    Wait {
        /// The ceiling.
        within_ms: u64,
    },
    /// Wait for an event, or until this time, and ask again.
    Idle {
        /// On the boot-time clock of the lease; none: an event alone ends it.
        until_ms: Option<u64>,
    },
}
