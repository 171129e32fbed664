//! A deployment to be drilled: a database, a server in step with it, and the drill's command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::tree::{Tree, Writing};
use focus_testkit::wait::until;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use serde_json::Value;
use tempfile::TempDir;

use crate::drill_process::{BINARY, DrillFiles, Ended, Said, finished, silent};
use crate::node::{Keeper, Node};

/// The contract's hard limit for what an outage left.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How a drill takes the database away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Stop,
    Kill,
    Proxy(&'static str),
    Command,
    Systemd,
    Docker,
}

/// True where a test that ends its own database cannot run, and says so.
pub(crate) fn left_out(test: &str) -> bool {
    let only = std::env::var("FOCUS_TEST_EMBEDDED_ONLY").is_ok_and(|value| !value.is_empty());
    if only {
        println!("left out, needs a database: {test}");
    }
    only || focus_testkit::mongo::deployment_only(test)
}

/// Long tests run too.
pub(crate) fn long() -> bool {
    std::env::var("FOCUS_TEST_LONG").is_ok_and(|value| !value.is_empty())
}

/// The site that is drilled.
pub(crate) struct Scene {
    pub(crate) focus: Focus,
    pub(crate) tree: Tree,
    pub(crate) node: Node,
    pub(crate) way: Way,
    pub(crate) uri: String,
    proxy: Option<Ended>,
    baseline: usize,
    pub(crate) dir: TempDir,
}

impl Scene {
    /// A site in step, with this many recordings, that may be drilled.
    pub(crate) async fn begin(way: Way, baseline: usize) -> Scene {
        Scene::with(way, baseline, &[]).await
    }

    /// As `begin`; the server is told these variables.
    pub(crate) async fn with(way: Way, baseline: usize, by: &[&str]) -> Scene {
        let dir = TempDir::new().expect("a folder");
        let node = Node::new(dir.path());
        Scene::on(dir, node, way, baseline, by).await
    }

    /// A site without recordings whose root's table has these keys.
    pub(crate) async fn of_pairs(way: Way, keys: &str) -> Scene {
        let dir = TempDir::new().expect("a folder");
        let root = dir.path().join("root").display().to_string();
        let text = format!("[[roots]]\npath = {root:?}\n{keys}\n");
        std::fs::write(dir.path().join("focus.toml"), text).expect("settings");
        let node = Node::new(dir.path());
        Scene::on(dir, node, way, 0, &[]).await
    }

    /// As `with`, on this database, which is started.
    pub(crate) async fn on(
        dir: TempDir,
        node: Node,
        way: Way,
        baseline: usize,
        by: &[&str],
    ) -> Scene {
        let root = dir.path().join("root");
        std::fs::create_dir(&root).expect("a root");
        node.start();
        until("the database starts", Duration::from_secs(30), || node.takes_writes()).await;
        let (proxy, uri) = match way {
            Way::Proxy(_) => {
                let (proxy, uri) = proxy(dir.path(), node.port).await;
                (Some(proxy), uri)
            }
            _ => (None, node.uri()),
        };
        let state = dir.path().join("state");
        let mut args = vec!["--settle-ms", "200", "--mongodb-uri", &uri];
        let config = dir.path().join("focus.toml").display().to_string();
        if Path::new(&config).is_file() {
            args.extend(["--config", &config]);
        }
        let mut focus = Focus::new(BINARY, &root, &state, &args);
        focus.by = by.iter().map(|word| (*word).to_owned()).collect();
        assert!(focus.run(&["init"]).status.success());
        let mut scene =
            Scene { focus, tree: Tree::new(&root), node, way, uri, proxy, baseline, dir };
        scene.tree.add(baseline, Writing::Moved);
        scene.focus.serve().await;
        scene.focus.until_status("recordings", baseline, LIMIT).await;
        scene.focus.until_status("pending", 0, LIMIT).await;
        scene.focus.until_status("catalog_state", "in_step", LIMIT).await;
        scene.allow().await;
        scene
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The drill's files.
    pub(crate) fn files(&self) -> DrillFiles {
        DrillFiles::of(self.dir.path())
    }

    /// The drill's own state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.files().state
    }

    pub(crate) async fn client(&self) -> Client {
        Client::with_uri_str(self.node.uri()).await.expect("a client")
    }

    pub(crate) async fn meta(&self) -> mongodb::Collection<Document> {
        self.client().await.database("focus").collection("focus_meta")
    }

    pub(crate) async fn documents(&self) -> mongodb::Collection<Document> {
        self.client().await.database("focus").collection("node4")
    }

    async fn allow(&self) {
        let mark = doc! { "_id": "drillable", "value": true };
        self.meta().await.insert_one(mark).await.expect("a mark");
    }

