//! A way up that is a command of the site's own: it must not run twice, and it may be the database itself.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};

use super::contract::Surroundings;
use crate::process::output::{output, tail};
use crate::redaction::without_logins;
use crate::state::folder::UP_DONE;

/// Time between two looks at the database while the command runs.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The command has to end, or the database to answer, within this.
const UP_LIMIT: Duration = Duration::from_secs(120);

/// Records that the command has ended well before the lock is free, even where the drill dies meanwhile. `$1` is
/// the command, `$2` the file to be written.
const SCRIPT: &str = "sh -c \"$1\" </dev/null; code=$?; [ $code -ne 0 ] || : >\"$2\"; exit $code";

/// Runs a way up until it ends, or until the database answers: the command may be the database itself.
///
/// # Errors
/// The command cannot be run or fails, or neither happens within 120 s.
pub(super) async fn run_up(up: &str, surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
    let log = surroundings.folder.file("up.log");
    let mut child = start(up, &log, surroundings)?;
    let ended = async {
        loop {
            tokio::select! {
                ended = child.wait() => return ended.map(Some),
                () = tokio::time::sleep(LOOK_EVERY) => {
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
            anyhow::bail!("--up {:?} ended with {status}: {}", without_logins(up), tail(&log))
        }
        Ok(Err(error)) => Err(error).context("sh cannot be waited for"),
        Err(_) => anyhow::bail!(
            "--up {:?} has not ended after {} s, and the database does not answer: {}",
            without_logins(up),
            UP_LIMIT.as_secs(),
            tail(&log)
        ),
    }
}

/// Starts two shells, one in the other. The outer one has the lock as its standard input for as long as the
/// command runs. The command, and a database that it leaves behind, do not have it.
fn start(up: &str, log: &Path, surroundings: &Surroundings<'_>) -> anyhow::Result<Child> {
    let (out, err) = output(log)?;
    let input = match surroundings.lock {
        Some(lock) => Stdio::from(lock.try_clone()?),
        None => Stdio::null(),
    };
    Command::new("sh")
        .args(["-c", SCRIPT, "sh", up])
        .arg(surroundings.folder.file(UP_DONE))
        .stdin(input)
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .context("sh cannot be run")
}
