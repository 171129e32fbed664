//! `/api/v1/verify` and `/api/v1/drift`: a verification, and the result of the last one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AppState, Problem};
use focus_engine::{Sidecars, VerifyError};

/// The body of a verification.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyBody {
    #[serde(default)]
    repair: bool,
    #[serde(default)]
    quick: bool,
}

/// `POST /api/v1/verify`. The answer comes when the verification is done.
pub(super) async fn verify(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Result<Json<VerifyBody>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Value>, Problem> {
    state.authorise(&headers)?;
    let Json(body) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let sidecars = if body.quick { Sidecars::None } else { Sidecars::All };
    let verified =
        state.engine().verify(body.repair, sidecars).await.map_err(|error| match error {
            VerifyError::CouldNotTell(words) => Problem::unavailable(words),
            VerifyError::Refused(words) => Problem::new(StatusCode::CONFLICT, words),
        })?;
    Ok(Json(json!(verified)))
}

/// `GET /api/v1/drift`: the result of the last verification.
pub(super) async fn drift(State(state): State<AppState>) -> Json<Value> {
    Json(json!({ "last": state.engine().last_verification() }))
}
