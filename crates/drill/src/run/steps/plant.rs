//! Step 4: plants recordings while the database is away, and lets the outage last as long as it is to.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::breakpoint::Breakpoint;
use crate::early_end::EarlyEnd;
use crate::plan::PlannedRecording;
use crate::planting;
use crate::run::context::{Drill, Seen, StepResult};

/// Time between two looks whether the database came back too early.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many recordings landed, and why the site's own command, or the server, first failed.
#[derive(Debug, Default)]
struct Planted {
    landed: u64,
    failed: Option<String>,
}

/// Plants all recordings at the rate that the options give, and waits for the end of the outage.
pub(in crate::run) async fn plant_all(drill: &Drill<'_>) -> StepResult<()> {
    let began = Instant::now();
    let planted = land(drill, began).await?;
    let until = began + Duration::from_millis(drill.deployment.options.outage_for_ms);
    while Instant::now() < until && drill.watcher.breaches() == 0 {
        sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
    }
    let queries = drill.watcher.queries();
    if drill.watcher.breaches() > 0 {
        return Err(EarlyEnd::inconclusive(
            "the database came back before the outage was to end: what was planted may have been written at any time",
        ));
    }
    let pending = drill.watcher.server().pending.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let mut detail = format!(
        "{} recordings landed, {pending} pending; {} of {} queries answered, the slowest in {}.{} ms",
        planted.landed,
        queries.answered,
        queries.asked,
        queries.slowest_us / 1_000,
        queries.slowest_us % 1_000 / 100
    );
    if let Some(failed) = planted.failed {
        detail.push_str(&format!("; {failed}"));
    }
    Ok(Seen::new((), detail))
}

/// Plants one recording after another, until all are planted or the database comes back.
async fn land(drill: &Drill<'_>, began: Instant) -> Result<Planted, EarlyEnd> {
    let rate = drill.deployment.options.rate;
    let mut planted = Planted::default();
    for (n, recording) in drill.plan.planted.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let after = Duration::try_from_secs_f64(n as f64 / rate);
        sleep_until(began + after.unwrap_or_default()).await;
        // What the site's own command did not make, or the server did not take, is found to be not on storage.
        if let Err(error) = plant(drill, recording).await? {
            planted.failed.get_or_insert_with(|| format!("{error:#}"));
        }
        if planting::is_there(drill.plan, recording) {
            planted.landed += 1;
            let mut landings = drill.landings.lock();
            landings.insert(recording.uuid.clone(), drill.watcher.elapsed_ms());
        }
        drill.watcher.landed(planted.landed);
        if drill.watcher.breaches() > 0 {
            break;
        }
        if n == 0 {
            drill.reach(Breakpoint::Planting).await;
        }
    }
    Ok(planted)
}

/// Plants one recording. The inner error is that of the site's own command, or of the server.
async fn plant(
    drill: &Drill<'_>,
    recording: &PlannedRecording,
) -> anyhow::Result<anyhow::Result<()>> {
    match (&drill.deployment.options.plant, &drill.deployment.taking) {
        (Some(command), _) => {
            Ok(planting::command(command, drill.plan, recording, &drill.journal).await)
        }
        (None, Some(server)) => Ok(planting::ingest(server, drill.plan, recording).await),
        (None, None) => planting::write(drill.plan, recording).map(Ok),
    }
}

/// How many of the planned recordings are on storage.
pub(in crate::run) fn on_storage(drill: &Drill<'_>) -> u64 {
    let there = |planned: &&_| planting::is_there(drill.plan, planned);
    drill.plan.planted.iter().filter(there).count() as u64
}
