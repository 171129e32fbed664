//! One HTTP/1.1 request on a connection of its own. Every HTTP client of this product is built on it.

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::http::response::Parts;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The connection broke, or the answer is no HTTP.
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    /// The body broke off, or was longer than the bound.
    #[error("the answer's body cannot be read: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends one request over this connection, reads the answer, and closes the connection.
///
/// The body of the answer is read up to `body_bytes_max` bytes. The caller bounds the time.
///
/// # Errors
/// The connection broke, or the body is longer than `body_bytes_max`.
pub async fn exchange<S, B>(
    stream: S,
    request: Request<B>,
    body_bytes_max: usize,
) -> Result<(StatusCode, Bytes), ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    exchange_whole(stream, request, body_bytes_max).await.map(|(head, body)| (head.status, body))
}

/// As [`exchange`], with the whole head of the answer.
///
/// # Errors
/// As [`exchange`].
pub async fn exchange_whole<S, B>(
    stream: S,
    request: Request<B>,
    body_bytes_max: usize,
) -> Result<(Parts, Bytes), ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(ExchangeError::Broken)?;
    let driver = tokio::spawn(connection);
    let exchanged = async {
        let answer = sender.send_request(request).await.map_err(ExchangeError::Broken)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, body_bytes_max);
        let body = body.collect().await.map_err(ExchangeError::Body)?.to_bytes();
        Ok((head, body))
    }
    .await;
    driver.abort();
    exchanged
}
