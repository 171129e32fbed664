//! `/api/v1/alerts`: what is raised, who is told, and what is silenced.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use focus_common::alerts::ListedSilence;
use focus_core::alert::Rule;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::ask::{Ask, Nothing, Told};
use super::{AppState, Problem, Right};

/// A silence lasts at most so long, milliseconds: 30 days.
const SILENCE_MAX_MS: u64 = 30 * 86_400_000;

/// `GET /api/v1/alerts`.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    tag = "alerts",
    summary = "Alerts that are raised, the channels and the silences",
    responses((status = 200, description = "Those that are raised, and those of the last 30 days that are over; who is told; what is silenced", body = focus_common::alerts::ListedAlerts))
)]
pub(super) async fn alerts(
    State(state): State<AppState>,
    Ask(Nothing {}): Ask<Nothing>,
) -> Json<Value> {
    let (board, settings) = state.alerts();
    Json(json!(board.listed(&settings)))
}

/// The body of a silence.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SilenceBody {
    /// The rule whose alerts are not told while they fire
    #[schema(schema_with = rule_names)]
    rule: String,
    /// In this root alone: its id, or its configured path
    root: Option<String>,
    /// For so long, milliseconds
    #[schema(minimum = 1, maximum = 2_592_000_000u64)]
    for_ms: u64,
}

/// The names of the rules, for the description.
fn rule_names() -> Object {
    let names = Rule::ALL.into_iter().map(Rule::name).collect::<Vec<_>>();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

/// `GET /api/v1/alerts/silences`.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/silences",
    tag = "alerts",
    summary = "Silences that last",
    responses((status = 200, description = "`items`: each with `id`, `rule`, `root` and `until`", body = Value))
)]
pub(super) async fn silences(
    State(state): State<AppState>,
    Ask(Nothing {}): Ask<Nothing>,
) -> Json<Value> {
    Json(json!({ "items": state.alerts().0.silences(), "next_cursor": null }))
}

/// `POST /api/v1/alerts/silences`.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/silences",
    tag = "alerts",
    summary = "Keeps alerts of a rule from being told that they fire",
    security(("token" = ["operate"])),
    request_body = SilenceBody,
    responses(
        (status = 201, description = "The silence with its `id`", body = Value),
        (status = 415, response = super::description::ProblemResponse),
    )
)]
pub(super) async fn silence(
    State(state): State<AppState>,
    headers: HeaderMap,
    _: Ask<Nothing>,
    body: Result<Told<SilenceBody>, Problem>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    state.authorise(&headers, Right::Operate)?;
    let Told(body) = body?;
    let made = make_silence(&state, &body.rule, body.root.as_deref(), body.for_ms).await?;
    Ok((StatusCode::CREATED, Json(json!(made))))
}

/// Silences a rule, of all roots or of one that is given by its id or its configured path.
///
/// # Errors
/// There is no such rule or root, or the time is too long.
pub(crate) async fn make_silence(
    state: &AppState,
    rule: &str,
    root: Option<&str>,
    for_ms: u64,
) -> Result<ListedSilence, Problem> {
    let rule = Rule::from_name(rule).ok_or_else(|| {
        let all: Vec<&str> = Rule::ALL.into_iter().map(Rule::name).collect();
        let words = format!("rule: there is no such rule. It is one of {}", all.join(", "));
        Problem::bad_value("rule", words)
    })?;
    if for_ms == 0 || for_ms > SILENCE_MAX_MS {
        let words = format!("for_ms: from 1 to {SILENCE_MAX_MS}");
        return Err(Problem::bad_value("for_ms", words));
    }
    let root = match root {
        None => None,
        Some(root) => Some(state.root_id(root).await?),
    };
    Ok(state.alerts().0.silence(rule, root, for_ms))
}

/// `DELETE /api/v1/alerts/silences/{id}`.
#[utoipa::path(
    delete,
    path = "/api/v1/alerts/silences/{id}",
    tag = "alerts",
    summary = "Ends a silence",
    security(("token" = ["operate"])),
    params(("id" = String, Path, description = "The silence's id")),
    responses((status = 204, description = "It is over"))
)]
pub(super) async fn end_silence(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    _: Ask<Nothing>,
) -> Result<StatusCode, Problem> {
    state.authorise(&headers, Right::Operate)?;
    end_silence_of(&state, &id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a silence.
///
/// # Errors
/// There is none of this id.
pub(crate) fn end_silence_of(state: &AppState, id: &str) -> Result<(), Problem> {
    if state.alerts().0.end_silence(id) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "there is no silence of this id: `focus alerts` lists them",
    ))
}
