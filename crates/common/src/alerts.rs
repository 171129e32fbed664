//! What the server says of its alerts: in `/api/v1/alerts`, in the status and to `focus alerts`.

use serde::{Deserialize, Serialize};

/// What the server says of its alerts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListedAlerts {
    /// Those that are raised, and then those of the last 30 days that are over, newest first.
    pub items: Vec<ListedAlert>,
    /// None: there is one page.
    pub next_cursor: Option<String>,
    /// Who is told.
    pub channels: Vec<ListedChannel>,
    /// What is not told for a while.
    pub silences: Vec<ListedSilence>,
}

/// What the status says of alerts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlertsStatus {
    /// How many are raised.
    pub firing: u64,
    /// Who is told.
    pub channels: Vec<ListedChannel>,
    /// What is not told for a while.
    pub silences: Vec<ListedSilence>,
}

/// An alert, as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListedAlert {
    /// `firing` or `resolved`.
    pub state: String,
    /// The rule.
    pub rule: String,
    /// How bad.
    pub severity: String,
    /// The configured path of the root; none where there is none.
    pub root: Option<String>,
    /// Since when, RFC 3339.
    pub since: String,
    /// Until when, RFC 3339; none while it is raised.
    pub ended: Option<String>,
    /// What is, or was, wrong.
    pub summary: String,
    /// What to do.
    pub remedy: String,
    /// A silence keeps it from being told.
    pub silenced: bool,
    /// This server tells of it; otherwise the root's holder does.
    pub tells: bool,
}

impl ListedAlert {
    /// It is raised.
    pub fn is_firing(&self) -> bool {
        self.ended.is_none()
    }
}

/// A channel, as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListedChannel {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// `ok`, `failing`, or `idle` before the first message.
    pub state: String,
    /// Why it is failing.
    pub reason: Option<String>,
    /// When it was told something last, RFC 3339.
    pub told_at: Option<String>,
}

/// A silence, as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListedSilence {
    /// Which it is.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// The root's id; none: of all.
    pub root: Option<String>,
    /// Until when, RFC 3339.
    pub until: String,
}
