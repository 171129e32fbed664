//! A real database server per test, with its own port and data folder.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ClientOptions;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wait::until;

/// The setting that names an existing deployment.
pub const URI_VARIABLE: &str = "FOCUS_TEST_MONGODB_URI";

/// Which program the tests' databases are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// An existing deployment, which cannot be killed.
    Deployment(String),
    /// MongoDB's own server.
    Mongod(PathBuf),
    /// A server with MongoDB's protocol over WiredTiger.
    Secantus(PathBuf),
}

/// The server the tests run against: an existing deployment, `mongod`, or `secantusd-rs`.
pub fn find() -> Option<Program> {
    if let Some(uri) = std::env::var(URI_VARIABLE).ok().filter(|uri| !uri.is_empty()) {
        return Some(Program::Deployment(uri));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let on_path = |folders: &[PathBuf], name: &str| {
        folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    if let Some(file) = on_path(&folders, "mongod") {
        return Some(Program::Mongod(file));
    }
    folders.push(tools().join("bin"));
    on_path(&folders, "secantusd-rs").map(Program::Secantus)
}

/// Where the test command installs what the machine lacks.
pub fn tools() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap_or_default().join("focus-server/tools")
}

/// A database server: one of this test's own, ended when dropped, or an existing deployment, in
/// which this test has a database of its own.
#[derive(Debug)]
pub struct MongoServer {
    program: Program,
    child: Option<Child>,
    port: u16,
    data: TempDir,
    database: String,
}

impl MongoServer {
    /// Starts a server of this test's own, or takes a database of the given deployment.
    ///
    /// # Panics
    /// No server is installed, or it does not start: a database test cannot go on.
    pub async fn start() -> MongoServer {
        let mut server = MongoServer::prepare();
        server.restart().await;
        server
    }

    /// A server that is not started yet: `restart` starts it.
    ///
    /// # Panics
    /// No server is installed.
    pub fn prepare() -> MongoServer {
        let program = find().unwrap_or_else(|| {
            panic!("no database server is found: run `cargo xtask test`, which installs one")
        });
        let (database, port) = match &program {
            Program::Deployment(uri) => (own_database(), port_of(uri)),
            _ => ("focus".to_owned(), free_port()),
        };
        let data = TempDir::new().expect("a folder for the database");
        MongoServer { program, child: None, port, data, database }
    }

    /// Where it is.
    pub fn uri(&self) -> String {
        match &self.program {
            Program::Deployment(uri) => uri.clone(),
            _ => format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port),
        }
    }

    /// The database that is this test's own.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The arguments that lead `focus` there.
    pub fn args(&self) -> Vec<String> {
        self.args_through(&self.uri())
    }

    /// The arguments that lead `focus` there by another way.
    pub fn args_through(&self, uri: &str) -> Vec<String> {
        let mut args = vec!["--mongodb-uri".to_owned(), uri.to_owned()];
        if matches!(self.program, Program::Deployment(_)) {
            args.extend(["--database".to_owned(), self.database.clone()]);
        }
        args
    }

    /// Its port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Its process has been started, and not ended by the test.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Starts it on the same port and data, and waits until it takes writes.
    ///
    /// # Panics
    /// It does not start within 30 s.
    pub async fn restart(&mut self) {
        self.spawn();
        let uri = self.uri();
        until("the database takes writes", Duration::from_secs(30), || {
            let uri = uri.clone();
            async move { writable(&uri).await.map_err(|error| error.to_string()) }
        })
        .await;
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// The program cannot be run.
    pub fn spawn(&mut self) {
        let (program, secantus) = match &self.program {
            Program::Deployment(_) => return,
            Program::Mongod(program) => (program, false),
            Program::Secantus(program) => (program, true),
        };
        let log = File::create(self.data.path().join("server.log")).expect("a log file");
        let store = self.data.path().join("store");
        std::fs::create_dir_all(&store).expect("a folder for the store");
        let mut command = Command::new(program);
        if secantus {
            command
                .args(["--port", &self.port.to_string(), "--enable-test-commands"])
                .args(["--cache-size", "256M", "--log-file-max", "16MB", "--storage-path"])
                .arg(&store)
                .env("SECANTUS_WT_CONFIG_EXTRA", "transaction_sync=(enabled=true,method=none)");
        } else {
            command
                .args(["--port", &self.port.to_string(), "--bind_ip", "127.0.0.1"])
                .args(["--setParameter", "enableTestCommands=1", "--dbpath"])
                .arg(&store);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the database server runs");
        self.child = Some(child);
    }

    /// True while its process is there.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Ok(Some(ended)) = child.try_wait() {
                // Not our doing: what it said last is what explains the test.
                let log = std::fs::read_to_string(self.data.path().join("server.log"));
                let log = log.unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(8).collect();
                println!("the database had ended by itself, with {ended}: {last:#?}");
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// Stops the process by a signal. Its sockets stay open, and nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the stopped process go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Its process; none where it does not run, or is an existing deployment.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().map(Child::id).and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// A client of the test's own.
    ///
    /// # Panics
    /// The server cannot be reached.
    pub async fn client(&self) -> Client {
        Client::with_uri_str(self.uri()).await.expect("a client")
    }

    /// Sets a fail point, as in `{configureFailPoint: "failCommand", …}`.
    ///
    /// # Panics
    /// The server refuses it.
    pub async fn fail_command(&self, mode: impl Into<Bson>, data: Document) {
        let command =
            doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data };
        self.client().await.database("admin").run_command(command).await.expect("a fail point");
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        self.resume();
        self.kill();
        if let Program::Deployment(uri) = &self.program {
            let (uri, database) = (uri.clone(), self.database.clone());
            let drop_database = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let client = Client::with_uri_str(uri).await?;
                    client.database(&database).drop().await?;
                    Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
                })
            };
            let dropped = std::thread::spawn(drop_database).join();
            if !matches!(dropped, Ok(Ok(()))) {
                println!("the database {} could not be removed: {dropped:?}", self.database);
            }
        }
    }
}

async fn writable(uri: &str) -> mongodb::error::Result<()> {
    let mut options = ClientOptions::parse(uri).await?;
    options.server_selection_timeout = Some(Duration::from_millis(500));
    let client = Client::with_options(options)?;
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await?;
    match hello.get_bool("isWritablePrimary") {
        Ok(true) => Ok(()),
        _ => Err(std::io::Error::other("not a writable primary").into()),
    }
}

/// A name that no other test has, in this run or another.
fn own_database() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = now.map_or(0, |since| since.as_millis());
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("focus_test_{now_ms}_{}_{n}", std::process::id())
}

/// The first host's port.
fn port_of(uri: &str) -> u16 {
    let hosts = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let hosts = hosts.split(['/', '?']).next().unwrap_or_default();
    let first = hosts.rsplit('@').next().unwrap_or_default().split(',').next().unwrap_or_default();
    first.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(27017)
}

/// Whether a test is left out because it ends or cripples its server, and the server is a given
/// deployment. The test then says so.
pub fn deployment_only(test: &str) -> bool {
    let given = matches!(find(), Some(Program::Deployment(_)));
    if given {
        println!("left out, ends its own server, and {URI_VARIABLE} is set: {test}");
    }
    given
}

/// A port that nothing listens on now.
///
/// # Panics
/// There is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
