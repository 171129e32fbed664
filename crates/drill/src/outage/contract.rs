//! What every kind of outage has to do.

use std::fs::File;
use std::time::Duration;

use async_trait::async_trait;

use crate::database::address::Address;
use crate::database::probe::Probe;
use crate::scenario::outage_kind::OutageKind;
use crate::state::folder::Folder;
use crate::state::journal::Journal;

/// Why an outage is not begun. Nothing has been broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hindrance {
    /// Wrong use, not allowed, or not possible: what, and what to do.
    #[error("{0}")]
    Refused(String),
    /// Something that has to answer did not.
    #[error("{0}")]
    CouldNotTell(String),
}

/// What was found when the target of an outage was looked at.
#[derive(Clone, Debug)]
pub struct Prepared<W> {
    /// What the outage takes away, a line each, for people.
    pub blast_radius: Vec<String>,
    /// The target itself says that it may be drilled (an annotation or a label), so `--allow` is not needed.
    pub marked: bool,
    /// How the outage is ended.
    pub way_up: W,
}

/// A way to take a database away.
#[async_trait]
pub trait Outage: Send + Sync {
    /// How the database comes back.
    type Up: WayUp;

    /// What is done to what, in one line.
    fn describe(&self) -> String;

    /// Looks at the target and breaks nothing. Checks every permission that the way down and the way up need.
    ///
    /// # Errors
    /// Why the outage is not begun.
    async fn prepare(&mut self) -> Result<Prepared<Self::Up>, Hindrance>;

    /// Checks, after [`Outage::prepare`], that the outage meets the drill, which finds the database at this
    /// address, and the server, whose calls go to these hosts. Breaks nothing.
    ///
    /// # Errors
    /// It would take nothing away.
    async fn suits(&self, _address: &Address, _hosts: &[String]) -> Result<(), Hindrance> {
        Ok(())
    }

    /// Takes the database away. Called once, after the plan is on disk and the guard is armed. Whatever outlives
    /// a kill of the drill (a process) is noted in the journal before it does anything.
    ///
    /// # Errors
    /// The outage could not be begun, wholly or in part: the way up follows.
    async fn down(&self, journal: &Journal) -> anyhow::Result<()>;

    /// Within how long after [`Outage::down`] the database has to be away; else the outage had no effect.
    fn effect_within(&self) -> Duration {
        Duration::from_secs(15)
    }
}

/// What a way up works with.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The drill's folder, for logs.
    pub folder: &'a Folder,
    /// The drill's id.
    pub drill: &'a str,
    /// The drill's own view of the database.
    pub probe: &'a Probe,
    /// The lock under which a way up is taken that must not be taken twice. A helper that it starts inherits
    /// the lock as its standard input, so that the lock lives as long as the helper does.
    pub lock: Option<&'a File>,
}

/// A way to bring a database back. The drill, its guard and `focus drill recover` take it, and it may be cut off
/// at any moment.
#[async_trait]
pub trait WayUp: Send + Sync {
    /// What is done, in one line.
    fn describe(&self) -> String;

    /// Whether the way up may be taken where it, or the outage, may have been taken already. Such a way up is
    /// always taken; any other only under a lock, and only while the database is unreachable.
    fn repeatable(&self) -> bool;

    /// Brings the database back. It need not wait until the database answers.
    ///
    /// # Errors
    /// The way up failed: it is tried again.
    async fn up(&self, surroundings: &Surroundings<'_>) -> anyhow::Result<()>;

    /// What of the target is not as it was found (replica counts, a policy), once the database is back.
    ///
    /// # Errors
    /// The target cannot be asked.
    async fn left_behind(&self) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// A flag that this kind of outage cannot do without.
///
/// # Errors
/// The flag is missing or empty.
pub fn needed<'a>(
    value: &'a Option<String>,
    flag: &str,
    kind: OutageKind,
) -> Result<&'a str, Hindrance> {
    value
        .as_deref()
        .filter(|value| !value.trim().is_empty())
        .ok_or_else(|| Hindrance::Refused(format!("--outage {kind} needs {flag}")))
}
