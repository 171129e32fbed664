//! A TCP proxy that fails in the way that a test chooses.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything goes through.
    Pass,
    /// Nothing listens, and open connections are closed.
    Refuse,
    /// Connections are taken, and nothing goes through.
    BlackHole,
    /// Connections are reset.
    Reset,
    /// Requests go through, replies do not: acknowledgements are lost, and the connection with
    /// them.
    LoseReplies,
}

/// A proxy on the loopback address.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before this port of the loopback address.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(upstream: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let mode = watch::Sender::new(Mode::Pass);
        let task = tokio::spawn(run(listener, address, upstream, mode.subscribe()));
        Proxy { address, mode, task }
    }

    /// Its address, host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection string that leads through it.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.address)
    }

    /// Changes what it does.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    listener: TcpListener,
    address: SocketAddr,
    upstream: u16,
    mut mode: watch::Receiver<Mode>,
) {
    let mut listener = Some(listener);
    loop {
        if *mode.borrow_and_update() == Mode::Refuse {
            listener = None;
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        }
        if listener.is_none() {
            listener = bind(address);
        }
        let Some(open) = &listener else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(serve(stream, upstream, mode.clone()));
                }
            }
            changed = mode.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

fn bind(address: SocketAddr) -> Option<TcpListener> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_reuseaddr(true).ok()?;
    socket.bind(address).ok()?;
    socket.listen(64).ok()
}

async fn serve(mut client: TcpStream, upstream: u16, mode: watch::Receiver<Mode>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut watched = mode.clone();
    let reset = {
        let requests = pump(&mut from_client, &mut to_server, mode.clone(), false);
        let replies = pump(&mut from_server, &mut to_client, mode, true);
        let ended = async move {
            let over = |mode: &Mode| matches!(mode, Mode::Refuse | Mode::Reset);
            watched.wait_for(over).await.is_ok_and(|mode| *mode == Mode::Reset)
        };
        tokio::select! {
            () = requests => false,
            () = replies => false,
            reset = ended => reset,
        }
    };
    if reset {
        let _ = client.set_zero_linger();
    }
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut mode: watch::Receiver<Mode>,
    replies: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 {
            return;
        }
        // What was swallowed comes through when the hole is gone: TCP loses nothing.
        if mode.wait_for(|mode| *mode != Mode::BlackHole).await.is_err() {
            return;
        }
        let lost = replies && *mode.borrow() == Mode::LoseReplies;
        if lost || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
