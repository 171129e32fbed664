//! An outage of a process on this machine: stopped in its tracks, or killed.

use std::path::{Path, PathBuf};

use anyhow::Context;
use async_trait::async_trait;
use rustix::process::{Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

use super::contract::{Hindrance, Outage, Prepared, Surroundings, WayUp, needed};
use super::run_up::run_up;
use crate::process::identity::{Identity, Process};
use crate::redaction::without_logins;
use crate::scenario::options::Options;
use crate::scenario::outage_kind::OutageKind;
use crate::state::journal::Journal;

/// What is done to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Stop,
    Kill,
}

/// `--outage process`.
#[derive(Debug)]
pub struct ProcessOutage {
    pid_file: PathBuf,
    method: Method,
    up: Option<String>,
    target: Option<(Identity, String)>,
}

impl ProcessOutage {
    /// The outage that these options describe. Nothing is looked at yet.
    ///
    /// # Errors
    /// A flag is missing or wrong.
    pub fn new(options: &Options) -> Result<ProcessOutage, Hindrance> {
        let kind = OutageKind::Process;
        let pid_file = options.pid_file.clone().ok_or_else(|| {
            Hindrance::Refused("--outage process needs --pid-file FILE".to_owned())
        })?;
        let method = match options.method.as_deref().unwrap_or("stop") {
            "stop" => Method::Stop,
            "kill" => Method::Kill,
            other => {
                return Err(Hindrance::Refused(format!(
                    "--method {other}: a process takes stop or kill"
                )));
            }
        };
        if method == Method::Kill {
            needed(&options.up, "--up CMD with --method kill: what starts it again", kind)?;
        }
        Ok(ProcessOutage { pid_file, method, up: options.up.clone(), target: None })
    }

    fn name(&self) -> String {
        match &self.target {
            Some((identity, name)) => format!("process {} ({name})", identity.pid),
            None => format!("the process in {}", self.pid_file.display()),
        }
    }
}

/// The process that a file names. It is refused where a signal to it cannot be meant: the drill's own, another
/// `focus`, or one that does not run.
fn target(pid_file: &Path) -> Result<(Identity, String), Hindrance> {
    let refused = |words: String| Err(Hindrance::Refused(words));
    let place = pid_file.display();
    let text = match std::fs::read_to_string(pid_file) {
        Ok(text) if text.len() <= 64 => text,
        Ok(_) => return refused(format!("{place} is no file with a process number")),
        Err(error) => return refused(format!("{place} cannot be read: {error}")),
    };
    let Some(pid) = text.trim().parse::<i32>().ok().filter(|pid| *pid > 1) else {
        return refused(format!("{place} holds {:?}, which is no process number", text.trim()));
    };
    let Some((process, identity)) = Process::read(pid).zip(Identity::of(pid)) else {
        return refused(format!(
            "{place} names process {pid}, which does not run: is the database up, and is this its file?"
        ));
    };
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut above = own;
    while above > 1 {
        if above == pid {
            return refused(format!("{place} names process {pid}, under which this drill runs"));
        }
        above = Process::read(above).map_or(0, |process| process.parent);
    }
    if process.name == "focus" {
        return refused(format!("{place} names process {pid}, which is focus, not a database"));
    }
    if let Some(Err(error)) = identity.raw().map(test_kill_process) {
        return refused(format!(
            "process {pid} ({}) may not be signalled: {error}. Run the drill as its user",
            process.name
        ));
    }
    Ok((identity, process.name))
}

#[async_trait]
impl Outage for ProcessOutage {
    type Up = ProcessUp;

    fn describe(&self) -> String {
        match self.method {
            Method::Stop => format!("{} is stopped in its tracks (SIGSTOP)", self.name()),
            Method::Kill => format!("{} is killed (SIGKILL)", self.name()),
        }
    }

    async fn prepare(&mut self) -> Result<Prepared<ProcessUp>, Hindrance> {
        let (identity, name) = target(&self.pid_file)?;
        self.target = Some((identity.clone(), name));
        let (way, way_up) = match (self.method, &self.up) {
            (Method::Kill, Some(up)) => (
                format!("started again with {:?}", without_logins(up)),
                ProcessUp::Start { up: up.clone() },
            ),
            _ => ("let go on by SIGCONT".to_owned(), ProcessUp::Continue { process: identity }),
        };
        Ok(Prepared { blast_radius: vec![self.describe(), way], marked: false, way_up })
    }

    async fn down(&self, _journal: &Journal) -> anyhow::Result<()> {
        let (identity, _) = self.target.as_ref().context("the outage was not prepared")?;
        anyhow::ensure!(identity.runs(), "process {} has ended by itself", identity.pid);
        let signal = match self.method {
            Method::Stop => Signal::STOP,
            Method::Kill => Signal::KILL,
        };
        let pid = identity.raw().context("no process number")?;
        kill_process(pid, signal)
            .with_context(|| format!("process {} cannot be signalled", identity.pid))
    }
}

/// How a process comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum ProcessUp {
    /// SIGCONT is sent to it.
    Continue {
        /// The process.
        process: Identity,
    },
    /// A command starts it.
    Start {
        /// The command, run by `sh -c`.
        up: String,
    },
}

#[async_trait]
impl WayUp for ProcessUp {
    fn describe(&self) -> String {
        match self {
            ProcessUp::Continue { process } => format!("SIGCONT to process {}", process.pid),
            ProcessUp::Start { up } => format!("the command {:?}", without_logins(up)),
        }
    }

    fn repeatable(&self) -> bool {
        matches!(self, ProcessUp::Continue { .. })
    }

    async fn up(&self, surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
        match self {
            ProcessUp::Start { up } => run_up(up, surroundings).await,
            ProcessUp::Continue { process } => {
                anyhow::ensure!(
                    process.runs(),
                    "process {} is not there any more: start the database by hand",
                    process.pid
                );
                let pid = process.raw().context("no process number")?;
                kill_process(pid, Signal::CONT)
                    .with_context(|| format!("process {} cannot be signalled", process.pid))
            }
        }
    }
}
