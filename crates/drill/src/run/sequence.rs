//! The order of the ten steps, and what follows from each: which are left out after a failure, and which are
//! taken whatever happens.

use std::time::Instant;

use focus_common::clock;

use super::context::{Drill, Seen};
use super::interrupt::Interrupt;
use super::steps::proof_of_outage::Proof;
use super::steps::{
    baseline, clean_up, converge, outage, plant, proof_of_outage, proof_of_return, restore,
    side_effects, verdict,
};
use crate::arrivals::Arrivals;
use crate::baseline::Baseline;
use crate::breakpoint::Breakpoint;
use crate::database::client::Database;
use crate::early_end::EarlyEnd;
use crate::guard::Guard;
use crate::report::{Report, Step, Verdict};
use crate::state::progress::Stage;

/// Takes the ten steps. Once the way down was begun, the way up is always taken; once the database is back,
/// everything is always cleaned up.
///
/// # Errors
/// The first thing that is not as it has to be. Where the database is not back, the plan and the guard stay.
pub(super) async fn all_steps(
    drill: &Drill<'_>,
    report: &mut Report,
    interrupt: &mut Interrupt,
) -> Result<(), EarlyEnd> {
    let baseline = steady_state(drill, report, interrupt).await?;
    drill.journal.stage(Stage::Planned)?;
    drill.reach(Breakpoint::Planned).await;
    let armed_ms = clock::boot_ms();
    let state_dir = &drill.deployment.options.state_dir;
    let mut guard = Guard::arm(drill.folder, state_dir, &drill.plan.id).await?;
    drill.reach(Breakpoint::Armed).await;
    let broken = tokio::select! {
        broken = break_and_plant(drill, report, armed_ms, &mut guard) => broken,
        end = interrupt.wait() => Err(end),
    };
    if drill.journal.progress().stage >= Stage::DownBegun {
        bring_back(drill, report, broken.is_err()).await?;
    }
    let judged = match broken {
        Ok(proof) => tokio::select! {
            judged = judge(drill, report, proof, &baseline) => judged,
            end = interrupt.wait() => Err(end),
        },
        Err(end) => Err(end),
    };
    let (nothing_left, cleaned) = clean_up::take(drill, report, &baseline).await;
    if nothing_left {
        drill.reach(Breakpoint::Forgetting).await;
        drill.folder.forget()?;
        guard.dismiss().await;
    }
    judged?;
    cleaned?;
    conclude(drill, report)
}

/// Step 1.
async fn steady_state(
    drill: &Drill<'_>,
    report: &mut Report,
    interrupt: &mut Interrupt,
) -> Result<Baseline, EarlyEnd> {
    let began = Instant::now();
    let ended = tokio::select! {
        ended = baseline::take(drill) => ended,
        end = interrupt.wait() => Err(end),
    };
    drill.note(report, Step::Baseline, began, ended)
}

/// Steps 2 to 4: the outage, its proof, and what lands meanwhile.
async fn break_and_plant(
    drill: &Drill<'_>,
    report: &mut Report,
    armed_ms: u64,
    guard: &mut Guard,
) -> Result<Proof, EarlyEnd> {
    drill.watcher.brisk(true);
    let began = Instant::now();
    let ended = outage::begin(drill, armed_ms, guard).await;
    let begun = drill.note(report, Step::Outage, began, ended)?;
    drill.reach(Breakpoint::DownBegun).await;

    let began = Instant::now();
    let proved = proof_of_outage::wait(drill, begun).await;
    report.outage.unreachable_for_drill = !drill.watcher.drill().reachable;
    report.outage.unreachable_for_server = drill.watcher.server().is_down();
    let proof = drill.note(report, Step::Unreachable, began, proved)?;
    report.time_to_detect_ms = Some(proof.detect_ms);
    drill.watcher.brisk(false);
    drill.reach(Breakpoint::Unreachable).await;

    let began = Instant::now();
    let planted = plant::plant_all(drill).await;
    report.planted = plant::on_storage(drill);
    drill.note(report, Step::Plant, began, planted)?;
    drill.reach(Breakpoint::Planted).await;
    Ok(proof)
}

/// Step 5, and the drill's part of step 6: taken whatever happened, once the way down was begun. `cut_off` says
/// that the outage did not last as it was to.
async fn bring_back(drill: &Drill<'_>, report: &mut Report, cut_off: bool) -> Result<(), EarlyEnd> {
    drill.watcher.outage(false);
    drill.watcher.brisk(true);
    let began = Instant::now();
    let restored = restore::take(drill, cut_off).await;
    // It does not matter who brings the database back; what counts is that it is back.
    let _ = drill.note(report, Step::Restore, began, restored);
    drill.reach(Breakpoint::Up).await;
    if let Err(end) = proof_of_return::for_drill(drill).await {
        return drill.note(report, Step::Reachable, began, Err(end));
    }
    drill.journal.stage(Stage::Up)?;
    // Where the announcement cannot be taken back, other drills only wait longer.
    let _ = drill.lock.announce(&drill.deployment.database, 0).await;
    if cut_off {
        let seen = Ok(Seen::new((), "for the drill"));
        drill.note(report, Step::Reachable, began, seen)?;
    }
    Ok(())
}

/// Steps 6 to 9, where the database is back.
async fn judge(
    drill: &Drill<'_>,
    report: &mut Report,
    proof: Proof,
    baseline: &Baseline,
) -> Result<(), EarlyEnd> {
    let back_at = drill.watcher.drill().since.unwrap_or_else(Instant::now);
    let outage = back_at.saturating_duration_since(proof.gone);
    report.outage_ms = u64::try_from(outage.as_millis()).ok();
    // A client made before the outage may remember a database that is no more.
    let database = Database::open(&drill.plan.database).await?;
    let arrivals = Arrivals::start(&database, drill.plan, &drill.watcher);

    let began = Instant::now();
    let server = proof_of_return::for_server(drill, report.outage_ms.unwrap_or(0)).await;
    let server = drill.note(report, Step::Reachable, began, server);
    drill.reach(Breakpoint::Reachable).await;

    let began = Instant::now();
    let converged = converge::wait(drill, &arrivals, back_at).await;
    let converged = drill.note(report, Step::Converge, began, converged);
    report.time_to_converge_ms = converged.as_ref().ok().copied();
    drill.watcher.brisk(false);
    drill.reach(Breakpoint::Converged).await;

    let began = Instant::now();
    let verdict = verdict::judge(drill, &database, &arrivals, report).await;
    let verdict = drill.note(report, Step::Verdict, began, verdict);
    drill.reach(Breakpoint::Verdict).await;

    let began = Instant::now();
    let effects = side_effects::look(drill, &database, baseline, report).await;
    let effects = drill.note(report, Step::SideEffects, began, effects);
    drill.reach(Breakpoint::SideEffects).await;
    // The verdict says more than that something was late.
    verdict.and(effects).and(converged.map(|_| ())).and(server)
}

fn conclude(drill: &Drill<'_>, report: &mut Report) -> Result<(), EarlyEnd> {
    let right = report.catalogued == drill.plan.planted.len() as u64
        && report.side_effects.is_empty()
        && report.steps.iter().all(|step| step.ok);
    if !right {
        return Err(EarlyEnd::failed("not every step came out as it has to"));
    }
    report.verdict = Verdict::Passed;
    Ok(())
}
