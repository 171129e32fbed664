//! `/api/v1/alerts`: what is raised, who is told, and what is silenced.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use focus_core::alert::Rule;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AppState, Problem};

/// A silence lasts at most so long, milliseconds: 30 days.
const SILENCE_MAX_MS: u64 = 30 * 86_400_000;

/// `GET /api/v1/alerts`.
pub(super) async fn alerts(State(state): State<AppState>) -> Json<Value> {
    let (board, settings) = state.alerts();
    Json(json!(board.listed(&settings)))
}

/// The body of a silence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SilenceBody {
    rule: String,
    root: Option<String>,
    for_ms: u64,
}

/// `GET /api/v1/alerts/silences`.
pub(super) async fn silences(State(state): State<AppState>) -> Json<Value> {
    Json(json!({ "items": state.alerts().0.silences(), "next_cursor": null }))
}

/// `POST /api/v1/alerts/silences`.
pub(super) async fn silence(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Result<Json<SilenceBody>, axum::extract::rejection::JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    state.authorise(&headers)?;
    let Json(body) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let rule = Rule::from_name(&body.rule).ok_or_else(|| {
        let all: Vec<&str> = Rule::ALL.into_iter().map(Rule::name).collect();
        Problem::bad_request(format!(
            "rule: there is no such rule. It is one of {}",
            all.join(", ")
        ))
    })?;
    if body.for_ms == 0 || body.for_ms > SILENCE_MAX_MS {
        return Err(Problem::bad_request(format!("for_ms: from 1 to {SILENCE_MAX_MS}")));
    }
    let root = match body.root {
        None => None,
        Some(root) => Some(state.root_id(&root).await?),
    };
    let made = state.alerts().0.silence(rule, root, body.for_ms);
    Ok((StatusCode::CREATED, Json(json!(made))))
}

/// `DELETE /api/v1/alerts/silences/{id}`.
pub(super) async fn end_silence(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    state.authorise(&headers)?;
    if state.alerts().0.end_silence(&id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "there is no silence of this id: `focus alerts` lists them",
    ))
}
