//! Step 5: brings the database back.

use crate::breakpoint::Breakpoint;
use crate::restore::Restoration;
use crate::run::context::{Drill, Seen, StepResult};
use crate::state::progress::Stage;

/// Takes the way up. `cut_off` says that the way down may still be running: it is ended first.
pub(in crate::run) async fn take(drill: &Drill<'_>, cut_off: bool) -> StepResult<()> {
    if cut_off && let Some(group) = &drill.journal.progress().way_down {
        group.end();
    }
    drill.journal.stage(Stage::UpBegun)?;
    drill.reach(Breakpoint::UpBegun).await;
    let probe = &drill.deployment.probe;
    Restoration::under_lock(drill.folder, probe, drill.plan).bring_up().await?;
    Ok(Seen::new((), drill.plan.restore.way_up().describe()))
}
