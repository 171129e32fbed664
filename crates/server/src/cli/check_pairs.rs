//! What `focus config check` shows of the pairs in each root.

use focus_common::clock;
use focus_common::config::{RootSettings, Settings};
use focus_core::pair::PairForm;
use focus_engine::{Preview, Previewed, PreviewedPair, preview};
use serde_json::{Value, json};

/// Characters of the metadata of a pair that people are shown.
const METADATA_SHOWN_MAX: usize = 160;

/// What would be catalogued of up to five pairs of a root: lines for people, and the same as JSON. Of a root
/// that cannot be read nothing is shown: another finding says so.
pub(super) fn shown(settings: &Settings, root: &RootSettings) -> Option<(Vec<String>, Value)> {
    let Preview { form, pairs } = preview(settings, root).ok()?;
    let path = root.path.display().to_string();
    let names = names(&form);
    let mut lines = vec![match pairs.len() {
        0 => format!("pairs in {path}: {names}. None is there"),
        1 => format!("pairs in {path}: {names}. One of them:"),
        count => format!("pairs in {path}: {names}. {count} of them:"),
    }];
    lines.extend(pairs.iter().flat_map(told));
    let value = json!({
        "root": path,
        "preset": root.pairs.preset.unwrap_or_default().name(),
        "data_extensions": form.data_extensions,
        "sidecar_extension": form.sidecar_extension,
        "uuid": form.uuid.to_string(),
        "start_time": form.start_time.to_string(),
        "end_time": form.end_time.to_string(),
        "items": pairs.iter().map(value).collect::<Vec<_>>(),
    });
    Some((lines, value))
}

/// The names of both files of a pair.
fn names(form: &PairForm) -> String {
    let data: Vec<String> = form.data_extensions.iter().map(|one| format!("NAME.{one}")).collect();
    format!("{} with NAME.{}", data.join(" or "), form.sidecar_extension)
}

fn told(pair: &PreviewedPair) -> Vec<String> {
    match &pair.outcome {
        Previewed::Catalogued { recording, uuid } => {
            let end = recording.end_ms.map_or_else(|| "live".to_owned(), clock::rfc3339);
            let uuid = uuid.as_deref().unwrap_or("derived once `focus init` has marked the root");
            let deleted = if recording.deleted { ", deleted" } else { "" };
            let start = clock::rfc3339(recording.start_ms);
            vec![
                format!("  {}: {start} to {end}{deleted}", recording.path),
                format!("    uuid {uuid}"),
                format!("    metadata {}", cut(&recording.metadata.to_text())),
            ]
        }
        Previewed::Unrecognised(fault) => {
            vec![format!("  {}: {}: {}", pair.place, fault.state.name(), fault.reason)]
        }
        Previewed::Changing => vec![format!("  {}: it is being written", pair.place)],
    }
}

fn value(pair: &PreviewedPair) -> Value {
    match &pair.outcome {
        Previewed::Catalogued { recording, uuid } => json!({
            "path": recording.path,
            "uuid": uuid,
            "start_time": clock::rfc3339(recording.start_ms),
            "end_time": recording.end_ms.map(clock::rfc3339),
            "deleted": recording.deleted,
            "metadata": serde_json::from_str::<Value>(&recording.metadata.to_text()).ok(),
            "state": null,
            "reason": null,
        }),
        Previewed::Unrecognised(fault) => json!({
            "path": pair.place,
            "state": fault.state.name(),
            "reason": fault.reason,
        }),
        Previewed::Changing => json!({ "path": pair.place, "state": "unsettled", "reason": null }),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(METADATA_SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
