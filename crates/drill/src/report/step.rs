//! The ten steps of a drill, and how each came out.

use serde::{Deserialize, Serialize};

/// The ten steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The steady state, and what the catalog holds before the drill.
    Baseline,
    /// The way down is taken.
    Outage,
    /// The proof that the database is really away.
    Unreachable,
    /// Recordings land while the database is away.
    Plant,
    /// The way up is taken.
    Restore,
    /// The proof that the database is back.
    Reachable,
    /// The catalog is waited for.
    Converge,
    /// The fate of each planted recording.
    Verdict,
    /// What is not as it was before, beside the planted recordings.
    SideEffects,
    /// Everything planted is removed, and the baseline compared again.
    CleanUp,
}

impl Step {
    /// All steps, in their order.
    pub const ALL: [Step; 10] = [
        Step::Baseline,
        Step::Outage,
        Step::Unreachable,
        Step::Plant,
        Step::Restore,
        Step::Reachable,
        Step::Converge,
        Step::Verdict,
        Step::SideEffects,
        Step::CleanUp,
    ];

    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Step::Baseline => "baseline",
            Step::Outage => "outage",
            Step::Unreachable => "unreachable",
            Step::Plant => "plant",
            Step::Restore => "restore",
            Step::Reachable => "reachable",
            Step::Converge => "converge",
            Step::Verdict => "verdict",
            Step::SideEffects => "side_effects",
            Step::CleanUp => "clean_up",
        }
    }

    /// Its number, from 1 to 10.
    pub fn number(self) -> usize {
        self as usize + 1
    }
}

/// How one of the ten steps came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Which step.
    pub name: Step,
    /// It came out as it has to.
    pub ok: bool,
    /// How long it took, milliseconds.
    pub elapsed_ms: u64,
    /// What was seen, in words.
    #[serde(default)]
    pub detail: String,
}
