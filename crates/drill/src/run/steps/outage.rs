//! Step 2: takes the database away, once everything that brings it back is in place.

use std::time::Instant;

use focus_common::clock;

use crate::breakpoint::Breakpoint;
use crate::early_end::EarlyEnd;
use crate::guard::Guard;
use crate::planting;
use crate::run::context::{Drill, Seen, StepResult};
use crate::state::progress::Stage;

/// Begins the outage; the instant at which it was begun. `armed_ms` is the boot time at which the guard began to
/// count.
pub(in crate::run) async fn begin(
    drill: &Drill<'_>,
    armed_ms: u64,
    guard: &mut Guard,
) -> StepResult<Instant> {
    let database = &drill.deployment.database;
    if !drill.lock.is_ours(database).await? || drill.lock.is_lost() {
        return Err(EarlyEnd::inconclusive(
            "another drill has taken this database over: nothing was broken",
        ));
    }
    drill.lock.announce(database, drill.plan.deadline_ms).await?;
    planting::make_folder(drill.plan)?;
    if !guard.stands() {
        return Err(EarlyEnd::inconclusive("the guard has ended: nothing was broken"));
    }
    drill.journal.stage(Stage::DownBegun)?;
    drill.reach(Breakpoint::DownNoted).await;
    // A drill that was stopped until now must not break what its guard has already given up.
    if clock::boot_ms() >= armed_ms.saturating_add(drill.plan.deadline_ms) {
        return Err(EarlyEnd::inconclusive("the deadline has passed before anything was broken"));
    }
    let begun = Instant::now();
    drill.deployment.outage.down(&drill.journal).await?;
    Ok(Seen::new(begun, drill.deployment.outage.describe()))
}
