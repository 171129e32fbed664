//! Planting recordings, as an acquisition system or the site's own command does, and removing them.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::group::{self, Waiting};
use super::plan::{Journal, Plan, PlannedRecording};
use focus_common::clock;

/// One call of the site's own command ends within this.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Lengths of planted recordings, and the time between two of them.
const LENGTH_MS: i64 = 1_000;

/// What will be planted by a drill: `count` recordings, one after another, that end now.
pub fn plan(
    drill: &str,
    count: u32,
    extension: &str,
    now_ms: i64,
) -> (String, Vec<PlannedRecording>) {
    let folder = format!("focus-drill-{drill}");
    let first_ms = now_ms - i64::from(count) * LENGTH_MS;
    let planted = (0..count)
        .map(|n| {
            let recording_id = format!("drill-{drill}-{n:06}");
            let start_ms = first_ms + i64::from(n) * LENGTH_MS;
            PlannedRecording {
                uuid: uuid::Uuid::new_v4().to_string(),
                path: format!("{folder}/{recording_id}.{extension}"),
                sidecar: format!("{folder}/{recording_id}.json"),
                recording_id,
                start_ms,
                end_ms: start_ms + LENGTH_MS - 1,
            }
        })
        .collect();
    (folder, planted)
}

/// Makes the folder for them.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(plan: &Plan) -> anyhow::Result<()> {
    let folder = plan.root.join(&plan.folder);
    std::fs::create_dir(&folder)
        .with_context(|| format!("{} cannot be made, so nothing can be planted", folder.display()))
}

/// Writes one recording: the data, then the sidecar.
///
/// # Errors
/// Storage does not take it.
pub fn write(plan: &Plan, recording: &PlannedRecording) -> anyhow::Result<()> {
    let sidecar = json!({
        "uuid": recording.uuid,
        "start_time": clock::rfc3339(recording.start_ms),
        "end_time": clock::rfc3339(recording.end_ms),
        "focus_drill": plan.id,
    });
    let create = |path: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let path = plan.root.join(path);
        std::fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(bytes))
            .with_context(|| format!("{} cannot be written", path.display()))
    };
    create(&recording.path, recording.uuid.as_bytes())?;
    create(&recording.sidecar, format!("{sidecar}\n").as_bytes())
}

/// Has one recording made by the site's own command.
///
/// # Errors
/// The command cannot be run, fails, or does not end.
pub async fn command(
    command: &str,
    plan: &Plan,
    recording: &PlannedRecording,
    journal: &Journal,
) -> anyhow::Result<()> {
    let log = journal.folder().file("plant.log");
    let told = [
        ("FOCUS_DRILL_ID", plan.id.clone()),
        ("FOCUS_RECORDING_ID", recording.recording_id.clone()),
        ("FOCUS_UUID", recording.uuid.clone()),
        ("FOCUS_PATH", plan.root.join(&recording.path).display().to_string()),
        ("FOCUS_START_TIME", clock::rfc3339(recording.start_ms)),
        ("FOCUS_END_TIME", clock::rfc3339(recording.end_ms)),
    ];
    let waiting = Waiting::start(command, &log, &told)?;
    let group = waiting.group.clone();
    journal.planter(group.clone())?;
    let mut child = waiting.go().await?;
    match tokio::time::timeout(CALL_LIMIT, child.wait()).await {
        Ok(ended) => {
            let ended = ended?;
            anyhow::ensure!(
                ended.success(),
                "--plant {:?} ended with {ended}: {}",
                group::shown(command),
                group::tail(&log)
            );
            Ok(())
        }
        Err(_) => {
            group.end();
            anyhow::bail!(
                "--plant {:?} did not end within {} s",
                group::shown(command),
                CALL_LIMIT.as_secs()
            )
        }
    }
}

/// Both files are on storage.
pub fn is_there(plan: &Plan, recording: &PlannedRecording) -> bool {
    plan.root.join(&recording.path).is_file() && plan.root.join(&recording.sidecar).is_file()
}

/// Bytes of the data file.
pub fn size(plan: &Plan, recording: &PlannedRecording) -> Option<u64> {
    std::fs::metadata(plan.root.join(&recording.path)).ok().map(|meta| meta.len())
}

/// Removes every planted file, and the folder. What is gone already is no error.
///
/// # Errors
/// The root is not the one that was planted on, or something stays.
pub fn remove(plan: &Plan) -> anyhow::Result<()> {
    let marker = focus_storage::marker::read(&plan.root)?;
    anyhow::ensure!(
        marker == plan.root_id,
        "{} is not the root that was planted on: its marker is {marker}, not {}",
        plan.root.display(),
        plan.root_id
    );
    let folder = plan.root.join(&plan.folder);
    // A folder that was swapped for a link would lead elsewhere.
    match std::fs::symlink_metadata(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => anyhow::bail!("{} is no folder any more: remove it by hand", folder.display()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    }
    for recording in &plan.planted {
        // The sidecar first: without it no half of a recording is ever catalogued.
        for path in [&recording.sidecar, &recording.path] {
            gone(std::fs::remove_file(plan.root.join(path)), &plan.root.join(path))?;
        }
    }
    match std::fs::remove_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            anyhow::bail!(
                "{} holds files that the drill did not plan: {}. Remove them by hand",
                folder.display(),
                left(&folder).join(", ")
            )
        }
        ended => gone(ended, &folder),
    }
}

/// What lies in a folder, the first few.
fn left(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.take(5).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn gone(ended: std::io::Result<()>, path: &Path) -> anyhow::Result<()> {
    match ended {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// What of the drill is still on storage.
pub fn leftovers(plan: &Plan) -> Vec<PathBuf> {
    let folder = plan.root.join(&plan.folder);
    if std::fs::symlink_metadata(&folder).is_ok() { vec![folder] } else { Vec::new() }
}
