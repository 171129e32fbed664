//! Ways to take a database away, and to bring it back.
//!
//! An `Outage` is made from the drill's settings and looks before it breaks anything. What brings the
//! database back is a `Restore`: a record that goes into the plan, so that another process can do it.

pub mod command;
pub mod docker;
pub mod kubernetes;
pub mod process;
pub mod proxy;
pub mod systemd;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::database::Probe;
use super::options::{Options, OutageKind};
use super::plan::{Folder, Journal};

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

/// What was found when an outage was looked into.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What it takes away, a line each, for people.
    pub blast_radius: Vec<String>,
    /// The target itself is marked as drillable (an annotation or a label), so that `--allow` is not needed.
    pub marked: bool,
    /// How it is ended.
    pub restore: Restore,
}

/// A way to take a database away.
#[async_trait]
pub trait Outage: Send + Sync {
    /// What is done to what, in one line.
    fn describe(&self) -> String;

    /// Looks at the target, and breaks nothing: refuses, or tells the blast radius and the way up. It
    /// checks every permission that the way down and the way up need.
    async fn prepare(&mut self) -> Result<Prepared, Hindrance>;

    /// Takes the database away. Called once, after the plan is on disk and the guard is armed. Whatever
    /// outlives a kill of the drill (a process) is noted in the journal before it does anything.
    ///
    /// # Errors
    /// It could not be done, wholly or in part: the way up follows.
    async fn down(&self, journal: &Journal) -> anyhow::Result<()>;

    /// Within how long after `down` the database has to be away; else the outage had no effect.
    fn effect_within(&self) -> Duration {
        Duration::from_secs(15)
    }
}

/// How an outage is ended: a part of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Restore {
    /// A command of the site's own.
    Command(command::CommandUp),
    /// A container is started.
    Docker(docker::Container),
    /// A workload of a cluster.
    Kubernetes(kubernetes::KubernetesUp),
    /// A process goes on, or is started by a command.
    Process(process::ProcessUp),
    /// The proxy lets everything through.
    Proxy(proxy::ProxyUp),
    /// Units are started.
    Systemd(systemd::Units),
}

impl Restore {
    /// The way up.
    pub fn way_up(&self) -> &dyn WayUp {
        match self {
            Restore::Command(up) => up,
            Restore::Docker(up) => up,
            Restore::Kubernetes(up) => up,
            Restore::Process(up) => up,
            Restore::Proxy(up) => up,
            Restore::Systemd(up) => up,
        }
    }
}

/// What a way up works with.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The drill's folder, for logs.
    pub folder: &'a Folder,
    /// The drill's own view of the database.
    pub probe: &'a Probe,
    /// For a way up that must not be taken twice: the lock under which it is taken. A helper that it
    /// starts inherits it as its standard input, so that the lock lives as long as the helper does.
    pub lock: Option<&'a std::fs::File>,
}

/// A way to bring a database back. It may be taken by the drill, by its guard, or by `focus drill
/// recover`, and it may be cut off at any moment.
#[async_trait]
pub trait WayUp: Send + Sync {
    /// What is done, in one line.
    fn describe(&self) -> String;

    /// Whether it may be taken again where it, or the outage, may have been done already. Such a way up
    /// is always taken; any other only under a lock and while the database is unreachable.
    fn repeatable(&self) -> bool;

    /// Brings the database back. It need not wait until the database answers.
    ///
    /// # Errors
    /// It could not be done: it is tried again.
    async fn up(&self, surroundings: &Surroundings<'_>) -> anyhow::Result<()>;

    /// What is not as it was found at the target (replica counts, a policy), once the database is back;
    /// empty where all is.
    ///
    /// # Errors
    /// The target cannot be asked.
    async fn left_behind(&self) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// The outage that these options ask for.
///
/// # Errors
/// A flag that it needs is missing, or one is wrong.
pub fn choose(options: &Options) -> Result<Box<dyn Outage>, Hindrance> {
    match options.outage {
        OutageKind::Command => Ok(Box::new(command::CommandOutage::new(options)?)),
        OutageKind::Process => Ok(Box::new(process::ProcessOutage::new(options)?)),
        OutageKind::Kubernetes => Ok(Box::new(kubernetes::KubernetesOutage::new(options)?)),
        OutageKind::Proxy => Ok(Box::new(proxy::ProxyOutage::new(options)?)),
        OutageKind::Systemd => Ok(Box::new(systemd::SystemdOutage::new(options)?)),
        OutageKind::Docker => Ok(Box::new(docker::DockerOutage::new(options)?)),
    }
}

/// A flag that this kind of outage cannot do without.
///
/// # Errors
/// It is missing.
pub fn needed<'a>(
    value: &'a Option<String>,
    flag: &str,
    kind: OutageKind,
) -> Result<&'a str, Hindrance> {
    value
        .as_deref()
        .filter(|value| !value.trim().is_empty())
        .ok_or_else(|| Hindrance::Refused(format!("--outage {} needs {flag}", kind.name())))
}
