//! Experiments as files: the steady state, the method and the rollback.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::duration::Time;
use super::outage_kind::OutageKind;
use super::plant_by::PlantBy;

/// Bytes of a file at most.
const BYTES_MAX: u64 = 1024 * 1024;

/// An experiment. What it does not say is as in the reference scenario; an empty file is that scenario.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// What it is called in reports.
    pub title: Option<String>,
    /// What has to hold before anything is broken.
    pub steady_state: SteadyState,
    /// What is broken, and what lands meanwhile.
    pub method: Method,
    /// How it is ended.
    pub rollback: Rollback,
}

/// What has to hold before anything is broken: the server is in step with its catalog, and this.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SteadyState {
    /// How long it is waited for.
    pub within: Option<Time>,
    /// Recordings that may be pending at most.
    pub pending_max: Option<u64>,
}

/// What is broken, and what lands meanwhile: as the flags of the same names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Method {
    /// `--outage`.
    pub outage: Option<OutageKind>,
    /// `--method`.
    pub method: Option<String>,
    /// `--count`.
    pub count: Option<u32>,
    /// `--rate`.
    pub rate: Option<f64>,
    /// `--outage-for`.
    pub outage_for: Option<Time>,
    /// `--timeout`.
    pub timeout: Option<Time>,
    /// `--plant`.
    pub plant: Option<String>,
    /// `--plant-by`.
    pub plant_by: Option<PlantBy>,
    /// `--down`.
    pub down: Option<String>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--control`.
    pub control: Option<PathBuf>,
    /// `--latency-ms`.
    pub latency_ms: Option<u64>,
    /// `--bandwidth`.
    pub bandwidth: Option<u64>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--workload`.
    pub workload: Option<String>,
    /// `--unit`.
    pub unit: Option<String>,
    /// `--user`.
    pub user: Option<bool>,
    /// `--container`.
    pub container: Option<String>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
}

/// How it is ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rollback {
    /// `--up`.
    pub up: Option<String>,
    /// `--deadline`.
    pub deadline: Option<Time>,
}

/// Reads an experiment.
///
/// # Errors
/// The file cannot be read, or is no experiment: what is wrong, and in which line.
pub fn read(path: &Path) -> Result<Experiment, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    if std::fs::metadata(path).map_err(unreadable)?.len() > BYTES_MAX {
        return Err(format!("{} is too large for an experiment", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_has_a_steady_state_a_method_and_a_rollback() {
        let text = r#"
            title = "the node is stopped"
            [steady_state]
            within = "30s"
            pending_max = 0
            [method]
            outage = "process"
            method = "stop"
            pid_file = "/run/mongod.pid"
            count = 50
            outage_for = "1m"
            [rollback]
            deadline = "10m"
        "#;
        let experiment: Experiment = toml::from_str(text).expect("good");
        assert_eq!(experiment.method.outage, Some(OutageKind::Process));
        assert_eq!(experiment.method.outage_for, Some(Time(60_000)));
        assert_eq!(experiment.rollback.deadline, Some(Time(600_000)));
    }

    #[test]
    fn a_misspelt_key_is_a_mistake() {
        assert!(toml::from_str::<Experiment>("[method]\noutage_fro = \"3s\"").is_err());
        assert!(toml::from_str::<Experiment>("[method]\noutage_for = \"soon\"").is_err());
    }
}