    /// The drill's command, with the flags of this way; those in `extra` win over them.
    pub(crate) fn drill(&self, extra: &[&str]) -> Command {
        let text = |path: PathBuf| path.display().to_string();
        let mut flags = vec![
            ("--outage-for", "1s".to_owned()),
            ("--server", format!("http://{}", self.address())),
            ("--root", text(self.root())),
            ("--state-dir", text(self.state())),
            ("--mongodb-uri", self.uri.clone()),
        ];
        let (outage, method) = match self.way {
            Way::Stop => ("process", Some("stop")),
            Way::Kill => ("process", Some("kill")),
            Way::Proxy(method) => ("proxy", Some(method)),
            Way::Command => ("command", None),
            Way::Systemd => ("systemd", None),
            Way::Docker => ("docker", None),
        };
        flags.push(("--outage", outage.to_owned()));
        flags.extend(method.map(|method| ("--method", method.to_owned())));
        flags.push(("--pid-file", text(self.node.pid_file())));
        flags.push(("--control", text(self.dir.path().join("proxy.sock"))));
        flags.push(("--down", self.node.down()));
        flags.push(("--up", self.node.up()));
        let config = self.dir.path().join("focus.toml");
        if config.is_file() {
            flags.push(("--config", text(config)));
        }
        let mut command = Command::new(BINARY);
        command.args(["drill", "run", "--json"]).args(extra).stdin(Stdio::null());
        match &self.node.keeper {
            Some(Keeper::Units(manager)) => {
                flags.push(("--unit", self.node.name()));
                command.arg("--user").env("XDG_RUNTIME_DIR", manager.runtime_dir());
            }
            Some(Keeper::Containers(engine)) => {
                flags.push(("--container", self.node.name()));
                flags.push(("--socket", text(engine.socket())));
            }
            None => {}
        }
        for (flag, value) in flags.iter().filter(|(flag, _)| !extra.contains(flag)) {
            command.args([flag, value.as_str()]);
        }
        command
    }

    fn address(&self) -> String {
        let text = std::fs::read(self.dir.path().join("state/server.json")).expect("a server");
        let server: Value = serde_json::from_slice(&text).expect("JSON");
        server["address"].as_str().expect("an address").to_owned()
    }

    /// Runs a drill to its end: its exit code and the last value that it printed.
    pub(crate) async fn run(&self, extra: &[&str]) -> Said {
        finished(self.drill(extra)).await
    }

    /// Starts a drill that stops at this place, and waits until it is there.
    pub(crate) async fn paused(&self, place: &str, extra: &[&str]) -> Ended {
        self.files().paused(self.drill(extra), place).await
    }

    /// Starts a drill, and waits until a command of its has made this file.
    pub(crate) async fn started(&self, flags: &[&str], begun: &Path) -> Ended {
        let drill = silent(self.drill(flags));
        until("the drill's command has begun", LIMIT, || {
            let there = begun.exists();
            async move { if there { Ok(()) } else { Err("not yet".to_owned()) } }
        })
        .await;
        drill
    }

    /// Runs `focus drill recover`.
    pub(crate) async fn recover(&self) -> Said {
        finished(self.files().recover()).await
    }

    /// A recovery puts everything right.
    pub(crate) async fn recovered(&self) {
        let (code, said) = self.recover().await;
        assert_eq!(code, Some(0), "{said}");
        self.nothing_is_left().await;
    }

    /// The database takes writes, and nothing of any drill is left: on storage, in the catalog, in
    /// `focus_meta`, in the state folder.
    pub(crate) async fn nothing_is_left(&self) {
        let baseline = self.baseline as u64;
        until("the database takes writes", LIMIT, || self.node.takes_writes()).await;
        let left = std::fs::read_dir(self.root()).expect("the root").flatten();
        let left: Vec<_> = left
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("focus-drill"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        let documents = self.documents().await;
        let named = doc! { "metadata.focus_drill": { "$exists": true } };
        assert_eq!(documents.count_documents(named).await.expect("a count"), 0);
        assert_eq!(documents.count_documents(doc! {}).await.expect("a count"), baseline);
        // Neither does the server remember any of it.
        if self.focus.status().is_ok() {
            self.focus.until_status("recordings", baseline, LIMIT).await;
            for none in ["pending", "vanished", "held", "deleted", "unrecognised", "unsettled"] {
                self.focus.until_status(none, 0, LIMIT).await;
            }
        }
        let mark = self.meta().await.find_one(doc! { "_id": "drill" }).await.expect("an answer");
        assert_eq!(mark, None);
        for name in ["plan.json", "progress.json", "guard.json", "baseline"] {
            let file = self.files().file(name);
            until("the drill's files are gone", Duration::from_secs(10), || {
                let there = file.exists();
                async move { if there { Err(name.to_owned()) } else { Ok(()) } }
            })
            .await;
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.proxy.take();
    }
}

async fn proxy(dir: &Path, upstream: u16) -> (Ended, String) {
    let port = focus_testkit::mongo::free_port();
    let control = dir.join("proxy.sock");
    let child = Command::new(BINARY)
        .args(["drill", "proxy", "--listen-on", &format!("127.0.0.1:{port}")])
        .args(["--upstream", &format!("127.0.0.1:{upstream}"), "--control"])
        .arg(&control)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the proxy runs");
    until("the proxy is there", Duration::from_secs(20), || {
        let there = control.exists();
        async move { if there { Ok(()) } else { Err("no socket".to_owned()) } }
    })
    .await;
    (Ended(child), format!("mongodb://127.0.0.1:{port}/?directConnection=true"))
}
