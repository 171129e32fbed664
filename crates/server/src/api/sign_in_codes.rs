//! `POST /api/v1/sign-in-codes`: a one-time code that signs a browser in, for `focus open`.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use focus_common::clock;
use serde_json::{Value, json};

use super::ask::{Ask, Nothing};
use super::{AppState, Problem, Right};
use crate::page;
use crate::sessions::Sessions;

/// A one-time code.
#[derive(utoipa::ToSchema)]
#[schema(as = SignInCode)]
#[expect(dead_code, reason = "the fields describe what the handler writes")]
pub(super) struct SignInCode {
    /// It begins one session, with the rights of the token that asked for it
    code: String,
    /// The path that a browser has to ask for
    path: String,
    /// Until when
    #[schema(format = "date-time")]
    expires_at: String,
}

/// `POST /api/v1/sign-in-codes`.
#[utoipa::path(
    post,
    path = "/api/v1/sign-in-codes",
    tag = "server",
    summary = "Makes a one-time code that signs a browser in; it is good for 60 s",
    security(("token" = ["operate"])),
    responses((status = 201, description = "The code. The 16 newest are good", body = SignInCode))
)]
pub(super) async fn make(
    State(state): State<AppState>,
    headers: HeaderMap,
    _: Ask<Nothing>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let token = state.token_of(&headers, Right::Operate)?;
    let code = state
        .sessions
        .code(&token, Instant::now())
        .ok_or_else(|| Problem::unavailable("the system has no random bytes to give"))?;
    let life_ms = i64::try_from(Sessions::CODE_LIFE.as_millis()).unwrap_or(i64::MAX);
    let answer = json!({
        "code": code.expose(),
        "path": format!("{}?code={}", page::SIGN_IN, code.expose()),
        "expires_at": clock::rfc3339(clock::wall_ms().saturating_add(life_ms)),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}
