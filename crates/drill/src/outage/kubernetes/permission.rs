//! What a drill has to be allowed to do, and whether it is: asked before anything is broken.

use serde_json::json;

use super::client::{CallError, Client};
use super::method::Method;
use super::workload::Target;

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    /// The object's name; none where it is for every object.
    name: Option<String>,
}

impl Permission {
    fn new(verb: &'static str, group: &'static str, resource: &'static str) -> Permission {
        Permission { verb, group, resource, subresource: "", name: None }
    }

    fn of(self, name: &str) -> Permission {
        Permission { name: Some(name.to_owned()), ..self }
    }

    fn at(self, subresource: &'static str) -> Permission {
        Permission { subresource, ..self }
    }

    /// The permission in words: `patch deployments/scale`.
    fn words(&self) -> String {
        let mut words = format!("{} {}", self.verb, self.resource);
        if !self.subresource.is_empty() {
            words = format!("{words}/{}", self.subresource);
        }
        if !self.group.is_empty() {
            words = format!("{words}.{}", self.group);
        }
        words
    }
}

/// The permissions that a drill by this method needs: for the way down, the way up, and the looks before and
/// after.
pub fn needed(target: &Target, method: Method) -> Vec<Permission> {
    let kind = target.kind.resource();
    let mut needed = vec![
        Permission::new("get", "apps", kind).of(&target.name),
        Permission::new("list", "autoscaling", "horizontalpodautoscalers"),
    ];
    match method {
        Method::Scale => {
            for verb in ["get", "patch"] {
                needed.push(Permission::new(verb, "apps", kind).of(&target.name).at("scale"));
            }
        }
        Method::DeletePods => {
            for verb in ["list", "delete"] {
                needed.push(Permission::new(verb, "", "pods"));
            }
        }
        Method::NetworkPolicy => {
            let policy = |verb| Permission::new(verb, "networking.k8s.io", "networkpolicies");
            needed.push(policy("create"));
            for verb in ["get", "delete"] {
                needed.push(policy(verb).of(&target.policy_name()));
            }
        }
    }
    needed
}

/// The permissions that are missing, in words.
///
/// # Errors
/// The API server does not answer, or does not tell.
pub async fn missing(
    client: &Client,
    namespace: &str,
    needed: &[Permission],
) -> Result<Vec<String>, CallError> {
    let mut missing = Vec::new();
    for permission in needed {
        let question = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace,
                "verb": permission.verb,
                "group": permission.group,
                "resource": permission.resource,
                "subresource": permission.subresource,
                "name": permission.name.as_deref().unwrap_or_default(),
            }},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = client.create(path, &question).await?;
        if answer["status"]["allowed"] != true {
            missing.push(permission.words());
        }
    }
    Ok(missing)
}
