//! `focus init`: marks folders as roots.

use focus_common::config::Settings;
use focus_storage::{RootProblem, marker};
use serde_json::json;

use super::output::Output;
use super::{Ending, Stop};

pub(super) fn init(settings: &Settings, out: &Output) -> anyhow::Result<Ending> {
    if settings.roots.is_empty() {
        return Err(Stop::error(Ending::Refused, "which folder? Give --root DIR"));
    }
    let mut marked = Vec::new();
    for root in &settings.roots {
        let path = root.path.display().to_string();
        let marker = marker::init(&root.path).map_err(|problem| {
            let ending = match problem {
                RootProblem::Absent { .. } | RootProblem::Unreadable { .. } => Ending::CouldNotTell,
                _ => Ending::Refused,
            };
            Stop::error(ending, problem.to_string())
        })?;
        let done = if marker.created { "is marked as root" } else { "was marked before, as root" };
        out.line(&format!("{path} {done} {}", marker.id));
        marked.push(json!({ "path": path, "id": marker.id, "created": marker.created }));
    }
    out.value(&json!({ "roots": marked }));
    Ok(Ending::InOrder)
}
