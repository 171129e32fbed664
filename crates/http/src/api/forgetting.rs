//! `POST /api/v1/roots/forget`: drops a root that is not configured any more from the index.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use focus_engine::ForgetError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Ask, Nothing, Told};
use super::{AppState, Problem, Right};

/// The body of the call.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgetBody {
    /// The root's id, or the path where it was seen last.
    root: String,
}

/// `POST /api/v1/roots/forget`: a part of the root. The caller repeats it until it is `done`.
#[utoipa::path(
    post,
    path = "/api/v1/roots/forget",
    tag = "server",
    summary = "Drops a part of a root that is not configured any more from the index; to be repeated until `done`",
    security(("token" = ["operate"])),
    request_body = ForgetBody,
    responses(
        (status = 200, description = "`root`, `path`, `forgotten` (how many recordings this call dropped) and `done`", body = Value),
        (status = 409, response = super::description::ProblemResponse),
        (status = 415, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn forget(
    State(state): State<AppState>,
    headers: HeaderMap,
    _: Ask<Nothing>,
    body: Result<Told<ForgetBody>, Problem>,
) -> Result<Json<Value>, Problem> {
    state.authorise(&headers, Right::Operate)?;
    let Told(body) = body?;
    let forgotten = state.engine().forget(&body.root).await.map_err(|error| {
        let status = match error {
            ForgetError::Unknown { .. } => StatusCode::NOT_FOUND,
            ForgetError::Configured { .. } => StatusCode::CONFLICT,
            ForgetError::Index(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, error.to_string()).at("root")
    })?;
    Ok(Json(json!({
        "root": forgotten.marker,
        "path": forgotten.path,
        "forgotten": forgotten.recordings,
        "done": forgotten.done,
    })))
}
