//! An outage by a pair of the site's own commands.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::contract::{Hindrance, Outage, Prepared, Surroundings, WayUp, needed};
use super::run_up::run_up;
use crate::process::held_command::HeldCommand;
use crate::process::output::tail;
use crate::redaction::without_logins;
use crate::scenario::options::Options;
use crate::scenario::outage_kind::OutageKind;
use crate::state::journal::Journal;

/// A way down has to end within this. One that runs on is left running, and its effect is looked for.
const DOWN_LIMIT: Duration = Duration::from_secs(120);

/// `--outage command`.
#[derive(Debug)]
pub struct CommandOutage {
    down: String,
    up: String,
}

impl CommandOutage {
    /// The outage that these options describe. Nothing is looked at yet.
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
    type Up = CommandUp;

    fn describe(&self) -> String {
        format!("the command {:?}", without_logins(&self.down))
    }

    async fn prepare(&mut self) -> Result<Prepared<CommandUp>, Hindrance> {
        Ok(Prepared {
            blast_radius: vec![
                format!(
                    "runs {:?}; what that reaches, focus cannot tell",
                    without_logins(&self.down)
                ),
                format!("ends with {:?}", without_logins(&self.up)),
            ],
            marked: false,
            way_up: CommandUp { up: self.up.clone() },
        })
    }

    fn effect_within(&self) -> Duration {
        // A database may take its time to end in order.
        Duration::from_secs(30)
    }

    async fn down(&self, journal: &Journal) -> anyhow::Result<()> {
        let log = journal.folder().file("down.log");
        let held = HeldCommand::start(&self.down, &log, &[])?;
        journal.way_down(held.group.clone())?;
        let mut child = held.go().await?;
        match tokio::time::timeout(DOWN_LIMIT, child.wait()).await {
            Err(_) => Ok(()),
            Ok(ended) => {
                let ended = ended?;
                anyhow::ensure!(
                    ended.success(),
                    "--down {:?} ended with {ended}: {}",
                    without_logins(&self.down),
                    tail(&log)
                );
                Ok(())
            }
        }
    }
}

/// The way up: `--up`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandUp {
    /// The command, run by `sh -c`.
    pub up: String,
}

#[async_trait]
impl WayUp for CommandUp {
    fn describe(&self) -> String {
        format!("the command {:?}", without_logins(&self.up))
    }

    fn repeatable(&self) -> bool {
        false
    }

    async fn up(&self, surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
        run_up(&self.up, surroundings).await
    }
}
