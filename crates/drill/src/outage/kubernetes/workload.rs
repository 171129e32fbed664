//! The workload that runs the database: what it is, and whether it may be taken away.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The annotation with which somebody says that a workload may be drilled.
pub const DRILLABLE: &str = "focus-server.io/drillable";

/// The label of objects that a drill creates.
pub const OF_A_DRILL: &str = "focus-server.io/drill";

/// A kind of workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
}

impl Kind {
    /// The kind as objects name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Deployment => "Deployment",
            Kind::StatefulSet => "StatefulSet",
        }
    }

    /// The kind as paths of the API and roles name it.
    pub fn resource(self) -> &'static str {
        match self {
            Kind::Deployment => "deployments",
            Kind::StatefulSet => "statefulsets",
        }
    }
}

/// A workload's place in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

impl Target {
    /// Reads `deployment/NAME` or `statefulset/NAME`.
    ///
    /// # Errors
    /// The text is neither, or no object can have that name.
    pub fn parse(namespace: &str, workload: &str) -> Result<Target, String> {
        let (kind, name) = workload.split_once('/').unwrap_or(("", workload));
        let kind = match kind {
            "deployment" => Kind::Deployment,
            "statefulset" => Kind::StatefulSet,
            _ => {
                return Err(format!(
                    "--workload {workload:?}: give deployment/NAME or statefulset/NAME"
                ));
            }
        };
        for (flag, word) in [("--workload", name), ("--namespace", namespace)] {
            // These become parts of paths.
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            if word.is_empty() || word.len() > 253 || !word.chars().all(good) {
                return Err(format!("{flag}: {word:?} is no name of an object"));
            }
            if word.starts_with('.') {
                return Err(format!("{flag}: {word:?} is no name of an object"));
            }
        }
        Ok(Target { namespace: namespace.to_owned(), kind, name: name.to_owned() })
    }

    /// The path of the object.
    pub fn path(&self) -> String {
        let resource = self.kind.resource();
        format!("/apis/apps/v1/namespaces/{}/{resource}/{}", self.namespace, self.name)
    }

    /// The path of the namespace's pods.
    pub fn pods_path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.namespace)
    }

    /// The path of the namespace's network policies.
    pub fn policies_path(&self) -> String {
        format!("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies", self.namespace)
    }

    /// The path of the namespace's autoscalers.
    pub fn autoscalers_path(&self) -> String {
        format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers", self.namespace)
    }

    /// The name of the drill's network policy: one per workload, so that a second drill meets it.
    pub fn policy_name(&self) -> String {
        let name: String = self.name.chars().take(200).collect();
        format!("focus-drill-{}-{}", self.kind.resource(), name.trim_end_matches(['-', '.']))
    }

    /// A policy under which nothing reaches the workload's pods.
    pub fn policy(&self, workload: &Workload) -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": self.policy_name(), "labels": {OF_A_DRILL: "true"}},
            "spec": {"podSelector": workload.selector, "policyTypes": ["Ingress"], "ingress": []},
        })
    }
}

/// A workload as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The object's own id: another object of the same name has another.
    pub uid: String,
    /// Replicas that it asks for.
    pub replicas: u64,
    /// Replicas that are ready.
    pub ready: u64,
    /// The selector of its pods.
    pub selector: Value,
    /// Seconds that its pods may take to end.
    pub grace_s: u64,
    /// Whether its pods end one after another when it is scaled down.
    pub ordered: bool,
    /// Whether it says that it may be drilled.
    pub marked: bool,
}

