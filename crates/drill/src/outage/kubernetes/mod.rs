//! An outage of a workload of a Kubernetes cluster: scaled to 0, its pods deleted, or cut off by a
//! network policy.
//!
//! Everything is looked at, and every permission asked for, before anything is broken. What is changed
//! is one object: the workload's scale, its pods, or a policy that the drill makes.

pub mod access;
pub mod client;
pub mod kubeconfig;
pub mod permission;
pub mod pods;
pub mod workload;

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::access::Access;
use self::client::{CallError, Client};
use self::workload::{DRILLABLE, OF_A_DRILL, Target, Workload};
use super::{Hindrance, Outage, Prepared, Restore, Surroundings, WayUp, needed};
use crate::options::{Options, OutageKind};
use crate::plan::Journal;

/// Beyond the time that pods may take to end: for the controllers, and for the database's clients.
const EFFECT_MARGIN: Duration = Duration::from_secs(30);

/// Pods are waited for so long at most, seconds.
const GRACE_MAX_S: u64 = 600;

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

/// `--outage kubernetes`.
#[derive(Debug)]
pub struct KubernetesOutage {
    target: Target,
    method: Method,
    access: Access,
    found: Option<Workload>,
}

impl KubernetesOutage {
    /// As the options say.
    ///
    /// # Errors
    /// A flag is missing or wrong, or no cluster is known.
    pub fn new(options: &Options) -> Result<KubernetesOutage, Hindrance> {
        let kind = OutageKind::Kubernetes;
        let workload = needed(&options.workload, "--workload deployment/NAME", kind)?;
        let method = match options.method.as_deref().unwrap_or("scale") {
            "scale" => Method::Scale,
            "delete-pods" => Method::DeletePods,
            "network-policy" => Method::NetworkPolicy,
            other => {
                return Err(Hindrance::Refused(format!(
                    "--method {other}: kubernetes takes scale, delete-pods or network-policy"
                )));
            }
        };
        let refused = |error: anyhow::Error| Hindrance::Refused(format!("{error:#}"));
        let access = Access::find().map_err(refused)?;
        let namespace = match &options.namespace {
            Some(namespace) => namespace.clone(),
            None => access.namespace().map_err(refused)?.unwrap_or_else(|| "default".to_owned()),
        };
        let target = Target::parse(&namespace, workload).map_err(Hindrance::Refused)?;
        Ok(KubernetesOutage { target, method, access, found: None })
    }

    fn refused(&self, words: &str) -> Hindrance {
        Hindrance::Refused(format!("{}: {words}", self.target))
    }

    /// A call's failure before anything is broken.
    fn hindered(&self, error: &CallError) -> Hindrance {
        match error.is_transient() {
            true => Hindrance::CouldNotTell(error.to_string()),
            false => self.refused(&error.to_string()),
        }
    }

    /// Refused where a permission is missing: all that are, at once.
    async fn allowed(&self, client: &Client) -> Result<(), Hindrance> {
        let needed = permission::needed(&self.target, self.method);
        let asked = permission::missing(client, &self.target.namespace, &needed).await;
        let missing = asked.map_err(|error| self.hindered(&error))?;
        if missing.is_empty() {
            return Ok(());
        }
        Err(self.refused(&format!(
            "not allowed to {} in namespace {}: bind the role of deploy/kubernetes/drill-role.yaml",
            missing.join(", "),
            self.target.namespace
        )))
    }

    async fn examine(&self, client: &Client) -> Result<Workload, Hindrance> {
        let object =
            client.get(&self.target.path()).await.map_err(|error| match error.is_absent() {
                true => self.refused("is not there: look at --namespace and --workload"),
                false => self.hindered(&error),
            })?;
        let found = workload::examine(&self.target, &object).map_err(Hindrance::Refused)?;
        let autoscalers = client
            .get(&self.target.autoscalers_path())
            .await
            .map_err(|error| self.hindered(&error))?;
        if let Some(name) = workload::autoscaler(&self.target, &autoscalers) {
            return Err(self.refused(&format!(
                "is scaled by the HorizontalPodAutoscaler {name}, which would undo what the drill does: take that away first"
            )));
        }
        if self.method == Method::NetworkPolicy {
            let path = format!("{}/{}", self.target.policies_path(), self.target.policy_name());
            match client.get(&path).await {
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(self.hindered(&error)),
                Ok(_) => {
                    return Err(self.refused(&format!(
                        "the NetworkPolicy {} is there already: another drill may be under way; else run `focus drill recover` where it ran, or delete it",
                        self.target.policy_name()
                    )));
                }
            }
        }
        Ok(found)
    }

