//! Commands act through the running server where there is one.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::{Ending, Stop};
use crate::state_dir::{self, ServerFile};

/// The running server on this state folder, if there is one.
pub(crate) fn server(state_dir: &Path) -> anyhow::Result<Option<ServerFile>> {
    state_dir::running(state_dir)
        .map_err(|error| Stop::error(Ending::CouldNotTell, format!("{error:#}")))
}

/// One call on a running server; its JSON answer.
pub(crate) async fn call(
    server: &ServerFile,
    method: Method,
    path: &str,
    body: String,
    limit: Duration,
) -> anyhow::Result<Value> {
    let work = async {
        let stream = TcpStream::connect(&server.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &server.address)
            .header("authorization", format!("Bearer {}", server.token))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let value: Value = serde_json::from_slice(&body)?;
        if !status.is_success() {
            let detail = value["detail"].as_str().unwrap_or("no detail");
            let ending =
                if status.is_server_error() { Ending::CouldNotTell } else { Ending::Refused };
            return Err(Stop::error(ending, format!("the server answers {status}: {detail}")));
        }
        Ok(value)
    };
    tokio::time::timeout(limit, work)
        .await
        .with_context(|| format!("the server at {} does not answer", server.address))?
}

/// A text as part of a query.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
