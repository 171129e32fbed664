//! The HTTP API.

mod compat;
mod deletions;
mod problem;
mod v1;
mod verification;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::watch;

use crate::engine::{Completeness, Engine, clock};

pub use problem::Problem;
pub(crate) use v1::{fault, recording};

/// Bytes in a request body at most.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What every handler has.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The engine; a new one after the index was rebuilt.
    pub engine: watch::Receiver<Arc<Engine>>,
    /// What changing calls have to show.
    pub token: Arc<str>,
}

impl AppState {
    fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.borrow())
    }

    /// A call that changes something shows the token.
    fn authorise(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if shown == Some(&format!("Bearer {}", self.token)) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "this call changes something and needs the token in server.json of the state folder, as `Authorization: Bearer …`",
        ))
    }

    /// Runs a query that blocks on a thread that may.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Engine) -> Result<T, focus_index::IndexError> + Send + 'static,
    ) -> Result<T, Problem> {
        let engine = self.engine();
        match tokio::task::spawn_blocking(move || query(&engine)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Problem::unavailable(error.to_string())),
            Err(error) => Err(Problem::unavailable(error.to_string())),
        }
    }
}

/// All routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/livez", get(|| async { axum::Json(json!({})) }))
        .route("/readyz", get(readyz))
        .route("/ack", get(|| async { axum::Json(json!({})) }))
        .route("/recordings_in_time_range", post(compat::recordings_in_time_range))
        .route("/api/v1/status", get(v1::status))
        .route("/api/v1/recordings", get(v1::recordings))
        .route("/api/v1/unrecognised", get(v1::unrecognised))
        .route("/api/v1/scan", post(v1::scan))
        .route("/api/v1/verify", post(verification::verify))
        .route("/api/v1/drift", get(verification::drift))
        .route("/api/v1/deletions/held", get(deletions::held))
        .route("/api/v1/deletions/approve", post(deletions::approve))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}

/// Ready whenever the index answers; the catalog's state is told, and decides nothing.
async fn readyz(State(state): State<AppState>) -> Response {
    match state.read(|engine| engine.reader().totals().map(|_| engine.status())).await {
        Ok(status) => axum::Json(json!({
            "ready": true,
            "catalog": status.catalog,
            "catalog_state": status.catalog_state,
            "pending": status.pending,
        }))
        .into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Completeness as headers.
fn completeness_headers(completeness: Completeness) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let through =
        completeness.complete_through_ms.map_or_else(|| "none".to_owned(), clock::rfc3339);
    if let Ok(value) = HeaderValue::from_str(&through) {
        headers.insert("focus-complete-through", value);
    }
    headers.insert("focus-pending", HeaderValue::from(completeness.pending));
    headers.insert("focus-source", HeaderValue::from_static("index"));
    headers
}
