//! A deployment to be drilled: a database whose process number is in a file, a server, and a drill.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use focus_testkit::focus::Focus;
use focus_testkit::mongo::{Program, find};
use focus_testkit::podman::Engine;
use focus_testkit::systemd::UserManager;
use focus_testkit::tree::{Tree, Writing};
use focus_testkit::wait::until;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_focus");

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

/// Who runs the database, where scripts do not.
pub(crate) enum Keeper {
    Units(UserManager),
    Containers(Engine),
}

impl Keeper {
    /// The keeper that this way needs; none where it does not run here, which is said.
    pub(crate) fn start(way: Way, dir: &Path) -> Option<Keeper> {
        let started = match way {
            Way::Systemd => UserManager::start(&dir.join("units")).map(Keeper::Units),
            _ => Engine::start(&dir.join("containers")).map(Keeper::Containers),
        };
        started.map_err(|why| println!("left out, does not run here: {way:?}: {why}")).ok()
    }
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

/// A program started by a test: ended when dropped.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A database that scripts start and end, as an operator's do.
pub(crate) struct Node {
    dir: PathBuf,
    port: u16,
    keeper: Option<Keeper>,
}

const DURABLE: &str = "SECANTUS_WT_CONFIG_EXTRA=transaction_sync=(enabled=true,method=none)";

impl Node {
    /// A database that this keeper runs.
    pub(crate) fn kept(dir: &Path, keeper: Keeper) -> Node {
        let mut node = Node::new(dir);
        let (program, rest) = match find().expect("a database server") {
            Program::Mongod(program) => (program, vec!["--bind_ip", "127.0.0.1", "--dbpath"]),
            Program::Secantus(program) => {
                (program, vec!["--cache-size", "256M", "--log-file-max", "16MB", "--storage-path"])
            }
            Program::Deployment(_) => panic!("left out before"),
        };
        let (port, store) = (node.port.to_string(), dir.join("store").display().to_string());
        let words = |store| -> Vec<&str> {
            ["--port", &port].into_iter().chain(rest.iter().copied()).chain([store]).collect()
        };
        match &keeper {
            Keeper::Units(manager) => manager.unit(
                &format!("{}.service", node.name()),
                &format!(
                    "[Service]\nEnvironment=\"{DURABLE}\"\nExecStart={} {}\nRestart=always\nTimeoutStopSec=5\n",
                    program.display(),
                    words(&store).join(" ")
                ),
            ),
            Keeper::Containers(engine) => engine
                .create(&node.name(), &program, &words("/data"), &["--volume", &format!("{store}:/data"), "--env", DURABLE])
                .expect("a container"),
        }
        node.keeper = Some(keeper);
        node
    }

    /// What it is called as a unit, and as a container. Managers of units on one machine may share their
    /// control groups, and end whatever runs in those of a unit's name: no two have the same.
    pub(crate) fn name(&self) -> String {
        format!("focus-db-{}", self.port)
    }

    /// Who runs it.
    pub(crate) fn keeper(&self) -> &Keeper {
        self.keeper.as_ref().expect("a keeper")
    }

    fn new(dir: &Path) -> Node {
        let port = focus_testkit::mongo::free_port();
        let store = dir.join("store");
        std::fs::create_dir_all(&store).expect("a store");
        let (program, rest) = match find().expect("a database server") {
            Program::Mongod(program) => (program, "--bind_ip 127.0.0.1 --dbpath"),
            Program::Secantus(program) => {
                (program, "--cache-size 256M --log-file-max 16MB --storage-path")
            }
            Program::Deployment(_) => panic!("left out before"),
        };
        let up = format!(
            "export SECANTUS_WT_CONFIG_EXTRA='transaction_sync=(enabled=true,method=none)'\n\
             {} --port {port} {rest} {} </dev/null >>{dir}/database.log 2>&1 &\necho $! >{dir}/pid\n",
            program.display(),
            store.display(),
            dir = dir.display(),
        );
        std::fs::write(dir.join("up.sh"), up).expect("a script");
        Node { dir: dir.to_owned(), port, keeper: None }
    }

    /// The command that starts it.
    pub(crate) fn up(&self) -> String {
        format!("sh {}/up.sh", self.dir.display())
    }

    /// The command that ends it.
    pub(crate) fn down(&self) -> String {
        format!("kill -9 $(cat {}/pid)", self.dir.display())
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.dir.join("pid")
    }

    pub(crate) fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    pub(crate) fn start(&self) {
        match &self.keeper {
            Some(Keeper::Units(manager)) => {
                let started = manager.systemctl(&["start", &self.name()]);
                assert!(started.status.success(), "{started:?}");
                return;
            }
            Some(Keeper::Containers(engine)) => {
                let started = engine.ask("POST", &format!("/containers/{}/start", self.name()));
                assert_eq!(started.expect("an answer").0, 204);
                return;
            }
            None => {}
        }
        let started = Command::new("sh").args(["-c", &self.up()]).status().expect("sh");
        assert!(started.success());
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.pid_file()).ok()?;
        text.trim().parse().ok().and_then(Pid::from_raw)
    }

