//! How a workload comes back: a part of the plan. It names the cluster, the workload with its uid, and its
//! replicas; never a secret.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::Access;
use super::client::Client;
use super::method::Method;
use super::pods;
use super::scale::scale;
use super::workload::{OF_A_DRILL, Target};
use crate::outage::contract::{Surroundings, WayUp};

/// How the workload comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesUp {
    pub(super) access: Access,
    pub(super) target: Target,
    /// The workload's own id: another object of the same name has another.
    pub(super) uid: String,
    pub(super) method: Method,
    /// Replicas that the workload was found with.
    pub(super) replicas: u64,
}

impl KubernetesUp {
    async fn remove_policy(&self, client: &Client) -> anyhow::Result<()> {
        let Some(policy) = self.policy(client).await? else { return Ok(()) };
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": policy["metadata"]["uid"]},
        });
        let path = format!("{}/{}", self.target.policies_path(), self.target.policy_name());
        match client.delete(&path, &options).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_absent() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The drill's policy, where it is there. A policy of that name that is not a drill's counts as none.
    async fn policy(&self, client: &Client) -> anyhow::Result<Option<Value>> {
        let path = format!("{}/{}", self.target.policies_path(), self.target.policy_name());
        match client.get(&path).await {
            Ok(policy) if policy["metadata"]["labels"][OF_A_DRILL] == "true" => Ok(Some(policy)),
            Ok(_) => Ok(None),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl WayUp for KubernetesUp {
    fn describe(&self) -> String {
        match self.method {
            Method::Scale => format!("{} is scaled to {}", self.target, self.replicas),
            Method::DeletePods => format!("the pods of {} are left alone", self.target),
            Method::NetworkPolicy => {
                format!("the NetworkPolicy {} is removed", self.target.policy_name())
            }
        }
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn up(&self, surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
        match self.method {
            Method::DeletePods => pods::release(surroundings.folder, surroundings.drill).await,
            Method::Scale => {
                let client = self.access.client().await?;
                scale(&client, &self.target, &self.uid, 0, self.replicas).await
            }
            Method::NetworkPolicy => self.remove_policy(&self.access.client().await?).await,
        }
    }

    async fn left_behind(&self) -> anyhow::Result<Vec<String>> {
        let client = self.access.client().await?;
        if self.method == Method::NetworkPolicy {
            let left = self.policy(&client).await?;
            return Ok(left
                .map(|_| format!("the NetworkPolicy {} is still there", self.target.policy_name()))
                .into_iter()
                .collect());
        }
        let object = client.get(&self.target.path()).await?;
        let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
        if replicas == self.replicas {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "{} has {replicas} replicas; the drill found it with {}",
            self.target, self.replicas
        )])
    }
}
