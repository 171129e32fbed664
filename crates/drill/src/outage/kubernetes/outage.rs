//! The way down of a workload: everything is looked at before anything is broken.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;

use super::access::Access;
use super::client::{CallError, Client};
use super::method::Method;
use super::scale::scale;
use super::way_up::KubernetesUp;
use super::workload::{DRILLABLE, Target, Workload};
use super::{permission, pods, workload};
use crate::outage::contract::{Hindrance, Outage, Prepared, needed};
use crate::scenario::options::Options;
use crate::scenario::outage_kind::OutageKind;
use crate::state::journal::Journal;

/// Time that is added to what pods may take to end: for the controllers, and for the database's clients.
const EFFECT_MARGIN: Duration = Duration::from_secs(30);

/// Pods are waited for at most this many seconds.
const GRACE_MAX_S: u64 = 600;

/// `--outage kubernetes`.
#[derive(Debug)]
pub struct KubernetesOutage {
    target: Target,
    method: Method,
    access: Access,
    found: Option<Workload>,
}

impl KubernetesOutage {
    /// The outage that these options describe. Nothing is looked at yet.
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

    /// The hindrance that follows from a failed call.
    fn hindered(&self, error: &CallError) -> Hindrance {
        match error.is_transient() {
            true => Hindrance::CouldNotTell(error.to_string()),
            false => self.refused(&error.to_string()),
        }
    }

    /// Checks the permissions; all that are missing are told at once.
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
    type Up = KubernetesUp;

    fn describe(&self) -> String {
        match self.method {
            Method::Scale => format!("{} is scaled to 0", self.target),
            Method::DeletePods => format!("the pods of {} are deleted", self.target),
            Method::NetworkPolicy => format!("{} is cut off by a NetworkPolicy", self.target),
        }
    }

    async fn prepare(&mut self) -> Result<Prepared<KubernetesUp>, Hindrance> {
        let client = self.access.client().await.map_err(|error| {
            Hindrance::Refused(format!("{} cannot be called: {error:#}", self.access.describe()))
        })?;
        self.allowed(&client).await?;
        let found = self.examine(&client).await?;
        let way_up = KubernetesUp {
            access: self.access.clone(),
            target: self.target.clone(),
            uid: found.uid.clone(),
            method: self.method,
            replicas: found.replicas,
        };
        let prepared =
            Prepared { blast_radius: self.blast_radius(&found), marked: found.marked, way_up };
        self.found = Some(found);
        Ok(prepared)
    }

    async fn down(&self, journal: &Journal) -> anyhow::Result<()> {
        let found = self.found.as_ref().context("the outage was not prepared")?;
        let client = self.access.client().await?;
        match self.method {
            Method::Scale => scale(&client, &self.target, &found.uid, found.replicas, 0).await,
            Method::DeletePods => {
                pods::delete_until_released(client, &self.target, found, journal).await
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
