//! Step 10: removes everything that was planted, and checks the baseline again.

use std::time::Instant;

use crate::baseline::Baseline;
use crate::breakpoint::Breakpoint;
use crate::cleanup::{self, cleaned::Cleaned};
use crate::database::client::Database;
use crate::early_end::EarlyEnd;
use crate::report::{Report, SideEffect, SideEffectKind, Step};
use crate::run::context::{Drill, Seen, StepResult};
use crate::state::progress::Stage;

/// Cleans up, whatever happened before. Returns whether nothing is left that a recovery would have to remove, and
/// how the step came out.
pub(in crate::run) async fn take(
    drill: &Drill<'_>,
    report: &mut Report,
    baseline: &Baseline,
) -> (bool, Result<(), EarlyEnd>) {
    let began = Instant::now();
    let removed = remove(drill).await;
    let nothing_left = removed.is_ok() && cleanup::leftovers(drill.plan).is_empty();
    let cleaned = match removed {
        Ok(cleaned) => as_before(drill, report, baseline, cleaned).await,
        Err(end) => Err(end),
    };
    (nothing_left, drill.note(report, Step::CleanUp, began, cleaned))
}

async fn remove(drill: &Drill<'_>) -> Result<Cleaned, EarlyEnd> {
    drill.journal.stage(Stage::Cleaning)?;
    drill.reach(Breakpoint::Cleaning).await;
    let database = Database::open(&drill.plan.database).await?;
    let removed = cleanup::remove_everything(drill.plan, &database, &drill.deployment.server).await;
    let cleaned = removed.map_err(|error| {
        EarlyEnd::failed(format!("{error:#}. Run `focus drill recover` once that is mended"))
    })?;
    drill.reach(Breakpoint::Cleaned).await;
    Ok(cleaned)
}

/// Compares catalog and storage with the baseline once more, now without the planted recordings.
async fn as_before(
    drill: &Drill<'_>,
    report: &mut Report,
    baseline: &Baseline,
    cleaned: Cleaned,
) -> StepResult<()> {
    let database = Database::open(&drill.plan.database).await?;
    let (effects, others) = baseline.compare(&database, drill.plan, true).await?;
    let left = cleanup::leftovers(drill.plan).into_iter().map(|path| SideEffect {
        what: SideEffectKind::Leftover,
        detail: format!("{} is still there", path.display()),
    });
    for effect in effects.into_iter().chain(left) {
        if !report.side_effects.contains(&effect) {
            report.side_effects.push(effect);
        }
    }
    report.others = others;
    if let Some(first) = report.side_effects.first() {
        let count = report.side_effects.len();
        return Err(EarlyEnd::failed(format!("{count} side effects: {}", first.detail)));
    }
    let by = match cleaned.removed {
        0 => String::new(),
        count => format!(", {count} documents that the server had left were removed"),
    };
    let detail = format!(
        "nothing is left{by}; the {} documents of the baseline are as they were",
        baseline.documents
    );
    Ok(Seen::new((), detail))
}
