//! A node without a kubelet: it binds pods to itself, runs a process for each, reports how the
//! process ended, and confirms deletions.
//!
//! A pod whose image is `DATABASE_IMAGE` runs a database server. It takes one of the given servers,
//! as a pod takes its volume, and waits while none is free. Any other pod runs the command of its
//! first container as the given program, with the token of its service account in a folder of its
//! own.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::ControlPlane;
use super::api::Api;
use crate::mongo::MongoServer;

/// The image of pods that run a database server.
pub const DATABASE_IMAGE: &str = "focus.test/database";

/// Making a container takes a moment; before that nothing of a pod runs.
const MADE_AFTER: Duration = Duration::from_secs(1);

/// The node's name.
const NODE: &str = "node-1";

/// How often the node looks at its pods.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A program that pods of other images run, and where it finds its service account.
#[derive(Clone, Debug)]
pub struct PodProgram {
    /// The program.
    pub program: PathBuf,
    /// The setting that names the folder of the service account's token.
    pub account_variable: String,
}

/// The node; its processes are ended when it is dropped.
#[derive(Debug)]
pub struct Node {
    task: JoinHandle<()>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What pods printed, by their names.
    printed: HashMap<String, PathBuf>,
    /// How many pods run now.
    running: usize,
}

impl Node {
    /// A node with these database servers, none of which is started yet, and a program for pods of
    /// other images.
    ///
    /// # Panics
    /// The node cannot be made.
    pub async fn start(
        plane: &ControlPlane,
        servers: Vec<MongoServer>,
        command: Option<PodProgram>,
    ) -> Node {
        let api = plane.api().clone();
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
        api.create("/api/v1/nodes", &node).await.expect("a node");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let agent = Agent {
            api,
            port: plane.port(),
            authority: plane.authority(),
            command,
            servers: servers.into_iter().map(|server| Slot { server, taken: None }).collect(),
            running: HashMap::new(),
            bound: HashMap::new(),
            dir: TempDir::new().expect("a folder for the node"),
            shared: shared.clone(),
        };
        Node { task: tokio::spawn(agent.run()), shared }
    }

    /// What a pod has printed so far.
    pub fn printed(&self, pod: &str) -> String {
        let shared = lock(&self.shared);
        let file = shared.printed.get(pod);
        file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default()
    }

    /// How many pods run.
    pub fn running(&self) -> usize {
        lock(&self.shared).running
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Slot {
    server: MongoServer,
    /// The uid of the pod that has it.
    taken: Option<String>,
}

enum Process {
    Database(usize),
    Command { child: Child, _account: TempDir, ended: bool },
}

struct Agent {
    api: Api,
    port: u16,
    authority: PathBuf,
    command: Option<PodProgram>,
    servers: Vec<Slot>,
    /// By the pod's uid.
    running: HashMap<String, Process>,
    /// When a pod was bound, by its uid.
    bound: HashMap<String, Instant>,
    dir: TempDir,
    shared: Arc<Mutex<Shared>>,
}

impl Agent {
    async fn run(mut self) {
        loop {
            // Without an API server the node goes on with what it runs, as a kubelet does.
            if let Ok(list) = self.api.get("/api/v1/pods").await {
                let pods = list["items"].as_array().cloned().unwrap_or_default();
                self.forget_all_but(&pods);
                for pod in &pods {
                    if let Err(error) = self.attend(pod).await {
                        println!("node: {}: {error}", pod["metadata"]["name"]);
                    }
                }
            }
            lock(&self.shared).running = self.running.len();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends what runs for pods that are no more.
    fn forget_all_but(&mut self, pods: &[Value]) {
        let gone: Vec<String> = self
            .running
            .keys()
            .filter(|uid| !pods.iter().any(|pod| pod["metadata"]["uid"] == **uid))
            .cloned()
            .collect();
        for uid in gone {
            self.end(&uid);
        }
        let there = |uid: &String| pods.iter().any(|pod| pod["metadata"]["uid"] == *uid);
        self.bound.retain(|uid, _| there(uid));
    }

    async fn attend(&mut self, pod: &Value) -> Result<(), String> {
        let meta = &pod["metadata"];
        let uid = text(&meta["uid"]);
        let path = pod_path(pod);
        if meta["deletionTimestamp"].is_string() {
            self.end(&uid);
            return self.api.delete(&path).await.map(|_| ());
        }
        if pod["spec"]["nodeName"].is_null() {
            let binding = json!({
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]},
                "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
            });
            return self.api.create(&format!("{path}/binding"), &binding).await.map(|_| ());
        }
        let over = ["Succeeded", "Failed"].contains(&text(&pod["status"]["phase"]).as_str());
        if self.running.contains_key(&uid) {
            self.look_after(pod, &uid).await
        } else if over
            || self.bound.entry(uid.clone()).or_insert_with(Instant::now).elapsed() < MADE_AFTER
        {
            Ok(())
        } else if pod["spec"]["containers"][0]["image"] == DATABASE_IMAGE {
            self.start_database(pod, &uid).await
        } else {
            self.start_command(pod, &uid).await
        }
    }

    async fn start_database(&mut self, pod: &Value, uid: &str) -> Result<(), String> {
        let free = self.servers.iter_mut().enumerate().find(|(_, slot)| slot.taken.is_none());
        let Some((number, slot)) = free else { return Ok(()) };
        slot.taken = Some(uid.to_owned());
        slot.server.restart().await;
        self.running.insert(uid.to_owned(), Process::Database(number));
        self.report(pod, "Running", &json!({"running": {}})).await
    }

    async fn start_command(&mut self, pod: &Value, uid: &str) -> Result<(), String> {
        let Some(command) = self.command.clone() else { return Ok(()) };
        let account = self.account(pod).await?;
        let container = &pod["spec"]["containers"][0];
        let name = text(&pod["metadata"]["name"]);
        let printed = self.dir.path().join(format!("{name}.log"));
        let log = File::create(&printed).map_err(|error| error.to_string())?;
        let mut process = Command::new(&command.program);
        process
            .args(container["args"].as_array().into_iter().flatten().filter_map(Value::as_str))
            .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .env("KUBERNETES_SERVICE_PORT", self.port.to_string())
            .env(&command.account_variable, account.path())
            .env_remove("KUBECONFIG");
        for variable in container["env"].as_array().into_iter().flatten() {
            process.env(text(&variable["name"]), text(&variable["value"]));
        }
        let child = process
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        lock(&self.shared).printed.insert(name, printed);
        let process = Process::Command { child, _account: account, ended: false };
        self.running.insert(uid.to_owned(), process);
        self.report(pod, "Running", &json!({"running": {}})).await
    }

    /// A folder with what a kubelet mounts for a service account.
    async fn account(&self, pod: &Value) -> Result<TempDir, String> {
        let namespace = text(&pod["metadata"]["namespace"]);
        let name = text(&pod["spec"]["serviceAccountName"]);
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        });
        let answer = self.api.create(&path, &request).await?;
        let write = |dir: &Path| {
            std::fs::write(dir.join("token"), text(&answer["status"]["token"]))?;
            std::fs::write(dir.join("namespace"), &namespace)?;
            std::fs::copy(&self.authority, dir.join("ca.crt")).map(|_| ())
        };
        let dir = TempDir::new().map_err(|error| error.to_string())?;
        write(dir.path()).map_err(|error| error.to_string())?;
        Ok(dir)
    }

