//! An outage of a container of Docker or Podman, by the engine's API over its socket: stopped, and
//! started again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use focus_common::http::exchange;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::UnixStream;

use super::contract::{Hindrance, Outage, Prepared, Surroundings, WayUp, needed};
use crate::scenario::options::Options;
use crate::scenario::outage_kind::OutageKind;
use crate::state::journal::Journal;

/// A container that does not end by itself is killed after this many seconds. A recovery looks for longer, so
/// that it does not overlook a stop under way.
const GRACE_S: u64 = 5;

/// The engine has to answer within this. A stop takes its grace, and a start takes as long as the container.
const LIMIT: Duration = Duration::from_secs(30);

/// Bytes of an answer at most.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

/// The label that says that a container may be drilled.
const MARK: &str = "focus-server.io/drillable";

/// Labels of systems that would bring the container back, or put another in its place.
const OWNERS: [(&str, &str); 2] = [
    ("io.kubernetes.pod.name", "Kubernetes: use --outage kubernetes"),
    ("com.docker.swarm.service.id", "Docker Swarm: scale its service with --outage command"),
];

/// `--outage docker`.
#[derive(Debug)]
pub struct DockerOutage {
    name: String,
    socket: Option<PathBuf>,
    target: Option<Container>,
}

impl DockerOutage {
    /// The outage that these options describe. Nothing is looked at yet.
    ///
    /// # Errors
    /// A flag is missing or wrong.
    pub fn new(options: &Options) -> Result<DockerOutage, Hindrance> {
        let name = needed(&options.container, "--container NAME", OutageKind::Docker)?;
        if !is_name(name) {
            return Err(Hindrance::Refused(format!("--container {name:?} is no container's name")));
        }
        if let Some(method) = options.method.as_deref().filter(|method| *method != "stop") {
            return Err(Hindrance::Refused(format!("--method {method}: a container takes stop")));
        }
        let socket = options.socket.clone();
        Ok(DockerOutage { name: name.to_owned(), socket, target: None })
    }
}

/// A name or an id as engines have them; nothing else goes into a path of their API.
fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(good)
}

/// Where engines listen, the first that is there: Docker's, else Podman's.
fn usual_socket() -> Option<PathBuf> {
    let named = ["DOCKER_HOST", "CONTAINER_HOST"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        value.strip_prefix("unix://").map(PathBuf::from)
    });
    let of_user = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let of_user = of_user
        .into_iter()
        .flat_map(|dir| [dir.join("docker.sock"), dir.join("podman/podman.sock")]);
    let of_all = ["/var/run/docker.sock", "/run/podman/podman.sock"].map(PathBuf::from);
    named.or_else(|| of_all.into_iter().chain(of_user).find(|path| path.exists()))
}

/// A container, by the engine's own id: a name may be another's by the time it is started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The socket of the engine's API.
    pub socket: PathBuf,
    /// Its id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

/// An answer of an engine.
struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    /// The engine's words.
    fn words(&self) -> String {
        let message = self.body["message"].as_str().unwrap_or("no words");
        format!("{} ({message})", self.status)
    }
}

/// One request to an engine, over a connection of its own.
async fn ask(socket: &Path, method: Method, path: String) -> anyhow::Result<Answer> {
    let work = async {
        let stream = UnixStream::connect(socket).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Full::<Bytes>::default())?;
        let (status, body) = exchange(stream, request, ANSWER_MAX).await?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        anyhow::Ok(Answer { status, body })
    };
    tokio::time::timeout(LIMIT, work)
        .await
        .with_context(|| format!("no answer within {} s", LIMIT.as_secs()))?
}

impl Container {
    async fn ask(&self, method: Method, what: &str) -> anyhow::Result<Answer> {
        ask(&self.socket, method, format!("/containers/{}/{what}", self.id))
            .await
            .with_context(|| format!("the engine at {}", self.socket.display()))
    }

    async fn order(&self, what: &str) -> anyhow::Result<()> {
        let answer = self.ask(Method::POST, what).await?;
        // Done, or it was so already.
        let done = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::OK];
        anyhow::ensure!(
            done.contains(&answer.status),
            "the engine does not {} the container {}: {}",
            what.split('?').next().unwrap_or_default(),
            self.name,
            answer.words()
        );
        Ok(())
    }
}

