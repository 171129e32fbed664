//! Deletes a workload's pods, over and over: their controller makes new ones at once.
//!
//! A task of the drill's process deletes them, so the deletions end with the drill. A way up, in any process,
//! *releases* the pods: a file in the drill's folder says so, and a lock shows when the last round is over.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use super::client::{CallError, Client};
use super::workload::{self, Target, Workload};
use crate::state::folder::Folder;
use crate::state::journal::Journal;

/// Time between two rounds: a new pod has to go before its database answers.
const ROUND_EVERY: Duration = Duration::from_millis(100);

/// A round that is under way has to end within this: the time of two calls.
const RELEASE_LIMIT: Duration = Duration::from_secs(25);

/// The file that says which drill's pods are released.
const RELEASED: &str = "pods.released";

/// The lock that is held while pods are deleted.
const LOCK: &str = "pods.lock";

/// Deletes the pods until they are released or this process ends. Returns after the first round.
///
/// # Errors
/// The first round fails.
pub(super) async fn delete_until_released(
    client: Client,
    target: &Target,
    found: &Workload,
    journal: &Journal,
) -> anyhow::Result<()> {
    let folder = journal.folder();
    let rounds = Rounds {
        client,
        pods: target.pods_path(),
        list: format!("{}?labelSelector={}", target.pods_path(), workload::query(&found.selector)),
        lock: folder.file(LOCK),
        released: folder.file(RELEASED),
        drill: journal.drill().to_owned(),
    };
    rounds.round().await.with_context(|| format!("deleting the pods of {target}"))?;
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(ROUND_EVERY).await;
            match rounds.round().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::debug!("pods could not be deleted: {error:#}"),
            }
        }
    });
    Ok(())
}

/// Releases the pods of this drill: no process deletes them any more when this returns.
///
/// # Errors
/// The release cannot be written, or a round does not end within 25 s.
pub(super) async fn release(folder: &Folder, drill: &str) -> anyhow::Result<()> {
    folder.replace(RELEASED, drill.as_bytes())?;
    let lock = open(&folder.file(LOCK))?;
    let began = tokio::time::Instant::now();
    while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        anyhow::ensure!(
            began.elapsed() < RELEASE_LIMIT,
            "the drill is still deleting pods: end its process"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("{} cannot be opened", path.display()))
}

struct Rounds {
    client: Client,
    pods: String,
    list: String,
    lock: PathBuf,
    released: PathBuf,
    drill: String,
}

impl Rounds {
    /// Deletes the pods that are there; false where they are released, and nothing was deleted.
    async fn round(&self) -> anyhow::Result<bool> {
        let lock = open(&self.lock)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            // Only a release holds it.
            return Ok(false);
        }
        if std::fs::read_to_string(&self.released).is_ok_and(|drill| drill == self.drill) {
            return Ok(false);
        }
        let list = self.client.get(&self.list).await?;
        for pod in list["items"].as_array().into_iter().flatten() {
            if pod["metadata"]["deletionTimestamp"].is_null() {
                self.delete(pod).await?;
            }
        }
        Ok(true)
    }

    async fn delete(&self, pod: &Value) -> Result<(), CallError> {
        let Some(name) = pod["metadata"]["name"].as_str() else { return Ok(()) };
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": pod["metadata"]["uid"]},
        });
        match self.client.delete(&format!("{}/{name}", self.pods), &options).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_absent() || error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