    /// Starts a database again that ended by itself, and reports a command that has ended.
    async fn look_after(&mut self, pod: &Value, uid: &str) -> Result<(), String> {
        match self.running.get_mut(uid) {
            Some(Process::Database(number)) => {
                if let Some(slot) = self.servers.get_mut(*number)
                    && !slot.server.runs()
                {
                    slot.server.restart().await;
                }
                Ok(())
            }
            Some(Process::Command { child, ended, .. }) if !*ended => {
                let Ok(Some(status)) = child.try_wait() else { return Ok(()) };
                let phase = if status.success() { "Succeeded" } else { "Failed" };
                let code = status.code().unwrap_or(137);
                let state = json!({"terminated": {"exitCode": code, "reason": "Completed"}});
                *ended = true;
                self.report(pod, phase, &state).await
            }
            _ => Ok(()),
        }
    }

    /// Ends a pod's process, in order, and waits for its end.
    fn end(&mut self, uid: &str) {
        match self.running.remove(uid) {
            Some(Process::Command { mut child, .. }) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Some(Process::Database(number)) => {
                if let Some(slot) = self.servers.get_mut(number) {
                    slot.server.kill();
                    slot.taken = None;
                }
            }
            None => {}
        }
    }

    async fn report(&self, pod: &Value, phase: &str, state: &Value) -> Result<(), String> {
        let running = phase == "Running";
        let container = &pod["spec"]["containers"][0];
        let is = |kind: &str, yes: bool| json!({"type": kind, "status": if yes { "True" } else { "False" }});
        let status = json!({"status": {
            "phase": phase,
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "conditions": [
                is("PodScheduled", true), is("Initialized", true),
                is("ContainersReady", running), is("Ready", running),
            ],
            "containerStatuses": [{
                "name": container["name"], "image": container["image"], "imageID": "",
                "ready": running, "started": running, "restartCount": 0, "state": state,
            }],
        }});
        self.api.patch(&format!("{}/status", pod_path(pod)), &status).await.map(|_| ())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let uids: Vec<String> = self.running.keys().cloned().collect();
        for uid in uids {
            self.end(&uid);
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pod_path(pod: &Value) -> String {
    let meta = &pod["metadata"];
    format!("/api/v1/namespaces/{}/pods/{}", text(&meta["namespace"]), text(&meta["name"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
