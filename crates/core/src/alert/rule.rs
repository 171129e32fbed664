//! Rules: which alerts there are.

/// How bad an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look, today.
    Warning,
    /// Somebody has to act, now.
    Critical,
}

impl Severity {
    /// Every severity, the mildest first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// As settings, messages and the API spell it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// The severity of this name.
    pub fn from_name(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// No primary takes writes.
    CatalogDown,
    /// The database is there, and refuses this server.
    CatalogRefuses,
    /// An outage that was alerted on is over, and everything is in the catalog: told once, and never resolved.
    CatalogRecovered,
    /// The oldest pending recording is too old, while the catalog is there.
    BacklogOld,
    /// A root is absent, replaced or cannot be read.
    StorageUnavailable,
    /// Deletions are held.
    DeletionsHeld,
    /// Unrecognised recordings turn up.
    UnrecognisedGrowth,
    /// A lease was lost to another server.
    LeaseLost,
    /// A verification found drift that was not repaired.
    DriftFound,
    /// The disk with the state folder is nearly full.
    DiskLow,
    /// The index was made anew.
    IndexDamaged,
    /// The last drill that was posted to this server did not pass.
    DrillFailed,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 12] = [
        Rule::CatalogDown,
        Rule::CatalogRefuses,
        Rule::CatalogRecovered,
        Rule::BacklogOld,
        Rule::StorageUnavailable,
        Rule::DeletionsHeld,
        Rule::UnrecognisedGrowth,
        Rule::LeaseLost,
        Rule::DriftFound,
        Rule::DiskLow,
        Rule::IndexDamaged,
        Rule::DrillFailed,
    ];

    /// As settings, messages and the API spell it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::CatalogDown => "catalog_down",
            Rule::CatalogRefuses => "catalog_refuses",
            Rule::CatalogRecovered => "catalog_recovered",
            Rule::BacklogOld => "backlog_old",
            Rule::StorageUnavailable => "storage_unavailable",
            Rule::DeletionsHeld => "deletions_held",
            Rule::UnrecognisedGrowth => "unrecognised_growth",
            Rule::LeaseLost => "lease_lost",
            Rule::DriftFound => "drift_found",
            Rule::DiskLow => "disk_low",
            Rule::IndexDamaged => "index_damaged",
            Rule::DrillFailed => "drill_failed",
        }
    }

    /// The rule of this name.
    pub fn from_name(name: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// It is about this server alone: its own disk, index or leases. Of the others, the last holder of a root
    /// tells, and whoever takes over goes on from what it told.
    pub fn is_own(self) -> bool {
        matches!(self, Rule::DiskLow | Rule::IndexDamaged | Rule::LeaseLost)
    }

    /// It is told once that it fires, and never that it is resolved.
    pub fn is_event(self) -> bool {
        self == Rule::CatalogRecovered
    }

    /// What it is where nobody says otherwise.
    pub fn defaults(self) -> Thresholds {
        use Severity::{Critical, Info, Warning};
        let (severity, after_ms) = match self {
            Rule::CatalogDown | Rule::CatalogRefuses | Rule::StorageUnavailable => {
                (Critical, 30_000)
            }
            Rule::DeletionsHeld | Rule::DrillFailed => (Critical, 0),
            Rule::CatalogRecovered => (Info, 0),
            Rule::BacklogOld
            | Rule::UnrecognisedGrowth
            | Rule::LeaseLost
            | Rule::DriftFound
            | Rule::DiskLow
            | Rule::IndexDamaged => (Warning, 0),
        };
        // One holder has to be steady for longer.
        let clear_after_ms = if self == Rule::LeaseLost { 600_000 } else { 60_000 };
        Thresholds {
            enabled: true,
            severity,
            after_ms,
            clear_after_ms,
            older_than_ms: 300_000,
            more_than: 10,
            within_ms: 600_000,
            below_percent: 5,
            below_bytes: 1 << 30,
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Rule::CatalogDown => {
                "Recordings are kept, and queries are answered from the index. `focus status` names the cause"
            }
            Rule::CatalogRefuses => {
                "`focus status` says what the database refuses and what to grant"
            }
            Rule::CatalogRecovered => "Nothing is to be done",
            Rule::BacklogOld => {
                "`focus status` shows the rate and the time left, or why nothing is written"
            }
            Rule::StorageUnavailable => {
                "Nothing in it counts as deleted. Mount it again: `focus status` names the reason"
            }
            Rule::DeletionsHeld => "`focus held` lists them. Bring them back, or approve",
            Rule::UnrecognisedGrowth => "`focus unrecognised` says what to do about each",
            Rule::LeaseLost => {
                "Where it comes again and again, the servers are paused, or their database is slow"
            }
            Rule::DriftFound => "`focus verify --repair` mends what can be mended",
            Rule::DiskLow => "Make room: without it the index takes no new recordings",
            Rule::IndexDamaged => {
                "It is made anew from storage. Look after the disk of the state folder"
            }
            Rule::DrillFailed => {
                "`focus drill list` and `focus drill report ID` say which recordings were lost, and why"
            }
        }
    }
}

/// When a rule raises an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// It raises alerts at all.
    pub enabled: bool,
    /// How bad they are.
    pub severity: Severity,
    /// So long it has to be true, milliseconds.
    pub after_ms: u64,
    /// So long it has to be quiet until it is over, milliseconds.
    pub clear_after_ms: u64,
    /// [`Rule::BacklogOld`]: the age of the oldest pending recording, milliseconds.
    pub older_than_ms: u64,
    /// [`Rule::UnrecognisedGrowth`]: more than so many new ones.
    pub more_than: u64,
    /// [`Rule::UnrecognisedGrowth`]: within this time, milliseconds.
    pub within_ms: u64,
    /// [`Rule::DiskLow`]: less than this percentage is free.
    pub below_percent: u64,
    /// [`Rule::DiskLow`]: less than so many bytes are free.
    pub below_bytes: u64,
}
