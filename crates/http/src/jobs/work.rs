//! The work of a job: the engine does it.

use std::sync::Arc;

use focus_core::job::{JobFailure, JobKind, JobRequest};
use focus_engine::{Engine, Sidecars, VerifyError};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::pace::Progress;

/// A job begins anew at most so often, because the engine was: its index was rebuilt, or its settings changed.
const ENGINES_MAX: u32 = 3;

/// Does it, on the engine of now. Where the engine is replaced meanwhile, it begins anew on the next one.
pub(super) async fn run(
    mut engines: watch::Receiver<Arc<Engine>>,
    request: JobRequest,
) -> Result<Value, JobFailure> {
    for _ in 0..ENGINES_MAX {
        let engine = Arc::clone(&engines.borrow_and_update());
        tokio::select! {
            done = once(&engine, &request) => return done,
            changed = engines.changed() => {
                if changed.is_err() || request.kind == JobKind::Approve {
                    break;
                }
            }
        }
    }
    Err(failed(
        "the index was made anew, or the settings were read again, while it ran: start it again",
    ))
}

async fn once(engine: &Engine, request: &JobRequest) -> Result<Value, JobFailure> {
    let root = request.root.as_deref();
    match request.kind {
        JobKind::Scan => Ok(json!(engine.pass_over(root).await)),
        JobKind::Verify | JobKind::Repair => {
            let sidecars = if request.quick { Sidecars::None } else { Sidecars::All };
            let repair = request.kind == JobKind::Repair;
            let verified = engine.verify_root(root, repair, sidecars).await;
            verified.map(|verified| json!(verified)).map_err(verify_failed)
        }
        JobKind::Compare => {
            let compared = engine.compare(root).await;
            compared.map(|compared| json!(compared)).map_err(verify_failed)
        }
        JobKind::Approve => approve(engine, request).await,
    }
}

async fn approve(engine: &Engine, request: &JobRequest) -> Result<Value, JobFailure> {
    let held = engine.held_roots().map_err(|error| failed(error.to_string()))?;
    let wanted = request.root.as_deref();
    let found = held.iter().find(|root| wanted == Some(root.marker.as_str()));
    let (Some(root), Some(through)) = (found, request.through) else {
        return Err(failed("the root is not served any more: see `focus status`"));
    };
    let approved = engine.approve(root.id, through).await;
    let approved = approved.map_err(|error| failed(error.to_string()))?;
    Ok(json!({ "root": root.marker, "path": root.path, "approved": approved }))
}

fn failed(reason: impl Into<String>) -> JobFailure {
    JobFailure { is_refused: false, reason: reason.into() }
}

fn verify_failed(error: VerifyError) -> JobFailure {
    match error {
        VerifyError::CouldNotTell(reason) => JobFailure { is_refused: false, reason },
        VerifyError::Refused(reason) => JobFailure { is_refused: true, reason },
    }
}

/// How far such a job is; none where that is not known. Blocks for as long as a read of the index takes.
pub(super) fn progress(engine: &Engine, kind: JobKind) -> Option<Progress> {
    match kind {
        JobKind::Scan => {
            let totals = engine.reader().totals().ok()?;
            let done = totals.recordings.saturating_sub(totals.pending);
            let of = totals.recordings.saturating_add(totals.unsettled);
            Some(Progress { stage: "scan", done, of })
        }
        JobKind::Verify | JobKind::Repair => {
            let now = engine.verifying()?;
            Some(Progress { stage: now.stage.name(), done: now.compared, of: now.of })
        }
        JobKind::Compare => {
            engine.comparing().map(|(done, of)| Progress { stage: "compare", done, of })
        }
        JobKind::Approve => None,
    }
}

/// How many recordings a job was about that has come to this result.
pub(super) fn reached(result: &Value) -> Option<u64> {
    if let Some(roots) = result["roots"].as_array().filter(|roots| !roots.is_empty()) {
        let counts = roots.iter().map(|root| root["recordings"].as_u64());
        if let Some(sum) = counts.sum() {
            return Some(sum);
        }
    }
    ["compared", "recordings", "approved"].iter().find_map(|field| result[field].as_u64())
}
