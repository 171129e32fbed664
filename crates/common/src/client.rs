//! The client of a running server, for commands and the drill.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::{Method, Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::http::exchange;
use crate::state_dir::ServerFile;

/// Bytes of an answer, at most.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Why a call on the server failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer came in time, or none that can be read.
    #[error("the server at {address} does not answer")]
    NoAnswer {
        /// `host:port`.
        address: String,
        /// What went wrong.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server refuses the call. The caller has to change something.
    #[error("the server answers {status}: {detail}")]
    Refused {
        /// A status from 400 to 499, or another that is no success.
        status: StatusCode,
        /// The server's own words.
        detail: String,
    },
    /// The server cannot do it now, because something that it depends on is not there.
    #[error("the server answers {status}: {detail}")]
    Unavailable {
        /// A status from 500 to 599.
        status: StatusCode,
        /// The server's own words.
        detail: String,
    },
}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    server: ServerFile,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("address", &self.server.address).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server that `server.json` describes, with its token.
    pub fn new(server: ServerFile) -> Client {
        Client { server }
    }

    /// A client of the server at this address, `host:port`, without a token: it can only read.
    pub fn reading(address: &str) -> Client {
        Client::new(ServerFile { address: address.to_owned(), token: String::new(), pid: 0 })
    }

    /// The address of the server, `host:port`.
    pub fn address(&self) -> &str {
        &self.server.address
    }

    /// Asks for this path and query. The answer is JSON.
    ///
    /// # Errors
    /// No answer comes within `limit`, or the server refuses or cannot do it.
    pub async fn get(&self, path: &str, limit: Duration) -> Result<Value, ClientError> {
        self.call(Method::GET, path, None, limit).await
    }

    /// Sends this body to the path. The answer is JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(
        &self,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<Value, ClientError> {
        self.call(Method::POST, path, body, limit).await
    }

    /// Deletes what is at the path.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&self, path: &str, limit: Duration) -> Result<Value, ClientError> {
        self.call(Method::DELETE, path, None, limit).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<Value, ClientError> {
        let body = Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default()));
        let headers = [("content-type", "application/json".to_owned())];
        let sent = self.send(method, path, &headers, body);
        self.answered(sent, tokio::time::sleep(limit)).await.map(|(_, value)| value)
    }

    /// Posts a body that is read while it is sent. It is given up when `given_up` ends. The answer is JSON, with its
    /// status.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn send_form<B>(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: B,
        given_up: impl Future<Output = ()>,
    ) -> Result<(StatusCode, Value), ClientError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.answered(self.send(Method::POST, path, headers, body), given_up).await
    }

    /// The answer to a request, unless it is given up before.
    async fn answered(
        &self,
        sent: impl Future<Output = Result<(StatusCode, Value), Cause>>,
        given_up: impl Future<Output = ()>,
    ) -> Result<(StatusCode, Value), ClientError> {
        let no_answer =
            |cause| ClientError::NoAnswer { address: self.server.address.clone(), cause };
        let (status, value) = tokio::select! {
            answer = sent => answer.map_err(no_answer)?,
            () = given_up => return Err(no_answer("no answer came in time".into())),
        };
        if status.is_success() {
            return Ok((status, value));
        }
        let detail = value["detail"].as_str().unwrap_or("no detail").to_owned();
        Err(if status.is_server_error() {
            ClientError::Unavailable { status, detail }
        } else {
            ClientError::Refused { status, detail }
        })
    }

    async fn send<B>(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: B,
    ) -> Result<(StatusCode, Value), Cause>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Cause>,
    {
        let stream = TcpStream::connect(&self.server.address).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.server.address)
            .header("authorization", format!("Bearer {}", self.server.token));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let (status, body) = exchange(stream, request.body(body)?, ANSWER_BYTES_MAX).await?;
        Ok((status, serde_json::from_slice(&body)?))
    }
}

/// What an exchange failed by.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Every byte but letters, digits and `-._~`, which RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text, percent-encoded as part of a query.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
