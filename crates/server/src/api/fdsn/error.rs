//! The service's own form of errors: plain text with the status, the reason, the request and the version.

use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use focus_common::clock;

use super::VERSION;

/// What an error is about.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    request: String,
}

impl Fault {
    /// Errors of this request.
    pub(super) fn about(method: &Method, uri: &Uri) -> Fault {
        // It is shown again: nothing in it may act.
        let shown: String = uri.to_string().chars().take(2_000).collect();
        Fault { request: format!("{method} {shown}") }
    }

    /// The answer that says what is wrong.
    pub(super) fn fault(&self, status: StatusCode, words: &str) -> Response {
        let reason = status.canonical_reason().unwrap_or("Error");
        let text = format!(
            "Error {}: {reason}\n\n{words}\n\nUsage details are available from /docs\n\nRequest:\n{}\n\nRequest Submitted:\n{}\n\nService Version:\n{VERSION}\n",
            status.as_u16(),
            self.request,
            clock::rfc3339(clock::wall_ms()),
        );
        (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    }
}
