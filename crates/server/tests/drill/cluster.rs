//! A deployment in a cluster: a real control plane, a workload whose pods are database servers, a
//! server, and a drill from outside or as a job.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use focus_testkit::focus::Focus;
use focus_testkit::kubernetes::node::{DATABASE_IMAGE, Node, PodProgram};
use focus_testkit::kubernetes::{ControlPlane, USER_NAME};
use focus_testkit::mongo::MongoServer;
use focus_testkit::tree::{Tree, Writing};
use focus_testkit::wait::until;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::drill_process::{BINARY, DrillFiles, Ended, Said, finished};
use crate::scene::LIMIT;

/// What the workload is called in the manifests' roles.
pub(crate) const NAME: &str = "mongodb";

/// Replicas of the workload: more than one, so that a restored count says something.
pub(crate) const REPLICAS: u64 = 2;

/// Recordings that are there before.
const BASELINE: usize = 3;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";

/// The site that is drilled. What stands on the control plane ends before it.
pub(crate) struct Cluster {
    pub(crate) focus: Focus,
    pub(crate) node: Node,
    pub(crate) plane: ControlPlane,
    pub(crate) resource: &'static str,
    uri: String,
    pub(crate) dir: TempDir,
}

impl Cluster {
    /// A site in step; its database is a workload of this kind (`deployments`, `statefulsets`), marked as
    /// drillable.
    pub(crate) async fn begin(resource: &'static str) -> Cluster {
        let dir = TempDir::new().expect("a folder");
        let root = dir.path().join("root");
        std::fs::create_dir(&root).expect("a root");
        let plane = ControlPlane::start().await;
        let servers: Vec<MongoServer> = (0..REPLICAS).map(|_| MongoServer::prepare()).collect();
        let uri = servers.first().expect("a server").uri();
        let program = PodProgram {
            program: BINARY.into(),
            account_variable: "FOCUS_SERVICE_ACCOUNT_DIR".to_owned(),
        };
        let node = Node::start(&plane, servers, Some(program)).await;
        let args = ["--settle-ms", "200", "--mongodb-uri", &uri];
        let focus = Focus::new(BINARY, &root, &dir.path().join("state"), &args);
        assert!(focus.run(&["init"]).status.success());
        let mut cluster = Cluster { focus, node, plane, resource, uri, dir };
        cluster.make_workload().await;
        cluster.ready(REPLICAS).await;
        Tree::new(&root).add(BASELINE, Writing::Moved);
        cluster.focus.serve().await;
        cluster.focus.until_status("recordings", BASELINE, LIMIT).await;
        cluster.focus.until_status("pending", 0, LIMIT).await;
        cluster.focus.until_status("catalog_state", "in_step", LIMIT).await;
        cluster
    }