    /// Ends it at once.
    pub(crate) fn end(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, signal);
        }
    }

    pub(crate) async fn takes_writes(&self) -> Result<(), String> {
        let told = |error: mongodb::error::Error| error.to_string();
        let mut options = mongodb::options::ClientOptions::parse(self.uri()).await.map_err(told)?;
        options.connect_timeout = Some(Duration::from_millis(500));
        options.server_selection_timeout = Some(Duration::from_millis(800));
        let client = Client::with_options(options).map_err(told)?;
        let hello =
            client.database("admin").run_command(doc! { "hello": 1 }).await.map_err(told)?;
        let writable = hello.get_bool("isWritablePrimary").unwrap_or(false);
        if writable { Ok(()) } else { Err("not a primary".to_owned()) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Stopped, it would not end by anything but this either.
        self.signal(Signal::KILL);
    }
}

pub(crate) struct Scene {
    pub(crate) focus: Focus,
    pub(crate) tree: Tree,
    pub(crate) node: Node,
    pub(crate) way: Way,
    pub(crate) uri: String,
    proxy: Option<Ended>,
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
        let args = ["--settle-ms", "200", "--mongodb-uri", &uri];
        let mut focus = Focus::new(BINARY, &root, &state, &args);
        focus.by = by.iter().map(|word| (*word).to_owned()).collect();
        assert!(focus.run(&["init"]).status.success());
        let mut scene = Scene { focus, tree: Tree::new(&root), node, way, uri, proxy, dir };
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

    /// The drill's own state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("drills")
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
    pub(crate) async fn run(&self, extra: &[&str]) -> (Option<i32>, Value) {
        finished(self.drill(extra)).await
    }

    /// Starts a drill that stops at this place, and waits until it is there.
    pub(crate) async fn paused(&self, place: &str, extra: &[&str]) -> Ended {
        let _ = std::fs::remove_file(self.state().join("drill/paused"));
        let log = File::create(self.dir.path().join("drill.log")).expect("a log");
        let child = self
            .drill(extra)
            .env("FOCUS_DRILL_PAUSE_AT", place)
            .process_group(0)
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .spawn()
            .expect("the drill runs");
        let mut child = Ended(child);
        let paused = self.state().join("drill/paused");
        until(&format!("the drill is at {place}"), LIMIT, || {
            let there = std::fs::read_to_string(&paused).is_ok_and(|text| text == place);
            let ended = child.0.try_wait().expect("its state");
            let log = std::fs::read_to_string(self.dir.path().join("drill.log"));
            assert!(there || ended.is_none(), "the drill ended: {ended:?} {log:?}");
            async move { if there { Ok(()) } else { Err(format!("{log:?}")) } }
        })
        .await;
        child
    }

    /// Lets a paused drill go on.
    pub(crate) fn release(&self) {
        std::fs::remove_file(self.state().join("drill/paused")).expect("a paused drill");
    }

    /// What a paused drill has printed in the end.
    pub(crate) fn said(&self) -> Value {
        let log = std::fs::read_to_string(self.dir.path().join("drill.log")).expect("a log");
        serde_json::from_str(&log).unwrap_or_else(|error| panic!("{error}: {log}"))
    }

    /// Runs `focus drill recover`.
    pub(crate) async fn recover(&self) -> (Option<i32>, Value) {
        let mut command = Command::new(BINARY);
        command.args(["drill", "recover", "--json", "--state-dir"]).arg(self.state());
        finished(command).await
    }

    /// The database takes writes, and nothing of any drill is left: on storage, in the catalog, in
    /// `focus_meta`, in the state folder.
    pub(crate) async fn nothing_is_left(&self, baseline: u64) {
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
            let file = self.state().join("drill").join(name);
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

/// Runs a command to its end, beside the test's own runtime.
pub(crate) async fn finished(mut command: Command) -> (Option<i32>, Value) {
    let output: Output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("a thread")
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code(), value)
}

/// Ends a drill at once, as a crash does: itself, and not what it started.
pub(crate) fn kill(drill: &mut Ended) {
    drill.0.kill().expect("a signal");
    drill.0.wait().expect("its end");
}

/// The guard of a drill that was started in this state folder, if it still runs.
pub(crate) fn guards(state: &Path) -> Vec<i32> {
    let wanted = state.as_os_str().as_encoded_bytes();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.contains(&b"guard".as_slice()) && words.contains(&wanted)
        })
        .collect()
}

/// Ends the guards of this state folder too: nothing but a recovery is left to bring the database back.
pub(crate) fn kill_guards(state: &Path) {
    signal_all(&guards(state), Signal::KILL);
}

/// Sends a signal to these processes, where they are still there.
pub(crate) fn signal_all(pids: &[i32], signal: Signal) {
    for pid in pids.iter().copied().filter_map(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Sends a signal to the group of a paused drill, as a terminal does.
pub(crate) fn signal_group(child: &Ended, signal: Signal) {
    let pid = i32::try_from(child.0.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process_group(pid, signal).expect("a signal");
}
