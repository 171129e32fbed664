//! Step 7: waits until every planted recording is in the catalog.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::arrivals::Arrivals;
use crate::early_end::EarlyEnd;
use crate::run::context::{Drill, Seen, StepResult};
use crate::server::CatalogState;

/// A server that writes twice, or late, gets this long to be in step.
const IN_STEP_WITHIN: Duration = Duration::from_secs(5);

/// And then this long to show what it writes all the same.
const LATE_WRITES_FOR: Duration = Duration::from_millis(300);

/// Waits for the catalog; how long it took since the database was back, milliseconds.
pub(in crate::run) async fn wait(
    drill: &Drill<'_>,
    arrivals: &Arrivals,
    back_at: Instant,
) -> StepResult<u64> {
    let timeout = Duration::from_millis(drill.deployment.options.timeout_ms);
    let all = arrivals.all(timeout.saturating_sub(back_at.elapsed())).await;
    let (seen, of) = (arrivals.seen(), drill.plan.planted.len());
    let in_step =
        drill.watcher.until(IN_STEP_WITHIN, |_, server| server.state == Some(CatalogState::InStep));
    in_step.await;
    sleep(LATE_WRITES_FOR).await;
    if !all {
        return Err(EarlyEnd::failed(format!(
            "{seen} of {of} recordings are in the catalog {} s after the database took writes again",
            timeout.as_secs()
        )));
    }
    let last = arrivals.last().unwrap_or(back_at).saturating_duration_since(back_at);
    let ms = u64::try_from(last.as_millis()).unwrap_or(u64::MAX);
    let detail = format!("all {of} in the catalog, {ms} ms after the database took writes again");
    Ok(Seen::new(ms, detail))
}
