//! A small client of a Kubernetes API server: JSON over HTTPS, a connection per call.
//!
//! The drill makes a handful of calls a minute and reads objects as JSON, so a cluster of any version will do.

use std::time::Duration;

use focus_common::http::exchange;
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// A call has to end within this.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of an answer at most.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer: the server is not there, is not who it should be, or took too long.
    #[error("the API server at {server} does not answer: {cause}")]
    NoAnswer {
        /// `host:port`.
        server: String,
        /// What went wrong.
        cause: String,
    },
    /// The server refused the call.
    #[error("the API server answers {status} to {method} {path}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The HTTP method.
        method: &'static str,
        /// The path.
        path: String,
        /// The server's words.
        message: String,
    },
}

impl CallError {
    /// The object is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, CallError::Refused { status: 404, .. })
    }

    /// The object was changed by another meanwhile, or is there already.
    pub fn is_conflict(&self) -> bool {
        matches!(self, CallError::Refused { status: 409, .. })
    }

    /// The server may answer otherwise later.
    pub fn is_transient(&self) -> bool {
        match self {
            CallError::NoAnswer { .. } => true,
            CallError::Refused { status, .. } => *status == 429 || *status >= 500,
        }
    }
}

/// An API server, and who calls it.
#[derive(Clone)]
pub struct Client {
    host: String,
    port: u16,
    /// Path below which the API is, without a slash at its end.
    base: String,
    name: ServerName<'static>,
    tls: TlsConnector,
    /// The value of the `Authorization` header.
    authorization: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The authorization is a secret.
        f.debug_struct("Client").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl Client {
    /// The API server at `host:port`, below `base`, whose certificate has to be for `name`.
    pub fn new(
        (host, port): (String, u16),
        base: &str,
        name: ServerName<'static>,
        tls: TlsConnector,
        token: Option<&str>,
    ) -> Client {
        Client {
            host,
            port,
            base: base.trim_end_matches('/').to_owned(),
            name,
            tls,
            authorization: token.map(|token| format!("Bearer {token}")),
        }
    }

    /// `host:port`.
    pub fn server(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Reads.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.call("GET", path, "application/json", None).await
    }

    /// Makes an object.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, CallError> {
        self.call("POST", path, "application/json", Some(object)).await
    }

    /// Changes fields.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn patch(&self, path: &str, fields: &Value) -> Result<Value, CallError> {
        self.call("PATCH", path, "application/merge-patch+json", Some(fields)).await
    }

    /// Deletes, on the conditions in `options`.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn delete(&self, path: &str, options: &Value) -> Result<Value, CallError> {
        self.call("DELETE", path, "application/json", Some(options)).await
    }

    async fn call(
        &self,
        method: &'static str,
        path: &str,
        kind: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let no_answer = |cause: String| CallError::NoAnswer { server: self.server(), cause };
        let answer = tokio::time::timeout(LIMIT, self.send(method, path, kind, body)).await;
        let (status, bytes) = answer
            .unwrap_or_else(|_| Err(format!("not within {} s", LIMIT.as_secs())))
            .map_err(no_answer)?;
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        if (200..300).contains(&status) {
            return value.ok_or_else(|| no_answer("what it answers is not JSON".to_owned()));
        }
        let words = value.as_ref().and_then(|value| value["message"].as_str());
        let message = words.unwrap_or("no reason is given").chars().take(500).collect();
        Err(CallError::Refused { status, method, path: path.to_owned(), message })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Bytes), String> {
        fn told(error: impl std::fmt::Display) -> String {
            error.to_string()
        }
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(told)?;
        let socket = self.tls.connect(self.name.clone(), socket).await.map_err(told)?;
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("host", self.server())
            .header("accept", "application/json")
            .header("content-type", kind)
            .header("user-agent", concat!("focus-drill/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(told)?;
        let (status, body) = exchange(socket, request, ANSWER_MAX).await.map_err(told)?;
        Ok((status.as_u16(), body))
    }
}
