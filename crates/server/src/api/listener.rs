//! The listener takes connections within bounds: on their number, and on the time and the size of a request's
//! head. When all places are taken, a connection that waits for its caller gives way to the new one, so
//! no number of slow callers keeps others out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// How long a head may take, and a pause between two requests. After that the connection is closed.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a request's head, at most.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Headers of a request, at most.
const HEADERS_MAX: usize = 64;

/// Pause after a connection could not be taken, because all file descriptors are in use.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The requests of a connection that are being answered. Without any, the connection waits for its caller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    requests: Arc<AtomicUsize>,
    /// The connection is to be closed, whatever waits to be written.
    cut: Arc<Notify>,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    requests: Arc<AtomicUsize>,
}

impl Activity {
    /// Begins to answer a request.
    pub(super) fn begin(&self) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy { requests: Arc::clone(&self.requests) }
    }

    /// Closes the connection at once: its caller takes nothing of its answer.
    pub(super) fn cut_off(&self) {
        self.cut.notify_one();
    }

    /// Waits. Meanwhile the connection is one that waits for its caller, and gives way to a new one.
    pub(crate) async fn rest(&self, time: Duration) {
        let _resting = Resting::begin(&self.requests);
        tokio::time::sleep(time).await;
    }

    fn is_waiting(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that rests, until this is dropped.
struct Resting<'a> {
    requests: &'a AtomicUsize,
}

impl<'a> Resting<'a> {
    fn begin(requests: &'a AtomicUsize) -> Resting<'a> {
        requests.fetch_sub(1, Ordering::Relaxed);
        Resting { requests }
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who asks: the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The open connections, the oldest first.
struct Connections {
    /// So many, at most.
    max: usize,
    next: u64,
    open: BTreeMap<u64, (Activity, AbortHandle)>,
    tasks: JoinSet<u64>,
}

/// Serves up to `max` connections until the future is dropped, which ends all connections too.
pub async fn serve(listener: TcpListener, router: Router, max: usize) {
    let mut connections =
        Connections { max, next: 0, open: BTreeMap::new(), tasks: JoinSet::new() };
    loop {
        tokio::select! {
            taken = listener.accept() => match taken {
                Ok((stream, _)) => connections.add(stream, router.clone()),
                Err(error) => {
                    tracing::warn!("a connection could not be taken: {error}");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(ended) = connections.tasks.join_next_with_id() => connections.forget(ended),
        }
    }
}

type Ended = Result<(tokio::task::Id, u64), tokio::task::JoinError>;

impl Connections {
    fn add(&mut self, stream: TcpStream, router: Router) {
        while self.open.len() >= self.max {
            let waiting = self.open.iter().find(|(_, (activity, _))| activity.is_waiting());
            let Some(oldest) = waiting.map(|(id, _)| *id) else {
                // Every connection is at work, so the new one is closed.
                return;
            };
            if let Some((_, task)) = self.open.remove(&oldest) {
                task.abort();
            }
        }
        let id = self.next;
        self.next += 1;
        let activity = Activity::default();
        let known = activity.clone();
        let task = self.tasks.spawn(async move {
            answer(stream, router, activity).await;
            id
        });
        self.open.insert(id, (known, task));
    }

    fn forget(&mut self, ended: Ended) {
        match ended {
            Ok((_, id)) => {
                self.open.remove(&id);
            }
            // The task was aborted above, or panicked; the panic has been logged.
            Err(error) => self.open.retain(|_, (_, task)| task.id() != error.id()),
        }
    }
}

/// Answers the requests of one connection until it ends.
async fn answer(stream: TcpStream, router: Router, activity: Activity) {
    // An answer is written as a whole: waiting for more to send would only delay it.
    let _ = stream.set_nodelay(true);
    let cut = Arc::clone(&activity.cut);
    let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(activity.clone());
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        service.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = served => ended,
        () = cut.notified() => return,
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Extension;
    use axum::body::{Body, Bytes};
    use axum::response::Response;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_cut_off_ends_whatever_waits_to_be_written() {
        let handler = async |Extension(activity): Extension<Activity>| {
            tokio::spawn(async move { activity.cut_off() });
            let never = futures_util::stream::pending::<Result<Bytes, Infallible>>();
            Response::new(Body::from_stream(never))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = tokio::spawn(serve(listener, Router::new().route("/", get(handler)), 8));
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("asked");
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let ended = tokio::time::timeout(Duration::from_secs(20), read).await;
        assert!(ended.is_ok(), "it goes on: {}", String::from_utf8_lossy(&answer));
        served.abort();
    }
}
