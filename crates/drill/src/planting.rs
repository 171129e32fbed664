//! Planting recordings, as an acquisition system or the site's own command does. [`crate::cleanup`] removes
//! them.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use focus_core::pair::PairForm;
use serde_json::Value;

use crate::form;
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

/// What recordings are to be planted as.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// What a pair is in the root.
    pub form: &'a PairForm,
    /// The root's id.
    pub root_id: &'a str,
    /// The site's own command makes them, and not the drill.
    pub by_command: bool,
}

/// What a drill will plant: the folder below the root, and `count` recordings, one after another, the last of
/// which ends now.
///
/// # Errors
/// The drill cannot write pairs of this form: why.
pub fn plan(
    drill: &str,
    count: u32,
    planted_as: &Form<'_>,
    now_ms: i64,
) -> Result<(String, Vec<PlannedRecording>), String> {
    let Form { form, root_id, by_command } = *planted_as;
    let folder = format!("focus-drill-{drill}");
    let extension = form.data_extensions.first().ok_or("data files have no extension")?;
    let first_ms = now_ms - i64::from(count) * LENGTH_MS;
    let planned = |n: u32| {
        let recording_id = format!("drill-{drill}-{n:06}");
        let start_ms = first_ms + i64::from(n) * LENGTH_MS;
        let end_ms = start_ms + LENGTH_MS - 1;
        let bare = PlannedRecording {
            uuid: form::uuid(form, root_id, &folder, &recording_id),
            path: format!("{folder}/{recording_id}.{extension}"),
            sidecar: format!("{folder}/{recording_id}.{}", form.sidecar_extension),
            recording_id,
            start_ms,
            end_ms,
            content: Value::Null,
            metadata: Vec::new(),
            data_bytes: form::data_bytes(form, end_ms - start_ms),
        };
        let (content, metadata) = match form::sidecar(form, drill, root_id, &bare) {
            Err(_) if by_command => (Value::Null, Vec::new()),
            made => made?,
        };
        Ok(PlannedRecording { content, metadata, ..bare })
    };
    let planted = (0..count).map(planned).collect::<Result<_, String>>()?;
    Ok((folder, planted))
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
    let bytes = usize::try_from(recording.data_bytes).unwrap_or(usize::MAX);
    let data: Vec<u8> = recording.uuid.bytes().cycle().take(bytes).collect();
    let create = |path: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let path = plan.root.join(path);
        std::fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(bytes))
            .with_context(|| format!("{} cannot be written", path.display()))
    };
    create(&recording.path, &data)?;
    create(&recording.sidecar, format!("{}\n", recording.content).as_bytes())
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

#[cfg(test)]
mod tests {
    use focus_core::pair::{EndFrom, Pointer, Preset, StartFrom, UuidFrom};
    use focus_core::recording::DRILL_FIELD;
    use serde_json::json;

    use super::*;

    fn planned(form: &PairForm) -> Result<PlannedRecording, String> {
        let (_, mut planted) =
            plan("d1", 1, &Form { form, root_id: "root-1", by_command: false }, 1_700_000_000_000)?;
        Ok(planted.remove(0))
    }

    #[test]
    fn in_each_preset_a_sidecar_is_planted_that_says_what_was_planned() {
        for preset in Preset::ALL {
            let form = PairForm::of(preset);
            let one = planned(&form).expect("a plan");
            assert_eq!(one.content[DRILL_FIELD], "d1", "{preset:?}");
            assert!(one.path.ends_with(&format!(".{}", form.data_extensions[0])));
            assert!(one.sidecar.ends_with(&format!(".{}", form.sidecar_extension)));
        }
        let call = planned(&PairForm::of(Preset::TrunkRecorder)).expect("a plan");
        assert_eq!(call.content["start_time"].to_string(), "1699999999");
        assert_eq!(call.metadata, ["focus_drill"]);
        let samples = planned(&PairForm::of(Preset::Sigmf)).expect("a plan");
        assert_eq!(samples.data_bytes, 999);
        assert_eq!(samples.metadata, ["annotations", "captures", "focus_drill", "global"]);
    }

    #[test]
    fn pointers_are_followed_and_a_form_that_cannot_be_planted_is_told() {
        let pointer = |text: &str| Pointer::new(text).expect("a pointer");
        let form = |start: &str, end: &str| PairForm {
            uuid: UuidFrom::Field(pointer("/ids/1")),
            start_time: StartFrom::Field(pointer(start)),
            end_time: EndFrom::Duration(pointer(end)),
            ..PairForm::focus().clone()
        };
        let one = planned(&form("/times/0/begin", "/length")).expect("a plan");
        assert_eq!(one.content["ids"][1], json!(one.uuid));
        assert_eq!(one.content["times"][0]["begin"], clock::rfc3339(one.start_ms));
        assert_eq!(one.content["length"].to_string(), "0.999");
        for (start, end) in [("/t", "/t"), ("/t", "/t/length"), ("/ids/x", "/l"), ("/ids/65", "/l")]
        {
            assert!(planned(&form(start, end)).is_err(), "{start} {end}");
        }
        let by_command = Form { form: &form("/t", "/t"), root_id: "root-1", by_command: true };
        assert!(plan("d1", 1, &by_command, 1_700_000_000_000).is_ok());
    }
}
