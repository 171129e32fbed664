//! Scaling a workload down and up, without undoing what somebody else changed meanwhile.

use serde_json::json;

use super::client::Client;
use super::workload::Target;

/// Attempts at a change that meets others.
const ATTEMPTS: u32 = 5;

/// Scales from one number of replicas to another. Where it has neither, somebody else has changed it
/// meanwhile, and theirs counts.
pub(super) async fn scale(
    client: &Client,
    target: &Target,
    uid: &str,
    from: u64,
    to: u64,
) -> anyhow::Result<()> {
    let path = format!("{}/scale", target.path());
    for _ in 0..ATTEMPTS {
        let now = client.get(&path).await.map_err(|error| match error.is_absent() {
            true => anyhow::anyhow!(
                "{target} is not there any more: whoever removed it has to make it again"
            ),
            false => error.into(),
        })?;
        anyhow::ensure!(
            now["metadata"]["uid"] == uid,
            "{target} is not the one that the drill found: it was made anew meanwhile, and is left alone"
        );
        let replicas = now["spec"]["replicas"].as_u64().unwrap_or(0);
        if replicas == to {
            return Ok(());
        }
        if replicas != from {
            tracing::warn!(
                workload = %target,
                replicas,
                "scaled by somebody else meanwhile: left as it is"
            );
            return Ok(());
        }
        let change = json!({
            "metadata": {"resourceVersion": now["metadata"]["resourceVersion"]},
            "spec": {"replicas": to},
        });
        match client.patch(&path, &change).await {
            Ok(_) => return Ok(()),
            // Changed between look and change: look again.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("{target} keeps being changed by somebody else")
}
