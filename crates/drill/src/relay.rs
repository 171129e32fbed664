//! `focus drill proxy`: a TCP proxy between server and database that fails as it is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

/// Connections through the proxy at most.
const CONNECTIONS_MAX: usize = 1_024;

/// An order has at most so many bytes.
const ORDER_MAX: u64 = 4_096;

/// Between two tries to listen again.
const BIND_RETRY: Duration = Duration::from_millis(20);

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Mode {
    /// Everything goes through.
    Pass,
    /// Nothing listens, and open connections are closed.
    Refuse,
    /// Connections are taken, and nothing goes through.
    BlackHole,
    /// Connections are reset.
    Reset,
    /// Each piece of data is delayed, and there are few of them per second.
    Slow {
        /// Delay of a piece.
        latency_ms: u64,
        /// Bytes per second and direction of a connection; 0: no bound.
        bytes_per_s: u64,
    },
}

impl Mode {
    /// What the proxy does, as the end of a sentence.
    pub fn words(self) -> String {
        match self {
            Mode::Pass => "lets everything through".to_owned(),
            Mode::Refuse => "refuses connections".to_owned(),
            Mode::BlackHole => "swallows everything".to_owned(),
            Mode::Reset => "resets connections".to_owned(),
            Mode::Slow { latency_ms, bytes_per_s: 0 } => format!("delays by {latency_ms} ms"),
            Mode::Slow { latency_ms, bytes_per_s } => {
                format!("delays by {latency_ms} ms, at {bytes_per_s} bytes per second")
            }
        }
    }
}

/// An order to the proxy: a line of JSON on its control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Tell what you do.
    Show,
    /// Do this.
    Set {
        /// What to do.
        mode: Mode,
        /// After so long everything goes through again by itself; 0: never.
        fallback_ms: u64,
    },
}

/// The proxy's answer: what it does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Where it listens.
    pub listen: String,
    /// Where it leads.
    pub upstream: String,
    /// What it does.
    pub mode: Mode,
    /// Connections that go through it.
    pub connections: u64,
}

/// A running proxy.
#[derive(Debug)]
struct Relay {
    listen: std::net::SocketAddr,
    upstream: String,
    mode: watch::Sender<Mode>,
    /// Raised by every order, so that an older one's fallback does nothing.
    orders: AtomicU64,
    connections: AtomicU64,
}

/// Runs the proxy until the process is told to end.
///
/// # Errors
/// It cannot listen.
pub async fn run(
    listen: &str,
    upstream: &str,
    control: &Path,
    ready: impl FnOnce(&str),
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("{listen} cannot be listened on: stop what uses it, or give another --listen-on")
    })?;
    let relay = Arc::new(Relay {
        listen: listener.local_addr()?,
        upstream: upstream.to_owned(),
        mode: watch::Sender::new(Mode::Pass),
        orders: AtomicU64::new(0),
        connections: AtomicU64::new(0),
    });
    let orders = bind_control(control).await?;
    let _socket = Removed(control.to_owned());
    tokio::spawn(obey(orders, Arc::clone(&relay)));
    ready(&relay.listen.to_string());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        () = accept(listener, relay) => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// The control socket goes with the proxy.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // One that stays is known to be left over: nothing answers there.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds the control socket; one left over from a proxy that was killed is replaced.
