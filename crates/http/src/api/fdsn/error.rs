//! The service's own form of errors: plain text with the status, the reason, the request and the version.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use focus_common::clock;

use super::VERSION;
use crate::api::problem;

/// Bytes of a problem that is told in the service's form at most.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// Whether a path is the service's, known or not.
pub(in crate::api) fn is_below(uri: &Uri) -> bool {
    uri.path().starts_with("/fdsnws/")
}

/// What an error is about.
#[derive(Clone, Debug)]
pub(in crate::api) struct Fault {
    request: String,
}

impl Fault {
    /// Errors of a request to the service; none of one to something else.
    pub(in crate::api) fn of_service(request: &Request) -> Option<Fault> {
        is_below(request.uri()).then(|| Fault::about(request.method(), request.uri()))
    }

    /// An answer as the service gives it: one that is a problem document is told in the service's own form.
    pub(in crate::api) async fn in_its_form(self, response: Response) -> Response {
        let is_problem = response.headers().get(header::CONTENT_TYPE)
            == Some(&HeaderValue::from_static(problem::MEDIA_TYPE));
        if !is_problem {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let bytes = to_bytes(body, PROBLEM_BYTES_MAX).await.unwrap_or_default();
        let told: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let words = told["detail"].as_str().unwrap_or_default();
        let (of_service, body) = self.fault(parts.status, words).into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.extend(of_service.headers);
        Response::from_parts(parts, Body::new(body))
    }

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
