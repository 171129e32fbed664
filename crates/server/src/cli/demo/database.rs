//! The catalog of a demo, and how the demo takes it away.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use focus_catalog::Catalog;
use focus_catalog::embedded::EmbeddedCatalog;
use focus_catalog::mongo::{Layout, MongoCatalog, MongoSettings};
use mongodb::options::{ClientOptions, ServerAddress};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use focus_engine::CATALOG_FILE;

/// How long a given database may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The catalog of a demo.
pub(super) enum Database {
    /// The embedded catalog. The demo moves its folder away.
    Embedded { state: PathBuf },
    /// A database server that the demo starts. The demo kills it.
    Own { program: PathBuf, data: PathBuf, port: u16, child: Option<Child> },
    /// A given database behind a relay. The demo closes the relay.
    Given { uri: String, name: String, relay: Relay },
}

impl Database {
    /// The given database, else a server found on the path, else the embedded catalog.
    pub(super) async fn choose(
        uri: Option<&str>,
        dir: &Path,
        state: &Path,
    ) -> anyhow::Result<Database> {
        if let Some(uri) = uri {
            let options = ClientOptions::parse(uri)
                .await
                .context("the MongoDB connection string cannot be used")?;
            let Some(ServerAddress::Tcp { host, port }) = options.hosts.first() else {
                anyhow::bail!("the connection string names no host");
            };
            let address = format!("{host}:{}", port.unwrap_or(27_017));
            is_there(&address).await?;
            let relay = Relay::open(address, None).await?;
            let name = format!("focus_demo_{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
            return Ok(Database::Given { uri: uri.to_owned(), name, relay });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = ["mongod", "secantusd-rs"].iter().find_map(|name| {
            std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
        });
        let Some(program) = found else {
            return Ok(Database::Embedded { state: state.to_owned() });
        };
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let data = dir.join("database");
        std::fs::create_dir_all(&data)?;
        let mut database = Database::Own { program, data, port, child: None };
        database.bring_back().await?;
        Ok(database)
    }

    /// Its name for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Database::Embedded { .. } => {
                "the embedded catalog (no mongod was found on the PATH)".to_owned()
            }
            Database::Own { program, .. } => {
                format!("a database server of the demo's own ({})", program.display())
            }
            Database::Given { name, .. } => format!("the given MongoDB, database {name}"),
        }
    }

    /// How the demo takes it away, for people.
    pub(super) fn way(&self) -> &'static str {
        match self {
            Database::Embedded { .. } => "its folder is moved away",
            Database::Own { .. } => "the server's process is killed",
            Database::Given { .. } => "every connection to it is closed, and new ones are refused",
        }
    }

    /// The environment with which `focus serve` uses it. Arguments will not do: other users of the machine see
    /// them, and the connection string may hold a password.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        match self {
            Database::Embedded { .. } => Vec::new(),
            Database::Own { .. } => vec![("FOCUS_MONGODB_URI", self.uri())],
            Database::Given { name, .. } => {
                vec![("FOCUS_MONGODB_URI", self.uri()), ("FOCUS_DATABASE", name.clone())]
            }
        }
    }

    fn uri(&self) -> String {
        match self {
            Database::Embedded { .. } => String::new(),
            Database::Own { port, .. } => {
                format!("mongodb://127.0.0.1:{port}/?directConnection=true")
            }
            Database::Given { uri, relay, .. } => through(uri, relay.address),
        }
    }

    /// The demo's own connection to the catalog.
    pub(super) fn catalog(&self) -> anyhow::Result<Arc<dyn Catalog>> {
        let name = match self {
            Database::Embedded { state } => {
                return Ok(EmbeddedCatalog::start(state.join(CATALOG_FILE), true));
            }
            Database::Own { .. } => "focus",
            Database::Given { name, .. } => name,
        };
        let settings = MongoSettings::new(&self.uri(), name, "node4", Layout::Collection);
        Ok(MongoCatalog::start(settings)?)
    }

    pub(super) fn take_away(&mut self) -> anyhow::Result<()> {
        match self {
            Database::Embedded { state } => {
                std::fs::rename(state.join("catalog"), state.join("catalog.away"))?;
            }
            Database::Own { child, .. } => {
                if let Some(mut child) = child.take() {
                    child.kill()?;
                    child.wait()?;
                }
            }
            Database::Given { relay, .. } => relay.close(),
        }
        Ok(())
    }

    pub(super) async fn bring_back(&mut self) -> anyhow::Result<()> {
        match self {
            Database::Embedded { state } => {
                std::fs::rename(state.join("catalog.away"), state.join("catalog"))?;
            }
            Database::Own { program, data, port, child } => {
                *child = Some(start(program, data, *port)?);
                let address = SocketAddr::from(([127, 0, 0, 1], *port));
                let up = async {
                    while TcpStream::connect(address).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::time::timeout(Duration::from_secs(15), up)
                    .await
                    .context("the demo's database server does not start")?;
            }
            Database::Given { relay, .. } => {
                *relay = Relay::open(relay.upstream.clone(), Some(relay.address)).await?;
            }
        }
        Ok(())
    }

    /// Ends what the demo started, and drops what it made.
    pub(super) async fn end(mut self) {
        if let Database::Given { uri, name, .. } = &self {
            let dropped = async {
                let client = mongodb::Client::with_uri_str(uri).await?;
                client.database(name).drop().await
            };
            if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(5), dropped).await {
                eprintln!("the database {name} could not be dropped: {error}");
            }
        }
        if let Database::Own { .. } = self {
            // Its data lies in the demo's folder, and goes with it.
            let _ = self.take_away();
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Database::Own { child: Some(child), .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(program: &Path, data: &Path, port: u16) -> anyhow::Result<Child> {
    let log = std::fs::File::create(data.join("server.log"))?;
    let store = data.join("store");
    std::fs::create_dir_all(&store)?;
    let mut command = Command::new(program);
    command.arg("--port").arg(port.to_string());
    if program.ends_with("mongod") {
        command.args(["--bind_ip", "127.0.0.1", "--dbpath"]).arg(store);
    } else {
        command.arg("--storage-path").arg(store);
        command.args(["--cache-size", "256M"]);
        command.env("SECANTUS_WT_CONFIG_EXTRA", "transaction_sync=(enabled=true,method=none)");
    }
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
    child.with_context(|| format!("{} cannot be run", program.display()))
}

/// The connection string with its hosts replaced by the relay.
fn through(uri: &str, relay: SocketAddr) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let login = authority.rsplit_once('@').map_or(String::new(), |(login, _)| format!("{login}@"));
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let path = if path.is_empty() { "/" } else { path };
    // The client must talk to the relay alone, and find no other server of the set.
    let kept = query
        .split('&')
        .filter(|option| !option.is_empty())
        .filter(|option| {
            !option.starts_with("directConnection=") && !option.starts_with("replicaSet=")
        })
        .chain(["directConnection=true"]);
    format!("{scheme}://{login}{relay}{path}?{}", kept.collect::<Vec<_>>().join("&"))
}

/// A TCP relay that can be closed.
pub(super) struct Relay {
    upstream: String,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Relay {
    async fn open(upstream: String, address: Option<SocketAddr>) -> anyhow::Result<Relay> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))))?;
        let listener = socket.listen(64)?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(relay(listener, upstream.clone()));
        Ok(Relay { upstream, address, task })
    }

    fn close(&self) {
        self.task.abort();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

/// Relays connections. They end with this task.
async fn relay(listener: TcpListener, upstream: String) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let upstream = upstream.clone();
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(upstream).await {
                // Either side may end the connection. The demo needs no more of it.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// A given database takes connections. Without this look the demo would wait for it, and show a server that does.
async fn is_there(address: &str) -> anyhow::Result<()> {
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
    let why = match connected {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {} s", CONNECT.as_secs()),
    };
    anyhow::bail!(
        "the database at {address} is not there: {why}. Start it, give another --mongodb-uri, or leave the option out"
    )
}
