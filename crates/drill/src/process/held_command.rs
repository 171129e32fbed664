//! Shell commands that run only once their process group is on record. A drill that dies before gives no
//! leave: the shell reads the end of its input and ends without having run anything.

use std::process::Stdio;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::group::Group;
use super::identity::Identity;
use super::output::output;

/// A shell command that waits for leave to run, in a process group of its own.
#[derive(Debug)]
pub struct HeldCommand {
    child: Child,
    /// The process group of the shell and of the command.
    pub group: Group,
}

impl HeldCommand {
    /// Starts the shell. What the command prints goes to `log`, never to the caller's own output; `variables`
    /// are added to its environment.
    ///
    /// # Errors
    /// The shell cannot be started, or the log cannot be written.
    pub fn start(
        command: &str,
        log: &std::path::Path,
        variables: &[(&str, String)],
    ) -> anyhow::Result<HeldCommand> {
        let (out, err) = output(log)?;
        let child = Command::new("sh")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .args(["-c", "read -r go && exec sh -c \"$1\" </dev/null", "sh", command])
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .context("sh cannot be run")?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let identity = pid.and_then(Identity::of).context("the command's shell ended at once")?;
        Ok(HeldCommand { child, group: Group(identity) })
    }

    /// Gives the command leave to run.
    ///
    /// # Errors
    /// The shell has ended.
    pub async fn go(mut self) -> anyhow::Result<Child> {
        let mut leave = self.child.stdin.take().context("the command's shell has no input")?;
        leave.write_all(b"go\n").await.context("the command's shell has ended")?;
        drop(leave);
        Ok(self.child)
    }
}
