//! What a drill can do to a workload.

use serde::{Deserialize, Serialize};

/// What is done to the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Scaled to 0, and back.
    Scale,
    /// Its pods are deleted, over and over until the outage ends.
    DeletePods,
    /// Nothing may reach its pods.
    NetworkPolicy,
}