    async fn make_workload(&self) {
        let kind = if self.resource == "deployments" { "Deployment" } else { "StatefulSet" };
        let mut workload = json!({
            "apiVersion": "apps/v1", "kind": kind,
            "metadata": {
                "name": NAME,
                "annotations": {"focus-server.io/drillable": "true"},
            },
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": {"app": NAME}},
                "template": {
                    "metadata": {"labels": {"app": NAME}},
                    "spec": {
                        "terminationGracePeriodSeconds": 5,
                        "containers": [{"name": "database", "image": DATABASE_IMAGE}],
                    },
                },
            },
        });
        if kind == "StatefulSet" {
            workload["spec"]["serviceName"] = json!(NAME);
        }
        let path = format!("/apis/apps/v1/namespaces/default/{}", self.resource);
        self.plane.api().create(&path, &workload).await.expect("a workload");
    }

    /// The path of the workload.
    pub(crate) fn path(&self) -> String {
        format!("/apis/apps/v1/namespaces/default/{}/{NAME}", self.resource)
    }

    /// The workload as it is now.
    pub(crate) async fn workload(&self) -> Value {
        self.plane.api().get(&self.path()).await.expect("the workload")
    }

    /// The replicas that the workload is to have.
    pub(crate) async fn replicas(&self) -> Value {
        self.workload().await["spec"]["replicas"].clone()
    }

    /// Waits until so many pods are ready.
    pub(crate) async fn ready(&self, wanted: u64) {
        until("the workload's pods", LIMIT, || async {
            let workload = self.plane.api().get(&self.path()).await?;
            let ready = workload["status"]["readyReplicas"].as_u64().unwrap_or(0);
            if ready == wanted { Ok(()) } else { Err(workload["status"].to_string()) }
        })
        .await;
    }

    /// The role of the manifests for this method, for this kind of workload.
    pub(crate) fn role(&self, method: &str) -> String {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kubernetes/drill-role.yaml");
        let text = std::fs::read_to_string(file).expect("the manifest");
        let name = format!("name: focus-drill-{method}\n");
        let role = text.split("---\n").find(|part| part.contains(&name)).expect("a role");
        role.replace("statefulsets", self.resource)
    }

    /// Gives the user, and the service account `focus-drill`, the role of this method and nothing else.
    pub(crate) async fn grant(&self, method: &str) {
        let api = self.plane.api();
        api.create_yaml(&format!("{RBAC}/roles"), &self.role(method)).await.expect("a role");
        let binding = json!({
            "metadata": {"name": format!("focus-drill-{method}")},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                "name": format!("focus-drill-{method}"),
            },
            "subjects": [
                {"kind": "User", "name": USER_NAME, "apiGroup": "rbac.authorization.k8s.io"},
                {"kind": "ServiceAccount", "name": "focus-drill", "namespace": "default"},
            ],
        });
        api.create(&format!("{RBAC}/rolebindings"), &binding).await.expect("a binding");
        let right = json!({
            "namespace": "default", "verb": "list",
            "group": "autoscaling", "resource": "horizontalpodautoscalers",
        });
        self.until_user_may(&right, true).await;
    }

    /// The path of that role.
    pub(crate) fn role_path(method: &str) -> String {
        format!("{RBAC}/roles/focus-drill-{method}")
    }

    /// Waits until the API server says that the user may, or may not.
    pub(crate) async fn until_user_may(&self, right: &Value, wanted: bool) {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": right},
        });
        let user = self.plane.user();
        until("the role counts", LIMIT, || async {
            let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
            let answer = user.create(path, &review).await?;
            let may = answer["status"]["allowed"] == true;
            if may == wanted { Ok(()) } else { Err(format!("{right}: {may}")) }
        })
        .await;
    }

    /// The drill's files.
    pub(crate) fn files(&self) -> DrillFiles {
        DrillFiles::of(self.dir.path())
    }

    /// The drill's own state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.files().state
    }

    /// Flags of a drill of this site.
    pub(crate) fn flags(&self, method: &str) -> Vec<String> {
        let text = std::fs::read(self.dir.path().join("state/server.json")).expect("a server");
        let server: Value = serde_json::from_slice(&text).expect("JSON");
        let address = server["address"].as_str().expect("an address");
        let kind = self.resource.trim_end_matches('s');
        let flags = [
            ("--server", format!("http://{address}")),
            ("--root", self.dir.path().join("root").display().to_string()),
            ("--state-dir", self.state().display().to_string()),
            ("--mongodb-uri", self.uri.clone()),
            ("--outage", "kubernetes".to_owned()),
            ("--namespace", "default".to_owned()),
            ("--workload", format!("{kind}/{NAME}")),
            ("--method", method.to_owned()),
            ("--outage-for", "1s".to_owned()),
            ("--count", "2".to_owned()),
        ];
        let words = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        ["drill", "run", "--json"].map(str::to_owned).into_iter().chain(words).collect()
    }

    /// A drill as the user who has only the rights that were granted.
    pub(crate) fn drill(&self, method: &str, extra: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        let flags = self.flags(method);
        // Later flags of the same name are refused, so those in `extra` take the place.
        let mut pairs = flags.iter().skip(3);
        command.args(&flags[..3]);
        while let Some((flag, value)) = pairs.next().zip(pairs.next()) {
            if !extra.contains(&flag.as_str()) {
                command.args([flag, value]);
            }
        }
        command.args(extra).env("KUBECONFIG", self.plane.user_kubeconfig()).stdin(Stdio::null());
        command
    }

    /// Runs a drill to its end: its exit code and its report.
    pub(crate) async fn run(&self, method: &str, extra: &[&str]) -> Said {
        finished(self.drill(method, extra)).await
    }

    /// Starts a drill that stops at this place, and waits until it is there.
    pub(crate) async fn paused(&self, method: &str, place: &str) -> Ended {
        self.files().paused(self.drill(method, &[]), place).await
    }

    /// `focus drill recover`, as the user.
    pub(crate) fn recover(&self) -> Command {
        let mut command = self.files().recover();
        command.env("KUBECONFIG", self.plane.user_kubeconfig());
        command
    }

    /// The workload has its replicas, the database takes writes, and nothing of a drill is left in
    /// cluster, catalog or storage.
    pub(crate) async fn nothing_is_left(&self) {
        assert_eq!(self.replicas().await, REPLICAS);
        self.ready(REPLICAS).await;
        let policies = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
        let policies = self.plane.api().get(policies).await.expect("policies");
        assert_eq!(policies["items"], json!([]));
        let client = Client::with_uri_str(&self.uri).await.expect("a client");
        let documents = client.database("focus").collection::<Document>("node4");
        let count = documents.count_documents(doc! {}).await.expect("a count");
        assert_eq!(count, BASELINE as u64);
        let mark = client.database("focus").collection::<Document>("focus_meta");
        let mark = mark.find_one(doc! { "_id": "drill" }).await.expect("an answer");
        assert_eq!(mark, None);
        assert!(!self.state().join("drill/plan.json").exists());
        let root = std::fs::read_dir(self.dir.path().join("root")).expect("the root").flatten();
        let left: Vec<_> = root
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("focus-drill"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
