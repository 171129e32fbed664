//! `POST /api/v1/roots/forget`: drops a root that is not configured any more from the index.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use focus_engine::ForgetError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AppState, Problem};

/// The body of the call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgetBody {
    /// The root's id, or the path where it was seen last.
    root: String,
}

/// `POST /api/v1/roots/forget`: a part of the root. The caller repeats it until it is `done`.
pub(super) async fn forget(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Result<Json<ForgetBody>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Value>, Problem> {
    state.authorise(&headers)?;
    let Json(body) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let forgotten = state.engine().forget(&body.root).await.map_err(|error| {
        let status = match error {
            ForgetError::Unknown { .. } => StatusCode::NOT_FOUND,
            ForgetError::Configured { .. } => StatusCode::CONFLICT,
            ForgetError::Index(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, error.to_string())
    })?;
    Ok(Json(json!({
        "root": forgotten.marker,
        "path": forgotten.path,
        "forgotten": forgotten.recordings,
        "done": forgotten.done,
    })))
}
