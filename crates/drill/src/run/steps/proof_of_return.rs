//! Step 6: proves that the database is back, for the drill and for the server.

use std::time::Duration;

use crate::early_end::EarlyEnd;
use crate::restore::BACK_WITHIN;
use crate::run::context::{Drill, Seen, StepResult, seconds};

/// Waits until the drill can write to the database.
pub(in crate::run) async fn for_drill(drill: &Drill<'_>) -> Result<(), EarlyEnd> {
    if drill.watcher.until(BACK_WITHIN, |drill, _| drill.reachable).await {
        return Ok(());
    }
    Err(EarlyEnd::inconclusive(format!(
        "the database does not take writes {} s after its way up. Bring it back by hand, then run `focus drill recover`",
        BACK_WITHIN.as_secs()
    )))
}

/// Waits until the server's status says that it reaches its catalog. `outage_ms` is how long the outage lasted.
pub(in crate::run) async fn for_server(drill: &Drill<'_>, outage_ms: u64) -> StepResult<()> {
    let timeout = Duration::from_millis(drill.deployment.options.timeout_ms);
    let there =
        drill.watcher.until(timeout, |drill, server| drill.reachable && server.is_reached());
    if there.await {
        let outage_s = seconds(outage_ms);
        let detail = format!("for the drill and for the server, after {outage_s} s");
        return Ok(Seen::new((), detail));
    }
    Err(EarlyEnd::failed(format!(
        "the database takes writes, but {} s later the server still says {}",
        timeout.as_secs(),
        drill.watcher.server().state_name()
    )))
}
