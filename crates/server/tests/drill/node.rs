//! The database that is drilled: run by scripts, as an operator's, or by a real systemd or container engine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use focus_testkit::mongo::{Program, find};
use focus_testkit::podman::Engine;
use focus_testkit::systemd::UserManager;
use mongodb::Client;
use mongodb::bson::doc;
use rustix::process::{Pid, Signal, kill_process};

use crate::scene::Way;

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

/// A database that scripts start and end, as an operator's do.
pub(crate) struct Node {
    dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) keeper: Option<Keeper>,
}

const DURABLE: &str = "SECANTUS_WT_CONFIG_EXTRA=transaction_sync=(enabled=true,method=none)";

/// The same as a shell reads it.
const DURABLE_SH: &str = "SECANTUS_WT_CONFIG_EXTRA='transaction_sync=(enabled=true,method=none)'";

/// The program of a database, and its words but for the port; the folder of its data comes last.
fn database() -> (PathBuf, Vec<&'static str>) {
    match find().expect("a database server") {
        Program::Mongod(program) => (program, vec!["--bind_ip", "127.0.0.1", "--dbpath"]),
        Program::Secantus(program) => {
            (program, vec!["--cache-size", "256M", "--log-file-max", "16MB", "--storage-path"])
        }
        Program::Deployment(_) => panic!("left out before"),
    }
}

impl Node {
    /// A database that this keeper runs.
    pub(crate) fn kept(dir: &Path, keeper: Keeper) -> Node {
        let mut node = Node::new(dir);
        let (program, words) = database();
        let (port, store) = (node.port.to_string(), dir.join("store").display().to_string());
        let words = |store| -> Vec<&str> {
            ["--port", &port].into_iter().chain(words.iter().copied()).chain([store]).collect()
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

    /// A database that scripts run.
    pub(crate) fn new(dir: &Path) -> Node {
        let port = focus_testkit::mongo::free_port();
        let store = dir.join("store");
        std::fs::create_dir_all(&store).expect("a store");
        let (program, words) = database();
        let up = format!(
            "export {DURABLE_SH}\n{} --port {port} {} {} </dev/null >>{dir}/database.log 2>&1 &\necho $! >{dir}/pid\n",
            program.display(),
            words.join(" "),
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