/// Why a container cannot be drilled; none where it can. `own` is the drill's cgroup.
fn hindrance(name: &str, found: &Value, own: &str) -> Option<String> {
    let state = &found["State"];
    let labels = &found["Config"]["Labels"];
    let id = found["Id"].as_str().unwrap_or_default();
    let owner = OWNERS.iter().find(|(label, _)| labels[label].is_string());
    if state["Running"] != true {
        let status = state["Status"].as_str().unwrap_or("not running");
        return Some(format!("the container {name} does not run ({status}): start it first"));
    }
    if state["Paused"] == true || state["Restarting"] == true {
        let status = state["Status"].as_str().unwrap_or("paused");
        return Some(format!("the container {name} is {status}: bring it in order first"));
    }
    if let Some((_, by)) = owner {
        return Some(format!("the container {name} belongs to {by}"));
    }
    if found["HostConfig"]["AutoRemove"] == true {
        return Some(format!(
            "the container {name} is removed when it stops (--rm), and could not be started again"
        ));
    }
    if !id.is_empty() && own.contains(id) {
        return Some(format!("the container {name} is the one in which this drill runs"));
    }
    None
}

#[async_trait]
impl Outage for DockerOutage {
    type Up = Container;

    fn describe(&self) -> String {
        format!("the container {} is stopped", self.name)
    }

    async fn prepare(&mut self) -> Result<Prepared<Container>, Hindrance> {
        let Some(socket) = self.socket.clone().or_else(usual_socket) else {
            return Err(Hindrance::CouldNotTell(
                "no socket of Docker or Podman is there: name it with --socket FILE".to_owned(),
            ));
        };
        let found = ask(&socket, Method::GET, format!("/containers/{}/json", self.name)).await;
        let found = found.map_err(|error| {
            Hindrance::CouldNotTell(format!(
                "the engine at {} does not answer: {error:#}. Is it running, and may this user speak to it?",
                socket.display()
            ))
        })?;
        match found.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(Hindrance::Refused(format!(
                    "the engine at {} has no container {:?}",
                    socket.display(),
                    self.name
                )));
            }
            _ => return Err(Hindrance::CouldNotTell(format!("the engine: {}", found.words()))),
        }
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        if let Some(words) = hindrance(&self.name, &found.body, &own) {
            return Err(Hindrance::Refused(words));
        }
        let Some(id) = found.body["Id"].as_str().filter(|id| is_name(id)) else {
            return Err(Hindrance::CouldNotTell("the engine names no id".to_owned()));
        };
        let target = Container { socket, id: id.to_owned(), name: self.name.clone() };
        self.target = Some(target.clone());
        Ok(Prepared {
            blast_radius: vec![
                format!("{}: {GRACE_S} s to end by itself, then it is killed", self.describe()),
                format!("started again by its id, {}", id.get(..12).unwrap_or(id)),
            ],
            marked: found.body["Config"]["Labels"][MARK] == "true",
            way_up: target,
        })
    }

    async fn down(&self, _journal: &Journal) -> anyhow::Result<()> {
        let target = self.target.as_ref().context("the outage was not prepared")?;
        target.order(&format!("stop?t={GRACE_S}")).await
    }
}

#[async_trait]
impl WayUp for Container {
    fn describe(&self) -> String {
        format!("the container {} is started", self.name)
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn up(&self, _surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
        self.order("start").await
    }

    async fn left_behind(&self) -> anyhow::Result<Vec<String>> {
        let found = self.ask(Method::GET, "json").await?;
        let runs = found.body["State"]["Running"] == true;
        Ok(if runs { Vec::new() } else { vec![format!("the container {} is down", self.name)] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container() -> Value {
        json!({
            "Id": "0123456789abcdef",
            "State": { "Running": true, "Paused": false, "Restarting": false, "Status": "running" },
            "HostConfig": { "AutoRemove": false },
            "Config": { "Labels": {} },
        })
    }

    #[test]
    fn a_container_that_could_not_be_brought_back_as_it_was_is_refused() {
        assert_eq!(hindrance("db", &container(), ""), None);
        for (pointer, value, words) in [
            ("/State/Running", json!(false), "does not run"),
            ("/State/Paused", json!(true), "bring it in order"),
            ("/HostConfig/AutoRemove", json!(true), "--rm"),
            ("/Config/Labels", json!({ "io.kubernetes.pod.name": "x" }), "--outage kubernetes"),
            ("/Config/Labels", json!({ "com.docker.swarm.service.id": "x" }), "Swarm"),
        ] {
            let mut found = container();
            *found.pointer_mut(pointer).expect("a field") = value;
            let refused = hindrance("db", &found, "").unwrap_or_default();
            assert!(refused.contains(words), "{pointer}: {refused}");
        }
        let own = "0::/system.slice/docker-0123456789abcdef.scope\n";
        assert!(hindrance("db", &container(), own).is_some());
    }

    #[test]
    fn nothing_but_a_name_goes_into_a_path() {
        for good in ["db", "my-db_1.x", "0123456789abcdef"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a/b", "a?b", "../x", "-x", "a b", "ä"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