/// Reads a workload.
///
/// # Errors
/// Another system controls the workload, or it cannot be taken away: why, and what to do.
pub fn examine(target: &Target, object: &Value) -> Result<Workload, String> {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    if let Some(owner) = meta["ownerReferences"].as_array().and_then(|owners| owners.first()) {
        return Err(format!(
            "{target} is owned by {} {}, which would undo what the drill does: drill by --outage command, in its own terms",
            word(&owner["kind"]),
            word(&owner["name"])
        ));
    }
    let managers = [
        &meta["labels"]["app.kubernetes.io/managed-by"],
        &meta["annotations"]["app.kubernetes.io/managed-by"],
    ];
    if let Some(manager) = managers
        .iter()
        .filter_map(|value| value.as_str())
        .find(|manager| manager.to_ascii_lowercase().contains("operator"))
    {
        return Err(format!(
            "{target} is managed by {manager}, which would undo what the drill does: drill by --outage command, in its own terms"
        ));
    }
    if meta["deletionTimestamp"].is_string() {
        return Err(format!("{target} is being deleted"));
    }
    let replicas = spec["replicas"].as_u64().unwrap_or(1);
    if replicas == 0 {
        return Err(format!(
            "{target} has 0 replicas already: scale it up first, or run `focus drill recover` if a drill left it so"
        ));
    }
    let selector = spec["selector"].clone();
    let empty = |field: &str| match &selector[field] {
        Value::Object(labels) => labels.is_empty(),
        Value::Array(rules) => rules.is_empty(),
        _ => true,
    };
    if empty("matchLabels") && empty("matchExpressions") {
        return Err(format!("{target} selects no pods of its own"));
    }
    Ok(Workload {
        uid: word(&meta["uid"]).to_owned(),
        replicas,
        ready: object["status"]["readyReplicas"].as_u64().unwrap_or(0),
        selector,
        grace_s: spec["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30),
        ordered: target.kind == Kind::StatefulSet && spec["podManagementPolicy"] != "Parallel",
        marked: meta["annotations"][DRILLABLE] == "true",
    })
}

/// The autoscaler that would undo a scale, if there is one.
pub fn autoscaler<'a>(target: &Target, autoscalers: &'a Value) -> Option<&'a str> {
    let items = autoscalers["items"].as_array().into_iter().flatten();
    items
        .filter(|item| {
            let of = &item["spec"]["scaleTargetRef"];
            let group = word(&of["apiVersion"]);
            of["kind"] == target.kind.name()
                && of["name"] == *target.name
                && (group.is_empty() || group.starts_with("apps/"))
        })
        .map(|item| word(&item["metadata"]["name"]))
        .next()
}

/// A selector as a query's `labelSelector`, percent-encoded.
pub fn query(selector: &Value) -> String {
    let mut terms: Vec<String> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        terms.push(format!("{key}={}", word(value)));
    }
    for rule in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = word(&rule["key"]);
        let values: Vec<&str> =
            rule["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        terms.push(match word(&rule["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    focus_common::client::escape(&terms.join(","))
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::parse("data", "statefulset/db").expect("a target")
    }

    fn object() -> Value {
        json!({
            "metadata": {"uid": "u1", "annotations": {DRILLABLE: "true"}},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "db"}},
                "template": {"spec": {"terminationGracePeriodSeconds": 5}},
            },
            "status": {"readyReplicas": 2},
        })
    }

    #[test]
    fn a_workload_of_nobody_else_is_taken() {
        let found = examine(&target(), &object()).expect("taken");
        assert_eq!((found.replicas, found.ready, found.grace_s), (3, 2, 5));
        assert!(found.ordered);
        assert!(found.marked);
        let mut plain = object();
        plain["metadata"]["annotations"] = Value::Null;
        plain["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
        assert!(!examine(&target(), &plain).expect("taken").marked);
    }

    #[test]
    fn a_workload_that_another_controls_or_that_is_not_up_is_refused() {
        let changes = [
            (
                "/metadata/ownerReferences",
                json!([{"kind": "Database", "name": "main"}]),
                "Database main",
            ),
            (
                "/metadata/labels",
                json!({"app.kubernetes.io/managed-by": "db-Operator"}),
                "db-Operator",
            ),
            ("/metadata/deletionTimestamp", json!("2024-01-01T00:00:00Z"), "deleted"),
            ("/spec/replicas", json!(0), "0 replicas"),
            ("/spec/selector", json!({}), "selects no pods"),
        ];
        for (place, value, words) in changes {
            let mut changed = object();
            let (parent, field) = place.rsplit_once('/').expect("a place");
            changed.pointer_mut(parent).expect("a parent")[field] = value;
            let refused = examine(&target(), &changed).expect_err(place);
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn an_autoscaler_counts_only_where_it_scales_this_very_workload() {
        let of = |kind: &str, name: &str| {
            json!({"items": [{
                "metadata": {"name": "scaler"},
                "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}},
            }]})
        };
        assert_eq!(autoscaler(&target(), &of("StatefulSet", "db")), Some("scaler"));
        assert_eq!(autoscaler(&target(), &of("Deployment", "db")), None);
        assert_eq!(autoscaler(&target(), &of("StatefulSet", "web")), None);
        assert_eq!(autoscaler(&target(), &json!({"items": null})), None);
    }

    #[test]
    fn names_that_would_leave_their_place_in_a_path_are_refused() {
        for workload in ["db", "daemonset/db", "deployment/", "deployment/a/b", "deployment/../x"] {
            assert!(Target::parse("data", workload).is_err(), "{workload}");
        }
        for namespace in ["", "..", "a/b", "a?b", "A"] {
            assert!(Target::parse(namespace, "deployment/db").is_err(), "{namespace}");
        }
    }

    #[test]
    fn a_selector_becomes_a_query_with_every_kind_of_rule() {
        let selector = json!({
            "matchLabels": {"app.kubernetes.io/name": "db"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(
            query(&selector),
            "app.kubernetes.io%2Fname%3Ddb%2Ctier%20in%20%28a%2Cb%29%2C%21old"
        );
    }
}