    fn blast_radius(&self, found: &Workload) -> Vec<String> {
        let Workload { replicas, ready, .. } = found;
        let pods = format!("{} with {replicas} replicas, {ready} of them ready", self.target);
        let words = match self.method {
            Method::Scale => format!("{pods}, is scaled to 0; then back to {replicas}"),
            Method::DeletePods => {
                format!("{pods}: its pods are deleted over and over until the outage ends")
            }
            Method::NetworkPolicy => {
                format!(
                    "{pods}: the NetworkPolicy {} keeps everything from its pods, each other included; then it is removed",
                    self.target.policy_name()
                )
            }
        };
        let mut lines = vec![words, self.access.describe()];
        if !found.marked {
            lines.push(format!("not marked as drillable: annotate it with {DRILLABLE}: \"true\""));
        }
        lines
    }
}

#[async_trait]
impl Outage for KubernetesOutage {
    fn describe(&self) -> String {
        match self.method {
            Method::Scale => format!("{} is scaled to 0", self.target),
            Method::DeletePods => format!("the pods of {} are deleted", self.target),
            Method::NetworkPolicy => format!("{} is cut off by a NetworkPolicy", self.target),
        }
    }

    async fn prepare(&mut self) -> Result<Prepared, Hindrance> {
        let client = self.access.client().await.map_err(|error| {
            Hindrance::Refused(format!("{} cannot be called: {error:#}", self.access.describe()))
        })?;
        self.allowed(&client).await?;
        let found = self.examine(&client).await?;
        let restore = KubernetesUp {
            access: self.access.clone(),
            target: self.target.clone(),
            uid: found.uid.clone(),
            method: self.method,
            replicas: found.replicas,
        };
        let prepared = Prepared {
            blast_radius: self.blast_radius(&found),
            marked: found.marked,
            restore: Restore::Kubernetes(restore),
        };
        self.found = Some(found);
        Ok(prepared)
    }

    async fn down(&self, journal: &Journal) -> anyhow::Result<()> {
        let found = self.found.as_ref().context("the outage was not prepared")?;
        let client = self.access.client().await?;
        match self.method {
            Method::Scale => scale(&client, &self.target, &found.uid, found.replicas, 0).await,
            Method::DeletePods => {
                pods::delete_until_released(client, &self.target, found, journal.folder()).await
            }
            Method::NetworkPolicy => {
                let policy = self.target.policy(found);
                client.create(&self.target.policies_path(), &policy).await?;
                Ok(())
            }
        }
    }

    fn effect_within(&self) -> Duration {
        // A policy has no pods to wait for: without anybody to enforce it, nothing will come.
        let grace_s = match (&self.found, self.method) {
            (Some(found), Method::Scale) if found.ordered => {
                found.grace_s.saturating_mul(found.replicas)
            }
            (Some(found), Method::Scale | Method::DeletePods) => found.grace_s,
            _ => 0,
        };
        Duration::from_secs(grace_s.min(GRACE_MAX_S)).saturating_add(EFFECT_MARGIN)
    }
}

/// How the workload comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesUp {
    access: Access,
    target: Target,
    /// The workload's own id.
    uid: String,
    method: Method,
    /// Replicas that it was found with.
    replicas: u64,
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

    /// The drill's policy, where it is there. One of that name that is not a drill's is left alone.
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
            Method::DeletePods => pods::release(surroundings.folder).await,
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

/// Scales from one number of replicas to another. Where it has neither, somebody else has changed it
/// meanwhile, and theirs counts.
async fn scale(
    client: &Client,
    target: &Target,
    uid: &str,
    from: u64,
    to: u64,
) -> anyhow::Result<()> {
    let path = format!("{}/scale", target.path());
    for _ in 0..5 {
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
