//! The body of an ingest: read as it comes, summed up where its sender gives a digest, and bounded in its pauses.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{Stream, StreamExt};
use hyper::body::Body as _;
use parking_lot::Mutex;
use ring::digest;
use tokio::time::{Instant, Sleep};

use super::super::guard::BODY_PATIENCE;

/// Bytes that are read and thrown away after a refusal, at most. A caller that sends all before it reads the answer
/// would else find its connection broken, and no answer.
const DRAINED_MAX: u64 = 256 << 20;

/// How long that goes on at most.
const DRAINED_FOR: Duration = Duration::from_secs(10);

/// A caller that pauses so long waits for the answer.
const DRAIN_PAUSE: Duration = Duration::from_secs(1);

/// Bytes after the last part, at most.
const EPILOGUE_MAX: u64 = 64 * 1024;

/// Why no more of a body comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Interrupted {
    /// Nothing came for too long.
    #[error("no byte came within {} s", BODY_PATIENCE.as_secs())]
    Paused,
    /// The connection broke.
    #[error("{0}")]
    Broken(axum::Error),
}

/// The body of a request. Clones read the same body.
#[derive(Clone)]
pub(super) struct Incoming(Arc<Mutex<State>>);

struct State {
    body: Body,
    sum: Option<digest::Context>,
    /// How long a pause may be.
    patience: Duration,
    pause: Pin<Box<Sleep>>,
    has_begun: bool,
    has_ended: bool,
}

impl Incoming {
    /// The body of a request; `sums` where its SHA-256 is wanted.
    pub(super) fn new(body: Body, sums: bool) -> Incoming {
        Incoming::patient(body, sums, BODY_PATIENCE)
    }

    fn patient(body: Body, sums: bool, patience: Duration) -> Incoming {
        Incoming(Arc::new(Mutex::new(State {
            body,
            sum: sums.then(|| digest::Context::new(&digest::SHA256)),
            patience,
            pause: Box::pin(tokio::time::sleep(patience)),
            has_begun: false,
            has_ended: false,
        })))
    }

    /// Reads what comes after the last part. False: it is too much.
    pub(super) async fn end(&mut self) -> Result<bool, Interrupted> {
        let mut left = EPILOGUE_MAX;
        while let Some(bytes) = self.next().await {
            let length = bytes?.len() as u64;
            if length > left {
                return Ok(false);
            }
            left -= length;
        }
        Ok(true)
    }

    /// The SHA-256 of everything that was read, where it was wanted.
    pub(super) fn sum(&self) -> Option<digest::Digest> {
        self.0.lock().sum.take().map(digest::Context::finish)
    }

    /// Reads the rest and throws it away, within bounds. `waits`: the sender waits until it is asked for the body.
    pub(super) async fn drain(&mut self, waits: bool) {
        {
            let mut state = self.0.lock();
            state.sum = None;
            if state.has_ended || waits && !state.has_begun {
                return;
            }
        }
        let mut left = DRAINED_MAX;
        let draining = async {
            while let Ok(Some(Ok(bytes))) = tokio::time::timeout(DRAIN_PAUSE, self.next()).await {
                left = left.saturating_sub(bytes.len() as u64);
                if left == 0 {
                    return;
                }
            }
        };
        // What still comes after that breaks the connection.
        let _ = tokio::time::timeout(DRAINED_FOR, draining).await;
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, Interrupted>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock();
        let State { body, sum, patience, pause, has_begun, has_ended } = &mut *state;
        if *has_ended {
            return Poll::Ready(None);
        }
        if !*has_begun {
            *has_begun = true;
            pause.as_mut().reset(Instant::now() + *patience);
        }
        loop {
            match Pin::new(&mut *body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are of no use here.
                    let Ok(bytes) = frame.into_data() else { continue };
                    pause.as_mut().reset(Instant::now() + *patience);
                    if let Some(sum) = sum {
                        sum.update(&bytes);
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Poll::Ready(Some(Err(error))) => {
                    *has_ended = true;
                    return Poll::Ready(Some(Err(Interrupted::Broken(error))));
                }
                Poll::Ready(None) => {
                    *has_ended = true;
                    return Poll::Ready(None);
                }
                Poll::Pending => {}
            }
            return match pause.as_mut().poll(context) {
                Poll::Ready(()) => {
                    *has_ended = true;
                    Poll::Ready(Some(Err(Interrupted::Paused)))
                }
                Poll::Pending => Poll::Pending,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_is_read_is_summed_up_whoever_reads_it() {
        let pieces = ["a", "bc", ""].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let mut first = Incoming::new(body, true);
        let mut second = first.clone();
        assert_eq!(first.next().await.expect("more").expect("good"), "a");
        assert!(second.end().await.expect("good"));
        let sum = first.sum().expect("a sum");
        assert_eq!(sum.as_ref(), digest::digest(&digest::SHA256, b"abc").as_ref());
    }

    #[tokio::test]
    async fn a_body_that_pauses_for_too_long_is_given_up() {
        let body = Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>());
        let mut body = Incoming::patient(body, false, Duration::from_millis(20));
        assert!(matches!(body.next().await, Some(Err(Interrupted::Paused))));
        assert!(body.next().await.is_none());
    }
}
