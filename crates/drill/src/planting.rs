//! Planting recordings, as an acquisition system or the site's own command does. [`crate::cleanup`] removes
//! them.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::plan::{Plan, PlannedRecording};
use crate::process::held_command::HeldCommand;
use crate::process::output::tail;
use crate::redaction::without_logins;
use crate::state::journal::Journal;
use focus_common::clock;

/// One call of the site's own command ends within this.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Lengths of planted recordings, and the time between two of them.
const LENGTH_MS: i64 = 1_000;

/// What a drill will plant: the folder below the root, and `count` recordings, one after another, the last of
/// which ends now.
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

/// Creates the folder that is planted into.
///
/// # Errors
/// The folder cannot be created, or is there already.
pub fn make_folder(plan: &Plan) -> anyhow::Result<()> {
    let folder = plan.root.join(&plan.folder);
    std::fs::create_dir(&folder)
        .with_context(|| format!("{} cannot be made, so nothing can be planted", folder.display()))
}

/// Writes one recording: the data, then the sidecar.
///
/// # Errors
/// A file is there already, or cannot be written.
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

/// Has the site's own command make one recording.
///
/// # Errors
/// The command cannot be run, fails, or does not end within 30 s.
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
    let waiting = HeldCommand::start(command, &log, &told)?;
    let group = waiting.group.clone();
    journal.planter(group.clone())?;
    let mut child = waiting.go().await?;
    match tokio::time::timeout(CALL_LIMIT, child.wait()).await {
        Ok(ended) => {
            let ended = ended?;
            anyhow::ensure!(
                ended.success(),
                "--plant {:?} ended with {ended}: {}",
                without_logins(command),
                tail(&log)
            );
            Ok(())
        }
        Err(_) => {
            group.end();
            anyhow::bail!(
                "--plant {:?} did not end within {} s",
                without_logins(command),
                CALL_LIMIT.as_secs()
            )
        }
    }
}

/// Whether both files are on storage.
pub fn is_there(plan: &Plan, recording: &PlannedRecording) -> bool {
    plan.root.join(&recording.path).is_file() && plan.root.join(&recording.sidecar).is_file()
}

/// Bytes of the data file; none where it is not there.
pub fn size(plan: &Plan, recording: &PlannedRecording) -> Option<u64> {
    std::fs::metadata(plan.root.join(&recording.path)).ok().map(|meta| meta.len())
}
