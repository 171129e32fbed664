//! The proxy itself: it listens, takes orders over its control socket, and falls back by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::connection;
use super::protocol::{Answer, LINE_BYTES_MAX, Mode, Order};

/// Connections through the proxy at most.
const CONNECTIONS_MAX: usize = 1_024;

/// Time between two attempts to listen again.
const BIND_RETRY: Duration = Duration::from_millis(20);

/// A running proxy.
#[derive(Debug)]
struct Proxy {
    listen: std::net::SocketAddr,
    upstream: String,
    mode: watch::Sender<Mode>,
    /// A count of the orders: the fallback of an order does nothing once there was another.
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
    let proxy = Arc::new(Proxy {
        listen: listener.local_addr()?,
        upstream: upstream.to_owned(),
        mode: watch::Sender::new(Mode::Pass),
        orders: AtomicU64::new(0),
        connections: AtomicU64::new(0),
    });
    let orders = bind_control(control).await?;
    let _socket = Removed(control.to_owned());
    tokio::spawn(obey(orders, Arc::clone(&proxy)));
    ready(&proxy.listen.to_string());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        () = accept(listener, proxy) => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Removes the control socket when the proxy ends.
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

async fn obey(orders: UnixListener, proxy: Arc<Proxy>) {
    loop {
        let Ok((stream, _)) = orders.accept().await else {
            tokio::time::sleep(BIND_RETRY).await;
            continue;
        };
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            // A caller that has gone, or says nothing, is no concern of the others.
            let _ = tokio::time::timeout(Duration::from_secs(5), answer(stream, &proxy)).await;
        });
    }
}

async fn answer(stream: UnixStream, proxy: &Arc<Proxy>) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    if let Order::Set { mode, fallback_ms } = serde_json::from_str(&line)? {
        proxy.set(mode, fallback_ms);
    }
    let answer = Answer {
        listen: proxy.listen.to_string(),
        upstream: proxy.upstream.clone(),
        mode: *proxy.mode.borrow(),
        connections: proxy.connections.load(Ordering::Relaxed),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    Ok(())
}

impl Proxy {
    fn set(self: &Arc<Proxy>, mode: Mode, fallback_ms: u64) {
        let order = self.orders.fetch_add(1, Ordering::SeqCst) + 1;
        self.mode.send_replace(mode);
        tracing::info!("the proxy {}", mode.words());
        if mode == Mode::Pass || fallback_ms == 0 {
            return;
        }
        let proxy = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(fallback_ms)).await;
            if proxy.orders.load(Ordering::SeqCst) == order {
                tracing::warn!("nobody ended the outage: the proxy lets everything through again");
                proxy.mode.send_replace(Mode::Pass);
            }
        });
    }
}

async fn accept(listener: TcpListener, proxy: Arc<Proxy>) {
    let mut mode = proxy.mode.subscribe();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut listener = Some(listener);
    loop {
        if *mode.borrow_and_update() == Mode::Refuse {
            listener = None;
            // The sender lives as long as the proxy.
            let _ = mode.changed().await;
            continue;
        }
        if listener.is_none() {
            listener = listen_again(proxy.listen);
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
                    let proxy = Arc::clone(&proxy);
                    tokio::spawn(async move {
                        proxy.connections.fetch_add(1, Ordering::Relaxed);
                        connection::carry(stream, &proxy.upstream, &proxy.mode).await;
                        proxy.connections.fetch_sub(1, Ordering::Relaxed);
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
