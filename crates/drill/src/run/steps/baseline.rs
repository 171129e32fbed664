//! Step 1: waits for the steady state, and takes the baseline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::baseline::Baseline;
use crate::early_end::EarlyEnd;
use crate::preflight::Deployment;
use crate::run::context::{Drill, Seen, StepResult};
use crate::server::{CatalogState, Status};
use crate::state::folder::BASELINE;

/// Time between two looks at the server's status.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Takes the baseline of a server in step.
pub(in crate::run) async fn take(drill: &Drill<'_>) -> StepResult<Baseline> {
    let status = steady(drill.deployment).await?;
    let file = drill.folder.file(BASELINE);
    let baseline = Baseline::take(&drill.deployment.database, file).await?;
    let detail = format!(
        "{} documents in {}; the server is in step, {} recordings, {} pending",
        baseline.documents,
        drill.plan.database.collection,
        status.recordings,
        status.pending.unwrap_or(0)
    );
    Ok(Seen::new(baseline, detail))
}

/// Waits until the server is in step with its catalog, with as few pending recordings as the experiment allows.
async fn steady(deployment: &Deployment) -> Result<Status, EarlyEnd> {
    let options = &deployment.options;
    let within = Duration::from_millis(options.steady_within_ms);
    let began = Instant::now();
    loop {
        let status = deployment.server.status().await.map_err(anyhow::Error::from)?;
        let pending = status.pending.unwrap_or(u64::MAX);
        let few = options.steady_pending_max.is_none_or(|most| pending <= most);
        if status.catalog_state == CatalogState::InStep && few {
            return Ok(status);
        }
        if began.elapsed() >= within {
            let why = status.catalog_reason.map(|why| format!(" ({why})")).unwrap_or_default();
            return Err(EarlyEnd::inconclusive(format!(
                "the steady state is not there: the server's catalog is {}, with {pending} pending{why}. Nothing was broken",
                status.catalog_state.name()
            )));
        }
        sleep(LOOK_EVERY).await;
    }
}
