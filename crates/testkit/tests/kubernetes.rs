//! The control plane and the node that the Kubernetes tests stand on.

use std::time::Duration;

use focus_testkit::kubernetes::node::{DATABASE_IMAGE, Node};
use focus_testkit::kubernetes::{ControlPlane, left_out};
use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/database";

async fn ready(plane: &ControlPlane, wanted: u64) {
    until("the deployment's pods", LIMIT, || async {
        let deployment = plane.api().get(DEPLOYMENT).await?;
        let status = &deployment["status"];
        let count = |name: &str| status[name].as_u64().unwrap_or(0);
        if count("readyReplicas") == wanted && count("replicas") == wanted {
            return Ok(());
        }
        Err(status.to_string())
    })
    .await;
}

async fn answers(uri: &str) -> Result<(), String> {
    let address = uri.trim_start_matches("mongodb://").split('/').next().unwrap_or_default();
    tokio::net::TcpStream::connect(address).await.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_a_deployment_takes_a_real_process_away_and_brings_it_back() {
    if left_out("scaling_a_deployment_takes_a_real_process_away_and_brings_it_back") {
        return;
    }
    let mut plane = ControlPlane::start().await;
    let server = MongoServer::prepare();
    let uri = server.uri();
    let node = Node::start(&plane, vec![server], None).await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "database"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "database"}},
            "template": {
                "metadata": {"labels": {"app": "database"}},
                "spec": {"containers": [{"name": "database", "image": DATABASE_IMAGE}]},
            },
        },
    });
    let collection = "/apis/apps/v1/namespaces/default/deployments";
    plane.api().create(collection, &deployment).await.expect("a deployment");
    ready(&plane, 1).await;
    answers(&uri).await.expect("the database runs");

    let scale = |replicas: u64| json!({"spec": {"replicas": replicas}});
    plane.api().patch(&format!("{DEPLOYMENT}/scale"), &scale(0)).await.expect("scaled");
    ready(&plane, 0).await;
    until("the pod's object goes", LIMIT, || async {
        let pods = plane.api().get("/api/v1/namespaces/default/pods").await?;
        match pods["items"].as_array().map(Vec::len) {
            Some(0) => Ok(()),
            _ => Err(pods["items"].to_string()),
        }
    })
    .await;
    assert_eq!(node.running(), 0);
    answers(&uri).await.expect_err("the database is gone");

    // What the API server stored outlives it, and the controllers go on with it.
    plane.restart_server().await;
    plane.api().patch(&format!("{DEPLOYMENT}/scale"), &scale(1)).await.expect("scaled");
    ready(&plane, 1).await;
    answers(&uri).await.expect("the database is back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_do_what_a_role_says_and_nothing_else() {
    if left_out("a_user_may_do_what_a_role_says_and_nothing_else") {
        return;
    }
    let plane = ControlPlane::start().await;
    let user = plane.user();
    let pods = "/api/v1/namespaces/default/pods";
    let refused = user.get(pods).await.expect_err("no right to it");
    assert!(refused.contains("403"), "{refused}");
    let role = json!({
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
    });
    let binding = json!({
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "user", "apiGroup": "rbac.authorization.k8s.io"}],
    });
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    plane.api().create(&format!("{rbac}/roles"), &role).await.expect("a role");
    plane.api().create(&format!("{rbac}/rolebindings"), &binding).await.expect("a binding");
    until("the role counts", LIMIT, || user.get(pods)).await;
    let refused = user.create(pods, &Value::Null).await.expect_err("no right to make one");
    assert!(refused.contains("403"), "{refused}");
}
