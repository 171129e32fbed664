//! Step 9: looks for side effects, while the planted recordings are still there.

use anyhow::Context;

use crate::baseline::Baseline;
use crate::database::client::Database;
use crate::early_end::EarlyEnd;
use crate::report::{Report, SideEffect, SideEffectKind};
use crate::run::context::{Drill, Seen, StepResult};

/// Compares the catalog with the baseline, and the outage's target with how it was found.
pub(in crate::run) async fn look(
    drill: &Drill<'_>,
    database: &Database,
    baseline: &Baseline,
    report: &mut Report,
) -> StepResult<()> {
    let (mut effects, others) = baseline.compare(database, drill.plan, false).await?;
    let target = drill.plan.restore.way_up().left_behind().await;
    let target = target.context("the outage's target cannot be asked how it is now")?;
    let of_target = |detail| SideEffect { what: SideEffectKind::Target, detail };
    effects.extend(target.into_iter().map(of_target));
    report.side_effects = effects;
    report.others = others;
    let detail = format!(
        "{} other documents came, {} were written anew by the server",
        report.others.landed, report.others.updated
    );
    match report.side_effects.as_slice() {
        [] => Ok(Seen::new((), format!("none; {detail}"))),
        [first, ..] => Err(EarlyEnd::failed(format!(
            "{} side effects: {}; {detail}",
            report.side_effects.len(),
            first.detail
        ))),
    }
}