async fn bind_control(control: &Path) -> anyhow::Result<UnixListener> {
    if UnixStream::connect(control).await.is_ok() {
        anyhow::bail!("a proxy is running already on {}", control.display());
    }
    let _ = std::fs::remove_file(control);
    let listener = UnixListener::bind(control).with_context(|| {
        format!("the control socket {} cannot be made: give another --control", control.display())
    })?;
    std::fs::set_permissions(control, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

async fn obey(orders: UnixListener, relay: Arc<Relay>) {
    loop {
        let Ok((stream, _)) = orders.accept().await else {
            tokio::time::sleep(BIND_RETRY).await;
            continue;
        };
        let relay = Arc::clone(&relay);
        tokio::spawn(async move {
            // A caller that has gone, or says nothing, is no concern of the others.
            let _ = tokio::time::timeout(Duration::from_secs(5), answer(stream, &relay)).await;
        });
    }
}

async fn answer(stream: UnixStream, relay: &Arc<Relay>) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(ORDER_MAX)).read_line(&mut line).await?;
    if let Order::Set { mode, fallback_ms } = serde_json::from_str(&line)? {
        relay.set(mode, fallback_ms);
    }
    let answer = Answer {
        listen: relay.listen.to_string(),
        upstream: relay.upstream.clone(),
        mode: *relay.mode.borrow(),
        connections: relay.connections.load(Ordering::Relaxed),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    Ok(())
}

impl Relay {
    fn set(self: &Arc<Relay>, mode: Mode, fallback_ms: u64) {
        let order = self.orders.fetch_add(1, Ordering::SeqCst) + 1;
        self.mode.send_replace(mode);
        tracing::info!("the proxy {}", mode.words());
        if mode == Mode::Pass || fallback_ms == 0 {
            return;
        }
        let relay = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(fallback_ms)).await;
            if relay.orders.load(Ordering::SeqCst) == order {
                tracing::warn!("nobody ended the outage: the proxy lets everything through again");
                relay.mode.send_replace(Mode::Pass);
            }
        });
    }
}

async fn accept(listener: TcpListener, relay: Arc<Relay>) {
    let mut mode = relay.mode.subscribe();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut listener = Some(listener);
    loop {
        if *mode.borrow_and_update() == Mode::Refuse {
            listener = None;
            // The sender lives as long as the relay.
            let _ = mode.changed().await;
            continue;
        }
        if listener.is_none() {
            listener = listen_again(relay.listen);
        }
        let Some(open) = &listener else {
            tokio::time::sleep(BIND_RETRY).await;
            continue;
        };
        tokio::select! {
            accepted = open.accept() => match accepted {
                Ok((stream, _)) => {
                    // One too many is closed at once.
                    let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                    let relay = Arc::clone(&relay);
                    tokio::spawn(async move {
                        relay.connections.fetch_add(1, Ordering::Relaxed);
                        serve(stream, &relay).await;
                        relay.connections.fetch_sub(1, Ordering::Relaxed);
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(BIND_RETRY).await,
            },
            _ = mode.changed() => {}
        }
    }
}

fn listen_again(address: std::net::SocketAddr) -> Option<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.ok()?;
    socket.set_reuseaddr(true).ok()?;
    socket.bind(address).ok()?;
    socket.listen(256).ok()
}

/// Carries one connection until either side, or the mode, ends it.
async fn serve(mut client: TcpStream, relay: &Relay) {
    let mut watched = relay.mode.subscribe();
    let over = |mode: &Mode| matches!(mode, Mode::Refuse | Mode::Reset);
    let reset = {
        let carried = async {
            let connect = TcpStream::connect(&relay.upstream);
            let Ok(Ok(mut server)) = tokio::time::timeout(Duration::from_secs(10), connect).await
            else {
                return;
            };
            // Small pieces must not wait for one another here.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            tokio::select! {
                () = pump(&mut from_client, &mut to_server, relay.mode.subscribe()) => {}
                () = pump(&mut from_server, &mut to_client, relay.mode.subscribe()) => {}
            }
        };
        tokio::select! {
            () = carried => false,
            ended = watched.wait_for(over) => ended.is_ok_and(|mode| *mode == Mode::Reset),
        }
    };
    if reset {
        // Closing without having read everything, and without lingering, is a reset.
        let _ = client.set_zero_linger();
    }
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut mode: watch::Receiver<Mode>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 {
            return;
        }
        // What was swallowed comes through when the hole is gone: TCP loses nothing.
        let Ok(mode) = mode.wait_for(|mode| *mode != Mode::BlackHole).await.map(|mode| *mode)
        else {
            return;
        };
        if let Mode::Slow { latency_ms, bytes_per_s } = mode {
            let bytes = u64::try_from(read).unwrap_or(u64::MAX);
            let carrying = bytes.saturating_mul(1_000).checked_div(bytes_per_s).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(latency_ms.saturating_add(carrying))).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
