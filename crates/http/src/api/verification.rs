//! `/api/v1/verify` and `/api/v1/drift`: a verification, and the result of the last one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Ask, Nothing, Told};
use super::{AppState, Problem, Right};
use focus_engine::{Sidecars, VerifyError};

/// The body of a verification.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyBody {
    /// Mend what can be mended
    #[serde(default)]
    repair: bool,
    /// Leave the sidecars unread
    #[serde(default)]
    quick: bool,
}

/// `POST /api/v1/verify`. The answer comes when the verification is done.
#[utoipa::path(
    post,
    path = "/api/v1/verify",
    tag = "verification",
    summary = "Compares storage, index and catalog; answers when it is done",
    security(("token" = ["operate"])),
    request_body = VerifyBody,
    responses(
        (status = 200, description = "The differences: `in_order`, `counts`, `findings`, `foreign`, `repaired`", body = Value),
        (status = 409, response = super::description::ProblemResponse),
        (status = 415, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn verify(
    State(state): State<AppState>,
    headers: HeaderMap,
    _: Ask<Nothing>,
    body: Result<Told<VerifyBody>, Problem>,
) -> Result<Json<Value>, Problem> {
    state.authorise(&headers, Right::Operate)?;
    let Told(body) = body?;
    let sidecars = if body.quick { Sidecars::None } else { Sidecars::All };
    let verified =
        state.engine().verify(body.repair, sidecars).await.map_err(|error| match error {
            VerifyError::CouldNotTell(words) => Problem::unavailable(words),
            VerifyError::Refused(words) => Problem::new(StatusCode::CONFLICT, words),
        })?;
    Ok(Json(json!(verified)))
}

/// `GET /api/v1/drift`: the result of the last verification.
#[utoipa::path(
    get,
    path = "/api/v1/drift",
    tag = "verification",
    summary = "The last verification",
    responses((status = 200, description = "`last` is the verification; null where there was none", body = Value))
)]
pub(super) async fn drift(
    State(state): State<AppState>,
    Ask(Nothing {}): Ask<Nothing>,
) -> Json<Value> {
    Json(json!({ "last": state.engine().last_verification() }))
}
