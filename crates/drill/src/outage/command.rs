//! An outage by a pair of the site's own commands.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Hindrance, Outage, Prepared, Restore, Surroundings, WayUp, needed};
use crate::group::{self, Waiting, shown};
use crate::options::{Options, OutageKind};
use crate::plan::{Journal, UP_DONE};

/// A way down has to end within this; one that runs on is left running, and its effect looked at.
const DOWN_LIMIT: Duration = Duration::from_secs(120);

/// A way up has to end, or the database to answer, within this.
const UP_LIMIT: Duration = Duration::from_secs(120);

/// `--outage command`.
#[derive(Debug)]
pub struct CommandOutage {
    down: String,
    up: String,
}

impl CommandOutage {
    /// As the options say.
    ///
    /// # Errors
    /// `--down` or `--up` is missing.
    pub fn new(options: &Options) -> Result<CommandOutage, Hindrance> {
        let kind = OutageKind::Command;
        Ok(CommandOutage {
            down: needed(&options.down, "--down CMD", kind)?.to_owned(),
            up: needed(&options.up, "--up CMD", kind)?.to_owned(),
        })
    }
}

#[async_trait]
impl Outage for CommandOutage {
    fn describe(&self) -> String {
        format!("the command {:?}", shown(&self.down))
    }

    async fn prepare(&mut self) -> Result<Prepared, Hindrance> {
        Ok(Prepared {
            blast_radius: vec![
                format!("runs {:?}; what that reaches, focus cannot tell", shown(&self.down)),
                format!("ends with {:?}", shown(&self.up)),
            ],
            marked: false,
            restore: Restore::Command(CommandUp { up: self.up.clone() }),
        })
    }

    fn effect_within(&self) -> Duration {
        // A database may take its time to end in order.
        Duration::from_secs(30)
    }

    async fn down(&self, journal: &Journal) -> anyhow::Result<()> {
        let log = journal.folder().file("down.log");
        let waiting = Waiting::start(&self.down, &log, &[])?;
        journal.way_down(waiting.group.clone())?;
        let mut child = waiting.go().await?;
        match tokio::time::timeout(DOWN_LIMIT, child.wait()).await {
            Err(_) => Ok(()),
            Ok(ended) => {
                let ended = ended?;
                anyhow::ensure!(
                    ended.success(),
                    "--down {:?} ended with {ended}: {}",
                    shown(&self.down),
                    group::tail(&log)
                );
                Ok(())
            }
        }
    }
}

/// `--up`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandUp {
    /// Run by `sh -c`.
    pub up: String,
}

#[async_trait]
impl WayUp for CommandUp {
    fn describe(&self) -> String {
        format!("the command {:?}", shown(&self.up))
    }

    fn repeatable(&self) -> bool {
        false
    }

    async fn up(&self, surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
        run_up(&self.up, surroundings).await
    }
}

/// Runs a way up until it ends, or until the database answers: it may be the database itself.
pub(super) async fn run_up(up: &str, surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
    let log = surroundings.folder.file("up.log");
    let (out, err) = group::output(&log)?;
    let input = match surroundings.lock {
        Some(lock) => Stdio::from(lock.try_clone()?),
        None => Stdio::null(),
    };
    // The outer shell holds the lock as its input for as long as the command runs; the command itself,
    // and a database that it leaves behind, do not have it. That it has ended well is on record before
    // the lock is free, whatever has become of us.
    let script = "sh -c \"$1\" </dev/null; code=$?; [ $code -ne 0 ] || : >\"$2\"; exit $code";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh", up])
        .arg(surroundings.folder.file(UP_DONE))
        .stdin(input)
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .context("sh cannot be run")?;
    let ended = async {
        loop {
            tokio::select! {
                ended = child.wait() => return ended.map(Some),
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    if surroundings.probe.takes_writes().await {
                        return Ok(None);
                    }
                }
            }
        }
    };
    match tokio::time::timeout(UP_LIMIT, ended).await {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(status))) if status.success() => Ok(()),
        Ok(Ok(Some(status))) => {
            anyhow::bail!("--up {:?} ended with {status}: {}", shown(up), group::tail(&log))
        }
        Ok(Err(error)) => Err(error).context("sh cannot be waited for"),
        Err(_) => anyhow::bail!(
            "--up {:?} has not ended after {} s, and the database does not answer: {}",
            shown(up),
            UP_LIMIT.as_secs(),
            group::tail(&log)
        ),
    }
}
